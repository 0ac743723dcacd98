# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back: what happened in the files meanwhile goes into the database, and the service runs on it again."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace

from ..backup.catalogue import Archive
from ..backup.fresh import fresh_backup
from ..postgres.connection import connect
from ..processes.pm2 import Pm2
from ..processes.pm2_spec import spec_from_dict
from ..reporting.progress import SILENT, Progress
from ..sessions.directory import read_sessions
from ..sessions.fence import FILES, POSTGRESQL, clear_mark, mark_database, read_fence, set_fence
from ..sessions.import_ import ImportRequest, import_sessions
from ..sessions.layout import check_layout
from ..system.errors import ResilienceError
from ..system.files import explain_os_error
from ..system.units import HOUR
from . import code
from .ground import (
    ON_DATABASE,
    ON_FILES,
    Outcome,
    on_database,
    one_at_a_time,
    pm2_of,
    require_confirmation,
    require_running_or_down,
    runs_origin,
    stamp,
)
from .journal import ROLLBACK, ROLLFORWARD, Journal, read_journal, remove_journal, write_journal
from .move import move, undone
from .request import EmergencyRequest, Service
from .way import Run, Side, Way

# What an import did to the rows of a tenant.
COUNTS = ("added", "changed", "removed", "unchanged")


@dataclass(frozen=True)
class WayBack:
    """What a roll-forward would do: the sessions in the files (keys by tenant), and the backup that is the safety net."""

    tenants: dict[str, int]
    archive: Archive | None


def preview_rollforward(request: EmergencyRequest) -> Outcome:
    """What ``roll_forward`` would do. Changes nothing; raises ResilienceError for what it would refuse."""
    journal = _journal(request, pm2_of(request))
    if journal is None or journal.switched_back:
        return Outcome(journal=journal)
    return Outcome(_plan(request, journal), journal=journal)


def roll_forward(request: EmergencyRequest, progress: Progress = SILENT) -> Outcome:
    """Bring the service back to the database; where it runs on it already, nothing is done.

    Raises MoveFailedError, which says on which side the service runs now; any other ResilienceError: nothing was touched.
    """
    with one_at_a_time(request):
        pm2 = pm2_of(request)
        journal = _journal(request, pm2)
        if journal is None:
            return Outcome()
        require_confirmation(request)
        request = replace(request, service=_as_it_was(request, journal))
        run = Run(request, pm2, journal, progress)
        if journal.switched_back:
            # The database may be newer by now than the files.
            return _go(run, None)
        try:
            progress.step("preflight")
            plan = _plan(request, journal)
            # First of all: a database that is back must not be taken for the owner of the sessions by anybody else. (Or a
            # run was killed between giving them to the database and starting the service there.)
            _give_to_files(run, request.by)
        except ResilienceError as error:
            if journal.direction == ROLLBACK:
                raise
            # Killed after it had stopped the service: that is not left so.
            raise undone(ToDatabase(run), error) from error
        run.journal = replace(journal, direction=ROLLFORWARD, phase="stopping", was_running=True)
        return _go(run, plan)


def _journal(request: EmergencyRequest, pm2: Pm2) -> Journal | None:
    """What was done so far, as far as what PM2 runs bears it out. Raises ResilienceError."""
    journal = read_journal(request.state_directory, request.source)
    if journal is not None and journal.direction == ROLLBACK and journal.unfinished:
        raise ResilienceError(
            f"The rollback that began at {journal.started_at} is unfinished ({journal.phase})",
            stage="preflight",
            remedy="Finish it first: run the playbook emergency_rollback again.",
        )
    if journal is None and read_fence(request.state_directory, request.source).owner == FILES:
        raise ResilienceError(
            "The fence says that the sessions belong to the files, but the journal of the rollback is gone",
            stage="preflight",
            remedy='Bring them back by hand: docs/emergency.md, "Without the journal".',
        )
    if journal is not None and not journal.unfinished and journal.direction == ROLLBACK:
        require_running_or_down(pm2, journal)
    elif journal is not None and journal.switched_back and runs_origin(pm2, journal.emergency, journal.original):
        # A boot has brought it back to its files, which are newer than the database by now.
        journal = replace(journal, phase="stopping")
    return journal


def _as_it_was(request: EmergencyRequest, journal: Journal) -> Service:
    """The service with the places the rollback used, whatever the settings say by now."""
    return replace(
        request.service,
        release=journal.release,
        release_directory=journal.code_directory,
        sessions_directory=journal.sessions_directory,
    )


def _plan(request: EmergencyRequest, journal: Journal) -> WayBack:
    sessions = read_sessions(journal.sessions_directory)
    with contextlib.closing(connect(request.settings)) as connection:
        check_layout(connection, request.layout, request.settings)
    archive = None
    if request.require_backup:
        database = request.settings.parameters.get("dbname")
        archive = fresh_backup(request.backup_root, request.backup_max_age * HOUR, request.lock_timeout, database)
    return WayBack({tenant: sum(found.content.keys.values()) for tenant, found in sessions.items()}, archive)


def _go(run: Run, plan: WayBack | None) -> Outcome:
    if run.journal.unfinished:
        move(ToDatabase(run))
    with run.step("clear"):
        _clear(run)
    return Outcome(plan, run, run.journal)


def _clear(run: Run) -> None:
    """The files count no more: kept for a person, but where nothing takes them for current."""
    directory = run.journal.sessions_directory
    kept = f"{directory}.rolled-forward-{stamp()}"
    try:
        os.rename(directory, kept)
        run.warnings.append(f"The files the service ran on are kept in {kept}; remove them once all is well")
    except OSError as error:
        run.warnings.append(f"{explain_os_error(error, directory, 'move').message}: move it by hand, it counts no more")
    try:
        code.remove(run.request)
    except ResilienceError as error:
        # Logs, as a rule. It does no harm, and a person should see what it is.
        run.warnings.append(" ".join(filter(None, (error.message, error.remedy))))
    remove_journal(run.request.state_directory, run.request.source)


class ToDatabase(Way):
    """From the files to the database."""

    carry_name = "import"

    def __init__(self, run: Run) -> None:
        origin = Side(ON_FILES, spec_from_dict(run.journal.emergency))
        super().__init__(run, origin, Side(ON_DATABASE, spec_from_dict(run.journal.original)))

    def carry(self) -> None:
        """Each tenant's rows replaced by its files, read back and equal. The files stay, so nothing is to be undone."""
        run, request = self.run, self.run.request
        directory = run.journal.sessions_directory
        result = import_sessions(
            ImportRequest(request.source, request.settings, request.layout, directory), run.progress
        )
        skipped = [f"{tenant.tenant} ({tenant.skipped})" for tenant in result.tenants if tenant.skipped]
        if skipped:
            run.warnings.append("Not brought into the database: {}".format(", ".join(skipped)))
        counts = {name: sum(getattr(tenant, name) for tenant in result.tenants) for name in COUNTS}
        run.reach("carrying", data={**run.journal.data, "imported": counts, "tenants": len(result.tenants)})

    def fence(self) -> None:
        """To the database, here and there."""
        request = self.run.request
        set_fence(request.state_directory, request.source, POSTGRESQL, request.by)
        self.run.warnings += on_database(request, lambda connection: clear_mark(connection, request.layout))

    def unfence(self) -> None:
        """Back to the files."""
        _give_to_files(self.run, f"{self.run.request.by} (undone)")

    def forget(self) -> None:
        """The journal says again what the rollback had said."""
        run = self.run
        done = replace(run.journal, direction=ROLLBACK, phase="done")
        run.journal = write_journal(run.request.state_directory, run.request.source, done)

    def code(self) -> None:
        """What was checked out before the rollback; a worktree had left it alone."""
        if self.run.journal.previous:
            code.check_out_again(self.run.request.service, self.run.journal.previous)

    def uncode(self) -> None:
        """The code at the tag again."""
        if self.run.journal.previous:
            code.check_out(self.run.request.service)


def _give_to_files(run: Run, by: str) -> None:
    request = run.request
    fence = read_fence(request.state_directory, request.source)
    if fence.owner != FILES:
        fence = set_fence(request.state_directory, request.source, FILES, by)
    run.warnings += on_database(
        request, lambda connection: mark_database(connection, request.layout, request.source, fence)
    )
