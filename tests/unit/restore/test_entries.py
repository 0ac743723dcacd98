# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions entry by entry: their order does not matter, each text does."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.restore.entries import (
    Difference,
    Entries,
    EntryCollector,
    SchemaComparison,
    compare_entries,
    tell_rewritten,
)

HEAD = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\nSET statement_timeout = 0;\n\n"


def entry(
    name: str, kind: str = "TABLE", text: str = "CREATE TABLE t;\n", schema: str = "public", owner: str = "me"
) -> str:
    return f"--\n-- Name: {name}; Type: {kind}; Schema: {schema}; Owner: {owner}\n--\n\n{text}\n\n"


def collect(*parts: str) -> Entries:
    """The entries of a script whose lines all begin outside a quote."""
    collector = EntryCollector()
    for line in "".join([HEAD, *parts]).encode().splitlines(keepends=True):
        collector.line(line, True)
    return collector.entries()


NAMES = st.text("ab ;:\"'-üN", min_size=1, max_size=8).filter(lambda name: "; " not in name)
PARTS = st.lists(
    st.tuples(NAMES, st.sampled_from(["TABLE", "INDEX", "FK CONSTRAINT"]), st.text("xy\n", max_size=5)), max_size=12
)


@given(PARTS, st.randoms())
def test_order_does_not_matter(parts: list[tuple[str, str, str]], chance: random.Random) -> None:
    texts = [entry(name, kind, f"CREATE {text};") for name, kind, text in parts]
    shuffled = list(texts)
    chance.shuffle(shuffled)
    assert collect(*texts) == collect(*shuffled)
    comparison = compare_entries(collect(*texts), collect(*shuffled))
    assert (comparison.entries, comparison.equal, comparison.problems) == (len(parts), len(parts), [])


@given(PARTS.filter(bool), st.data())
def test_one_that_is_lost_is_named(parts: list[tuple[str, str, str]], data: st.DataObject) -> None:
    texts = [entry(name, kind, f"CREATE {number};") for number, (name, kind, _) in enumerate(parts)]
    gone = data.draw(st.integers(0, len(parts) - 1))
    name, kind, _ = parts[gone]
    comparison = compare_entries(collect(*texts), collect(*texts[:gone], *texts[gone + 1 :]))
    assert comparison.missing == (f"{kind} public {name}",)
    assert (comparison.unexpected, comparison.changed, comparison.equal) == ((), (), len(parts) - 1)
    back = compare_entries(collect(*texts[:gone], *texts[gone + 1 :]), collect(*texts))
    assert (back.missing, back.unexpected) == ((), (f"{kind} public {name}",))


def test_what_is_an_entry() -> None:
    found = collect(
        entry("t"),
        entry("t a", "DEFAULT", "ALTER TABLE t;"),
        entry("public", "SCHEMA", "CREATE SCHEMA public;", schema="-"),
        "-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: me\n--\n\n",
        entry("s", "SEQUENCE SET", "SELECT pg_catalog.setval('s', 3);"),
        entry("x", "BLOBS", "more"),
    )
    assert dict(found) == {
        "TABLE public t": ("-- owner: me\n\nCREATE TABLE t;",),
        "DEFAULT public t a": ("-- owner: me\n\nALTER TABLE t;",),
        "SCHEMA public": ("-- owner: me\n\nCREATE SCHEMA public;",),
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (entry("t", owner="me"), entry("t", owner="you")),
        ("SET default_tablespace = fast;\n" + entry("t"), entry("t")),
        (
            "SET default_table_access_method = columnar;\n" + entry("t"),
            "SET default_table_access_method = heap;\n" + entry("t"),
        ),
        (entry("t", text="CREATE TABLE t (a int);"), entry("t", text="CREATE TABLE t (a  int);")),
        (entry("f", "FUNCTION", "AS '\nx'"), entry("f", "FUNCTION", "AS '\n\nx'")),
    ],
)
def test_differences_that_count(one: str, other: str) -> None:
    assert len(compare_entries(collect(one), collect(other)).changed) == 1


def test_a_tablespace_ends_where_another_begins() -> None:
    found = collect("SET default_tablespace = fast;\n", entry("a"), "SET default_tablespace = '';\n", entry("b"))
    assert "tablespace: fast" in found["TABLE public a"][0]
    assert "tablespace" not in found["TABLE public b"][0]
    # What has no storage is not said to be anywhere.
    view = collect("SET default_tablespace = fast;\n", entry("v", "VIEW"))
    assert "fast" not in view["VIEW public v"][0]


def test_a_header_within_a_body_is_no_header() -> None:
    collector = EntryCollector()
    lines = entry("f", "FUNCTION", "CREATE FUNCTION f() AS $$").splitlines(keepends=True)
    for line in lines:
        collector.line(line.encode(), True)
    collector.line(b"-- Name: t; Type: TABLE; Schema: public; Owner: me\n", False)
    collector.line(b"$$;\n", False)
    (text,) = collector.entries()["FUNCTION public f"]
    assert "-- Name: t; Type: TABLE" in text


def test_entries_of_one_name() -> None:
    """Operators and aggregates may share one; every text counts."""
    one, other, third = (entry("f", "FUNCTION", f"AS {number}") for number in range(3))
    comparison = compare_entries(collect(one, other, other), collect(other, third, one))
    assert [(change.archive[-1], change.restored[-1]) for change in comparison.changed] == [("1", "2")]
    assert (comparison.entries, comparison.equal) == (3, 2)
    assert compare_entries(collect(one, one), collect(one)).missing == ("FUNCTION public f",)


def test_large_objects_one_by_one() -> None:
    """Which of them share an entry goes by their privileges, which a restore may leave out."""

    def made(*numbers: int) -> str:
        text = "".join(
            f"SELECT pg_catalog.lo_create('{number}');\nALTER LARGE OBJECT {number} OWNER TO me;\n\n"
            for number in numbers
        )
        return entry(f"{numbers[0]}..{numbers[-1]}", "BLOB METADATA", text, schema="-")

    together, apart = collect(made(1, 2, 30)), collect(made(1, 2), made(30))
    assert compare_entries(together, apart).problems == []
    assert set(together) == {"BLOB 1", "BLOB 2", "BLOB 30"}
    assert compare_entries(together, collect(made(1, 2))).missing == ("BLOB 30",)


def test_rewritten_is_what_another_restore_spells_the_same() -> None:
    changed = (Difference("CHECK a", "IN", "= ANY"), Difference("VIEW b", "x", "damaged"))
    comparison = SchemaComparison(5, 3, changed=changed)
    told = tell_rewritten(comparison, {"CHECK a": ("= ANY",), "VIEW b": ("y",)})
    assert told.rewritten == (changed[0],)
    assert told.changed == (changed[1],)
    assert told.problems == ["VIEW b is defined differently in the restored database"]
    assert tell_rewritten(comparison, {}) is comparison


@pytest.mark.parametrize("key", ["ACL public TABLE t", "COMMENT public TABLE t", "BLOB 5", "SEQUENCE public s"])
def test_what_the_server_never_rewrites(key: str) -> None:
    """A loss that every restore repeats is a loss."""
    comparison = SchemaComparison(1, 0, changed=(Difference(key, "GRANT a, b", "GRANT a"),))
    assert tell_rewritten(comparison, {key: ("GRANT a",)}).problems


def test_large_objects_of_an_older_client() -> None:
    """It leaves another number of blank lines."""
    texts = ("SELECT pg_catalog.lo_create('5');\n\n\n", "\nSELECT pg_catalog.lo_create('5');\n")
    one, other = (collect(entry("5", "BLOB", text, schema="-")) for text in texts)
    assert compare_entries(one, other).problems == []


def test_bytes_that_are_no_utf8() -> None:
    collector = EntryCollector()
    collector.line(b"-- Name: gr\xfc\xdf; Type: TABLE; Schema: public; Owner: me\n", True)
    collector.line(b"CREATE TABLE gr\xfc\xdf;\n", True)
    assert set(collector.entries()) == {"TABLE public gr\\xfc\\xdf"}


@pytest.mark.parametrize("kind", ["USER MAPPING", "SERVER", "SUBSCRIPTION"])
def test_what_may_hold_a_password_is_compared_and_not_shown(kind: str) -> None:
    def entry(password: str) -> Entries:
        collector = EntryCollector()
        for line in (
            f"-- Name: x; Type: {kind}; Schema: -; Owner: app\n",
            f"CREATE {kind} x OPTIONS (password '{password}');\n",
        ):
            collector.line(line.encode(), True)
        return collector.entries()

    assert compare_entries(entry("top secret"), entry("top secret")).problems == []
    (change,) = compare_entries(entry("top secret"), entry("another")).changed
    assert "secret" not in change.archive
    assert "another" not in change.restored
    assert "may hold a password" in change.archive
