# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is what was written a backup? Every question that must be answered before it is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..postgres.snapshot import Snapshot, TableName
from ..system.errors import ArchiveError
from ..system.units import human_size
from .catalogue import Archive
from .decode import Decoded

# Requirements row 3: a real dump of one company is 353 KB, so 1 KB is what no real dump is below.
DEFAULT_MIN_SIZE = 1024
DEFAULT_MAX_SIZE_WARNING = 500_000_000
DEFAULT_MAX_SHRINK_PERCENT = 50.0
# A dump of the wrong, empty database is whole, verified and worthless.
DEFAULT_MIN_ROWS = 1


@dataclass(frozen=True)
class Bounds:
    """Sizes in bytes that an archive must keep, how many percent smaller than the last it may be, rows it must hold."""

    min_size: int = DEFAULT_MIN_SIZE
    max_size_warning: int = DEFAULT_MAX_SIZE_WARNING
    max_shrink_percent: float = DEFAULT_MAX_SHRINK_PERCENT
    min_rows: int = DEFAULT_MIN_ROWS


def check_contents(decoded: Decoded, snapshot: Snapshot, counts: dict[TableName, int]) -> None:
    """The archive holds every table of the snapshot, with as many rows as the server counted in it.

    This is what catches row security and anything else that silently leaves rows out. Raises ArchiveError.
    """
    filtered = {table.name for table in snapshot.tables if table.filtered}
    present = {table.name: table.rows for table in decoded.contents.tables}
    counts = _by_written_name(counts, present, snapshot)
    wrong = []
    for name in sorted(set(counts) | set(present)):
        label = "{}.{}".format(*name)
        if name not in present:
            wrong.append(f"{label} is missing")
        elif name not in counts:
            wrong.append(f"{label} was not in the snapshot")
        elif counts[name] != present[name] and name not in filtered:
            wrong.append("%s has %d rows where the server counts %d" % (label, present[name], counts[name]))
    if decoded.contents.large_objects != snapshot.large_objects:
        wrong.append(
            "%d large objects where the server counts %d" % (decoded.contents.large_objects, snapshot.large_objects)
        )
    if wrong:
        raise ArchiveError(
            f"The archive is not complete: {some(wrong)}",
            stage="verify",
            remedy="Back up as a role that sees every row (the owner, or with BYPASSRLS). If a table was emptied, altered "
            "or dropped just when the backup began, run it again. Nothing was published.",
        )


def _by_written_name(
    counts: dict[TableName, int], present: dict[TableName, int], snapshot: Snapshot
) -> dict[TableName, int]:
    """The counts with partitions that pg_dump wrote under the name of their root added up under that name."""
    written: dict[TableName, int] = {}
    roots = {table.name: table.root for table in snapshot.tables}
    for name, rows in counts.items():
        root = roots.get(name)
        under_root = name not in present and root is not None and root in present
        target = root if under_root and root is not None else name
        written[target] = written.get(target, 0) + rows
    return written


def check_size(
    decoded: Decoded, archive_format: str, compression: str, bounds: Bounds, previous: Archive | None
) -> list[str]:
    """The archive's size and rows are within bounds, absolute and against the previous one; returns warnings.

    Archives of another format or compression are compared by the bytes of their rows instead. Raises
    ArchiveError.
    """
    held = decoded.contents.rows + decoded.contents.large_objects
    if held < bounds.min_rows:
        raise ArchiveError(
            "The archive holds %d rows, less than min_rows (%d)" % (held, bounds.min_rows),
            stage="verify",
            remedy="See whether this is the right database; if it really is that empty, set min_rows to 0. "
            "Nothing was published.",
        )
    if decoded.size < bounds.min_size:
        raise ArchiveError(
            f"The archive has {human_size(decoded.size)}, less than min_size ({human_size(bounds.min_size)})",
            stage="verify",
            remedy="See whether the database really is that empty; if so, lower min_size. Nothing was published.",
        )
    if previous is not None and previous.manifest is not None:
        manifest = previous.manifest
        same_kind = (manifest["format"], manifest["compression"]) == (archive_format, compression)
        before = manifest["size_bytes"] if same_kind else sum(table["bytes"] for table in manifest["tables"])
        now = decoded.size if same_kind else decoded.contents.bytes
        if before > 0 and now < before * (1 - bounds.max_shrink_percent / 100):
            raise ArchiveError(
                "The {} shrank from {} to {}, by more than max_shrink_percent ({:g} %), since the run of {}".format(
                    "archive" if same_kind else "rows in the archive",
                    human_size(before),
                    human_size(now),
                    bounds.max_shrink_percent,
                    manifest["snapshot_at"],
                ),
                stage="verify",
                remedy="See whether data was lost or deleted. If it was meant, run once with "
                "max_shrink_percent=100. Nothing was published.",
            )
    if decoded.size > bounds.max_size_warning:
        return [
            f"The archive has {human_size(decoded.size)}, more than max_size_warning ({human_size(bounds.max_size_warning)})."
        ]
    return []


def some(words: Sequence[str]) -> str:
    """The first five, and how many more."""
    return "; ".join(words[:5]) + ("; and %d more" % (len(words) - 5) if len(words) > 5 else "")
