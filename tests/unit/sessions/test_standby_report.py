# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a refresh says, and whether it is worth saying every five minutes."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.reporting.report import Report
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.status import SubjectStatus, merge
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.files import Content
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby import StandbyState, StandbyTenant
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby_outcome import Outcome
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby_refresh import Refresh
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby_report import (
    failure_report,
    is_news,
    problems_of,
    refresh_report,
    state_result,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ConnectionFailedError

NOW = datetime(2026, 11, 25, 3, 5, tzinfo=UTC)
CONTENT = Content({"pre-key": 7}, {"pre-key": "d"}, "digest", 1000)


def held(tenant: str, minutes: int, missing: bool = False) -> StandbyTenant:
    moment = NOW - timedelta(minutes=minutes)
    return StandbyTenant(tenant, f"/s/{tenant}", moment, moment, CONTENT, NOW if missing else None)


def refresh(*outcomes: Outcome, problems: tuple[str, ...] = ()) -> Refresh:
    state = StandbyState("/s", (held("acme", 0), held("beta", 5)), problems)
    return Refresh("app", NOW, outcomes, state, 0.5)


def told(levels: str) -> list[int]:
    """Which of these runs (i, w or e for each level) are told of, by number."""
    standing: SubjectStatus | None = None
    news = []
    for number, letter in enumerate(levels):
        level = {"i": "info", "w": "warning", "e": "error"}[letter]
        at = (NOW + timedelta(minutes=5 * number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        report = Report("standby", "app", level, "x", at=at)
        if is_news(report, standing):
            news.append(number)
        standing = merge(standing, report)
    return news


@pytest.mark.parametrize(
    ("levels", "news"),
    [
        ("iiii", [0]),
        ("iieeeii", [0, 2, 5]),
        ("iwwwi", [0, 1, 4]),
        ("iwewi", [0, 1, 2, 3, 4]),
        ("i" + "e" * 30, [0, 1, 13, 25]),
        ("e" * 14, [0, 12]),
    ],
)
def test_the_team_hears_of_changes_and_every_hour_of_what_lasts(levels: str, news: list[int]) -> None:
    assert told(levels) == news


def test_the_moment_of_the_whole_is_that_of_the_oldest_session_that_is_not_missing() -> None:
    state = StandbyState("/s", (held("a", 1), held("b", 7), held("c", 999, missing=True)))
    assert state.snapshot_at == NOW - timedelta(minutes=7)
    assert StandbyState("/s", (held("c", 999, missing=True),)).snapshot_at == NOW - timedelta(minutes=999)
    result = state_result(state, NOW)
    assert result["age_seconds"] == 420
    assert [one["missing_since"] for one in result["tenants"]] == [None, None, "2026-11-25T03:05:00Z"]


def test_nothing_wrong_is_info_and_names_the_moment() -> None:
    report = refresh_report(refresh(Outcome("acme", "refreshed"), Outcome("beta", "unchanged")))
    assert report.level == "info"
    assert dict(report.facts)["Sessions"] == "1 refreshed, 1 unchanged"
    assert dict(report.facts)["Shows"] == "2026-11-25T03:00:00Z"


def test_a_missing_session_is_a_warning_and_a_failed_one_an_error() -> None:
    missing = Outcome("beta", "missing", "not in the database any more")
    assert refresh_report(refresh(Outcome("acme", "unchanged"), missing)).level == "warning"
    failed = refresh(Outcome("acme", "failed", "noiseKey is missing"), missing)
    report = refresh_report(failed)
    assert report.level == "error"
    assert ("Problem", "acme: noiseKey is missing") in report.facts
    assert problems_of(failed) == ["acme: noiseKey is missing"]


def test_a_directory_of_no_use_is_an_error_too() -> None:
    report = refresh_report(refresh(Outcome("acme", "unchanged"), problems=("/s/x: it has no manifest",)))
    assert report.level == "error"


def test_of_many_problems_the_report_names_some() -> None:
    outcomes = [Outcome(f"t{number}", "failed", "no") for number in range(50)]
    report = refresh_report(refresh(*outcomes))
    assert len([label for label, _value in report.facts if label == "Problem"]) == 10
    assert "50 sessions" in report.title


def test_a_refresh_that_reads_nothing_says_what_is_still_there() -> None:
    error = ConnectionFailedError("Cannot connect", stage="connect", remedy="Check the host.")
    report = failure_report("app", error, refresh().state, 1.0)
    assert (report.level, report.remedy) == ("error", "Check the host.")
    assert dict(report.facts)["The standby holds"] == "2 sessions of 2026-11-25T03:00:00Z"
    empty = failure_report("app", error, dataclasses.replace(refresh().state, tenants=()), 1.0)
    assert dict(empty.facts)["The standby holds"] == "nothing"
