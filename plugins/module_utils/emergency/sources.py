# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the sessions can be had from when the service must leave the database, and which of these is taken.

The live database if it answers; otherwise the warm standby or the newest verified backup, whichever shows the newer
moment.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timezone

from ..backup import catalogue
from ..backup.catalogue import Archive
from ..backup.fresh import snapshot_age
from ..postgres.client import ClientTools, find_clients
from ..postgres.connection import answering_within, connect
from ..sessions.creds import check_creds
from ..sessions.fence import require_unmarked
from ..sessions.layout import check_layout
from ..sessions.standby import read_standby
from ..sessions.store import SessionSnapshot, open_snapshot
from ..system.errors import ConnectionFailedError, MissingDependencyError, ResilienceError
from ..system.units import human_duration
from .request import AUTO, BACKUP, DATABASE, STANDBY, EmergencyRequest

# A server that takes the connection and then says nothing is as good as gone.
ANSWER_SECONDS = 30.0
SILENT = "gave no answer"

_OTHERS = "If the database is lost all the same, name another source: data_source=standby or data_source=backup."


@dataclass(frozen=True)
class Candidate:
    """A source of the sessions: what it is, how old what it shows is (seconds), or why it cannot serve."""

    kind: str
    what: str
    age: float | None = None
    tenants: int | None = None
    obstacle: str | None = None
    archive: Archive | None = None

    @property
    def usable(self) -> bool:
        """Whether the sessions can be had from it."""
        return self.obstacle is None

    def describe(self) -> str:
        """``warm standby in /var/lib/... (2 min 5 s old)``, or why not."""
        if not self.usable:
            return f"{self.what}: {self.obstacle}"
        return self.what if self.kind == DATABASE else f"{self.what} ({human_duration(max(0.0, self.age or 0.0))} old)"


def survey(request: EmergencyRequest, resuming: bool = False) -> list[Candidate]:
    """Every source, whether it can serve or not. Changes nothing.

    A database that carries the mark of another rollback is refused; ``resuming`` says that the mark may be our own.

    Raises ResilienceError where the database answers and what it says must be dealt with first, unless another
    source was named.
    """
    return [_database(request, resuming), _standby(request), _backup(request)]


def choose(request: EmergencyRequest, candidates: list[Candidate]) -> Candidate:
    """The source that is taken. Raises ResilienceError where none serves, or it is older than allowed."""
    shown = "; ".join(candidate.describe() for candidate in candidates)
    fitting = [c for c in candidates if c.usable and request.data_source in (AUTO, c.kind)]
    if not fitting:
        raise ResilienceError(
            f"The sessions cannot be had from anywhere: {shown}"
            if request.data_source == AUTO
            else f"The sessions cannot be had from the {request.data_source}: {shown}",
            stage="source",
            remedy="Nothing was touched. Fetch a backup from another place into the backup_root, or bring the database "
            "back (playbook restore).",
        )
    chosen = min(fitting, key=lambda candidate: (candidate.kind != DATABASE, candidate.age or 0.0))
    age = chosen.age or 0.0
    if chosen.kind != DATABASE and age > request.max_data_age and not request.accept_stale:
        raise ResilienceError(
            f"The newest sessions are {human_duration(age)} old, more than max_data_age allows "
            f"({human_duration(request.max_data_age)}): {shown}",
            stage="source",
            remedy="Nothing was touched. Contacts whose keys changed since then will see errors until they write again. "
            "If that is better than waiting for the database, say so: accept_stale=true "
            "(-e emergency_accept_stale=true).",
        )
    return chosen


def _database(request: EmergencyRequest, resuming: bool) -> Candidate:
    what = f"live {request.settings.describe()}"
    if request.data_source not in (AUTO, DATABASE):
        return Candidate(DATABASE, what, obstacle=f"not looked at, the {request.data_source} was asked for")
    try:
        with contextlib.ExitStack() as stack:
            # Three attempts; whether it answers is decided by whatever pg_isready there is.
            connection = stack.enter_context(contextlib.closing(connect(request.settings, _clients(request))))
            stack.enter_context(answering_within(connection, ANSWER_SECONDS))
            check_layout(connection, request.layout, request.settings)
            if not resuming:
                require_unmarked(connection, request.layout, "take the sessions from this database")
        with open_snapshot(request.settings, request.layout) as snapshot, _answering(snapshot):
            tenants = snapshot.tenants()
            for tenant in tenants:
                check_creds(snapshot.creds(tenant), tenant)
    except ConnectionFailedError as error:
        if not error.transient and SILENT not in error.message:
            # It is there and says no: a password or a certificate is sooner mended than a service moved.
            error.remedy = " ".join(filter(None, (error.remedy, _OTHERS)))
            raise error.at_stage("source") from error
        return Candidate(DATABASE, what, obstacle=error.message)
    except ResilienceError as error:
        error.remedy = " ".join(filter(None, (error.remedy, _OTHERS)))
        raise error.at_stage("source") from error
    if not tenants:
        return Candidate(DATABASE, what, obstacle="it holds no session")
    return Candidate(DATABASE, what, age=0.0, tenants=len(tenants))


def _answering(snapshot: SessionSnapshot) -> contextlib.AbstractContextManager[None]:
    return answering_within(snapshot.connection, ANSWER_SECONDS)


def _clients(request: EmergencyRequest) -> tuple[ClientTools, ...]:
    try:
        return find_clients(request.client_directory)
    except MissingDependencyError:
        return ()


def _standby(request: EmergencyRequest) -> Candidate:
    what = "warm standby"
    try:
        standby = read_standby(request.state_directory, request.source)
    except ResilienceError as error:
        return Candidate(STANDBY, what, obstacle=error.message)
    if standby.snapshot_at is None:
        return Candidate(STANDBY, what, obstacle="there is none")
    what = f"warm standby in {standby.directory}"
    if standby.problems:
        return Candidate(STANDBY, what, obstacle="; ".join(standby.problems))
    return Candidate(STANDBY, what, _age(standby.snapshot_at), len(standby.tenants))


def _backup(request: EmergencyRequest) -> Candidate:
    what = f"newest verified backup in {request.backup_root}"
    try:
        newest = catalogue.newest(catalogue.read_catalogue(request.backup_root))
    except ResilienceError as error:
        return Candidate(BACKUP, what, obstacle=error.message)
    if newest is None or newest.manifest is None:
        return Candidate(BACKUP, what, obstacle="there is none")
    return Candidate(BACKUP, f"backup {newest.path}", snapshot_age(newest.manifest), archive=newest)


def _age(moment: datetime) -> float:
    return (datetime.now(timezone.utc) - moment).total_seconds()
