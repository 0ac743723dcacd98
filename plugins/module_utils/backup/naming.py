# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of archives: ``<backup_root>/<tier>/backup-2026-11-21T030000Z.dump``, UTC always."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

TIERS = ("hourly", "daily", "weekly", "monthly")
FORMATS = ("custom", "plain", "directory")
COMPRESSIONS = ("zstd", "lz4", "gzip", "none")

PREFIX = "backup-"
PARTIAL_SUFFIX = ".partial"
MANIFEST_SUFFIX = ".manifest.json"

_PLAIN_SUFFIXES = {"gzip": ".gz", "zstd": ".zst", "lz4": ".lz4", "none": ""}
_NAME = re.compile(
    r"^backup-(\d{4}-\d{2}-\d{2}T\d{6}Z)(\.dump|\.sql(?:\.gz|\.zst|\.lz4)?|\.dir)\Z",
    re.ASCII,
)
_STAMP = "%Y-%m-%dT%H%M%SZ"


@dataclass(frozen=True)
class ArchiveName:
    """What a file name tells."""

    time: datetime
    format: str
    extension: str


def extension(archive_format: str, compression: str) -> str:
    """``.dump``, ``.sql.gz``, ``.dir`` and so on."""
    if archive_format == "plain":
        return ".sql" + _PLAIN_SUFFIXES[compression]
    return {"custom": ".dump", "directory": ".dir"}[archive_format]


def archive_name(moment: datetime, archive_format: str, compression: str) -> str:
    """File name of the archive made at ``moment`` (an aware time; stored in whole seconds of UTC)."""
    return f"{PREFIX}{moment.astimezone(timezone.utc).strftime(_STAMP)}{extension(archive_format, compression)}"


def parse(name: str) -> ArchiveName | None:
    """What ``name`` tells, None if it is not the name of an archive of ours."""
    match = _NAME.match(name)
    if not match:
        return None
    try:
        moment = datetime.strptime(match.group(1), _STAMP).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    suffix = match.group(2)
    kind = {".dump": "custom", ".dir": "directory"}.get(suffix, "plain")
    return ArchiveName(moment, kind, suffix)
