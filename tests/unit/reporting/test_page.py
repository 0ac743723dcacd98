# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The building blocks of a page: everything is escaped, everything is closed, nothing is fetched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.reporting import charts, page
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.page import Html
from tests.support.read_page import Reader, read_page

WORDS = {"good": "proven", "bad": "suspect", "unsure": "not judged"}
HISTORY = [
    charts.Point("2026-11-20", 12.0, "good", "1.1 GB, proven"),
    charts.Point("2026-11-21", 0.0, "bad", "1.1 GB, suspect"),
    charts.Point("2026-11-22", 90.0, "unsure", "1.1 GB, not judged"),
]


def piece(markup: str) -> Reader:
    """A part of a page, read in a page."""
    return read_page(page.document("a page", Html(markup)))


def everything(name: str) -> str:
    """A page of every block, with this name wherever one may be."""
    return page.document(
        name,
        page.section(name, name),
        page.paragraph(name),
        page.facts([(name, name)]),
        page.items([name]),
        page.verdict("good", name, name, name),
        page.table(name, [name, name], [[name, page.code(name)]], numeric=[1]),
        page.side_by_side(name, name, name, name),
        page.source_text(name),
        page.moment(name),
        charts.timeline(name, [(name, 1.0)]),
        charts.history(name, [charts.Point(name, 1.0, "good", name)], None, {"good": name}),
    )


@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=40))
def test_whatever_a_name_holds_the_page_stays_whole(name: str) -> None:
    """As many elements as for a name of one letter: none comes from the name."""
    plain = read_page(everything("x"))
    assert [tag for tag, _given in read_page(everything(name)).elements] == [tag for tag, _given in plain.elements]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("a & b; &amp;", "a & b; &amp;"),
        ("\"quoted\" 'twice'", "\"quoted\" 'twice'"),
        ("bell\x07 nul\x00", "bell\\x07 nul\\x00"),
        ("overridden \u202etxt.exe", "overridden \\u202etxt.exe"),
        ("not UTF-8: \udce9", "not UTF-8: \\udce9"),
        ("Grüße, 数据, \U0001f600", "Grüße, 数据, \U0001f600"),
        ("two\nlines\tapart", "two\\nlines\\tapart"),
    ],
)
def test_a_name_is_shown_as_it_is_or_spelled_out(raw: str, shown: str) -> None:
    assert piece(page.element("b", page.name(raw))).text.strip().removeprefix("a page").strip() == shown
    assert page.element("b", title=raw).count('"') == 2


def test_lines_of_a_definition_stay_lines() -> None:
    assert "one\n\ttwo" in piece(page.source_text("one\n\ttwo")).text


def test_the_policy_lets_nothing_in() -> None:
    policies = [given["content"] for given in piece("").named("meta") if "http-equiv" in given]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]


def test_a_judgement_is_told_without_colours() -> None:
    shapes = [piece(page.marked(tone, "held")).named("path")[0]["d"] for tone in page.TONES]
    assert len(set(shapes)) == 3
    assert "held" in piece(page.marked("good", "held")).text


def test_a_table_is_one_for_those_who_hear_it() -> None:
    reader = piece(page.table("People", ["Name", "Age"], [["Ann", "40"], ["Bo", "7"]], numeric=[1]))
    assert [given["scope"] for given in reader.named("th")] == ["col", "col", "row", "row"]
    assert len(reader.named("caption")) == 1
    (region,) = (given for given in reader.named("div") if given.get("role") == "region")
    assert (region["tabindex"], region["aria-label"]) == ("0", "People")


def test_a_section_without_content_has_no_heading() -> None:
    assert page.section("Nothing", "", Html("")) == ""
    assert "Something" in page.section("Something", "", "x")


def test_what_differs_is_marked_in_both_texts() -> None:
    shown = page.side_by_side("old", "USING (company = 1)", "new", "USING (true)")
    assert "USING (<del>company = 1</del>)" in shown
    assert "USING (<ins>true</ins>)" in shown
    same = page.side_by_side("old", "as it was", "new", "as it was")
    assert "<del>" not in same
    assert same.count("as it was") == 2


def test_of_long_texts_the_part_that_differs_is_shown() -> None:
    lines = ["line %d" % number for number in range(1000)]
    text = piece(page.side_by_side("old", "\n".join(lines), "new", "\n".join(lines).replace("line 500\n", ""))).text
    assert "(497 equal lines)\nline 497\nline 498\nline 499\nline 500\nline 501" in text
    assert "line 503\n(496 equal lines)" in text
    assert "line 496" not in text
    endless = piece(page.side_by_side("old", "x" * 5000, "new", "y" * 5000)).text
    assert endless.count("(1000 more characters)") == 2


@pytest.mark.parametrize(("before", "after"), [("", "x"), ("x", ""), ("a\nb", "a\nb\nc"), ("c\na", "a"), ("a\na", "a")])
def test_texts_of_different_length(before: str, after: str) -> None:
    shown = page.side_by_side("old", before, "new", after)
    assert ("<del>" in shown) == (len(before) > len(after))
    assert ("<ins>" in shown) == (len(after) > len(before))


def test_times_are_for_people_and_for_machines() -> None:
    assert page.moment("2026-02-01T03:04:05Z") == (
        '<time datetime="2026-02-01T03:04:05Z">1\u00a0February 2026, 03:04\u00a0UTC</time>'
    )
    assert ">31\u00a0December 2026, 23:59\u00a0UTC<" in page.moment("2026-12-31T23:59:59.987654Z")
    assert page.moment("some <day>") == "some &lt;day&gt;"
    assert page.count(1, "entry", "entries") == "1\u00a0entry"
    assert page.count(1647, "row") == "1,647\u00a0rows"


def test_each_bar_begins_where_the_one_before_it_ended() -> None:
    reader = piece(
        charts.timeline("Where the time went", [("read", 1.0), ("restore", 3.0), ("compare", 4.0), ("nothing", 0.0)])
    )
    places = [(float(bar["x"].rstrip("%")), float(bar["width"].rstrip("%"))) for bar in reader.named("rect")]
    assert places[:3] == [(0, 12.5), (12.5, 37.5), (50, 50)]
    # Too short to be seen is drawn all the same, and within the chart.
    assert places[3][1] > 0
    assert sum(places[3]) <= 100
    assert "50\u00a0%" in reader.text
    assert "3.0 s" in reader.text


def test_no_time_at_all_has_no_shares() -> None:
    assert "%" not in piece(charts.timeline("Where the time went", [("read", 0.0)])).text


def marks(reader: Reader) -> list[tuple[float, float]]:
    """Place of each run in the chart: across in percent, down in pixels."""
    nested = [given for given in reader.named("svg") if "%" in given.get("x", "")]
    return [(float(given["x"].rstrip("%")), float(given["y"])) for given in nested]


def test_the_history_is_drawn_to_scale_with_its_target() -> None:
    reader = piece(charts.history("How long", HISTORY, 1800, WORDS))
    places = marks(reader)
    assert [across for across, _down in places] == sorted({across for across, _down in places})
    first, second, third = (down for _across, down in places)
    assert third < first < second
    (target,) = (float(given["y1"]) for given in reader.named("line") if given["class"] == "target")
    assert target < third
    assert "target 30 min" in reader.text
    assert "3 from 0 s to 1 min 30 s, the last 1 min 30 s; target 30 min" in reader.text
    for words in (*WORDS.values(), "2026-11-20", "2026-11-22", "2026-11-21: 0 s, 1.1 GB, suspect"):
        assert words in reader.text
    (chart,) = (given for given in reader.named("svg") if given.get("role") == "img")
    assert all(0 <= down <= float(chart["height"]) for down in (first, second, third, target))


def test_a_history_of_one_and_of_none() -> None:
    reader = piece(charts.history("How long", HISTORY[:1], None, WORDS))
    assert len(marks(reader)) == 1
    assert "target" not in reader.text
    assert [given for given in reader.named("line") if given["class"] == "path"] == []
    assert charts.history("How long", [], 1800, WORDS) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1800, "30 min"), (7200, "2 h"), (86400, "1 d"), (10, "10 s"), (0.5, "500 ms"), (90, "1 min 30 s")],
)
def test_round_durations_have_one_unit(seconds: float, words: str) -> None:
    assert charts.round_duration(seconds) == words
