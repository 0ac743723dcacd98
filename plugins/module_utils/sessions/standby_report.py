# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a refresh of the standby says: the module's result, the diff, the report, and whether that is news."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ..reporting.report import Report
from ..reporting.status import SubjectStatus
from ..system.errors import ResilienceError
from ..system.units import human_duration, human_size
from .standby import StandbyState, StandbyTenant
from .standby_outcome import FAILED, MISSING, REFRESHED, SKIPPED, UNCHANGED
from .standby_refresh import Refresh

STANDBY_JOB = "standby"
# A report names so many sessions; the result of the module names all.
MOST_NAMED = 10
# Of a failure that lasts the team hears again every so many runs: at one run in 5 minutes every hour.
RUNS_BETWEEN_REMINDERS = 12


def state_result(state: StandbyState, now: datetime | None = None) -> dict[str, Any]:
    """The standby as plain data; ages count from ``now``."""
    now = now or datetime.now(timezone.utc)
    return {
        "directory": state.directory,
        "snapshot_at": _iso(state.snapshot_at),
        "age_seconds": None if state.snapshot_at is None else int((now - state.snapshot_at).total_seconds()),
        "tenants": [_tenant(one, now) for one in state.tenants],
        "problems": list(state.problems),
    }


def refresh_result(refresh: Refresh) -> dict[str, Any]:
    """The result of ``session_standby`` as plain data."""
    return {
        **state_result(refresh.state),
        "outcomes": [{"tenant": one.tenant, "result": one.result, "reason": one.reason} for one in refresh.outcomes],
        "duration_seconds": round(refresh.seconds, 3),
    }


def refresh_diff(refresh: Refresh) -> dict[str, Any]:
    """Keys by type of each session that is written, before and after; nothing secret."""
    exports = [one.export for one in refresh.of(REFRESHED) if one.export is not None]
    return {
        "before": {export.tenant: dict(export.keys_before) for export in exports},
        "after": {export.tenant: dict(export.keys) for export in exports},
    }


def problems_of(refresh: Refresh) -> list[str]:
    """What is wrong, each in a sentence: sessions that could not be refreshed, directories that are of no use."""
    return ["%s: %s" % (one.tenant, one.reason) for one in refresh.of(FAILED)] + list(refresh.state.problems)


def refresh_report(refresh: Refresh) -> Report:
    """The report of a refresh that came to its end: an error if any session could not be refreshed."""
    state, problems = refresh.state, problems_of(refresh)
    counts = {result: len(refresh.of(result)) for result in (REFRESHED, UNCHANGED, SKIPPED, MISSING, FAILED)}
    size = sum(one.content.size_bytes for one in state.tenants)
    facts = [
        ("Sessions", ", ".join("%d %s" % (count, result) for result, count in counts.items() if count)),
        ("Shows", str(_iso(state.snapshot_at))),
        ("Size", human_size(size)),
        *[("Problem", problem) for problem in problems[:MOST_NAMED]],
        *[("Missing", f"{one.tenant}: {one.reason}") for one in refresh.of(MISSING)[:MOST_NAMED]],
        ("Took", human_duration(refresh.seconds)),
    ]
    level, title, remedy = "info", "the standby is up to date", None
    if refresh.of(MISSING):
        level, title = "warning", "the standby holds %d sessions that the database has no more" % counts[MISSING]
    if problems:
        level, title = "error", "%d sessions of the standby could not be refreshed" % len(problems)
        remedy = "What the standby holds of them is kept. Mend what is named; the others are up to date."
    return Report(
        job=STANDBY_JOB,
        subject=refresh.source,
        level=level,
        title=title,
        facts=tuple(facts),
        remedy=remedy,
        measurements={
            "sessions_count": float(len(state.tenants)),
            "failed_count": float(len(problems)),
            "missing_count": float(counts[MISSING]),
            "standby_bytes": float(size),
        },
        duration=round(refresh.seconds, 3),
    )


def failure_report(source: str, error: ResilienceError, state: StandbyState | None, seconds: float) -> Report:
    """The report of a refresh that could not read the database at all; the standby stays what it was."""
    facts = [("Stage", error.stage)] if error.stage else []
    if state is not None:
        held = "%d sessions of %s" % (len(state.tenants), _iso(state.snapshot_at)) if state.tenants else "nothing"
        facts.append(("The standby holds", held))
    return Report(
        job=STANDBY_JOB,
        subject=source,
        level="error",
        title=error.message,
        facts=tuple(facts),
        remedy=error.remedy,
        duration=round(seconds, 3),
    )


def is_news(report: Report, before: SubjectStatus | None) -> bool:
    """Whether the team should hear of it: the first report, a change for better or worse, or a failure that lasts."""
    if before is None or report.level != before.level:
        return True
    return report.failed and before.consecutive_failures % RUNS_BETWEEN_REMINDERS == 0


def _tenant(one: StandbyTenant, now: datetime) -> dict[str, Any]:
    return {
        "tenant": one.tenant,
        "directory": one.directory,
        "snapshot_at": _iso(one.snapshot_at),
        "age_seconds": int((now - one.snapshot_at).total_seconds()),
        "made_at": _iso(one.made_at),
        "missing_since": _iso(one.missing_since),
        "keys": dict(one.content.keys),
        "digest": one.content.digest,
        "size_bytes": one.content.size_bytes,
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
