# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a table is cut into batches; what they do is shown on real servers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.batches import MOST_PAGES, Done, Pace, _ranges
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError


@given(
    pages=st.integers(0, 3000),
    pattern=st.lists(st.integers(0, 200), min_size=1, max_size=20),
    batch_size=st.integers(1, 5000),
    expected=st.integers(1, 99999),
)
def test_every_page_is_walked_once_in_order(pages: int, pattern: list[int], batch_size: int, expected: int) -> None:
    rows = [pattern[page * len(pattern) // pages] for page in range(pages)]
    done = Done()
    walked: list[int] = []
    for first, last in _ranges(pages, expected, batch_size, done):
        assert 1 <= last - first <= MOST_PAGES
        walked += range(first, last)
        done.deleted["session"] = done.keys + sum(rows[first:last])
    assert walked == list(range(pages))


def test_a_batch_is_as_large_as_it_should_be_where_rows_lie_evenly() -> None:
    done = Done()
    sizes = []
    for first, last in _ranges(1000, 1000 * 20, 500, done):
        sizes.append((last - first) * 20)
        done.deleted["session"] = done.keys + sizes[-1]
    assert set(sizes) == {500}


def test_where_they_lie_thicker_the_next_batch_is_smaller() -> None:
    done = Done()
    sizes = []
    for first, last in _ranges(2000, 8000, 400, done):
        rows = sum(0 if page < 1000 else 8 for page in range(first, last))
        sizes.append(rows)
        done.deleted["session"] = done.keys + rows
    # The first that meets them is too large, and the next one goes by it; the others are as they should be.
    assert sorted(sizes)[-3] <= 400


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"pause": -0.1}, {"statement_timeout": 0}])
def test_a_pace_that_makes_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        Pace(**options)
    assert caught.value.remedy
