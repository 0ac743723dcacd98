# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill says to the team and to whoever ran it, and what of it is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.drill.tell_drill import (
    MOST_PAGES,
    drill_failure,
    drill_report,
    keep_pages,
)
from tests.support import drills


def result(make: Any = drills.proven, **changes: Any) -> dict[str, Any]:
    return {"self_test": None, "remedy": None, **make(), **changes}


def suspect() -> dict[str, Any]:
    return result(verdict="suspect", problems=["table public.t has 9 rows, 10 expected", "b", "c", "d"])


def unjudged() -> dict[str, Any]:
    return result(
        verdict="unjudged", problems=[], obstacle="There is no PostgreSQL 18 server here", remedy="Install it."
    )


def missed() -> dict[str, Any]:
    tests = [
        {"damage": "one flipped bit", "caught": True, "how": "x"},
        {"damage": "missing table", "caught": False, "how": "y"},
    ]
    return result(self_test=tests)


def late() -> dict[str, Any]:
    one = result()
    return {**one, "rto": {**one["rto"], "met": False}}


@pytest.mark.parametrize(
    ("results", "level", "title"),
    [
        ([result()], "info", "backup restored and proven"),
        ([late()], "warning", "too slowly for the RTO"),
        ([missed()], "error", "did not notice damage"),
        ([result(), unjudged()], "error", "1 of 2 archives could not be drilled"),
        ([suspect(), result(), unjudged()], "fatal", "1 of 3 archives cannot be trusted"),
        ([suspect(), suspect()], "fatal", "2 of 2 archives cannot be trusted"),
    ],
)
def test_report(results: list[dict[str, Any]], level: str, title: str) -> None:
    report = drill_report("app", results, 12.3456)
    assert (report.job, report.subject, report.level, report.duration) == ("restore_drill", "app", level, 12.346)
    assert title in report.title
    assert (report.remedy is None) is (level == "info")
    assert all(isinstance(value, float) for value in report.measurements.values())
    json.dumps(report.measurements)


def test_the_worst_is_what_is_told() -> None:
    facts = drill_report("app", [suspect(), unjudged()], 1.0).facts
    words = " | ".join(f"{name}: {value}" for name, value in facts)
    assert "table public.t has 9 rows, 10 expected; b; c" in words
    assert "There is no PostgreSQL 18 server here" in words
    assert "Proven" not in words


def test_failure() -> None:
    assert drill_failure([result(), late()]) == ""
    name = Path(drills.proven()["archive"]["archive"]).name
    assert drill_failure([suspect(), unjudged(), missed()]) == (
        f"{name} is suspect: table public.t has 9 rows, 10 expected; b; c | "
        f"{name} could not be judged: There is no PostgreSQL 18 server here. Install it. | "
        f"{name} was proven, but the drill did not notice planted damage: missing table"
    )


def test_pages_give_way_to_newer_ones(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    others = ["drill-app2-20200101T000000Z-x.html", "drill-app-notes.html", "somebody.html"]
    for name in others:
        (reports / name).write_text("kept")
    page = data = ""
    for number in range(MOST_PAGES + 2):
        page, data = keep_pages(
            str(tmp_path), result(source="app", at="2026-11-%02dT%02d:00:00Z" % (1 + number // 24, number % 24))
        )
    mine = sorted(path.name for path in reports.iterdir() if path.name.startswith("drill-app-2026"))
    assert len(mine) == 2 * MOST_PAGES
    assert mine[0].startswith("drill-app-20261101T020000Z-")
    assert [Path(page).name, Path(data).name] == mine[-2:]
    assert all((reports / name).exists() for name in others)
    assert json.loads(Path(data).read_text())["source"] == "app"
    assert {oct(path.stat().st_mode & 0o777) for path in reports.iterdir() if path.name in mine} == {"0o600"}
