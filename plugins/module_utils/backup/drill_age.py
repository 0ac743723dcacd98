# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long ago a backup of a source was last proven by a drill, and whether that is too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from ..reporting.report import Report
from .catalogue import Archive, LastRun

DRILL_JOB = "restore_drill"
# A drill a month (requirements row 4), and a few days to notice that one did not run.
DEFAULT_MAX_AGE_DAYS = 35


@dataclass(frozen=True)
class DrillStanding:
    """``last_proven`` is when a drill last held, None if none ever did; ``overdue`` counts from there.

    A source that was never drilled is counted from its first backup. ``max_age_days`` of 0 is no limit.
    """

    last_proven: str | None
    age_seconds: int | None
    max_age_days: int
    overdue: bool

    def as_dict(self) -> dict[str, Any]:
        """As a module returns it."""
        return asdict(self)

    def words(self) -> str:
        """``never``, or how many days ago."""
        if self.last_proven is None or self.age_seconds is None:
            return "no backup of it was ever proven by a drill"
        days = self.age_seconds // 86400
        return "the last one that held was %s" % ("today" if days == 0 else "%d days ago" % days)


def drill_standing(
    archives: Sequence[Archive], last_run: LastRun | None, max_age_days: int, now: datetime | None = None
) -> DrillStanding:
    """Read it from the history that the manifests keep; retention never removes the newest proven archive."""
    now = now or datetime.now(timezone.utc)
    drills = [
        str(note["at"])
        for archive in archives
        for note in (archive.manifest or {}).get("proofs", [])
        if note.get("kind") == "drill" and note.get("outcome") == "held"
    ]
    last = max(drills, default=None)
    known = [archive.time for archive in archives if archive.time and archive.manifest]
    first_backup = min(known, default=now)
    if last_run is not None and last_run.since is not None:
        first_backup = min(first_backup, _moment(last_run.since) or now)
    since = (_moment(last) if last else None) or first_backup
    overdue = max_age_days > 0 and now - since > timedelta(days=max_age_days)
    return DrillStanding(last, int((now - since).total_seconds()) if last else None, max_age_days, overdue)


def overdue_report(source: str, standing: DrillStanding) -> Report:
    """What turns the status of the drill job red although it is a job that did not run."""
    return Report(
        job=DRILL_JOB,
        subject=source,
        level="error",
        title="the drill is overdue: %s, the limit is %d days" % (standing.words(), standing.max_age_days),
        remedy="Run the playbook restore_drill, and see why its schedule did not.",
    )


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
