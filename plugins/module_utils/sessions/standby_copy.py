# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the standby to a directory that the service may write in: every session or none, without any database."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from ..reporting.progress import SILENT, Progress
from ..system.errors import ResilienceError
from ..system.files import explain_os_error, remove_tree_or_file
from .creds import check_creds
from .export import ExportResult, TenantExport
from .files import (
    Manifest,
    Owner,
    SessionFile,
    file_names,
    read_file,
    read_manifest,
    read_tenant,
    write_files,
    write_manifest,
)
from .layout import CREDS
from .names import CREDS_FILE, file_name_pattern, tenant_directory
from .place import partial_path, place_for_tenants, publish
from .standby import StandbyTenant, read_standby
from .workers import in_processes, processes_for, shares

WORKERS = 2
# A refresh may put a newer session in the place of the one that is being read: then it is read once more.
ATTEMPTS = 3


def export_standby(
    state_directory: str, source: str, directory: str, owner: Owner | None = None, progress: Progress = SILENT
) -> ExportResult:
    """Copy every session of the standby into ``<directory>/<tenant>/``, read back; nothing is touched before all are.

    Those that the database had no more are left out: their phones are gone, and WhatsApp would refuse them. Unless there
    is nothing else.
    ``snapshot_at`` of the result is the oldest moment of a session that the database still had. Raises ResilienceError, for
    a session that is damaged too.
    """
    started = time.monotonic()
    state = read_standby(state_directory, source)
    if state.problems:
        raise ResilienceError(
            "The standby of %s is not whole: %s" % (source, "; ".join(state.problems)),
            stage="standby",
            remedy="Move the directories that are named away to go on without these sessions, or take a backup.",
        )
    if state.snapshot_at is None:
        raise ResilienceError(
            f"There is no standby of {source} in {state.directory}",
            stage="standby",
            remedy="Take the newest backup instead, and let standby.yml run by a schedule.",
        )
    tenants = [one for one in state.tenants if one.missing_since is None] or list(state.tenants)
    progress.step("copy", bytes=sum(one.content.size_bytes for one in tenants))
    exports: list[TenantExport] = []
    with place_for_tenants(directory, owner):
        for export in _copy_all(tenants, source, directory, owner):
            exports.append(export)
            progress.advance(0, sum(one.size_bytes for one in exports))
        publish(directory, [tenant_directory(export.tenant) for export in exports])
    exports.sort(key=lambda export: export.tenant)
    return ExportResult(source, tuple(exports), state.snapshot_at, time.monotonic() - started)


def _copy_all(
    tenants: Sequence[StandbyTenant], source: str, directory: str, owner: Owner | None
) -> Iterator[TenantExport]:
    by_name = {one.tenant: one for one in tenants}
    counts = {one.tenant: sum(one.content.keys.values()) for one in tenants}
    workers = processes_for(counts, WORKERS)

    def work(names: Sequence[str]) -> Iterator[TenantExport]:
        return (_copy(by_name[name], source, directory, owner) for name in names)

    return work(list(by_name)) if workers < 2 else in_processes(shares(counts, workers), work)


def _copy(one: StandbyTenant, source: str, directory: str, owner: Owner | None) -> TenantExport:
    target = partial_path(directory, tenant_directory(one.tenant))
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _copy_once(one, source, directory, target, owner)
        except ResilienceError:
            changed = read_manifest(one.directory)
            if attempt == ATTEMPTS or changed is None or changed.made_at == one.made_at:
                raise
            one = dataclasses.replace(
                one, snapshot_at=changed.snapshot_at, made_at=changed.made_at, content=changed.content
            )
            remove_tree_or_file(target)
    raise AssertionError("unreachable")


def _copy_once(one: StandbyTenant, source: str, directory: str, target: str, owner: Owner | None) -> TenantExport:
    final = os.path.join(directory, tenant_directory(one.tenant))
    before = _replaceable(final, source, one)
    written = write_files(target, _files(one), owner)
    found = read_tenant(target, one.content.keys)
    if not written == found.content == one.content or found.strangers:
        raise ResilienceError(
            f"The standby of the session {one.tenant} is damaged: {one.directory} is not what was verified",
            stage="standby",
            remedy="Move that directory away to go on without this session, or take a backup.",
        )
    with open(os.path.join(target, CREDS_FILE), encoding="utf-8") as stream:
        identity = check_creds(stream.read(), one.tenant)
    manifest = Manifest(source, one.tenant, one.snapshot_at, datetime.now(timezone.utc), one.content)
    write_manifest(target, manifest, owner)
    return TenantExport(
        tenant=one.tenant,
        directory=final,
        keys=one.content.keys,
        keys_before=before.content.keys if before is not None else {},
        digest=one.content.digest,
        me=identity.me,
        size_bytes=one.content.size_bytes,
        changed=before is None or before.content.digest != one.content.digest,
    )


def _replaceable(final: str, source: str, one: StandbyTenant) -> Manifest | None:
    """What is in the place of a session. Raises ResilienceError for what must not be replaced by it."""
    if not os.path.lexists(final):
        return None
    manifest = read_manifest(final)
    if manifest is None and os.path.isdir(final) and not os.path.islink(final) and not os.listdir(final):
        return None
    if manifest is None or (manifest.source, manifest.tenant) != (source, one.tenant):
        raise ResilienceError(
            f"{final} holds something else than the session {one.tenant} of {source}, and may be all there is of it",
            stage="write",
            remedy="Move it away, or name another directory.",
        )
    if manifest.snapshot_at > one.snapshot_at:
        raise ResilienceError(
            f"{final} shows a later moment ({manifest.snapshot_at.isoformat()}) than the standby "
            f"({one.snapshot_at.isoformat()})",
            stage="write",
            remedy="Start the service on what is there; or move it away to take the standby all the same.",
        )
    return manifest


def _files(one: StandbyTenant) -> Iterator[SessionFile]:
    try:
        descriptor = os.open(one.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            of_key = file_name_pattern(tuple(one.content.keys)).match
            for name in file_names(descriptor):
                found = of_key(name)
                key_type = CREDS if name == CREDS_FILE else found[1] if found else name
                modified = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mtime_ns
                yield SessionFile(key_type, name, read_file(descriptor, name), modified)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise explain_os_error(error, one.directory, "read the standby").at_stage("standby") from error
