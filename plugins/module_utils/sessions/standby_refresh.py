# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring the standby up to the present: every session by itself, so that a broken one does not hold up the others."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ..postgres.settings import ConnectionSettings
from ..reporting.progress import SILENT, Progress
from ..system.errors import ConnectionFailedError, ResilienceError
from ..system.files import private_directory
from ..system.lock import lock_for
from .export import ExportRequest, export_sessions
from .fence import require_database, require_unmarked
from .layout import SessionLayout
from .standby import (
    StandbyState,
    StandbyTenant,
    Standing,
    read_standby,
    read_standings,
    standby_directory,
    write_standings,
)
from .standby_outcome import FAILED, MISSING, REFRESHED, SKIPPED, Outcome, rows_of, without_export
from .store import SessionSnapshot, open_snapshot

DOING = "refresh the standby"
REFRESH_LOCK = ".refresh.lock"


@dataclass(frozen=True)
class RefreshRequest:
    """The standby of one source. ``lock_timeout``: seconds to wait for another refresh of it."""

    source: str
    settings: ConnectionSettings
    layout: SessionLayout
    state_directory: str
    workers: int = 2
    lock_timeout: float = 60.0
    dry_run: bool = False


@dataclass(frozen=True)
class _Moment:
    """A snapshot that the exporting sessions share."""

    identifier: str
    at: datetime


@dataclass(frozen=True)
class Refresh:
    """One run: the moment it shows, what became of each session, and what the standby holds now."""

    source: str
    snapshot_at: datetime
    outcomes: tuple[Outcome, ...]
    state: StandbyState = field(repr=False)
    seconds: float = 0.0

    def of(self, result: str) -> tuple[Outcome, ...]:
        """The sessions that came to this."""
        return tuple(outcome for outcome in self.outcomes if outcome.result == result)


def refresh_standby(request: RefreshRequest, progress: Progress = SILENT) -> Refresh:
    """Export what has changed, at one moment; what cannot be exported stays as it is.

    Raises FencedError while the sessions belong to the files, another ResilienceError where the database cannot be read.
    """
    started = time.monotonic()
    require_database(request.state_directory, request.source, DOING)
    directory = standby_directory(request.state_directory, request.source)
    if not request.dry_run:
        private_directory(directory)
    progress.step("compare")
    with lock_for(os.path.join(directory, REFRESH_LOCK), request.lock_timeout, request.dry_run):
        with open_snapshot(request.settings, request.layout) as snapshot:
            require_unmarked(snapshot.connection, request.layout, DOING)
            outcomes, standings = _refresh(request, snapshot, directory, progress)
        if not request.dry_run:
            write_standings(directory, standings)
    state = read_standby(request.state_directory, request.source)
    return Refresh(request.source, snapshot.at, outcomes, state, time.monotonic() - started)


def _refresh(
    request: RefreshRequest, snapshot: SessionSnapshot, directory: str, progress: Progress
) -> tuple[tuple[Outcome, ...], dict[str, Standing]]:
    # Before anything else: below a savepoint a moment cannot be shared.
    moment = _Moment(snapshot.export_id(), snapshot.at)
    rows = rows_of(snapshot)
    if not rows:
        raise ResilienceError(
            f"There is no session in {request.settings.describe()}",
            stage="read",
            remedy="Check database and layout. The standby keeps what it has.",
        )
    held = {one.tenant: one for one in read_standby(request.state_directory, request.source).tenants}
    standings = {tenant: one for tenant, one in read_standings(directory).items() if tenant in held}
    outcomes: dict[str, Outcome] = {}
    for tenant, fingerprint in rows.items():
        outcome = without_export(snapshot, tenant, held.get(tenant), standings, fingerprint)
        if outcome is not None:
            outcomes[tenant] = outcome
    changed = [tenant for tenant in rows if tenant not in outcomes]
    progress.step("export")
    outcomes.update((one.tenant, one) for one in _export(request, moment, directory, changed, progress))
    for tenant, one in held.items():
        # No phone is paired with it any more, or nothing of it is left.
        if tenant not in rows or outcomes[tenant].result == SKIPPED:
            outcomes[tenant] = _missing(one)
            standings[tenant] = _standing_of_missing(one, standings.get(tenant), snapshot.at)
    for outcome in outcomes.values():
        if outcome.result == REFRESHED and outcome.export is not None:
            digest = outcome.export.digest
            standings[outcome.tenant] = Standing(digest, rows[outcome.tenant], snapshot.at, _now())
    return tuple(outcomes[tenant] for tenant in sorted(outcomes)), standings


def _export(
    request: RefreshRequest, moment: _Moment, directory: str, tenants: list[str], progress: Progress
) -> Iterable[Outcome]:
    """All at once; if one stands in the way of the others, one by one."""
    if not tenants:
        return []
    try:
        return _export_together(request, moment, directory, tenants, progress)
    except ResilienceError as error:
        if isinstance(error, ConnectionFailedError) and error.transient:
            # The server is gone: the others would fare no better.
            raise
        if len(tenants) == 1:
            return [Outcome(tenants[0], FAILED, error.message)]
    return [one for tenant in tenants for one in _export(request, moment, directory, [tenant], progress)]


def _export_together(
    request: RefreshRequest, moment: _Moment, directory: str, tenants: list[str], progress: Progress
) -> list[Outcome]:
    exported = export_sessions(
        ExportRequest(
            source=request.source,
            settings=request.settings,
            layout=request.layout,
            directory=directory,
            tenants=tuple(tenants),
            workers=request.workers,
            dry_run=request.dry_run,
            snapshot_id=moment.identifier,
            snapshot_at=moment.at,
        ),
        progress,
    )
    return [Outcome(one.tenant, REFRESHED, export=one) for one in exported.tenants]


def _missing(held: StandbyTenant) -> Outcome:
    return Outcome(
        held.tenant,
        MISSING,
        f"no session of it is in the database any more; its standby of {held.snapshot_at.isoformat()} is kept. If it has "
        f"left for good, remove {held.directory}",
    )


def _standing_of_missing(held: StandbyTenant, standing: Standing | None, now: datetime) -> Standing:
    if standing is None or standing.digest != held.content.digest:
        standing = Standing(held.content.digest, "", held.snapshot_at, held.made_at)
    return dataclasses.replace(standing, missing_since=standing.missing_since or now)


def _now() -> datetime:
    return datetime.now(timezone.utc)
