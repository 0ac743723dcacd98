# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and durations for people: the functions and the filters made of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.filter.human import FilterModule
from ansible_collections.baileys.resilience.plugins.module_utils.system.units import human_duration, human_size

FILTERS = FilterModule().filters()
SIZE_FACTORS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15, "EB": 1e18}
DURATION_FACTORS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (999.6, "1.0 kB"),
        (1000, "1.0 kB"),
        (353187, "353.2 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_100_000_000, "1.1 GB"),
        (10**21, "1000.0 EB"),
        (-1500, "-1.5 kB"),
    ],
)
def test_sizes(size: float, text: str) -> None:
    assert human_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0004, "0 ms"),
        (0.35, "350 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (1.1, "1.1 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3599.6, "1 h 0 min"),
        (11040, "3 h 4 min"),
        (86399, "1 d 0 h"),
        (183600, "2 d 3 h"),
        (-125, "-2 min 5 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


@given(st.integers(min_value=0, max_value=10**20))
def test_a_size_reads_back_within_its_last_digit(size: int) -> None:
    number, unit = human_size(size).split()
    assert abs(float(number) * SIZE_FACTORS[unit] - size) <= 0.0501 * SIZE_FACTORS[unit] if unit != "B" else True
    assert float(number) < 1000


@given(st.floats(min_value=0, max_value=10**8))
def test_a_duration_reads_back_within_half_its_last_unit(seconds: float) -> None:
    words = human_duration(seconds).split()
    value = sum(float(number) * DURATION_FACTORS[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    last = DURATION_FACTORS[words[-1]] * (0.1 if "." in words[-2] else 1)
    assert abs(value - seconds) <= last / 2 + 1e-9 * seconds


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        human_size(bad)
    with pytest.raises(ValueError, match="finite"):
        human_duration(bad)


def test_filters_take_numbers_and_texts_of_numbers() -> None:
    assert FILTERS["human_size"](353187) == FILTERS["human_size"]("353187") == "353.2 kB"
    assert FILTERS["human_duration"]("125") == "2 min 5 s"


@pytest.mark.parametrize("bad", [None, "many", True, [], {}, "nan", float("inf"), 10**400])
@pytest.mark.parametrize("name", ["human_size", "human_duration"])
def test_filters_name_what_they_got(name: str, bad: object) -> None:
    with pytest.raises(AnsibleFilterError, match=name):
        FILTERS[name](bad)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_filter_is_documented(name: str) -> None:
    folder = Path(__file__).parents[3] / "plugins" / "filter"
    documentation = yaml.safe_load((folder / f"{name}.yml").read_text(encoding="utf-8"))
    assert documentation["DOCUMENTATION"]["name"] == name
