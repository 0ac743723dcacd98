# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of archives: every name made is read back, and no other name is taken for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.backup.naming import (
    COMPRESSIONS,
    FORMATS,
    ArchiveName,
    archive_name,
    extension,
    parse,
)

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
# From the year 1000, or the name would have fewer digits, to the year 9999, and a microsecond more.
SECONDS = st.integers(-30_609_792_000, 253_402_000_000)
MOMENTS = st.builds(
    lambda seconds, microseconds, zone: datetime.fromtimestamp(seconds, zone).replace(microsecond=microseconds),
    SECONDS,
    st.integers(0, 999_999),
    ZONES,
)


@given(moment=MOMENTS, archive_format=st.sampled_from(FORMATS), compression=st.sampled_from(COMPRESSIONS))
def test_what_was_named_is_read_back_in_utc(moment: datetime, archive_format: str, compression: str) -> None:
    name = archive_name(moment, archive_format, compression)
    parsed = parse(name)
    assert parsed == ArchiveName(
        moment.astimezone(UTC).replace(microsecond=0), archive_format, extension(archive_format, compression)
    )
    assert parsed.time.tzinfo is UTC


@given(first=MOMENTS, second=MOMENTS)
def test_names_sort_as_the_moments_do(first: datetime, second: datetime) -> None:
    earlier, later = sorted([first.replace(microsecond=0), second.replace(microsecond=0)])
    assert archive_name(earlier, "custom", "zstd") <= archive_name(later, "custom", "zstd")


@pytest.mark.parametrize(
    ("archive_format", "compression", "expected"),
    [
        ("custom", "zstd", ".dump"),
        ("custom", "none", ".dump"),
        ("directory", "lz4", ".dir"),
        ("plain", "gzip", ".sql.gz"),
        ("plain", "zstd", ".sql.zst"),
        ("plain", "lz4", ".sql.lz4"),
        ("plain", "none", ".sql"),
    ],
)
def test_the_contract(archive_format: str, compression: str, expected: str) -> None:
    moment = datetime(2026, 11, 21, 4, 0, 0, tzinfo=timezone(timedelta(hours=1)))
    assert archive_name(moment, archive_format, compression) == f"backup-2026-11-21T030000Z{expected}"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "backup-2026-11-21.sql.gz",
        "backup-2026-11-21T030000Z",
        "backup-2026-11-21T030000Z.dump.partial",
        "backup-2026-11-21T030000Z.dump.manifest.json",
        "backup-2026-11-21T030000Z.dump.gz",
        "backup-2026-11-21T030000Z.sql.bz2",
        "backup-2026-11-21T030000.dump",
        "backup-2026-11-21T03:00:00Z.dump",
        "Backup-2026-11-21T030000Z.dump",
        "my-backup-2026-11-21T030000Z.dump",
        "backup-2026-13-01T030000Z.dump",
        "backup-2026-02-29T030000Z.dump",
        "backup-2026-11-21T240000Z.dump",
        "backup-2026-11-21T030060Z.dump",
        "backup-٢٠٢٦-11-21T030000Z.dump",
        "backup-2026-11-21T030000Z.dump\n",
        " backup-2026-11-21T030000Z.dump",
    ],
)
def test_other_names_are_not_ours(name: str) -> None:
    assert parse(name) is None


@given(name=st.text(alphabet="backup-20T16Z.dumpsqlgzi:\n ", max_size=40))
def test_a_name_that_is_read_is_one_that_would_be_made(name: str) -> None:
    parsed = parse(name)
    if parsed is not None:
        made = {archive_name(parsed.time, parsed.format, compression) for compression in COMPRESSIONS}
        assert name in made
