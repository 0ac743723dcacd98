# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiers: the first archive of a week and of a month lies in their tiers too, as the same bytes; each prunes itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import read_catalogue
from ansible_collections.baileys.resilience.plugins.module_utils.backup.retain import DEFAULT_KEEP
from ansible_collections.baileys.resilience.plugins.module_utils.backup.verify import verify_all
from tests.support.backups import KINDS, back_up_at, strays
from tests.support.databases import fresh_database

# Hourly is told apart from the default of 24.
KEEP = {"hourly": 3, "daily": 7, "weekly": 4, "monthly": 4}


@pytest.fixture(scope="module")
def database(server18):
    with fresh_database(server18) as database:
        database.execute("CREATE TABLE t AS SELECT generate_series(1, 7) n")
        yield database


@pytest.fixture
def run_at(database, tmp_path):
    """Make a backup at a moment of one's choice."""

    def run(moment, **options):
        # No two archives are equal, or retention would keep the one for the other.
        database.execute("INSERT INTO t VALUES (1)")
        return back_up_at(moment, database, tmp_path, **{"keep": KEEP, **options})

    return run


def names(root, tier):
    return [Path(archive.path).name[7:17] for archive in read_catalogue(str(root)) if archive.tier == tier]


def day(text):
    return datetime.fromisoformat(text).replace(hour=3, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["custom-zstd", "plain-gzip", "directory-none"])
def test_the_first_of_week_and_month_is_the_same_bytes_under_three_names(run_at, bin_full18, tmp_path, kind):
    # A Thursday in the middle of the month: the first run ever is the first of its week and month.
    first = run_at(day("2026-01-15"), **KINDS[kind])
    assert [Path(link).parent.name for link in first.links] == ["weekly", "monthly"]
    files = [Path(first.archive), *map(Path, first.links)]
    if kind.startswith("directory"):
        parts = [{file.name: file.stat().st_ino for file in path.iterdir()} for path in files]
    else:
        parts = [{"": path.stat().st_ino} for path in files]
    assert parts[0] == parts[1] == parts[2]
    manifests = [Path(f"{path}.manifest.json") for path in files]
    assert len({manifest.read_bytes() for manifest in manifests}) == 1
    # The manifests are files of their own: a state is written to each.
    assert len({manifest.stat().st_ino for manifest in manifests}) == 3
    assert run_at(day("2026-01-16"), **KINDS[kind]).links == ()
    # Monday.
    assert [Path(link).parent.name for link in run_at(day("2026-01-19"), **KINDS[kind]).links] == ["weekly"]
    assert names(tmp_path, "weekly") == ["2026-01-15", "2026-01-19"]
    assert all(result.holds for result in verify_all(str(tmp_path), client_directory=str(bin_full18)))


def test_seven_weeks(run_at, tmp_path):
    """Each tier prunes itself; what it no longer needs may live on in another."""
    moment = day("2026-02-14")
    while moment < day("2026-04-03"):
        run_at(moment)
        moment += timedelta(days=1)
    assert names(tmp_path, "daily") == [f"2026-03-{number}" for number in (27, 28, 29, 30, 31)] + [
        "2026-04-01",
        "2026-04-02",
    ]
    assert names(tmp_path, "weekly") == ["2026-03-09", "2026-03-16", "2026-03-23", "2026-03-30"]
    assert names(tmp_path, "monthly") == ["2026-02-14", "2026-03-01", "2026-04-01"]
    assert strays(tmp_path) == []
    # The last link that goes takes the bytes with it.
    links = {path.name: path.stat().st_nlink for path in tmp_path.glob("*/*.dump")}
    assert links["backup-2026-04-01T030000Z.dump"] == 2
    assert links["backup-2026-02-14T030000Z.dump"] == 1


def test_tiers_that_keep_nothing_get_nothing(run_at, tmp_path):
    run_at(day("2026-01-01"), keep=DEFAULT_KEEP)
    assert [names(tmp_path, tier) for tier in ("daily", "weekly", "monthly")] == [["2026-01-01"], [], ["2026-01-01"]]
    assert not (tmp_path / "weekly").exists()
    run_at(day("2026-02-01"), keep={"daily": 7})
    assert names(tmp_path, "monthly") == []
    assert names(tmp_path, "daily") == ["2026-01-01", "2026-02-01"]


def test_the_hourly_tier(run_at, tmp_path):
    moment = day("2026-01-15")
    for _ in range(6):
        run_at(moment, tier="hourly")
        moment += timedelta(minutes=40)
    # 03:00 03:40 04:20 05:00 05:40 06:20: the newest of each of the last three hours.
    hours = [Path(archive.path).name[18:22] for archive in read_catalogue(str(tmp_path)) if archive.tier == "hourly"]
    assert hours == ["0420", "0540", "0620"]
    assert names(tmp_path, "daily") == []
    assert names(tmp_path, "weekly") == names(tmp_path, "monthly") == ["2026-01-15"]


def test_a_monthly_run_by_hand(run_at, tmp_path):
    """Asked for on any day it is made in its tier, and is the month's: no other joins it."""
    by_hand = run_at(day("2026-01-20"), tier="monthly")
    assert Path(by_hand.archive).parent.name == "monthly"
    assert [Path(link).parent.name for link in by_hand.links] == ["weekly"]
    assert run_at(day("2026-01-21")).links == ()
    assert names(tmp_path, "monthly") == ["2026-01-20"]


def test_two_runs_within_a_second_do_not_meet(run_at, tmp_path):
    moment = day("2026-01-15")
    archives = [run_at(moment, keep=None).archive for _ in range(3)]
    assert [Path(path).name[18:24] for path in archives] == ["030000", "030001", "030002"]


def test_a_clock_that_was_set_back(run_at, tmp_path):
    """The newest run is the newest archive, whatever its name says; it is never the one that goes."""
    for text in ("2026-05-01", "2026-05-02", "2026-05-03"):
        run_at(day(text), keep={"daily": 2})
    newest = run_at(day("2026-04-01"), keep={"daily": 2})
    assert Path(newest.archive).exists()
    assert newest.manifest["sequence"] == 4
    assert names(tmp_path, "daily") == ["2026-04-01", "2026-05-03"]
