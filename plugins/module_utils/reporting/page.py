# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Building blocks of a page: one HTML file that needs nothing else, neither the network nor a script.

Text and markup are different types: what is not ``Html`` is escaped wherever it is put in, so a name from a
database can say what it likes. Charts are in charts.py, the look in page_style.py.
"""

from __future__ import annotations

import datetime
import difflib
import html
import re
from collections.abc import Iterable, Sequence
from typing import Union

from .page_style import STYLE

# Nothing may be loaded or run, whatever gets into the page; only its own style sheet counts.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

# The word and mark that go with a colour, so that nobody needs to see the colour.
TONES = ("good", "bad", "unsure")
_MARKS = {
    "good": "M5 10.5l3.5 3.5L15 7",
    "bad": "M6 6l8 8M14 6l-8 8",
    "unsure": "M10 2.2a7.8 7.8 0 1 0 .1 0M10 6v4.6M10 13.8v.1",
}

# Characters that cannot be seen, or that change how others are shown: controls, bidirectional marks and
# overrides, separators, lone surrogates (bytes that were not UTF-8).
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_TOKENS = re.compile(r"\w+|\s+|[^\w\s]")

# Texts that are compared are shown from where they begin to differ, with so many lines around; the rest is cut.
CONTEXT_LINES = 3
LONGEST_TEXT = 4000
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class Html(str):
    """Markup, as against text that is still to be escaped."""


# Where a long name may go on in the next line.
MAY_BREAK = Html("<wbr>")


Content = Union[str, Html]


def text(value: object) -> Html:
    """Any value as text of a page; what cannot be seen is spelled out, as the backslash escape of a string."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(_UNSEEN.sub(_spell_out, str(value))))


def name(value: object) -> Html:
    """A name from a database: as ``text``, with line breaks and tabs spelled out too."""
    return text(str(value).replace("\n", "\\n").replace("\t", "\\t"))


def _spell_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    return "\\x%02x" % code if code < 0x100 else "\\u%04x" % code


def joined(*parts: Content) -> Html:
    """Parts one after the other."""
    return Html("".join(text(part) for part in parts))


def element(tag: str, *children: Content, **attributes: object) -> Html:
    """``<tag ...>children</tag>``.

    An attribute that is None is left out; ``class_`` is written as ``class``, ``aria_label`` as ``aria-label``.
    """
    written = "".join(
        ' %s="%s"' % (key.rstrip("_").replace("_", "-"), text(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{written}>{joined(*children)}</{tag}>")


def document(title: str, *body: Content) -> str:
    """The whole page."""
    head = joined(
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{text(POLICY)}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        Html('<meta name="robots" content="noindex">'),
        element("title", title),
        element("style", Html(STYLE)),
    )
    page = element("html", "\n", element("head", head), "\n", element("body", *body), "\n", lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def section(heading: Content, *content: Content) -> Html:
    """A part of the page under its heading; nothing if it has no content."""
    if not any(content):
        return Html("")
    return element("section", element("h2", heading), *content)


def paragraph(*content: Content, class_: str | None = None) -> Html:
    """A paragraph."""
    return element("p", *content, class_=class_)


def marked(tone: str, words: Content) -> Html:
    """A judgement: a mark, its words, and the colour that goes with them."""
    shape = element("path", d=_MARKS[tone])
    icon = element("svg", shape, class_="mark", viewBox="0 0 20 20", width="20", height="20", aria_hidden="true")
    return element("span", icon, words, class_="tone " + tone)


def verdict(tone: str, word: str, *sentences: Content) -> Html:
    """What the page has to say, first and largest."""
    said = [paragraph(sentence) for sentence in sentences if sentence]
    return element("div", paragraph(marked(tone, word), class_="verdict-word"), *said, class_=f"verdict {tone}")


def facts(pairs: Iterable[tuple[str, Content | None]]) -> Html:
    """Labels and short values, several to a line; a value that is None is left out."""
    return _facts(pairs, None)


def long_facts(pairs: Iterable[tuple[str, Content | None]]) -> Html:
    """Labels and values that want a line of their own: paths, digests."""
    return _facts(pairs, "long")


def _facts(pairs: Iterable[tuple[str, Content | None]], class_: str | None) -> Html:
    groups = [element("div", element("dt", label), element("dd", value)) for label, value in pairs if value is not None]
    return element("dl", *groups, class_=class_) if groups else Html("")


def items(entries: Iterable[Content], class_: str | None = None) -> Html:
    """A list; nothing for no entries."""
    written = [element("li", entry) for entry in entries]
    return element("ul", *written, class_=class_) if written else Html("")


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[Content]], *, numeric: Sequence[int] = ()
) -> Html:
    """A table whose first column names the row; ``numeric`` are the columns (from 0) set flush right.

    Wider than the screen, it scrolls by itself, with the keyboard too.
    """
    classes = ["n" if index in numeric else None for index in range(len(columns))]
    head = [element("th", column, scope="col", class_=class_) for column, class_ in zip(columns, classes)]
    body = [element("tr", *_cells(row, classes), "\n") for row in rows]
    written = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head)),
        element("tbody", *body),
    )
    return element("div", written, class_="scroll", role="region", aria_label=caption, tabindex="0")


def _cells(row: Sequence[Content], classes: Sequence[str | None]) -> Iterable[Html]:
    for index, (cell, class_) in enumerate(zip(row, classes)):
        if index == 0:
            yield element("th", cell, scope="row")
        else:
            yield element("td", cell, class_=class_)


def code(value: object) -> Html:
    """A name, path or digest as it would be typed."""
    return element("code", name(value))


def source_text(value: object) -> Html:
    """Lines of a program or a definition."""
    return element("pre", element("code", _shortened(str(value))))


def side_by_side(before_label: str, before: str, after_label: str, after: str) -> Html:
    """Two texts beside each other (one below the other on a phone), with what differs marked in both."""
    old_lines, new_lines = before.splitlines(), after.splitlines()
    start, end = _equal_lines(old_lines, new_lines)
    old, new = _differences(_excerpt(old_lines, start, end), _excerpt(new_lines, start, end))
    return element("div", _half(before_label, old), _half(after_label, new), class_="pair")


def _half(label: str, content: Html) -> Html:
    return element("figure", element("figcaption", label), element("pre", element("code", content)))


def _equal_lines(before: Sequence[str], after: Sequence[str]) -> tuple[int, int]:
    """How many lines are equal at the start and at the end, but for the context that is shown of them."""
    most = min(len(before), len(after))
    start = 0
    while start < most and before[start] == after[start]:
        start += 1
    end = 0
    while end < most - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return max(0, start - CONTEXT_LINES), max(0, end - CONTEXT_LINES)


def _excerpt(lines: Sequence[str], left_out_first: int, left_out_last: int) -> str:
    shown = list(lines[left_out_first : len(lines) - left_out_last])
    if left_out_first:
        shown.insert(0, "(%d equal lines)" % left_out_first)
    if left_out_last:
        shown.append("(%d equal lines)" % left_out_last)
    return _shortened("\n".join(shown))


def _shortened(content: str) -> str:
    if len(content) <= LONGEST_TEXT:
        return content
    return "%s\n(%d more characters)" % (content[:LONGEST_TEXT], len(content) - LONGEST_TEXT)


def _differences(before: str, after: str) -> tuple[Html, Html]:
    old, new = _TOKENS.findall(before), _TOKENS.findall(after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    left: list[Html] = []
    right: list[Html] = []
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        gone, come = "".join(old[old_start:old_end]), "".join(new[new_start:new_end])
        if kind == "equal":
            left.append(text(gone))
            right.append(text(come))
            continue
        left.extend([element("del", gone)] if gone else [])
        right.extend([element("ins", come)] if come else [])
    return joined(*left), joined(*right)


def moment(at: object) -> Html:
    """A time as ``2026-11-22T03:00:00Z`` for people: ``22 November 2026, 03:00 UTC``; anything else as it is."""
    try:
        when = datetime.datetime.strptime(re.sub(r"\.\d+", "", str(at)), "%Y-%m-%dT%H:%M:%SZ").replace(
            tzinfo=datetime.timezone.utc
        )
    except ValueError:
        return name(at)
    words = "%d\u00a0%s %d, %s\u00a0UTC" % (when.day, MONTHS[when.month - 1], when.year, when.strftime("%H:%M"))
    return element("time", words, datetime=at)


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 table``, ``1,647 tables``."""
    return "{:,}\u00a0{}".format(number, one if number == 1 else many or one + "s")
