# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rollback: the service leaves the database and runs from files, with every key, within seconds.

What needs no standstill (the code at the tag, its dependencies, its settings) is prepared while the service still runs.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict

from ..processes.pm2_spec import spec_from_dict
from ..reporting.progress import SILENT, Progress
from ..reporting.report import utc_now
from ..sessions.fence import FILES, POSTGRESQL, clear_mark, mark_database, set_fence
from ..system.errors import ResilienceError
from ..system.files import explain_os_error, remove_tree_or_file
from . import code
from .carry import carry_to_files
from .ground import (
    ON_DATABASE,
    ON_FILES,
    Outcome,
    on_database,
    one_at_a_time,
    owner_of,
    pm2_of,
    require_confirmation,
    stamp,
)
from .journal import ROLLBACK, Journal, read_journal, remove_journal
from .move import move, put_back
from .plan import Plan, plan_rollback
from .request import CHECKOUT, DATABASE, EmergencyRequest
from .sources import Candidate
from .way import Run, Side, Way


def preview_rollback(request: EmergencyRequest) -> Outcome:
    """What ``roll_back`` would do. Changes nothing; raises ResilienceError for what it would refuse."""
    journal = read_journal(request.state_directory, request.source)
    if _is_done(journal) or (journal is not None and journal.switched):
        return Outcome(journal=journal)
    return Outcome(plan_rollback(request, pm2_of(request), journal), journal=journal)


def roll_back(request: EmergencyRequest, progress: Progress = SILENT) -> Outcome:
    """Bring the service to its files; where it runs on them already, nothing is done.

    Raises MoveFailedError, which says on which side the service runs now; any other ResilienceError: nothing was touched.
    """
    with one_at_a_time(request):
        journal = read_journal(request.state_directory, request.source)
        if _is_done(journal):
            return Outcome(journal=journal)
        require_confirmation(request)
        pm2 = pm2_of(request)
        if journal is not None and journal.switched:
            # Its files may be newer by now than what they were made from.
            return _go(Run(request, pm2, journal, progress), None)
        try:
            progress.step("preflight")
            plan = plan_rollback(request, pm2, journal)
            warnings = code.prepare(request.service, plan.commit)
        except ResilienceError as error:
            if journal is None:
                raise
            # Killed after it had stopped the service: that is not left so.
            raise put_back(ToFiles(Run(request, pm2, journal, progress), None), error) from error
        return _go(Run(request, pm2, _begin(request, plan, journal), progress, warnings=warnings), plan)


def _is_done(journal: Journal | None) -> bool:
    if journal is None or journal.direction == ROLLBACK:
        return journal is not None and not journal.unfinished
    raise ResilienceError(
        f"The roll-forward that began at {journal.started_at} is unfinished",
        stage="preflight",
        remedy="Run the playbook emergency_rollforward again. If the database is gone once more, it brings the service "
        "back to its files.",
    )


def _begin(request: EmergencyRequest, plan: Plan, earlier: Journal | None) -> Journal:
    service = request.service
    return Journal(
        direction=ROLLBACK,
        phase="stopping",
        started_at=earlier.started_at if earlier else utc_now(),
        original=asdict(plan.original),
        emergency=asdict(plan.emergency),
        was_running=plan.was_running,
        commit=plan.commit.sha,
        release=service.release,
        code_directory=service.code_directory,
        sessions_directory=service.sessions_directory,
        previous=earlier.previous if earlier else code.standing(service),
        set_aside=earlier.set_aside if earlier else _aside(service.sessions_directory),
        data={"kind": plan.chosen.kind, "what": plan.chosen.what},
    )


def _go(run: Run, plan: Plan | None) -> Outcome:
    move(ToFiles(run, plan.chosen if plan else None))
    return Outcome(plan, run, run.journal)


class ToFiles(Way):
    """From the database to the files. ``chosen`` is None where the sessions were carried over already."""

    carry_name = "export"

    def __init__(self, run: Run, chosen: Candidate | None) -> None:
        origin = Side(ON_DATABASE, spec_from_dict(run.journal.original))
        super().__init__(run, origin, Side(ON_FILES, spec_from_dict(run.journal.emergency)))
        self.chosen = chosen

    @property
    def _marks_database(self) -> bool:
        return bool(self.run.journal.data["kind"] == DATABASE)

    def carry(self) -> None:
        """Every session into the files, read back and equal."""
        run = self.run
        _make_way(run.journal)
        if self.chosen is not None:
            carried = carry_to_files(run.request, self.chosen, owner_of(run.pm2), run.progress)
            run.reach("carrying", data={**run.journal.data, **asdict(carried)})

    def uncarry(self, switched: bool) -> None:
        """The exported sessions go; but what a service has written to is kept."""
        _clear_away(self.run, switched)

    def fence(self) -> None:
        """To the files, on this host and, if it is there, in the database."""
        request = self.run.request
        fence = set_fence(request.state_directory, request.source, FILES, request.by)
        if self._marks_database:
            self.run.warnings += on_database(
                request, lambda connection: mark_database(connection, request.layout, request.source, fence)
            )

    def unfence(self) -> None:
        """Back to the database."""
        request = self.run.request
        set_fence(request.state_directory, request.source, POSTGRESQL, f"{request.by} (undone)")
        if self._marks_database:
            self.run.warnings += on_database(request, lambda connection: clear_mark(connection, request.layout))

    def forget(self) -> None:
        """Neither journal nor worktree stays behind, unless the service has left files in the latter."""
        remove_journal(self.run.request.state_directory, self.run.request.source)
        with contextlib.suppress(ResilienceError):
            code.remove(self.run.request)

    def code(self) -> None:
        """A worktree is prepared by now; a checkout in place had to wait until the service was stopped."""
        if self.run.request.service.release == CHECKOUT:
            code.check_out(self.run.request.service)

    def uncode(self) -> None:
        """What was checked out before."""
        if self.run.journal.previous:
            code.check_out_again(self.run.request.service, self.run.journal.previous)


def _aside(directory: str) -> str | None:
    """Where what lies in the place of the sessions, perhaps from an emergency before, is kept meanwhile."""
    return f"{directory}.before-{stamp()}" if os.path.isdir(directory) and os.listdir(directory) else None


def _make_way(journal: Journal) -> None:
    aside = journal.set_aside
    if aside is not None and not os.path.exists(aside):
        _rename(journal.sessions_directory, aside)


def _clear_away(run: Run, switched: bool) -> None:
    """The exported sessions go; but what a service has written to is kept."""
    directory, aside = run.journal.sessions_directory, run.journal.set_aside
    if aside is not None and not os.path.isdir(aside):
        # Nothing was moved yet: what is there is what was there.
        return
    if switched and os.path.isdir(directory):
        kept = f"{directory}.undone-{stamp()}"
        _rename(directory, kept)
        run.warnings.append(f"What the service wrote while it ran on files is kept in {kept}")
    remove_tree_or_file(directory)
    if aside is not None:
        _rename(aside, directory)


def _rename(path: str, new: str) -> None:
    try:
        os.rename(path, new)
    except OSError as error:
        raise explain_os_error(error, path, "move") from error
