# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chat messages: failures first, escaped, and never longer than Telegram takes."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.reporting import message
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.message import (
    MAX_MESSAGES,
    Line,
    compose,
    shorten,
    split,
)
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.report import Report
from tests.support.stub_servers import visible_text
from tests.unit.reporting.samples import REPORT, REPORTS

FAILURE = dataclasses.replace(
    REPORT,
    level="fatal",
    title="pg_dump 16 is older than the server 18",
    facts=(("Stage", "version"),),
    remedy="Install it.",
)
HEADING = Line("heading", bold=True)
CONTINUED = Line("continued", bold=True)


def named(report: Report, name: str) -> Report:
    return dataclasses.replace(report, subject=name)


def test_one_success_with_its_facts() -> None:
    (only,) = compose([REPORT], "db1")
    assert only.html == "<b>backup on db1: 1 ok</b>\n<b>🟢 app: backup made and verified</b>\nSize: 353.2 kB"
    assert only.plain == "backup on db1: 1 ok\n🟢 app: backup made and verified\nSize: 353.2 kB"


def test_one_failure_with_cause_and_remedy() -> None:
    (only,) = compose([FAILURE], "db1")
    assert only.plain.splitlines() == [
        "backup on db1: 1 failed",
        "🔴 FATAL app: pg_dump 16 is older than the server 18",
        "Stage: version",
        "Next: Install it.",
    ]


def test_forty_sources_are_one_message_with_the_failures_on_top() -> None:
    reports = [named(REPORT, "s%02d" % number) for number in range(38)]
    reports.insert(20, named(FAILURE, "broken"))
    reports.insert(30, dataclasses.replace(named(REPORT, "slow"), level="warning", title="above the size bound"))
    (only,) = compose(reports, "db1")
    lines = only.plain.splitlines()
    assert lines[0] == "backup on db1: 1 failed, 1 with a warning, 38 ok"
    assert lines[1].startswith("🔴 FATAL broken: ")
    assert "🟡 slow: above the size bound" in lines[4]
    assert lines[-38:] == ["🟢 s%02d: backup made and verified (353.2 kB, 1.1 s)" % number for number in range(38)]


def test_forty_failures_are_few_messages_and_each_source_is_named() -> None:
    long = dataclasses.replace(FAILURE, title="cause " * 50, facts=tuple(("Fact", "x" * 300) for _ in range(5)))
    messages = compose([named(long, "source-%02d" % number) for number in range(40)], "db1")
    assert 1 < len(messages) <= MAX_MESSAGES
    assert all(utf16(part.plain) <= 4096 for part in messages)
    together = "\n".join(part.plain for part in messages)
    assert all(together.count("source-%02d:" % number) == 1 for number in range(40))
    assert messages[1].plain.startswith("backup on db1, continued\n")


def test_what_does_not_fit_even_so_is_counted() -> None:
    long = dataclasses.replace(FAILURE, title="cause " * 50)
    messages = compose([named(long, "source-%03d" % number) for number in range(300)], "db1")
    assert len(messages) == MAX_MESSAGES
    named_sources = sum(part.plain.count("FATAL source-") for part in messages)
    assert (
        messages[-1].plain.splitlines()[-1]
        == f"… and {300 - named_sources} more; the status file on the host names them"
    )
    assert named_sources > 50


def test_several_jobs_are_told_apart() -> None:
    (only,) = compose([REPORT, dataclasses.replace(FAILURE, job="prune")], "db1")
    assert only.plain.splitlines()[0] == "backup, prune on db1: 1 failed, 1 ok"
    assert "FATAL prune app:" in only.plain
    assert "🟢 backup app:" in only.plain


def utf16(text: str) -> int:
    """The length as Telegram counts it, by other means than the code under test."""
    return sum(2 if ord(character) > 0xFFFF else 1 for character in text)


def test_a_source_is_not_torn_apart_where_a_new_message_holds_it_whole() -> None:
    block = [Line("a" * 300), Line("b" * 300)]
    messages = split([[Line("y" * 3600)], block], HEADING, CONTINUED)
    assert [part.plain[:10] for part in messages] == ["heading\nyy", "continued\n"]
    assert messages[1].plain == "continued\n" + "a" * 300 + "\n" + "b" * 300


def test_nothing_to_say() -> None:
    assert compose([], "db1") == ()


def test_html_is_escaped_and_lines_stay_lines() -> None:
    nasty = dataclasses.replace(FAILURE, title='<b>&amp; "x" </b>\nsecond\x00\ud800 line', remedy="a < b && c > d")
    (only,) = compose([nasty], "<db1>")
    assert visible_text(only.html) == only.plain
    assert '🔴 FATAL app: <b>&amp; "x" </b> second line' in only.plain
    assert "&lt;b&gt;&amp;amp;" in only.html


@pytest.mark.parametrize("character", ["x", "é", "€", "😀", "&"])
@pytest.mark.parametrize("surplus", [0, 1, 2])
def test_a_message_is_split_at_exactly_4096_utf16_units(character: str, surplus: int) -> None:
    # heading + line feed + two blocks and the line feed between them: 4,096 units for a surplus of 0.
    room = 4096 - len("heading\n") - len("\n") - 600 + surplus
    width = utf16(character)
    filler = character * (room // width) + "." * (room % width)
    blocks = [[Line("y" * 600)], [Line(filler)]]
    messages = split(blocks, HEADING, CONTINUED)
    if surplus == 0:
        assert [utf16(part.plain) for part in messages] == [4096]
    else:
        assert [part.plain for part in messages] == ["heading\n" + "y" * 600, "continued\n" + filler]
    assert all(visible_text(part.html) == part.plain for part in messages)


def test_a_block_larger_than_a_message_is_split_between_its_lines() -> None:
    block = [Line(f"line {number} " + "z" * 780) for number in range(12)]
    messages = split([[Line("first")], block], HEADING, CONTINUED)
    # It begins where it stands: a fresh message would not hold it either.
    assert messages[0].plain.splitlines()[:3] == ["heading", "first", block[0].text]
    lines = [line for part in messages for line in part.plain.splitlines() if line.startswith("line")]
    assert lines == [line.text for line in block]


def test_no_message_has_more_entities_than_telegram_heeds() -> None:
    messages = split([[Line("b", bold=True)] for _ in range(250)], HEADING, CONTINUED)
    assert [part.html.count("<b>") for part in messages] == [99, 99, 55]


@given(st.text(st.characters(codec="utf-8")), st.integers(1, 50))
def test_shortening_never_breaks_a_character(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert utf16(short) <= limit
    short.encode("utf-8")
    assert short == text if utf16(text) <= limit else short.endswith("…")
    assert text.startswith(short[:-1].rstrip())


@settings(max_examples=60)
@given(st.lists(REPORTS, min_size=1, max_size=30), st.text(min_size=1))
def test_any_reports_make_messages_telegram_takes(reports: list[Report], host: str) -> None:
    messages = compose(reports, host)
    assert 1 <= len(messages) <= MAX_MESSAGES
    for part in messages:
        assert visible_text(part.html) == part.plain
        assert 0 < utf16(part.plain) <= 4096
        part.html.encode("utf-8")
    told = [line for part in messages for line in part.plain.splitlines() if line[0] in "🔴🟡🟢"]
    assert len(told) >= len(reports) or len(messages) == message.MAX_MESSAGES
