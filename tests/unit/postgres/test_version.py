# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions as servers and programs of PostgreSQL state them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.postgres.version import (
    Version,
    from_number,
    from_text,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError

MAJORS = st.integers(10, 99)
MINORS = st.integers(0, 99)


@given(major=MAJORS, minor=MINORS)
def test_a_number_and_a_text_say_the_same(major: int, minor: int) -> None:
    version = Version(major, minor)
    assert from_number(major * 10000 + minor) == version
    assert from_text(f"pg_dump (PostgreSQL) {version}\n") == version
    assert str(version) == f"{major}.{minor}"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("pg_dump (PostgreSQL) 18.4 (Debian 18.4-1.pgdg120+1)\n", Version(18, 4)),
        ("pg_dump (PostgreSQL) 16.10 (Ubuntu 16.10-0ubuntu0.24.04.1)", Version(16, 10)),
        ("pg_dump (PostgreSQL) 18beta2", Version(18, 0)),
        ("pg_dump (PostgreSQL) 18rc1 (Debian 18~rc1-1)", Version(18, 0)),
        ("pg_dump (PostgreSQL) 19devel", Version(19, 0)),
        ("postgres (PostgreSQL) 17.0", Version(17, 0)),
    ],
)
def test_texts_of_real_programs(text: str, version: Version) -> None:
    assert from_text(text) == version


@pytest.mark.parametrize("text", ["", "pg_dump (PostgreSQL)", "command not found", "pg_dump v18"])
def test_a_text_without_a_version_is_refused(text: str) -> None:
    with pytest.raises(ResilienceError, match="No version in") as caught:
        from_text(text)
    assert caught.value.stage == "version"


@given(versions=st.lists(st.tuples(MAJORS, MINORS), min_size=1))
def test_versions_are_ordered_as_numbers(versions: list[tuple[int, int]]) -> None:
    assert sorted(Version(*pair) for pair in versions) == [Version(*pair) for pair in sorted(versions)]
