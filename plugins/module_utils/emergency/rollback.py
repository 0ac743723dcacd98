# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rollback: the service leaves the database and runs from files, with every key, within seconds.

What needs no standstill (the code at the tag, its dependencies, its settings) is prepared while the service still runs.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict, replace

from ..processes.pm2 import Pm2
from ..processes.pm2_spec import spec_from_dict
from ..reporting.progress import SILENT, Progress
from ..reporting.report import utc_now
from ..sessions.fence import FILES, POSTGRESQL, clear_mark, mark_database, require_database, set_fence
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
    require_running,
    runs_origin,
    stamp,
)
from .journal import ROLLBACK, Journal, read_journal, remove_journal
from .move import move, undone
from .plan import Plan, plan_rollback
from .request import CHECKOUT, DATABASE, EmergencyRequest
from .sources import Candidate
from .way import Run, Side, Way


def preview_rollback(request: EmergencyRequest) -> Outcome:
    """What ``roll_back`` would do. Changes nothing; raises ResilienceError for what it would refuse."""
    pm2 = pm2_of(request)
    journal = _journal(request, pm2)
    if journal is not None and (not journal.unfinished or journal.switched):
        return Outcome(journal=journal)
    return Outcome(plan_rollback(request, pm2, journal), journal=journal)


def roll_back(request: EmergencyRequest, progress: Progress = SILENT) -> Outcome:
    """Bring the service to its files; where it runs on them already, nothing is done.

    Raises MoveFailedError, which says on which side the service runs now; any other ResilienceError: nothing was touched.
    """
    with one_at_a_time(request):
        pm2 = pm2_of(request)
        journal = _journal(request, pm2)
        if journal is not None and not journal.unfinished:
            return Outcome(journal=journal)
        require_confirmation(request)
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
            raise undone(ToFiles(Run(request, pm2, journal, progress), None), error) from error
        return _go(Run(request, pm2, _begin(request, plan, journal), progress, warnings=warnings), plan)


def _journal(request: EmergencyRequest, pm2: Pm2) -> Journal | None:
    """What was done so far, as far as what PM2 runs bears it out. Raises ResilienceError."""
    journal = read_journal(request.state_directory, request.source)
    if journal is None:
        require_database(request.state_directory, request.source, "roll back")
        return None
    if journal.direction != ROLLBACK:
        raise ResilienceError(
            f"The roll-forward that began at {journal.started_at} is unfinished",
            stage="preflight",
            remedy="Run the playbook emergency_rollforward again. If the database is gone once more, it brings the service "
            "back to its files.",
        )
    if not journal.unfinished:
        require_running(pm2, journal, ON_FILES)
    elif journal.switched and runs_origin(pm2, journal.original, journal.emergency):
        # A boot has brought it back as it was: it works on the database, which is newer than the files by now.
        journal = replace(journal, phase="stopping")
    return journal


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
        written=earlier.written if earlier else False,
        marked=earlier.marked if earlier else False,
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
    def origin_is_dead(self) -> bool:  # type: ignore[override]
        """The sessions had to come from somewhere else."""
        return bool(self.run.journal.data["kind"] != DATABASE)

    def carry(self) -> None:
        """Every session into the files, read back and equal."""
        run = self.run
        _make_way(run)
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
        if not self.origin_is_dead:
            self.run.reach(self.run.journal.phase, marked=True)
            self.run.warnings += on_database(
                request, lambda connection: mark_database(connection, request.layout, request.source, fence)
            )

    def unfence(self) -> None:
        """Back to the database."""
        request = self.run.request
        set_fence(request.state_directory, request.source, POSTGRESQL, f"{request.by} (undone)")
        if self.run.journal.marked:
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


def _make_way(run: Run) -> None:
    journal = run.journal
    aside = journal.set_aside
    if journal.written:
        _keep_written(run)
    if aside is not None and not os.path.exists(aside) and os.path.isdir(journal.sessions_directory):
        _rename(journal.sessions_directory, aside)


def _clear_away(run: Run, switched: bool) -> None:
    """The exported sessions go; but what a service has written to is kept."""
    directory, aside = run.journal.sessions_directory, run.journal.set_aside
    if aside is not None and not os.path.isdir(aside):
        # Nothing was moved yet: what is there is what was there.
        return
    if switched or run.journal.written:
        _keep_written(run)
    remove_tree_or_file(directory)
    if aside is not None:
        _rename(aside, directory)


def _keep_written(run: Run) -> None:
    """What the service has written to while it ran on files is never removed."""
    directory = run.journal.sessions_directory
    if os.path.isdir(directory) and os.listdir(directory):
        kept = f"{directory}.undone-{stamp()}"
        _rename(directory, kept)
        run.warnings.append(f"What the service wrote while it ran on files is kept in {kept}")
    run.reach(run.journal.phase, written=False)


def _rename(path: str, new: str) -> None:
    try:
        os.rename(path, new)
    except OSError as error:
        raise explain_os_error(error, path, "move") from error
