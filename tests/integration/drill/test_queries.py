# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the user's own: what is compared, and that nothing can be changed by one."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.drill.queries import Query, run_queries
from tests.support.backups import settings_from


@pytest.fixture
def settings(embedded18: Any, make_database: Any) -> Any:
    return settings_from(make_database(embedded18).parameters())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT 1", "1"),
        ("SELECT true", "true"),
        ("SELECT 1 > 2", "false"),
        ("SELECT NULL", "NULL"),
        ("SELECT 'NULL'", "NULL"),
        ("SELECT 1.50::numeric", "1.50"),
        ("SELECT 'ünï', 2 UNION ALL SELECT 'a', 3 ORDER BY 2 LIMIT 1", "ünï"),
        ("SELECT date '2026-01-02'", "2026-01-02"),
        ("SELECT '100%'", "100%"),
        ("SHOW transaction_read_only", "on"),
    ],
)
def test_held(settings: Any, query: str, expected: str) -> None:
    (outcome,) = run_queries(settings, [Query("q", query, expected)])
    assert outcome == {
        "name": "q",
        "query": query,
        "expected": expected,
        "actual": expected,
        "held": True,
        "problem": None,
    }
    (outcome,) = run_queries(settings, [Query("q", query, expected + "x")])
    assert not outcome["held"]
    assert outcome["problem"] == f'the check "q" gave {expected!r}, {expected + "x"!r} expected'


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("CREATE TABLE t (a int)", "read-only transaction"),
        ("SELECT 1/0", "division by zero"),
        ("SELEC", "syntax error"),
        ("", "empty query"),
        ("SELECT 1 WHERE false", "gave None"),
        ("SET a.b = 1", "gave None"),
    ],
)
def test_not_held_and_the_next_are_run_all_the_same(settings: Any, query: str, words: str) -> None:
    bad, good = run_queries(settings, [Query("bad", query, "1"), Query("good", "SELECT 1", "1")])
    assert not bad["held"]
    assert words in bad["problem"]
    assert good["held"]
