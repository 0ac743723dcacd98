# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How old the last proof of a source is, and when that is too old."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import Archive, LastRun
from ansible_collections.baileys.resilience.plugins.module_utils.backup.drill_age import (
    DrillStanding,
    drill_standing,
    overdue_report,
)
from tests.support.archives import NOON, manifest_of

NOW = NOON + timedelta(days=100)


def archive(days_ago: int, *drills: tuple[int, str], **manifest: Any) -> Archive:
    """An archive of so many days ago with drills of so many days ago."""
    moment = NOW - timedelta(days=days_ago)
    proofs = [
        {"at": f"{NOW - timedelta(days=ago):%Y-%m-%dT%H:%M:%SZ}", "kind": "drill", "outcome": outcome}
        for ago, outcome in drills
    ]
    described = manifest_of(proofs=proofs, **manifest)
    return Archive(f"/root/daily/{days_ago}", "daily", moment, "verified", 7, described)


@pytest.mark.parametrize(
    ("archives", "limit", "overdue", "days"),
    [
        ([], 35, False, None),
        ([archive(3)], 35, False, None),
        ([archive(36)], 35, True, None),
        ([archive(36), archive(0)], 35, True, None),
        ([archive(90, (10, "held"))], 35, False, 10),
        ([archive(90, (36, "held"))], 35, True, 36),
        ([archive(90, (35, "held"))], 35, False, 35),
        ([archive(90, (60, "held"), (2, "failed"))], 35, True, 60),
        ([archive(90, (60, "held")), archive(9, (5, "held"))], 35, False, 5),
        ([archive(900)], 0, False, None),
    ],
)
def test_standing(archives: list[Archive], limit: int, overdue: bool, days: int | None) -> None:
    standing = drill_standing(archives, None, limit, NOW)
    assert standing.overdue is overdue
    assert standing.age_seconds == (None if days is None else days * 86400)
    assert (standing.last_proven is None) is (days is None)


def test_retention_does_not_make_a_source_young() -> None:
    """Never drilled, with the first archives long removed: the record of runs remembers when it began."""
    since = f"{NOW - timedelta(days=40):%Y-%m-%dT%H:%M:%SZ}"
    assert drill_standing([archive(7)], LastRun("ok", since, None, since), 35, NOW).overdue
    assert not drill_standing([archive(7)], LastRun("ok", since, None, None), 35, NOW).overdue
    assert not drill_standing([archive(7)], LastRun("ok", since, None, "nonsense"), 35, NOW).overdue


def test_foreign_files_and_other_proofs_do_not_count() -> None:
    foreign = Archive("/root/daily/x", "daily", NOW - timedelta(days=99), "foreign", 1)
    verified = archive(5)
    assert verified.manifest is not None
    verified.manifest["proofs"].append({"at": "2026-11-22T00:00:00Z", "kind": "verify", "outcome": "held"})
    standing = drill_standing([foreign, verified], None, 35, NOW)
    assert (standing.overdue, standing.last_proven) == (False, None)


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (None, "no backup of it was ever proven by a drill"),
        (5, "the last one that held was today"),
        (86400 * 36 + 5, "the last one that held was 36 days ago"),
    ],
)
def test_words(age: int | None, words: str) -> None:
    standing = DrillStanding(None if age is None else "2026-01-01T00:00:00Z", age, 35, True)
    assert standing.words() == words
    report = overdue_report("app", standing)
    assert (report.job, report.subject, report.level) == ("restore_drill", "app", "error")
    assert report.title == f"the drill is overdue: {words}, the limit is 35 days"
    assert "restore_drill" in str(report.remedy)
