# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The life of a backup, from the version check to the published archive and retention."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import Any

from ..postgres.client import ClientTools, choose_client, find_clients
from ..postgres.connection import abandon, answering_within
from ..postgres.settings import ConnectionSettings
from ..postgres.snapshot import Server, Snapshot, TableName, count_rows, server_session, take_snapshot
from ..system.errors import (
    ConnectionFailedError,
    IncompatibleVersionError,
    LockedError,
    ResilienceError,
    SettingsError,
)
from ..system.files import remove_tree_or_file
from ..system.lock import exclusive_lock
from . import catalogue, describe, naming
from .catalogue import Archive
from .check import Bounds, check_contents, check_size
from .decode import decoder_command
from .dump import Dumped, DumpPlan, plan_dump, run_dump
from .place import Place, find_place, tiers_in_use
from .prune import remove_unkept
from .publish import publish
from .retain import Decision, decide

# Fields of BackupRequest that a caller passes on as they are.
PLAIN_OPTIONS = (
    "backup_root",
    "tier",
    "prune",
    "format",
    "compression",
    "compression_level",
    "jobs",
    "client_directory",
    "lock_timeout",
    "table_lock_timeout",
    "stall_timeout",
)


@dataclass(frozen=True)
class BackupRequest:
    """What to back up, where to, and how. All timeouts are in seconds.

    ``keep`` is periods by tier, None for an archive in its own tier only and no retention; without ``prune``
    the tiers are filled, and what they no longer keep stays.
    """

    source: str
    settings: ConnectionSettings
    backup_root: str
    tier: str = "daily"
    format: str = "custom"
    compression: str = "auto"
    compression_level: int | None = None
    jobs: int = 1
    client_directory: str | None = None
    bounds: Bounds = field(default_factory=Bounds)
    keep: Mapping[str, int] | None = None
    prune: bool = True
    lock_timeout: float = 0.0
    table_lock_timeout: float = 60.0
    stall_timeout: float = 600.0


@dataclass(frozen=True)
class BackupResult:
    """What a run made, or (``dry_run``) would make. ``archives`` is the catalogue afterwards."""

    archive: str
    links: tuple[str, ...]
    manifest: Mapping[str, Any]
    decisions: tuple[Decision, ...]
    archives: tuple[Archive, ...]
    warnings: tuple[str, ...]
    duration: float
    dry_run: bool = False


@dataclass(frozen=True)
class _Meeting:
    """The session that stays open for the whole run, and what was settled at its beginning."""

    connection: Any
    server: Server
    tools: ClientTools
    plan: DumpPlan
    warnings: tuple[str, ...]


def make_backup(request: BackupRequest) -> BackupResult:
    """Make, verify and publish one archive, then apply retention.

    Raises ResilienceError with the stage reached; no earlier archive was touched then, and nothing new
    is published.
    """
    started = time.monotonic()
    try:
        with _meet(request) as meeting:
            catalogue.prepare(request.backup_root, tiers_in_use(request.tier, request.keep or {}))
            with exclusive_lock(os.path.join(request.backup_root, catalogue.LOCK_NAME), request.lock_timeout) as lock:
                return _run(request, meeting, lock, started)
    except ResilienceError as error:
        _record_failure(request, error)
        raise


def plan_backup(request: BackupRequest) -> BackupResult:
    """What ``make_backup`` would do now: same checks, same names, nothing written.

    Whether the run would end well cannot be known: sizes and contents are zero here.
    """
    started = time.monotonic()
    with _meet(request) as meeting:
        archives = catalogue.read_catalogue(request.backup_root)
        _refuse_other_sources(request, archives)
        place = _find_place(request, meeting.plan, archives)
        manifest: describe.Manifest = {
            "state": "verified",
            "sequence": catalogue.next_sequence(archives),
            "sha256": "not known before the run",
            "database": meeting.server.database,
            "format": meeting.plan.format,
            "compression": meeting.plan.compression,
            "server_version": str(meeting.server.version),
            "client_version": str(meeting.tools.version),
            "database_bytes": meeting.server.database_bytes,
        }
        paths = {request.tier: place.path, **place.links}
        made = [Archive(path, tier, place.moment, "verified", 0, manifest) for tier, path in paths.items()]
        after = (*archives, *made)
        return BackupResult(
            archive=place.path,
            links=tuple(place.links.values()),
            manifest=manifest,
            decisions=_retention(request, after),
            archives=after,
            warnings=meeting.warnings,
            duration=time.monotonic() - started,
            dry_run=True,
        )


@contextlib.contextmanager
def _meet(request: BackupRequest) -> Iterator[_Meeting]:
    """Everything that can be refused before anything is touched: client, server, versions, programs."""
    clients = find_clients(request.client_directory)
    timeouts = (request.table_lock_timeout, request.stall_timeout)
    with server_session(request.settings, clients, *timeouts) as (connection, server):
        tools = choose_client(clients, server.version)
        plan, warnings = plan_dump(tools, request.format, request.compression, request.compression_level, request.jobs)
        if plan.format != "directory":
            decoder_command(plan.format, plan.compression, tools)
        tools.program("pg_restore")
        # Waiting for the lock must not hold an old transaction open on the server.
        connection.rollback()
        yield _Meeting(connection, server, tools, plan, warnings)


def _run(request: BackupRequest, meeting: _Meeting, lock: int, started: float) -> BackupResult:
    for path in catalogue.leftovers(request.backup_root):
        remove_tree_or_file(path)
    archives = catalogue.read_catalogue(request.backup_root)
    _refuse_other_sources(request, archives)
    catalogue.write_last_run(request.backup_root, "running")
    place = _find_place(request, meeting.plan, archives)
    partial = place.path + naming.PARTIAL_SUFFIX
    try:
        with answering_within(meeting.connection, request.stall_timeout):
            snapshot = take_snapshot(meeting.connection, meeting.server, request.settings)
        dumped, counts = _dump_and_count(request, meeting, snapshot, partial, lock)
        check_contents(dumped.decoded, snapshot, counts)
        plan = meeting.plan
        warnings = list(meeting.warnings)
        warnings += check_size(
            dumped.decoded, plan.format, plan.compression, request.bounds, catalogue.newest(archives)
        )
        if dumped.messages:
            warnings.append("pg_dump warned: {}".format(" ".join(dumped.messages.split())))
        manifest = {
            "manifest_version": describe.MANIFEST_VERSION,
            "sequence": catalogue.next_sequence(archives),
            "state": "verified",
            "source": request.source,
            "tier": request.tier,
            **describe.describe_origin(snapshot, request.settings, meeting.tools),
            **describe.describe_dump(dumped, plan),
            "duration_seconds": round(time.monotonic() - started, 3),
            **describe.describe_contents(dumped.decoded.contents),
            "proofs": [],
        }
        links, unlinked = publish(partial, place.path, manifest, list(place.links.values()))
    except BaseException:
        # Also on an interrupt: what is not whole does not stay.
        with contextlib.suppress(ResilienceError):
            remove_tree_or_file(partial)
        raise
    decisions, problems = _conclude(request)
    return BackupResult(
        archive=place.path,
        links=tuple(links),
        manifest=manifest,
        decisions=decisions,
        archives=catalogue.read_catalogue(request.backup_root),
        warnings=(*warnings, *unlinked, *problems),
        duration=time.monotonic() - started,
    )


def _conclude(request: BackupRequest) -> tuple[tuple[Decision, ...], list[str]]:
    """Record the success, then apply retention. The new archive stands: what goes wrong here is a warning."""
    try:
        catalogue.write_last_run(request.backup_root, "ok")
        return remove_unkept(_retention(request, catalogue.read_catalogue(request.backup_root)))
    except ResilienceError as error:
        return (), [f"The archive was published, but nothing was pruned after it: {error.message}"]


def _refuse_other_sources(request: BackupRequest, archives: Sequence[Archive]) -> None:
    """Two databases in one root would be compared with each other, and one removed for the other."""
    for archive in archives:
        source = archive.manifest.get("source") if archive.manifest else None
        if source not in (None, request.source):
            raise SettingsError(
                'The backup_root %s holds backups of "%s", not of "%s"' % (request.backup_root, source, request.source),
                stage="settings",
                remedy="Give every source a backup_root of its own. If the source was renamed, move its old directory.",
            )


def _dump_and_count(
    request: BackupRequest, meeting: _Meeting, snapshot: Snapshot, partial: str, lock: int
) -> tuple[Dumped, dict[TableName, int]]:
    """Dump, while the server counts the rows of the same snapshot in the session that exported it.

    The counts may take ``stall_timeout`` longer than the dump, which is nearly always the slower.
    """
    with ThreadPoolExecutor(1, "row-counter") as executor:
        counting = executor.submit(count_rows, snapshot, request.settings)
        try:
            dumped = run_dump(
                meeting.plan,
                meeting.tools,
                request.settings,
                snapshot,
                partial,
                lock_timeout=request.table_lock_timeout,
                stall_timeout=request.stall_timeout,
                lock_descriptor=lock,
            )
            return dumped, _counted(counting, request.stall_timeout)
        except BaseException:
            # Nobody waits for the counts of a dump that failed, nor for a server that went silent.
            abandon(meeting.connection)
            raise


def _counted(counting: Future[dict[TableName, int]], timeout: float) -> dict[TableName, int]:
    try:
        return counting.result(timeout)
    except FutureTimeoutError as error:
        raise ConnectionFailedError(
            f"The server has not counted the rows {timeout:g} s after it had dumped them",
            stage="snapshot",
            remedy="Look for a network that swallows packets; raise stall_timeout if the server is that slow.",
        ) from error


def _find_place(request: BackupRequest, plan: DumpPlan, archives: Sequence[Archive]) -> Place:
    return find_place(request.backup_root, request.tier, request.keep or {}, archives, plan.format, plan.compression)


def _retention(request: BackupRequest, archives: Sequence[Archive]) -> tuple[Decision, ...]:
    return decide(archives, request.keep) if request.keep is not None and request.prune else ()


def _record_failure(request: BackupRequest, error: ResilienceError) -> None:
    # A lock held by another run says nothing of that run; a client too old for the server touches no file at
    # all; and a root that is not there has nothing to keep.
    untouched = (LockedError, IncompatibleVersionError, SettingsError)
    if isinstance(error, untouched) or not os.path.isdir(request.backup_root):
        return
    try:
        catalogue.write_last_run(request.backup_root, "failed", error.message)
    except ResilienceError:
        # Not even that fits on the disk. A record that is missing halts retention just as well.
        with contextlib.suppress(ResilienceError):
            catalogue.remove_last_run(request.backup_root)
