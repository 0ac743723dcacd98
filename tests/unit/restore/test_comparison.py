# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came back against what went in: tables, sequences, large objects."""

from __future__ import annotations

import json

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup.contents import Contents, TableContent
from ansible_collections.baileys.resilience.plugins.module_utils.restore.comparison import (
    Comparison,
    compare_large_objects,
    compare_sequences,
    compare_tables,
)
from ansible_collections.baileys.resilience.plugins.module_utils.restore.entries import (
    Difference,
    SchemaComparison,
)


def contents(*tables: TableContent, sequences=None, objects=(0, 0, None)) -> Contents:
    count, size, digest = objects
    return Contents(
        tables=tuple(tables),
        sequences=sequences or {},
        large_objects=count,
        large_object_bytes=size,
        large_objects_digest=digest,
    )


def table(name: str, rows: int = 3, digest: str = "d") -> TableContent:
    return TableContent(("public", name), rows, 10, digest)


def test_tables() -> None:
    archive = contents(table("same"), table("gone"), table("fewer", 3, "a"), table("other", 3, "a"))
    restored = contents(table("other", 3, "b"), table("same"), table("new"), table("fewer", 2, "b"))
    found = compare_tables(archive, restored)
    assert {one.name[1]: one.outcome for one in found} == {
        "same": "equal",
        "gone": "missing",
        "new": "unexpected",
        "fewer": "changed",
        "other": "changed",
    }
    assert [one.problem for one in found if one.problem] == [
        "table public.fewer has 2 rows in the restored database, 3 expected",
        "table public.gone is missing from the restored database",
        "table public.new is in the restored database and not in the archive",
        "table public.other has other content in the restored database",
    ]
    assert [(one.rows_expected, one.rows) for one in found if one.name[1] in ("gone", "new")] == [(3, None), (None, 3)]


@pytest.mark.parametrize(
    ("restored", "words"),
    [
        ({"s": (7, True)}, []),
        ({"s": (6, True)}, ["sequence s stands at 6 in the restored database, 7 expected"]),
        ({"s": (7, False)}, ["sequence s stands at 7 (not called yet) in the restored database, 7 expected"]),
        ({}, ["sequence s stands at nothing (there is no such sequence) in the restored database, 7 expected"]),
    ],
)
def test_sequences(restored, words) -> None:
    assert compare_sequences(contents(sequences={"s": (7, True)}), contents(sequences=restored)) == words


@pytest.mark.parametrize(
    ("objects", "words"),
    [((2, 9, "d"), ""), ((1, 9, "d"), "there are 1 large objects"), ((2, 9, "e"), "other content")],
)
def test_large_objects(objects, words) -> None:
    found = compare_large_objects(contents(objects=(2, 9, "d")), contents(objects=objects))
    assert bool(found) is bool(words)
    assert words in "".join(found)


def test_all_of_it_as_a_result() -> None:
    schema = SchemaComparison(
        3, 1, ("INDEX i",), (), (Difference("VIEW v", "a", "b"),), (Difference("CHECK c", "a", "b"),)
    )
    tables = compare_tables(contents(table("t")), contents(table("t", 2, "x")))
    comparison = Comparison(tables, schema, 4, ("s",), 5, 6, ("l",), (("what", "why"),))
    assert comparison.problems == (
        "table public.t has 2 rows in the restored database, 3 expected",
        "s",
        "l",
        "INDEX i is missing from the restored database",
        "VIEW v is defined differently in the restored database",
    )
    told = json.loads(json.dumps(comparison.as_dict()))
    assert told["tables"] == [
        {
            "schema": "public",
            "table": "t",
            "rows_expected": 3,
            "rows": 2,
            "bytes": 10,
            "outcome": "changed",
            "detail": None,
        }
    ]
    assert told["schema"]["rewritten"] == [{"entry": "CHECK c", "archive": "a", "restored": "b"}]
    assert told["sequences"] == {"count": 4, "problems": ["s"]}
    assert told["large_objects"] == {"count": 5, "bytes": 6, "problems": ["l"]}
    assert told["not_covered"] == [{"what": "what", "why": "why"}]
