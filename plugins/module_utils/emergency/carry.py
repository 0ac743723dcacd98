# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring the sessions into the directory that the code at the tag reads, from whichever source was chosen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ..drill.target import dumping_client, scratch_target, template_cache
from ..postgres.settings import ConnectionSettings
from ..reporting.progress import SILENT, Progress
from ..restore.chosen import snapshot_time, wrong_bytes
from ..restore.load import load_archive
from ..sessions.export import ExportRequest, ExportResult, export_sessions
from ..sessions.standby_copy import export_standby
from ..system.errors import ArchiveError, ResilienceError
from .request import BACKUP, DATABASE, EmergencyRequest
from .sources import Candidate


@dataclass(frozen=True)
class Carried:
    """What the files then hold: tenants, keys, and the moment (UTC) they show."""

    tenants: int
    keys: int
    snapshot_at: str


def carry_to_files(
    request: EmergencyRequest, source: Candidate, owner: tuple[int, int] | None, progress: Progress = SILENT
) -> Carried:
    """Export every session into the service's directory, read back and equal; all or nothing. Raises ResilienceError."""
    if source.kind == DATABASE:
        result = _export(request, request.settings, owner, progress, None)
    elif source.kind == BACKUP:
        with _restored(request, source, progress) as (settings, shown):
            result = _export(request, settings, owner, progress, shown)
    else:
        result = export_standby(
            request.state_directory, request.source, request.service.sessions_directory, owner, progress
        )
    keys = sum(sum(tenant.keys.values()) for tenant in result.tenants)
    return Carried(len(result.tenants), keys, result.snapshot_at.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _export(
    request: EmergencyRequest,
    settings: ConnectionSettings,
    owner: tuple[int, int] | None,
    progress: Progress,
    shown: datetime | None,
) -> ExportResult:
    """``shown`` is the moment a backup shows, which the server it was restored into does not know."""
    directory = request.service.sessions_directory
    asked = ExportRequest(request.source, settings, request.layout, directory, owner=owner, snapshot_at=shown)
    return export_sessions(asked, progress)


@contextlib.contextmanager
def _restored(
    request: EmergencyRequest, source: Candidate, progress: Progress
) -> Iterator[tuple[ConnectionSettings, datetime]]:
    """The backup's session tables in a scratch server. Raises ResilienceError."""
    archive = source.archive
    if archive is None or archive.manifest is None:
        raise ResilienceError(f"{source.what} has no manifest", stage="source")
    progress.step("check", bytes=archive.size_bytes)
    wrong = wrong_bytes(archive.path, archive.manifest)
    if wrong:
        raise ArchiveError(
            f"The archive {archive.path} is not what it was: {wrong}",
            stage="source",
            remedy="Run the playbook verify, which marks it, then run this again: the next older one is taken.",
        )
    progress.step("start")
    with (
        scratch_target(
            archive.manifest,
            cache=template_cache(request.state_directory),
            server_directory=request.server_directory,
            scratch_directory=request.scratch_directory,
        ) as target,
        target.database(archive.manifest) as (settings, _limits),
    ):
        tools = dumping_client(archive.manifest, request.client_directory, [str(target.facts["directory"])])
        progress.step("restore", bytes=archive.size_bytes)
        load_archive(archive.path, archive.manifest, tools, settings, target.options, progress=progress)
        yield settings, snapshot_time(archive.manifest)
