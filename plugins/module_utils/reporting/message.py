# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text of a chat message about a list of reports: failures first, in pieces a messenger accepts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from ..system.units import human_duration, human_size
from .report import FAILURES, LEVELS, Report

# Bot API, sendMessage: "1-4096 characters after entities parsing", counted in UTF-16 units.
MESSAGE_UNITS = 4096
# Telegram ignores formatting from the hundredth entity of a message on.
MESSAGE_ENTITIES = 100
# One line (a fact, a reason, a remedy) is shortened to this many UTF-16 units, and to the second number when
# the reports would otherwise need more than MAX_MESSAGES messages.
LINE_UNITS = 800
BRIEF_LINE_UNITS = 200
# A group takes 20 messages a minute; other hosts report at the same hour.
MAX_MESSAGES = 4

SIGNS = {"info": "🟢", "warning": "🟡", "error": "🔴", "fatal": "🔴"}


class Line(NamedTuple):
    """One line of a message, wholly bold or not, so that a message can be split between any two."""

    text: str
    bold: bool = False


Block = Sequence[Line]


class Message(NamedTuple):
    """One message in both forms: Telegram's HTML, and what a reader sees of it."""

    html: str
    plain: str


def compose(reports: Sequence[Report], host: str) -> tuple[Message, ...]:
    """The messages for these reports, failures first; none for no report.

    One message where it fits, at most MAX_MESSAGES otherwise: then facts give way to titles, and in the end
    the rest is counted.
    """
    if not reports:
        return ()
    ordered = sorted(reports, key=lambda report: (-LEVELS.index(report.level), report.job, report.subject))
    headline = "%s on %s" % (", ".join(sorted({report.job for report in ordered})), host)
    heading = _line("%s: %s" % (headline, _summary(ordered)), BRIEF_LINE_UNITS, bold=True)
    continued = _line(headline + ", continued", BRIEF_LINE_UNITS, bold=True)
    messages = split([_full_block(report, ordered) for report in ordered], heading, continued)
    if len(messages) > MAX_MESSAGES:
        messages = _brief_messages([_brief_block(report, ordered) for report in ordered], heading, continued)
    return tuple(messages)


def split(blocks: Sequence[Block], heading: Line, continued: Line) -> list[Message]:
    """Pack blocks of lines into messages, between blocks where possible, always between lines."""
    messages: list[list[Line]] = [[heading]]
    for block in blocks:
        if not _fits([*messages[-1], *block]) and _fits([continued, *block]):
            messages.append([continued])
        for line in block:
            if not _fits([*messages[-1], line]):
                messages.append([continued])
            messages[-1].append(line)
    return [Message("\n".join(map(_html, lines)), _plain(lines)) for lines in messages]


def units(text: str) -> int:
    """The length of a text in UTF-16 units, as Telegram counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def shorten(text: str, limit: int) -> str:
    """The text in at most ``limit`` UTF-16 units, with an ellipsis where something was cut off."""
    if units(text) <= limit:
        return text
    kept = text[: limit - 1]
    while units(kept) > limit - 1:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def _brief_messages(blocks: list[Block], heading: Line, continued: Line) -> list[Message]:
    messages = split(blocks, heading, continued)
    # Blocks of one line each, and one line of heading: what is beyond the last message is left out, and as much
    # as the line that says so needs.
    lines = sum(message.plain.count("\n") for message in messages[:MAX_MESSAGES])
    left_out = len(blocks) - lines
    while len(messages) > MAX_MESSAGES:
        left_out += 1
        rest = _line("… and %d more; the status file on the host names them" % left_out, LINE_UNITS)
        messages = split([*blocks[:-left_out], [rest]], heading, continued)
    return messages


def _summary(reports: Sequence[Report]) -> str:
    failed = sum(report.failed for report in reports)
    warnings = sum(report.level == "warning" for report in reports)
    counts = ((failed, "failed"), (warnings, "with a warning"), (len(reports) - failed - warnings, "ok"))
    return ", ".join("%d %s" % (count, word) for count, word in counts if count)


def _title(report: Report, reports: Sequence[Report]) -> str:
    severity = report.level.upper() + " " if report.level in FAILURES else ""
    several_jobs = len({other.job for other in reports}) > 1
    subject = "%s %s" % (report.job, report.subject) if several_jobs else report.subject
    return "%s %s%s: %s" % (SIGNS[report.level], severity, subject, report.title)


def _numbers(report: Report) -> str:
    # What a person looks for in a row of successes: a size that is not like the others, a duration that grows.
    sizes = [human_size(number) for key, number in report.measurements.items() if key.endswith("_bytes")]
    durations = [human_duration(report.duration)] if report.duration is not None else []
    numbers = sizes[:1] + durations
    return " (%s)" % ", ".join(numbers) if numbers else ""


def _full_block(report: Report, reports: Sequence[Report]) -> Block:
    # A success among others is one line: a host with forty sources must not bury its one failure.
    if report.level == "info" and len(reports) > 1:
        return [_line(_title(report, reports) + _numbers(report), LINE_UNITS)]
    lines = [_line(_title(report, reports) + ("" if report.facts else _numbers(report)), LINE_UNITS, bold=True)]
    lines.extend(_line("%s: %s" % fact, LINE_UNITS) for fact in report.facts)
    if report.remedy:
        lines.append(_line("Next: " + report.remedy, LINE_UNITS))
    return lines


def _brief_block(report: Report, reports: Sequence[Report]) -> Block:
    return [_line(_title(report, reports), BRIEF_LINE_UNITS)]


def _line(text: str, limit: int, bold: bool = False) -> Line:
    # One line stays one line, and holds nothing that UTF-8 or a terminal would choke on.
    clean = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return Line(shorten(clean, limit), bold)


def _html(line: Line) -> str:
    text = escape(line.text, quote=False)
    return "<b>%s</b>" % text if line.bold else text


def _plain(lines: Iterable[Line]) -> str:
    return "\n".join(line.text for line in lines)


def _fits(lines: Sequence[Line]) -> bool:
    return units(_plain(lines)) <= MESSAGE_UNITS and sum(line.bold for line in lines) < MESSAGE_ENTITIES
