# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Set and unset variables in the text of a ``.env`` file, so that Node's dotenv reads them back as they were given.

The grammar has no escape for a quote, and a quote in one line can swallow the next. So nothing is assumed: of the ways
a value can be written the first one is taken with which the whole text is read as it was, but for this one value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from ..system.env_file import ASSIGNMENT, BLANKS, assignments, parse_env, unify_line_ends
from ..system.errors import SettingsError

STAGE = "dotenv"
_NAME = re.compile(r"[\w.-]+", re.ASCII)
# What means nothing to dotenv, to a shell or to systemd.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
_LINE_ENDS = "\n\u2028\u2029"
_BYTE_ORDER_MARK = "\ufeff"


def edit_env_text(text: str, set_: Mapping[str, str], unset: Collection[str] = ()) -> str:
    """The text with these variables set and those removed; comments, order, quotes and line ends stay.

    Of a name that is given more than once every occurrence gets the value: dotenv goes by the last one, and whoever
    goes by the first must not see another. Raises SettingsError when dotenv could not read it back.
    """
    _check(set_, unset)
    for name in unset:
        text = _remove(text, name)
    for name, value in set_.items():
        text = _set(text, name, value)
    return text


def _check(set_: Mapping[str, str], unset: Collection[str]) -> None:
    for name in (*set_, *unset):
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"{name!r} is no name that dotenv reads",
                stage=STAGE,
                remedy="Use letters, digits, underscores, dots and hyphens.",
            )
    for name, value in set_.items():
        if "\0" in value:
            raise SettingsError(
                f"The value of {name} holds a NUL character, which no environment variable can",
                stage=STAGE,
                remedy="Give another value.",
            )
    both = sorted(set(set_) & set(unset))
    if both:
        raise SettingsError(
            "Both to be set and to be removed: {}".format(", ".join(both)), stage=STAGE, remedy="Leave out one of them."
        )


def _set(text: str, name: str, value: str) -> str:
    before = assignments(text)
    places = [number for number, (found, _value) in enumerate(before) if found == name]
    # From the end, so that the places of the others stay.
    for place in reversed(places):
        if before[place][1] != value:
            text = _replace(text, place, name, value)
    return text if places else _append(text, name, value)


def _replace(text: str, place: int, name: str, value: str) -> str:
    expected = assignments(text)
    expected[place] = (name, value)
    match = list(ASSIGNMENT.finditer(unify_line_ends(text)))[place]
    written = match["value"] or ""
    trimmed = written.strip(BLANKS)
    start = match.end("separator") + (len(written) - len(written.lstrip(BLANKS)) if trimmed else 0)
    origin = _origins(text)
    head, tail = text[: origin[start]], text[origin[start + len(trimmed)] :]
    old_quote = trimmed[:1] if trimmed[:1] in ("'", '"', "`") else ""
    for form in _forms(value, old_quote, _line_end(text)):
        edited = head + form + tail
        if assignments(edited) == expected:
            return edited
    raise _cannot(name, value)


def _append(text: str, name: str, value: str) -> str:
    expected = [*assignments(text), (name, value)]
    line_end = _line_end(text)
    ended = not text.strip(_BYTE_ORDER_MARK) or text.endswith(("\n", "\r"))
    head = text if ended else text + line_end
    for form in _forms(value, "", line_end):
        edited = f"{head}{name}={form}{line_end}"
        if assignments(edited) == expected:
            return edited
    raise _cannot(name, value)


def _remove(text: str, name: str) -> str:
    while True:
        before = assignments(text)
        place = next((number for number, (found, _value) in enumerate(before) if found == name), None)
        if place is None:
            return text
        text = _without_line(text, place)
        if assignments(text) != before[:place] + before[place + 1 :]:
            raise SettingsError(
                f"{name} cannot be removed: dotenv would then read other variables otherwise",
                stage=STAGE,
                remedy="Look at the quotes in the lines around it, and put them right by hand.",
            )


def _without_line(text: str, place: int) -> str:
    """The text without the line, or lines, of one assignment."""
    unified = unify_line_ends(text)
    match = list(ASSIGNMENT.finditer(unified))[place]
    # The match begins with blank lines before it, and ends in those after it: neither goes.
    before_name = match.group()[: match.start("name") - match.start()]
    start = match.start() + len(before_name) - len(before_name.lstrip(BLANKS))
    end = match.end("separator") + len(match["value"] or "")
    start = max(unified.rfind(character, 0, start) + 1 for character in _LINE_ENDS)
    start += unified.startswith(_BYTE_ORDER_MARK, start)
    ends = [unified.find(character, end) + 1 for character in _LINE_ENDS]
    end = min((found for found in ends if found), default=len(unified))
    origin = _origins(text)
    return text[: origin[start]] + text[origin[end] :]


def _origins(text: str) -> list[int]:
    """Where each character of the text with unified line ends, and its end, stands in the text itself."""
    places = [
        place for place, character in enumerate(text) if not (character == "\n" and text[place - 1 : place] == "\r")
    ]
    return [*places, len(text)]


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _forms(value: str, old_quote: str, line_end: str) -> Iterator[str]:
    """The ways to write a value, the one most like the old first, those that only dotenv reads last."""
    literal = value.replace("\n", line_end)
    inner = {"'": literal, '"': value.replace("\r", "\\r").replace("\n", "\\n"), "`": literal}
    if not old_quote and _PLAIN.fullmatch(value):
        yield value
    # One line where that is possible: not everything that reads such files knows values of several.
    quotes = old_quote + ("\"'`" if "\n" in value else "'\"`")
    forms = [(quote, quote + inner[quote] + quote) for quote in quotes]
    yield from (form for quote, form in forms if quote not in value)
    yield value
    # Of a bare value dotenv takes the outermost quotes away, whatever quotes it holds.
    yield from (form for quote, form in forms if quote in value)


def _cannot(name: str, value: str) -> SettingsError:
    """Why this value cannot be written, without a word of what it is."""
    if any(parse_env(f"X={form}") == {"X": value} for form in _forms(value, "", "\n")):
        return SettingsError(
            f"{name} cannot be set: with its value in place dotenv would read other variables otherwise",
            stage=STAGE,
            remedy="Look for a quote that is never closed in the lines before it, and put it right by hand.",
        )
    found = [what for what, character in _HARD if character in value]
    return SettingsError(
        "The value of {} cannot be written so that dotenv reads it: it has no escape for a quote, and this value "
        "holds {}".format(name, ", ".join(found)),
        stage=STAGE,
        remedy="Give a value without one of them.",
    )


_HARD = (
    ("a single quote", "'"),
    ("a double quote", '"'),
    ("a backtick", "`"),
    ("a number sign", "#"),
    ("a backslash", "\\"),
    ("a line break", "\n"),
    ("a carriage return", "\r"),
)
