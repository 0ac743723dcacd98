# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention keeps exactly what the contract says, for any history, and never the wrong thing goes.

The oracle below states the contract archive by archive; the product walks through the runs. Neither knows how
the other does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import Archive, LastRun
from ansible_collections.baileys.resilience.plugins.module_utils.backup.naming import TIERS, archive_name
from ansible_collections.baileys.resilience.plugins.module_utils.backup.retain import (
    DEFAULT_KEEP,
    decide,
    period,
    to_remove,
)

AT = "2026-11-21T03:00:00Z"
GOOD_ENDS = [None, LastRun("ok", AT)]
BAD_ENDS = [LastRun("failed", AT, "disk full"), LastRun("failed", AT), LastRun("running", AT), LastRun("odd", AT)]


def archive_at(tier: str, moment: datetime, sequence: int, state: str = "verified", sha256: str = "") -> Archive:
    manifest = {"sequence": sequence, "sha256": sha256 or f"{sequence:064x}"}
    return Archive(f"/root/{tier}/{archive_name(moment, 'custom', 'zstd')}", tier, moment, state, 1, manifest)


# -- the contract, said once more


def span(tier: str, moment: datetime) -> int:
    """The number of the hour, day, ISO week or month since the year 1, which began with a Monday."""
    day = moment.date().toordinal() - 1
    return {
        "hourly": day * 24 + moment.hour,
        "daily": day,
        "weekly": day // 7,
        "monthly": moment.year * 12 + moment.month,
    }[tier]


def counts(archive: Archive) -> bool:
    return archive.state in {"verified", "proven"}


def run_of(archive: Archive) -> int:
    return int(archive.manifest["sequence"]) if archive.manifest else 0


def must_stay(archive: Archive, everything: Sequence[Archive], keep: Mapping[str, int], last: LastRun | None) -> bool:
    """Whether the contract keeps this archive; each reason stands by itself."""
    if last is not None and last.outcome != "ok":
        return True
    if not counts(archive):
        return True
    for rivals in ([a for a in everything if counts(a)], [a for a in everything if a.state == "proven"]):
        # With all its links, but not with an older one that happens to have the same bytes.
        if rivals and run_of(archive) == max(map(run_of, rivals)):
            return True
    assert archive.time is not None
    later = {
        span(archive.tier, other.time)
        for other in everything
        if other.tier == archive.tier and counts(other) and run_of(other) > run_of(archive) and other.time is not None
    }
    return span(archive.tier, archive.time) not in later and len(later) < keep.get(archive.tier, 0)


# -- any history

# Where calendars have their corners.
CORNERS = [
    datetime(2027, 12, 31, 23, 30, tzinfo=UTC),
    datetime(2028, 1, 1, tzinfo=UTC),
    datetime(2028, 1, 2, 12, tzinfo=UTC),  # Sunday of week 52 of 2027
    datetime(2028, 1, 3, 12, tzinfo=UTC),
    datetime(2026, 12, 31, 12, tzinfo=UTC),  # Thursday of week 53
    datetime(2027, 1, 3, 12, tzinfo=UTC),  # Sunday of the same week 53
    datetime(2027, 1, 4, tzinfo=UTC),
    datetime(2024, 12, 30, 12, tzinfo=UTC),  # Monday of week 1 of 2025
    datetime(2028, 2, 28, 23, 59, 59, tzinfo=UTC),
    datetime(2028, 2, 29, tzinfo=UTC),
    datetime(2028, 3, 1, tzinfo=UTC),
    datetime(2027, 2, 28, 12, tzinfo=UTC),
    datetime(2027, 3, 1, 12, tzinfo=UTC),
]
STEPS = st.sampled_from(
    [timedelta(seconds=1), timedelta(minutes=40), timedelta(hours=11), timedelta(days=1), timedelta(days=6, hours=23)]
    + [timedelta(days=7), timedelta(days=17), timedelta(days=31), timedelta(days=366)]
)
# Onwards, back, or to another date altogether.
MOVES = st.one_of(STEPS, STEPS.map(lambda step: -step), st.sampled_from(CORNERS))
STATES = st.sampled_from(["verified", "verified", "verified", "proven", "suspect"])
KEEP = st.fixed_dictionaries({}, optional={tier: st.integers(0, 5) for tier in TIERS})


@dataclass(frozen=True)
class History:
    archives: tuple[Archive, ...]
    keep: dict[str, int]


@st.composite
def histories(draw: st.DrawFn) -> History:
    now = draw(st.sampled_from(CORNERS))
    archives: list[Archive] = []
    taken: set[tuple[str, datetime]] = set()
    for sequence in range(1, draw(st.integers(0, 14)) + 1):
        move = draw(MOVES)
        now = move if isinstance(move, datetime) else now + move
        # One run has one name in every tier, and no two runs share one.
        while any((tier, now) in taken for tier in TIERS):
            now += timedelta(seconds=1)
        tiers = draw(st.sets(st.sampled_from(TIERS), min_size=1))
        state = draw(STATES)
        # Now and then nothing has changed since an earlier run.
        sha256 = draw(st.sampled_from(["", "", "same"]))
        for tier in sorted(tiers):
            taken.add((tier, now))
            archives.append(archive_at(tier, now, sequence, state, sha256))
    for number in range(draw(st.integers(0, 3))):
        tier = draw(st.sampled_from(TIERS))
        moment = draw(st.none() | st.sampled_from(CORNERS))
        # Without a manifest: somebody's own file, or one whose manifest is broken.
        state = draw(st.sampled_from(["foreign", "suspect"]))
        archives.append(Archive(f"/root/{tier}/other-{number}", tier, moment, state, 1))
    # As the catalogue lists them: tier by tier, by name.
    archives.sort(key=lambda archive: (TIERS.index(archive.tier), archive.path))
    return History(tuple(archives), draw(KEEP))


@settings(max_examples=500)
@given(history=histories(), last=st.sampled_from(GOOD_ENDS + BAD_ENDS))
def test_exactly_what_the_contract_says(history: History, last: LastRun | None) -> None:
    decisions = decide(history.archives, history.keep, last)
    assert tuple(decision.archive for decision in decisions) == history.archives
    for decision in decisions:
        expected = must_stay(decision.archive, history.archives, history.keep, last)
        assert decision.keep is expected, decision
        assert decision.reason
    event("something goes" if to_remove(decisions) else "nothing goes")


@given(history=histories())
def test_the_newest_verified_and_the_newest_proven_are_never_removed(history: History) -> None:
    # Whatever is kept, even nothing at all.
    removed = to_remove(decide(history.archives, {}, None)) + to_remove(decide(history.archives, history.keep, None))
    for good in ({"verified", "proven"}, {"proven"}):
        fitting = [archive for archive in history.archives if archive.state in good]
        if fitting:
            best = max(archive.sequence for archive in fitting)
            assert best not in {archive.sequence for archive in removed}


@given(history=histories(), last=st.sampled_from(BAD_ENDS))
def test_nothing_goes_while_the_latest_run_failed_or_did_not_finish(history: History, last: LastRun) -> None:
    assert to_remove(decide(history.archives, history.keep, last)) == []
    assert to_remove(decide(history.archives, {}, last)) == []


@given(history=histories())
def test_suspect_and_foreign_stay_and_do_not_push_out_others(history: History) -> None:
    decisions = {decision.archive.path: decision.keep for decision in decide(history.archives, history.keep)}
    assert all(decisions[archive.path] for archive in history.archives if archive.state in ("suspect", "foreign"))
    without = [archive for archive in history.archives if archive.counted]
    assert all(decisions[decision.archive.path] is decision.keep for decision in decide(without, history.keep))


@given(history=histories())
def test_a_second_time_nothing_more_goes(history: History) -> None:
    kept = [decision.archive for decision in decide(history.archives, history.keep) if decision.keep]
    assert to_remove(decide(kept, history.keep)) == []


@given(history=histories(), tier=st.sampled_from(TIERS))
def test_keeping_more_never_removes_more(history: History, tier: str) -> None:
    more = {**history.keep, tier: history.keep.get(tier, 0) + 1}
    before = {archive.path for archive in to_remove(decide(history.archives, history.keep))}
    assert {archive.path for archive in to_remove(decide(history.archives, more))} <= before


# -- periods


@given(
    moment=st.integers(0, 8_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    tier=st.sampled_from(TIERS),
)
def test_a_period_is_one_span_and_no_other(moment: datetime, tier: str) -> None:
    step = {"hourly": timedelta(hours=1), "daily": timedelta(days=1), "weekly": timedelta(days=7)}.get(
        tier, timedelta(days=31)
    )
    for other in (moment + step, moment + step / 3, moment + step - timedelta(seconds=1)):
        assert (period(tier, other) == period(tier, moment)) is (span(tier, other) == span(tier, moment))


@pytest.mark.parametrize(
    ("tier", "moment", "name"),
    [
        ("hourly", datetime(2026, 11, 21, 3, 59, tzinfo=UTC), "2026-11-21T03"),
        ("daily", datetime(2028, 2, 29, tzinfo=UTC), "2028-02-29"),
        ("weekly", datetime(2027, 1, 3, tzinfo=UTC), "2026-W53"),
        ("weekly", datetime(2024, 12, 30, tzinfo=UTC), "2025-W01"),
        ("weekly", datetime(2026, 11, 21, tzinfo=UTC), "2026-W47"),
        ("monthly", datetime(2026, 12, 31, 23, tzinfo=UTC), "2026-12"),
    ],
)
def test_names_of_periods(tier: str, moment: datetime, name: str) -> None:
    assert period(tier, moment) == name


# -- whole years, day by day, as a run makes and prunes them


def live_through(
    days: int, first: datetime, keep: Mapping[str, int], every: timedelta = timedelta(days=1)
) -> list[Archive]:
    """What is there in the end, when each run links the first of a week or month and then prunes."""
    archives: list[Archive] = []
    for sequence in range(1, int(timedelta(days=days) / every) + 1):
        now = first + (sequence - 1) * every
        archives.append(archive_at("daily", now, sequence))
        for tier in ("weekly", "monthly"):
            there = {span(tier, archive.time) for archive in archives if archive.tier == tier and archive.time}
            if keep.get(tier) and span(tier, now) not in there:
                archives.append(archive_at(tier, now, sequence))
        removed = to_remove(decide(archives, keep, LastRun("ok", AT)))
        archives = [archive for archive in archives if archive not in removed]
    return archives


def days_of(archives: Sequence[Archive], tier: str) -> list[date]:
    return sorted(archive.time.date() for archive in archives if archive.tier == tier and archive.time)


def test_a_year_over_a_leap_day() -> None:
    # Ends on Sunday, 5 March 2028.
    archives = live_through(366, datetime(2027, 3, 6, 3, tzinfo=UTC), {"daily": 7, "weekly": 3, "monthly": 4})
    assert days_of(archives, "daily") == [
        date(2028, 2, 28),
        date(2028, 2, 29),
        *(date(2028, 3, day) for day in range(1, 6)),
    ]
    assert days_of(archives, "weekly") == [date(2028, 2, 14), date(2028, 2, 21), date(2028, 2, 28)]
    assert days_of(archives, "monthly") == [date(2027, 12, 1), date(2028, 1, 1), date(2028, 2, 1), date(2028, 3, 1)]


def test_the_turn_of_a_year_with_a_week_53() -> None:
    archives = live_through(20, datetime(2026, 12, 20, 3, tzinfo=UTC), {"daily": 7, "weekly": 3, "monthly": 4})
    assert days_of(archives, "weekly") == [date(2026, 12, 21), date(2026, 12, 28), date(2027, 1, 4)]
    assert days_of(archives, "monthly") == [date(2026, 12, 20), date(2027, 1, 1)]


def test_two_a_day_keep_the_later_of_seven_days() -> None:
    archives = live_through(20, datetime(2026, 11, 1, 3, tzinfo=UTC), {"daily": 7}, timedelta(hours=12))
    assert [archive.time for archive in archives] == [datetime(2026, 11, day, 15, tzinfo=UTC) for day in range(14, 21)]


def test_the_defaults() -> None:
    # Requirements: 7 daily and 4 monthly.
    assert dict(DEFAULT_KEEP) == {"hourly": 24, "daily": 7, "weekly": 0, "monthly": 4}
    archives = live_through(200, datetime(2026, 5, 5, 3, tzinfo=UTC), DEFAULT_KEEP)
    assert [len(days_of(archives, tier)) for tier in TIERS] == [0, 7, 0, 4]


# -- clocks and links


def test_a_clock_set_back_does_not_push_out_the_newest() -> None:
    # Seven days, then the clock is a month behind; by the clock the newest would be the oldest.
    archives = [archive_at("daily", datetime(2026, 11, day, 3, tzinfo=UTC), day) for day in range(1, 8)]
    archives.append(archive_at("daily", datetime(2026, 10, 5, 3, tzinfo=UTC), 8))
    assert to_remove(decide(archives, {"daily": 7})) == archives[:1]
    assert to_remove(decide(archives, {"daily": 1})) == archives[:7]


def test_the_links_of_the_newest_stay_in_tiers_that_keep_nothing() -> None:
    newest, older = datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
    archives = [archive_at(tier, moment, number) for number, moment in enumerate((older, newest), 1) for tier in TIERS]
    decisions = decide(archives, {"daily": 1})
    assert [decision.archive.time for decision in decisions if decision.keep] == [newest] * 4
    reasons = {decision.archive.tier: decision.reason for decision in decisions if decision.keep}
    assert reasons["daily"] == "daily: day 2026-11-21, 1 of 1"
    assert reasons["weekly"] == "the newest verified archive"


def test_the_bytes_of_an_unchanged_database_are_not_kept_again_and_again() -> None:
    archives = [archive_at("daily", datetime(2026, 11, day, tzinfo=UTC), day, sha256="same") for day in range(1, 21)]
    assert to_remove(decide(archives, {"daily": 7})) == archives[:13]


def test_an_old_proven_one_outlives_newer_verified_ones() -> None:
    archives = [archive_at("daily", datetime(2026, 11, day, tzinfo=UTC), day) for day in range(1, 21)]
    archives[2] = archive_at("daily", datetime(2026, 11, 3, tzinfo=UTC), 3, "proven")
    archives[0] = archive_at("daily", datetime(2026, 11, 1, tzinfo=UTC), 1, "proven")
    kept = [decision for decision in decide(archives, {"daily": 2}) if decision.keep]
    assert [(decision.archive.sequence, decision.reason) for decision in kept] == [
        (3, "the newest proven archive"),
        (19, "daily: day 2026-11-19, 2 of 2"),
        (20, "daily: day 2026-11-20, 1 of 2"),
    ]


# -- reasons that a person reads


@pytest.mark.parametrize(
    ("archive", "keep", "last", "reason"),
    [
        (Archive("/root/daily/x", "daily", None, "foreign", 1), {}, None, "not made by this collection: never touched"),
        (
            archive_at("daily", CORNERS[0], 1, "suspect"),
            {},
            None,
            "suspect: kept for a person to look at, not counted",
        ),
        (archive_at("hourly", CORNERS[0], 1), {"hourly": 24}, None, "hourly: hour 2027-12-31T23, 1 of 24"),
        (archive_at("weekly", CORNERS[0], 1), {"weekly": 2}, None, "weekly: week 2027-W52, 1 of 2"),
        (archive_at("monthly", CORNERS[0], 1), {"monthly": 4}, None, "monthly: month 2027-12, 1 of 4"),
        (archive_at("monthly", CORNERS[0], 1), {}, None, "the newest verified archive"),
    ],
)
def test_why_one_stays(archive: Archive, keep: dict[str, int], last: LastRun | None, reason: str) -> None:
    (decision,) = decide([archive], keep, last)
    assert (decision.keep, decision.reason) == (True, reason)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (LastRun("failed", AT, "disk full"), f"the run of {AT} failed (disk full)"),
        (LastRun("failed", AT), f"the run of {AT} failed"),
        (LastRun("running", AT), f"the run of {AT} did not finish"),
    ],
)
def test_why_one_stays_while_backups_fail(last: LastRun, words: str) -> None:
    archives = [archive_at("daily", CORNERS[0], 1), archive_at("daily", CORNERS[1], 2)]
    old, new = decide(archives, {}, last)
    assert (old.keep, old.reason) == (True, f"nothing is removed while backups fail: {words}")
    assert new.reason == "the newest verified archive"


@pytest.mark.parametrize(
    ("tier", "keep", "reason"),
    [
        ("hourly", {"hourly": 1}, "hourly: beyond 1, or an older one of the same hour"),
        ("daily", {}, "daily: beyond 0, or an older one of the same day"),
        ("weekly", {"daily": 3}, "weekly: beyond 0, or an older one of the same week"),
        ("monthly", {"monthly": 1}, "monthly: beyond 1, or an older one of the same month"),
    ],
)
def test_why_one_goes(tier: str, keep: dict[str, Any], reason: str) -> None:
    old, new = decide([archive_at(tier, CORNERS[2], 1), archive_at(tier, CORNERS[8], 2)], keep)
    assert (old.keep, old.reason) == (False, reason)
    assert new.keep
