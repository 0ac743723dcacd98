# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a drill's page that say what was compared and what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..reporting import page
from ..reporting.page import Content, Html, element, joined, paragraph
from ..system.units import human_size

# Good tables shown, the largest first. Those that are not equal are all shown.
MOST_GOOD_TABLES = 200
# Schema entries of one kind shown with their texts; the names of the others follow.
MOST_TEXTS = 50

# Outcomes of a table, worst first, with their tone and words.
OUTCOMES = {
    "missing": ("bad", "missing"),
    "changed": ("bad", "changed"),
    "unexpected": ("bad", "unexpected"),
    "reordered": ("good", "equal, in another order"),
    "equal": ("good", "equal"),
}
NO_FIGURE = "\u2013"


def sections(drill: Mapping[str, Any]) -> Iterator[Html]:
    """Each part under its heading; one that has nothing to say is left out."""
    if was_compared(drill):
        yield page.section("Tables", *_tables(drill.get("tables") or []))
        yield page.section("Schema", *_schema(drill.get("schema") or {}))
        yield page.section("Sequences and large objects", *_sequences_and_large_objects(drill))
    yield page.section("Checks of your own", _checks(drill.get("checks") or []))
    yield page.section("Self test", *_self_test(drill.get("self_test")))
    yield page.section("Not covered", *_not_covered(drill.get("not_covered") or []))


def was_compared(drill: Mapping[str, Any]) -> bool:
    """Whether the drill came as far as comparing; before that, figures of nothing are 0."""
    return bool(drill.get("tables") or (drill.get("schema") or {}).get("entries"))


def _tables(tables: Sequence[Mapping[str, Any]]) -> Iterator[Html]:
    if not tables:
        return
    bad = sorted((table for table in tables if _tone(table) == "bad"), key=_by_outcome)
    good = sorted((table for table in tables if _tone(table) == "good"), key=lambda table: -(table.get("bytes") or 0))
    shown = [*bad, *good[:MOST_GOOD_TABLES]]
    yield paragraph(_tables_in_words(len(tables), len(bad)))
    yield page.table(
        "Rows the archive was made from, and rows found after the restore",
        ("Table", "Outcome", "Expected", "Found", "Size"),
        [_table_row(table) for table in shown],
        numeric=(2, 3, 4),
    )
    hidden = len(tables) - len(shown)
    if hidden:
        yield paragraph(
            "{} that came back equal, the smaller ones, are not shown. The JSON has them all.".format(
                page.count(hidden, "more table")
            )
        )


def _tables_in_words(tables: int, bad: int) -> str:
    if not bad:
        return "{} came back with the same rows.".format(page.count(tables, "table"))
    return "{} of {} did not come back as they were; they stand first.".format(f"{bad:,}", page.count(tables, "table"))


def _tone(table: Mapping[str, Any]) -> str:
    return OUTCOMES.get(table["outcome"], ("bad", ""))[0]


def _by_outcome(table: Mapping[str, Any]) -> tuple[int, str, str]:
    order = list(OUTCOMES)
    place = order.index(table["outcome"]) if table["outcome"] in order else 0
    return place, str(table["schema"]), str(table["table"])


def _table_row(table: Mapping[str, Any]) -> tuple[Content, ...]:
    size = table.get("bytes")
    return (
        joined(page.name(table["schema"]), ".", page.MAY_BREAK, page.name(table["table"])),
        _outcome(table),
        _figure(table.get("rows_expected")),
        _figure(table.get("rows")),
        human_size(size) if size is not None else NO_FIGURE,
    )


def _figure(number: int | None) -> str:
    return NO_FIGURE if number is None else f"{number:,}"


def _outcome(table: Mapping[str, Any]) -> Content:
    tone, words = OUTCOMES.get(table["outcome"], ("bad", str(table["outcome"])))
    detail = page.text(": {}".format(table["detail"])) if table.get("detail") else ""
    # A column of marks beside the word "equal" would only be noise; a mark stands where something is wrong.
    return joined(page.marked("bad", words) if tone == "bad" else page.text(words), detail)


def _schema(schema: Mapping[str, Any]) -> Iterator[Html]:
    if not schema:
        return
    yield paragraph(
        "{} of {} came back with the same definition.".format(
            "{:,}".format(schema.get("equal") or 0), page.count(schema.get("entries") or 0, "entry", "entries")
        )
    )
    yield _names("Missing after the restore", "bad", schema.get("missing") or [])
    yield _names("There after the restore, but not in the archive", "bad", schema.get("unexpected") or [])
    yield _texts("Changed", "bad", schema.get("changed") or [])
    yield _texts("Written differently by the server, equal in meaning", "good", schema.get("rewritten") or [])


def _names(heading: str, tone: str, entries: Sequence[object]) -> Html:
    if not entries:
        return Html("")
    return joined(_heading(heading, tone, len(entries)), page.items(page.name(entry) for entry in entries))


def _texts(heading: str, tone: str, entries: Sequence[Mapping[str, Any]]) -> Html:
    if not entries:
        return Html("")
    compared = [
        joined(
            element("h4", page.name(entry["entry"])),
            page.side_by_side("In the archive", str(entry["archive"]), "After the restore", str(entry["restored"])),
        )
        for entry in entries[:MOST_TEXTS]
    ]
    rest = entries[MOST_TEXTS:]
    others = [paragraph("And, their texts in the JSON:"), page.items(page.name(entry["entry"]) for entry in rest)]
    return joined(_heading(heading, tone, len(entries)), *compared, *(others if rest else []))


def _heading(words: str, tone: str, number: int) -> Html:
    counted = f"{words} ({number:,})"
    return element("h3", page.marked("bad", counted) if tone == "bad" else counted)


def _sequences_and_large_objects(drill: Mapping[str, Any]) -> Iterator[Html]:
    sequences, objects = drill.get("sequences"), drill.get("large_objects")
    if sequences:
        counted = page.count(sequences["count"], "sequence")
        yield _judgement(sequences, "No sequences.", counted, "came back with its value")
    if objects:
        counted = "{} ({})".format(page.count(objects["count"], "large object"), human_size(objects["bytes"]))
        yield _judgement(objects, "No large objects.", counted, "came back byte for byte")


def _judgement(found: Mapping[str, Any], none: str, counted: str, well: str) -> Html:
    problems = found["problems"]
    if not problems:
        return paragraph(f"{counted}: each {well}." if found["count"] else none)
    marked = page.marked("bad", "{}: {}".format(counted, page.count(len(problems), "problem")))
    return joined(paragraph(marked), page.items(page.text(problem) for problem in problems))


def _checks(checks: Sequence[Mapping[str, Any]]) -> Html:
    rows = [
        (
            joined(page.name(check["name"]), page.source_text(check["query"]) if check.get("query") else ""),
            page.marked("good", "held") if check["held"] else _not_held(check),
            page.text(_value(check.get("expected"))),
            page.text(_value(check.get("actual"))),
        )
        for check in sorted(checks, key=lambda check: bool(check["held"]))
    ]
    return (
        page.table("Queries run on the restored database", ("Check", "Outcome", "Expected", "Found"), rows)
        if rows
        else Html("")
    )


def _not_held(check: Mapping[str, Any]) -> Html:
    problem = ": {}".format(check["problem"]) if check.get("problem") else ""
    return joined(page.marked("bad", "did not hold"), page.text(problem))


def _value(value: object) -> str:
    return NO_FIGURE if value is None else str(value)


def _self_test(tests: Sequence[Mapping[str, Any]] | None) -> Iterator[Html]:
    if not tests:
        return
    missed = sum(not test["caught"] for test in tests)
    yield paragraph(
        "The drill was repeated on damaged copies of the archive, to see that it notices. "
        + (
            "It noticed each."
            if not missed
            else "It did not notice {}.".format(page.count(missed, "damage", "damages"))
        )
    )
    rows = [
        (
            page.name(test["damage"]),
            page.marked("good", "noticed") if test["caught"] else page.marked("bad", "not noticed"),
            page.text(test.get("how") or ""),
        )
        for test in tests
    ]
    yield page.table("Planted damage", ("Damage", "Outcome", "How"), rows)


def _not_covered(entries: Sequence[Mapping[str, Any]]) -> Iterator[Html]:
    if not entries:
        return
    rows = [(page.text(entry["what"]), page.text(entry["why"])) for entry in entries]
    yield page.table("What this drill says nothing about, and why", ("What", "Why"), rows)
