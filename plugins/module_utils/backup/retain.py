# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Retention: which archives stay, which go, and the reason for each.

Every tier keeps the newest archive of each of its latest N distinct periods (hours, days, ISO weeks, months
of UTC). The order is that of the runs, not of the clock, so that a clock set back cannot push out the
newest. No rule ever reaches the newest verified archive, the newest proven one, a suspect one, or a file
that is not ours; and nothing goes at all while backups fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Callable

from .catalogue import FOREIGN, Archive, LastRun, counted, newest
from .naming import TIERS

# Requirements row 2: 7 daily and 4 monthly. Hourly applies where hourly backups are made at all.
DEFAULT_KEEP: Mapping[str, int] = {"hourly": 24, "daily": 7, "weekly": 0, "monthly": 4}

_PERIODS: dict[str, tuple[str, Callable[[datetime], str]]] = {
    "hourly": ("hour", lambda moment: moment.strftime("%Y-%m-%dT%H")),
    "daily": ("day", lambda moment: moment.strftime("%Y-%m-%d")),
    "weekly": ("week", lambda moment: "%d-W%02d" % moment.isocalendar()[:2]),
    "monthly": ("month", lambda moment: moment.strftime("%Y-%m")),
}


@dataclass(frozen=True)
class Decision:
    """Whether one archive stays, and why."""

    archive: Archive
    keep: bool
    reason: str


def period(tier: str, moment: datetime) -> str:
    """The period of this tier that ``moment`` falls into, for example ``2026-W47``."""
    return _PERIODS[tier][1](moment)


def decide(
    archives: Sequence[Archive], keep: Mapping[str, int], last_run: LastRun | None = None
) -> tuple[Decision, ...]:
    """One decision for every archive, in the order given. Pure: removes nothing, asks no clock."""
    reasons = _reasons_to_stay(archives, keep)
    halted = _halt(last_run)
    decisions = []
    for archive in archives:
        reason = reasons.get(archive.path)
        if reason is not None:
            decisions.append(Decision(archive, True, reason))
        elif halted:
            decisions.append(Decision(archive, True, halted))
        else:
            decisions.append(Decision(archive, False, _reason_to_go(archive, keep)))
    return tuple(decisions)


def _reasons_to_stay(archives: Sequence[Archive], keep: Mapping[str, int]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for archive in archives:
        if archive.state == FOREIGN:
            reasons[archive.path] = "not made by this collection: never touched"
        elif archive.state == "suspect":
            reasons[archive.path] = "suspect: kept for a person to look at, not counted"
    for tier in TIERS:
        reasons.update(_kept_by_tier(tier, archives, keep.get(tier, 0)))
    for state, words in (("proven", "the newest proven archive"), (None, "the newest verified archive")):
        best = newest(archives, state)
        if best is not None:
            for archive in archives:
                # Its links with it. Of an unchanged database an older archive may have the same bytes.
                if (archive.sequence, archive.sha256) == (best.sequence, best.sha256) and archive.counted:
                    reasons.setdefault(archive.path, words)
    return reasons


def _kept_by_tier(tier: str, archives: Sequence[Archive], limit: int) -> dict[str, str]:
    kept: dict[str, str] = {}
    seen: set[str] = set()
    for archive in counted(archive for archive in archives if archive.tier == tier):
        current = period(tier, archive.time) if archive.time else ""
        if current in seen or len(seen) >= limit:
            continue
        seen.add(current)
        kept[archive.path] = "%s: %s %s, %d of %d" % (tier, _PERIODS[tier][0], current, len(seen), limit)
    return kept


def _reason_to_go(archive: Archive, keep: Mapping[str, int]) -> str:
    return "%s: beyond %d, or an older one of the same %s" % (
        archive.tier,
        keep.get(archive.tier, 0),
        _PERIODS[archive.tier][0],
    )


def _halt(last_run: LastRun | None) -> str | None:
    if last_run is None or last_run.outcome == "ok":
        return None
    what = "did not finish" if last_run.outcome == "running" else "failed"
    why = f" ({last_run.reason})" if last_run.reason else ""
    return f"nothing is removed while backups fail: the run of {last_run.at} {what}{why}"


def to_remove(decisions: Sequence[Decision]) -> list[Archive]:
    """The archives that go."""
    return [decision.archive for decision in decisions if not decision.keep]
