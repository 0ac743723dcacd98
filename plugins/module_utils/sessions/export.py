# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the database to Baileys' files: all sessions of one moment, written beside, read back, then put into place."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Callable, Optional

from ..postgres.settings import ConnectionSettings
from ..reporting.progress import SILENT, Progress
from ..system.errors import ResilienceError
from .creds import REMEDY, BrokenCredsError, check_creds
from .files import (
    Content,
    Manifest,
    Owner,
    SessionFile,
    Tally,
    nanoseconds,
    read_manifest,
    read_tenant,
    write_files,
    write_manifest,
)
from .layout import SessionLayout
from .names import CREDS_FILE, file_name, tenant_directory
from .place import partial_path, place_for_tenants, publish
from .store import KeyRow, SessionSnapshot, open_snapshot
from .values import BrokenValueError
from .workers import in_processes, processes_for, shares

# Tenant, moment of the snapshot -> why it is not to be exported.
Accept = Callable[[str, datetime], Optional[str]]


@dataclass(frozen=True)
class ExportRequest:
    """What to export where: ``<directory>/<tenant>/creds.json``.

    ``tenants`` empty: all. ``owner``: user and group the files are given to. ``accept`` may give a reason to skip a
    tenant. ``snapshot_id`` and ``snapshot_at``: a moment that another session has shared, and when it was.
    """

    source: str
    settings: ConnectionSettings
    layout: SessionLayout
    directory: str
    tenants: tuple[str, ...] = ()
    owner: Owner | None = None
    workers: int = 2
    dry_run: bool = False
    accept: Accept | None = None
    snapshot_id: str | None = None
    snapshot_at: datetime | None = None


@dataclass(frozen=True)
class TenantExport:
    """One session: keys by type, before and now; ``skipped`` is the reason why it was not written."""

    tenant: str
    directory: str
    keys: Mapping[str, int] = field(default_factory=dict)
    keys_before: Mapping[str, int] = field(default_factory=dict)
    digest: str = ""
    me: str | None = None
    size_bytes: int = 0
    changed: bool = False
    skipped: str | None = None


@dataclass(frozen=True)
class ExportResult:
    """All sessions as they stood in the database at ``snapshot_at``."""

    source: str
    tenants: tuple[TenantExport, ...]
    snapshot_at: datetime
    seconds: float


@dataclass(frozen=True)
class _Task:
    """What every process needs to know; ``counts`` are the keys of each tenant, counted by the server."""

    request: ExportRequest
    at: datetime
    counts: Mapping[str, int]


def export_sessions(request: ExportRequest, progress: Progress = SILENT) -> ExportResult:
    """Export the sessions. Until all are written and read back, nothing of what was there is touched.

    Raises ResilienceError; BrokenCredsError for a session that cannot be opened with its credentials.
    """
    started = time.monotonic()
    progress.step("export")
    with open_snapshot(request.settings, request.layout, request.snapshot_id) as snapshot:
        task = _Task(request, request.snapshot_at or snapshot.at, _chosen(request, snapshot.counts()))
        if request.dry_run:
            exports = _export_all(task, snapshot, progress)
        else:
            with place_for_tenants(request.directory, request.owner):
                exports = _export_all(task, snapshot, progress)
                publish(request.directory, [tenant_directory(one.tenant) for one in exports if not one.skipped])
    return ExportResult(request.source, exports, task.at, time.monotonic() - started)


def _chosen(request: ExportRequest, counts: Mapping[str, int]) -> dict[str, int]:
    if not counts:
        raise ResilienceError(
            f"There is no session in {request.settings.describe()}",
            stage="read",
            remedy="Check database and layout: an empty store is never exported over one that is not.",
        )
    unknown = sorted(set(request.tenants) - set(counts))
    if unknown:
        raise ResilienceError(
            "There is no session {} in {}".format(", ".join(unknown), request.settings.describe()),
            stage="read",
            remedy="Its sessions are: {}.".format(_some(sorted(counts))),
        )
    return {tenant: counts[tenant] for tenant in sorted(request.tenants or counts)}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (" and %d more" % (len(names) - 10) if len(names) > 10 else "")


def _export_all(task: _Task, snapshot: SessionSnapshot, progress: Progress) -> tuple[TenantExport, ...]:
    request = task.request
    workers = processes_for(task.counts, request.workers)
    if workers < 2:
        done: Iterator[TenantExport] = (_export_tenant(task, snapshot, tenant) for tenant in task.counts)
    else:
        identifier = snapshot.export_id()

        def work(tenants: Sequence[str]) -> Iterator[TenantExport]:
            with open_snapshot(request.settings, request.layout, identifier) as same:
                for tenant in tenants:
                    yield _export_tenant(task, same, tenant)

        done = in_processes(shares(task.counts, workers), work)
    exports, size = [], 0
    for export in done:
        exports.append(export)
        size += export.size_bytes
        progress.advance(0, size)
    return tuple(sorted(exports, key=lambda export: export.tenant))


def _export_tenant(task: _Task, snapshot: SessionSnapshot, tenant: str) -> TenantExport:
    """Write one session beside its place, and read it back; in a dry run only read it from the database."""
    request = task.request
    final = os.path.join(request.directory, tenant_directory(tenant))
    creds = snapshot.creds_row(tenant)
    identity = check_creds(creds and creds.value, tenant)
    skipped = request.accept(tenant, task.at) if request.accept is not None else None
    if skipped is None and not identity.paired:
        skipped = _why_unpaired(tenant, task)
    if creds is None or skipped is not None:
        return TenantExport(tenant, final, skipped=skipped)
    before = _in_place(task, tenant, final)
    files = _files(snapshot, tenant, creds)
    content = _tallied(files) if request.dry_run else _write(task, tenant, final, files)
    if sum(content.keys.values()) != task.counts[tenant]:
        raise ResilienceError(
            "Of the session %s %d keys were read where the server counts %d"
            % (tenant, sum(content.keys.values()), task.counts[tenant]),
            stage="read",
        )
    return TenantExport(
        tenant=tenant,
        directory=final,
        keys=content.keys,
        keys_before=before.keys if before is not None else {},
        digest=content.digest,
        me=identity.me,
        size_bytes=content.size_bytes,
        changed=before is None or before.digest != content.digest,
    )


def _why_unpaired(tenant: str, task: _Task) -> str:
    if task.counts[tenant] or tenant in task.request.tenants:
        raise BrokenCredsError(
            "The credentials of the session %s are new ones, of no paired phone, and it has %d keys"
            % (tenant, task.counts[tenant]),
            stage="creds",
            remedy=REMEDY,
        )
    return "not paired with a phone yet"


def _in_place(task: _Task, tenant: str, final: str) -> Content | None:
    """What is in the place of a session. Raises ResilienceError where it must not be replaced."""
    if not os.path.lexists(final):
        return None
    manifest = read_manifest(final)
    if manifest is None:
        if os.path.isdir(final) and not os.path.islink(final) and not os.listdir(final):
            return None
        raise ResilienceError(
            f"{final} was not made by an export: it may hold sessions that are nowhere else",
            stage="write",
            remedy="Move it away, or name another directory.",
        )
    if (manifest.source, manifest.tenant) != (task.request.source, tenant):
        raise ResilienceError(
            f"{final} holds the session {manifest.tenant} of the source {manifest.source}",
            stage="write",
            remedy="Give each source a directory of its own.",
        )
    if manifest.snapshot_at > task.at:
        raise ResilienceError(
            f"{final} shows a later moment ({manifest.snapshot_at.isoformat()}) than the database would now "
            f"({task.at.isoformat()}); an older export never replaces a newer one",
            stage="write",
            remedy="See whether this is the right server and its clock is right; else move the directory away.",
        )
    return read_tenant(final, manifest.content.keys).content


def _files(snapshot: SessionSnapshot, tenant: str, creds: KeyRow) -> Iterator[SessionFile]:
    yield _file(snapshot, tenant, CREDS_FILE, creds)
    for row in snapshot.keys(tenant):
        yield _file(snapshot, tenant, file_name(row.key_type, row.key_id), row)


def _file(snapshot: SessionSnapshot, tenant: str, name: str, row: KeyRow) -> SessionFile:
    try:
        text = snapshot.text(row)
    except BrokenValueError as error:
        raise ResilienceError(
            f"The key {row.key_type} {row.key_id} of the session {tenant} {error.message}",
            stage="read",
            remedy="Restore the row from a backup, or delete it: the application cannot read it either.",
        ) from None
    modified_ns = None if row.updated_at is None else nanoseconds(row.updated_at)
    return SessionFile(row.key_type, name, text.encode(), modified_ns)


def _tallied(files: Iterator[SessionFile]) -> Content:
    tally = Tally()
    for file in files:
        tally.add(file.key_type, file.name, file.content)
    return tally.content()


def _write(task: _Task, tenant: str, final: str, files: Iterator[SessionFile]) -> Content:
    request = task.request
    path = partial_path(request.directory, tenant_directory(tenant))
    content = write_files(path, files, request.owner, replaces=final)
    found = read_tenant(path, content.keys)
    if found.content != content or found.strangers:
        raise ResilienceError(
            f"What was written to {path} reads back differently",
            stage="verify",
            remedy="Look at the disk and its file system, then export again.",
        )
    made_at = datetime.now(timezone.utc)
    write_manifest(path, Manifest(request.source, tenant, task.at, made_at, content), request.owner)
    return content
