# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unlogged tables of a backup that was made from a standby: there is nothing of their rows to come back."""

from __future__ import annotations

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.restore import prove
from ansible_collections.baileys.resilience.plugins.module_utils.restore.comparison import TableComparison

UNLOGGED = {"TABLE public cache": ("-- owner: me\nCREATE UNLOGGED TABLE public.cache (a int);",)}
LOGGED = {"TABLE public cache": ("-- owner: me\nCREATE TABLE public.cache (a int);",)}


@pytest.mark.parametrize(
    ("entries", "rows", "outcome"),
    [(UNLOGGED, 0, "equal"), (UNLOGGED, 1, "unexpected"), (LOGGED, 0, "unexpected"), ({}, 0, "unexpected")],
)
def test_unlogged_table_without_rows(entries: dict[str, tuple[str, ...]], rows: int, outcome: str) -> None:
    table = TableComparison(("public", "cache"), "unexpected", None, rows, 0)
    judged = prove._without_rows(table, entries)
    assert judged.outcome == outcome
    assert (judged.detail is None) is (outcome == "unexpected")
