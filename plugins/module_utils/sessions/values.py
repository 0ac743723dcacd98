# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values as one text each, whatever column they stood in, with bytes in the one spelling every Baileys reads.

The text is the one that ``jsonb`` has for a value: keys by length and then by their bytes, ``", "`` and ``": "`` between
them. A value out of a ``jsonb`` column is therefore in order already and is never parsed, which is what makes an export of
a hundred companies take seconds. Only bytes are looked for in it, by expressions that can match nothing else: in a
``jsonb`` text ``{"`` followed by a character that no punctuation allows can only be the beginning of an object.
"""

from __future__ import annotations

import json
import math
import re
from binascii import b2a_base64
from typing import Any

from ..system.errors import ResilienceError

# Bytes as JSON.stringify leaves a Buffer, and a Uint8Array. What else these match is sorted out afterwards.
_ARRAY = re.compile(r'\{"data": \[([0-9, ]*)\], "type": "Buffer"\}')
_INDEXED = re.compile(r'\{"0": [^{}\[\]]+\}')
# jsonb keeps 5.0 and 1.10 as they were written.
_FRACTION = re.compile(r"[0-9]\.[0-9]")
_SURROGATE = re.compile("[\ud800-\udfff]")

# A byte, as it is written in an array, and after its index.
_BYTES = {"%d" % number: number for number in range(256)}
_INDEXED_BYTES = {mark % number: number for number in range(256) for mark in (": %d, ", ": %d}")}
_INDEXES = ["%d" % number for number in range(2048)]


class BrokenValueError(ResilienceError):
    """A value is no JSON; says why without showing it."""


def normalise(text: str, *, jsonb: bool = False, double_stringified: bool = False) -> str:
    """The one text of a value; bytes in it as ``{"data": "<base64>", "type": "Buffer"}``.

    An object stands for bytes only if its keys are exactly 0 to n-1 and every value is a byte. ``jsonb`` says that the
    text is one of that type. With ``double_stringified`` a string that holds JSON text is taken for that. Normalising
    again changes nothing. Raises BrokenValueError.
    """
    if not jsonb or double_stringified or ("." in text and _FRACTION.search(text)):
        text = _in_order(text, double_stringified)
    if '"data": [' in text:
        text = _ARRAY.sub(_from_array, text)
    if '{"0": ' in text:
        text = _INDEXED.sub(_from_indexed, text)
    return text


def stringified(text: str) -> str:
    """A JSON string that holds this JSON text."""
    return json.dumps(text, ensure_ascii=False)


def buffer(data: bytes) -> str:
    """Bytes as Baileys' BufferJSON writes them."""
    return '{"data": "' + b2a_base64(data, newline=False).decode("ascii") + '", "type": "Buffer"}'


def _from_array(match: re.Match[str]) -> str:
    numbers = match[1]
    try:
        return buffer(bytes(map(_BYTES.__getitem__, numbers.split(", "))) if numbers else b"")
    except KeyError:
        return match[0]


def _from_indexed(match: re.Match[str]) -> str:
    # {, 0, ': 5, ', 1, ': 6}': every second part is a key.
    parts = match[0].split('"')
    if parts[1::2] != _indexes(len(parts) // 2):
        return match[0]
    try:
        return buffer(bytes(map(_INDEXED_BYTES.__getitem__, parts[2::2])))
    except KeyError:
        return match[0]


def _indexes(count: int) -> list[str]:
    return _INDEXES[:count] if count <= len(_INDEXES) else ["%d" % number for number in range(count)]


def _in_order(text: str, double_stringified: bool) -> str:
    try:
        value = _decode(text)
        if double_stringified and isinstance(value, str):
            value = _unwrapped(value)
        return _spell_surrogates(_encode(value))
    except RecursionError:
        raise BrokenValueError("is nested too deeply") from None
    except ValueError as error:
        # The message of the decoder names a place; the error itself would carry the value along.
        where = "at character %d" % error.pos if isinstance(error, json.JSONDecodeError) else str(error)
        raise BrokenValueError(f"is no JSON ({where})") from None


def _unwrapped(value: str) -> Any:
    """What the string holds; the string itself where that is no JSON or a number: it is an id then, written plainly."""
    try:
        inner = _decode(value)
    except ValueError:
        return value
    return inner if isinstance(inner, (dict, list, str)) else value


def _by_length(members: dict[str, Any]) -> dict[str, Any]:
    if len(members) < 2:
        return members
    return {name: members[name] for name in sorted(members, key=_rank)}


def _rank(name: str) -> tuple[int, bytes]:
    encoded = name.encode("utf-8", "surrogatepass")
    return len(encoded), encoded


def _number(text: str) -> float | int:
    """As JavaScript reads and writes it: 5.0 is 5."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return int(number) if number.is_integer() else number


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _spell_surrogates(text: str) -> str:
    """Half a character of UTF-16, which JavaScript may leave behind, has no UTF-8."""
    return _SURROGATE.sub(lambda half: "\\u%04x" % ord(half[0]), text)


_decode = json.JSONDecoder(object_hook=_by_length, parse_float=_number, parse_constant=_refuse).decode
_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
