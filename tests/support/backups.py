# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups made by calling the core directly, and files compared byte by byte."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import place
from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import Archive, read_catalogue
from ansible_collections.baileys.resilience.plugins.module_utils.backup.check import Bounds
from ansible_collections.baileys.resilience.plugins.module_utils.backup.make import (
    BackupRequest,
    BackupResult,
    make_backup,
)
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings, resolve
from tests.support.databases import TestDatabase

ANY_SIZE = Bounds(min_size=1, min_rows=0, max_shrink_percent=100)
# Every kind of archive there is, as options of BackupRequest.
KINDS: dict[str, dict[str, Any]] = {
    "custom-zstd": {"format": "custom", "compression": "zstd"},
    "custom-gzip": {"format": "custom", "compression": "gzip"},
    "custom-lz4": {"format": "custom", "compression": "lz4"},
    "custom-none": {"format": "custom", "compression": "none"},
    "plain-zstd": {"format": "plain", "compression": "zstd"},
    "plain-gzip": {"format": "plain", "compression": "gzip"},
    "plain-lz4": {"format": "plain", "compression": "lz4"},
    "plain-none": {"format": "plain", "compression": "none"},
    "directory-zstd": {"format": "directory", "compression": "zstd", "jobs": 3},
    "directory-gzip": {"format": "directory", "compression": "gzip", "jobs": 2},
    "directory-lz4": {"format": "directory", "compression": "lz4", "jobs": 1},
    "directory-none": {"format": "directory", "compression": "none", "jobs": 4},
}
# Those the embedded server's own client can write: it was built without zstd and lz4.
SIMPLE_KINDS = tuple(name for name in KINDS if name.endswith(("gzip", "none")))


def settings_from(parameters: Mapping[str, Any]) -> ConnectionSettings:
    """The core's settings out of libpq's parameters, with nothing of the environment."""
    return resolve({name: str(value) for name, value in parameters.items()}, environment={})


def request_for(
    database: TestDatabase, root: Path, client_directory: Path | None = None, **options: Any
) -> BackupRequest:
    """A request for this database as its owner; `parameters` replaces the connection.

    Whatever its size and its rows are is well unless `bounds` says otherwise.
    """
    parameters = options.pop("parameters", None) or database.parameters()
    return BackupRequest(
        **{
            "source": database.name,
            "settings": settings_from(parameters),
            "backup_root": str(root),
            "client_directory": str(client_directory or database.server.bin_directory),
            "bounds": ANY_SIZE,
            **options,
        }
    )


def back_up(database: TestDatabase, root: Path, client_directory: Path | None = None, **options: Any) -> BackupResult:
    """Make a backup as `request_for` describes it."""
    return make_backup(request_for(database, root, client_directory, **options))


def back_up_at(moment: datetime, database: TestDatabase, root: Path, **options: Any) -> BackupResult:
    """Make a backup at a moment of one's choice: the archive is named after it."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            return cls.fromtimestamp(moment.timestamp(), tz)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(place, "datetime", Clock)
        return back_up(database, root, **options)


def back_up_days_ago(back: int, database: TestDatabase, root: Path, **options: Any) -> BackupResult:
    """Make a backup as if it were `back` days ago."""
    return back_up_at(datetime.now(UTC) - timedelta(days=back), database, root, **options)


def only_archive(root: Path) -> Archive:
    """The one archive that lies in the root."""
    (archive,) = read_catalogue(str(root))
    return archive


def tree_state(root: Path, *, without: Sequence[str] = ()) -> dict[str, tuple[Any, ...]]:
    """Every path below `root` (and it) with type, mode, owner, modification time and content.

    Two equal states are byte-identical trees that nobody touched in between.
    """
    found = {}
    for path in [root, *sorted(root.rglob("*"))]:
        name = str(path.relative_to(root))
        if name in without:
            continue
        status = path.lstat()
        content = ""
        if stat.S_ISREG(status.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        found[name] = (oct(status.st_mode), status.st_uid, status.st_mtime_ns, status.st_ino, content)
    return found


def strays(root: Path) -> list[str]:
    """Whatever lies in the root that is no archive, manifest, lock or record of the last run."""
    known = {".lock", ".last_run.json"}
    archives = {Path(archive.path) for archive in read_catalogue(str(root)) if archive.manifest is not None}
    manifests = {Path(f"{archive}.manifest.json") for archive in archives}
    found = []
    for path in root.rglob("*"):
        inside = any(parent in archives for parent in path.parents)
        tier = path.is_dir() and path.parent == root
        if not (path in archives | manifests or inside or tier or path.name in known):
            found.append(str(path))
    return found
