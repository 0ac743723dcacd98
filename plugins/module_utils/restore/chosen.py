# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archive that is to be restored: found, looked at, and its bytes checked."""

from __future__ import annotations

import os
from datetime import datetime, timezone

from ..backup import catalogue, naming
from ..backup.catalogue import Archive
from ..backup.decode import hash_file, hash_file_set
from ..backup.describe import Manifest, read_manifest
from ..system.errors import ResilienceError


def find_archive(backup_root: str, path: str | None = None) -> Archive:
    """The archive at a path, or the newest good one of a root. Raises ResilienceError when there is none."""
    if path is None:
        newest = catalogue.newest(catalogue.read_catalogue(backup_root))
        if newest is None:
            raise ResilienceError(
                f"There is no good archive in {backup_root}",
                stage="preflight",
                remedy="See whether the backup disk is mounted, or name an archive by its path.",
            )
        return newest
    path = os.path.abspath(path)
    if not os.path.lexists(path):
        raise ResilienceError(
            f"There is no archive {path}",
            stage="preflight",
            remedy="List what there is with pg_backup_info.",
        )
    parsed = naming.parse(os.path.basename(path))
    moment = parsed.time if parsed else None
    try:
        manifest = read_manifest(path)
    except ResilienceError as error:
        return Archive(path, "", moment, "suspect", 0, problem=error.message)
    if manifest is None:
        return Archive(path, "", moment, catalogue.FOREIGN, 0)
    problem = manifest["proofs"][-1].get("problem") if manifest["proofs"] else None
    return Archive(path, "", moment, manifest["state"], manifest["size_bytes"], manifest, problem)


def wrong_bytes(path: str, manifest: Manifest) -> str | None:
    """Why the archive's bytes are not those it was made with, None when they are. Reads all of it."""
    size, sha256 = hash_file_set(path)[:2] if os.path.isdir(path) else hash_file(path)
    if size != manifest["size_bytes"]:
        return "it has %d bytes, not %d" % (size, manifest["size_bytes"])
    return None if sha256 == manifest["sha256"] else "its SHA-256 is not the one it was made with"


def snapshot_time(manifest: Manifest) -> datetime:
    """The moment that an archive shows."""
    return datetime.strptime(str(manifest["snapshot_at"]), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
