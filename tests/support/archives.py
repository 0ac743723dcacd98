# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives without a database: files with manifests for what looks at a backup root only from outside."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.backup.describe import write_manifest
from ansible_collections.baileys.resilience.plugins.module_utils.backup.naming import archive_name

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def manifest_of(content: bytes = b"archive", **changes: Any) -> dict[str, Any]:
    """A manifest with everything a reader relies on."""
    return {
        "manifest_version": 1,
        "sequence": 1,
        "state": "verified",
        "source": "app",
        "database": "store",
        "server_version": "18.4",
        "client_version": "18.4",
        "snapshot_at": "2026-11-21T12:00:00.000000Z",
        "format": "custom",
        "compression": "zstd",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": 0,
        "tables": [],
        "sequences": [],
        "large_objects": {"count": 0, "bytes": 0, "digest": None},
        "proofs": [],
        **changes,
    }


def put_archive(
    root: Path, moment: datetime = NOON, content: bytes = b"archive", *, tier: str = "daily", **manifest: Any
) -> Path:
    """Put an archive with its manifest into a tier; gives its path."""
    directory = root / tier
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    described = manifest_of(content, **manifest)
    path = directory / archive_name(moment, described["format"], described["compression"])
    path.write_bytes(content)
    write_manifest(str(path), described)
    return path


def snapshot_of(directory: Path) -> dict[str, bytes | None]:
    """Every file below with its bytes, every directory with None."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
    }
