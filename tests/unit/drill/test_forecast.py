# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of drills and the forecast made of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.drill import forecast

ENTRIES = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.just("2026-11-22T03:00:00Z"),
            "duration_seconds": st.floats(0, 1e6),
            "content_bytes": st.integers(0, 10**13),
            "verdict": st.sampled_from(["proven", "suspect", "unjudged"]),
        }
    ),
    max_size=20,
)


def run(size: int, seconds: float, verdict: str = "proven") -> dict[str, Any]:
    return {"at": "2026-11-22T03:00:00Z", "duration_seconds": seconds, "content_bytes": size, "verdict": verdict}


@given(ENTRIES, st.floats(0, 1e5), st.floats(0, 1e6), st.integers(0, 10**13), st.floats(0.001, 1e6))
def test_forecast_never_shrinks(history: list[Any], fixed: float, duration: float, size: int, target: float) -> None:
    rto = forecast.judge_rto(history, fixed, duration, size, target)
    ten, hundred = (item["seconds"] for item in rto["forecast"])
    assert all(math.isfinite(seconds) for seconds in (ten, hundred))
    assert round(duration, 1) <= ten <= hundred
    assert rto["met"] is (duration <= target)
    assert [item["factor"] for item in rto["forecast"]] == [10, 100]
    json.dumps(rto)


def test_one_drill_tells_what_grows() -> None:
    rto = forecast.judge_rto([run(1000, 3.0)], 1.0, 3.0, 1000, 30)
    assert [item["seconds"] for item in rto["forecast"]] == [21.0, 201.0]
    assert [item["met"] for item in rto["forecast"]] == [True, False]
    assert "all but starting the server grows" in rto["basis"]


def test_drills_of_different_sizes_are_better_witnesses() -> None:
    history = [run(size, 2 + size / 1000) for size in (1000, 2000, 4000)]
    rto = forecast.judge_rto(history, 0.1, 6.0, 4000, 100)
    assert [item["seconds"] for item in rto["forecast"]] == [42.0, 402.0]
    assert rto["basis"] == "3 drills of different sizes"


@pytest.mark.parametrize(
    "history",
    [
        [run(1000, 3), run(1100, 9), run(1200, 4)],  # too near each other
        [run(1000, 9), run(2000, 5), run(4000, 1)],  # larger is quicker: noise
        [run(0, 1), run(0, 1), run(0, 1)],
        [run(1000, 1), run(2000, 2)],
        [run(1000, 1, "suspect"), run(2000, 2, "suspect"), run(4000, 4, "unjudged"), run(4000, 4)],
    ],
)
def test_histories_that_tell_nothing(history: list[Any]) -> None:
    assert "this drill" in forecast.judge_rto(history, 0.5, 1.0, 1000, 10)["basis"]


def test_history_keeps_the_last_hundred(tmp_path: Path) -> None:
    path = forecast.history_path(str(tmp_path), "app")
    kept: list[Any] = []
    for number in range(103):
        kept = forecast.add_to_history(path, run(number, 1.0))
    assert [entry["content_bytes"] for entry in kept] == list(range(3, 103))
    assert forecast.read_history(path) == kept
    assert oct(Path(path).stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("source", ["app", "../../etc/x", "a b/c", "ünï", "."])
def test_a_source_never_leaves_the_directory(tmp_path: Path, source: str) -> None:
    path = Path(forecast.history_path(str(tmp_path), source))
    assert path.parent == tmp_path / "history"
    assert "/" not in forecast.file_name_of(source)


@given(
    st.recursive(
        st.none() | st.text(max_size=3) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["at", "content_bytes", "duration_seconds", "verdict"]), inner, max_size=3
            )
        ),
    )
)
def test_any_json_is_a_history_or_none(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    path = tmp_path_factory.mktemp("history") / "drill.json"
    path.write_text(json.dumps(content))
    history = forecast.read_history(str(path))
    assert forecast.judge_rto(history, 0, 1.0, 10, 5)["met"] is True


@pytest.mark.parametrize(
    "change",
    [
        {"duration_seconds": None},
        {"duration_seconds": float("nan")},
        {"content_bytes": float("inf")},
        {"content_bytes": -1},
    ],
)
def test_damaged_entry(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "drill.json"
    good = run(10, 1.0)
    path.write_text(json.dumps([good, {**good, **change}]))
    assert forecast.read_history(str(path)) == []
    path.write_text(json.dumps([good, {key: value for key, value in good.items() if key not in change}]))
    assert forecast.read_history(str(path)) == []
    path.write_text(json.dumps([good]))
    assert forecast.read_history(str(path)) == [good]
