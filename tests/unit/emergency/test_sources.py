# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which source of the sessions is taken, and when none is."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.emergency.sources import Candidate, choose
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.unit.emergency.requests import request

LIVE = Candidate("database", "live database", age=0.0, tenants=1)
DEAD = Candidate("database", "live database", obstacle="Connection refused")
STANDBY = Candidate("standby", "warm standby", age=200.0, tenants=1)
BACKUP = Candidate("backup", "backup /b", age=100.0)
OLD_BACKUP = Candidate("backup", "backup /b", age=40000.0)
NO_STANDBY = Candidate("standby", "warm standby", obstacle="there is none")
NO_BACKUP = Candidate("backup", "backup", obstacle="there is none")


@pytest.mark.parametrize(
    ("candidates", "kind"),
    [
        ([LIVE, STANDBY, BACKUP], "database"),
        ([DEAD, STANDBY, BACKUP], "backup"),
        ([DEAD, STANDBY, OLD_BACKUP], "standby"),
        ([DEAD, STANDBY, NO_BACKUP], "standby"),
        ([DEAD, NO_STANDBY, BACKUP], "backup"),
        ([LIVE, NO_STANDBY, NO_BACKUP], "database"),
    ],
)
def test_the_live_database_first_then_the_newer_of_the_two(candidates: list[Candidate], kind: str) -> None:
    for order in itertools.permutations(candidates):
        assert choose(request(), list(order)).kind == kind


@pytest.mark.parametrize("changes", [{}, {"data_source": "database"}, {"accept_stale": True}])
def test_without_any_source_nothing_is_touched_and_every_reason_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(ResilienceError) as caught:
        choose(request(**changes), [DEAD, NO_STANDBY, NO_BACKUP])
    assert "Connection refused" in caught.value.message
    assert "Nothing was touched" in str(caught.value.remedy)


def test_old_sessions_need_a_word() -> None:
    candidates = [DEAD, NO_STANDBY, OLD_BACKUP]
    with pytest.raises(ResilienceError, match="11 h 7 min old") as caught:
        choose(request(), candidates)
    assert "emergency_accept_stale=true" in str(caught.value.remedy)
    assert choose(request(accept_stale=True), candidates) is OLD_BACKUP
    assert choose(request(max_data_age=50000.0), candidates) is OLD_BACKUP


@pytest.mark.parametrize(("age", "allowed"), [(899.0, True), (900.0, True), (901.0, False)])
def test_the_limit_is_the_one_it_says(age: float, allowed: bool) -> None:
    candidates = [DEAD, Candidate("standby", "warm standby", age=age), NO_BACKUP]
    if allowed:
        assert choose(request(), candidates).age == age
    else:
        with pytest.raises(ResilienceError):
            choose(request(), candidates)


@pytest.mark.parametrize("named", ["standby", "backup"])
def test_a_source_that_is_named_overrules_the_choice(named: str) -> None:
    assert choose(request(data_source=named), [LIVE, STANDBY, BACKUP]).kind == named
    with pytest.raises(ResilienceError, match=f"from the {named}"):
        choose(request(data_source=named), [LIVE, NO_STANDBY, NO_BACKUP])


def test_a_clock_that_was_set_back_makes_no_source_the_newest_for_ever() -> None:
    future = Candidate("standby", "warm standby", age=-7200.0)
    assert choose(request(), [DEAD, future, NO_BACKUP]) is future
    assert "0 s old" in future.describe()
