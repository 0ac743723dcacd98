# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take secrets out of text and data before they leave the host.

Two nets, one behind the other: the secrets that are known (in every spelling they may have taken on the
way) and the shapes secrets have (a password in a URL, ``PGPASSWORD=...``, a bot token). Where in doubt too
much is taken out, never too little.
"""

from __future__ import annotations

import functools
import html
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

MASK = "***"

# A known secret this short occurs in ordinary words; it is masked only where it stands alone.
SHORT_SECRET = 4

# Names whose value is a secret, as the end of a longer name too: PGPASSWORD, AWS_SECRET_ACCESS_KEY.
_SENSITIVE = (
    r"(?:password|passwd|passphrase|passwort|pwd|secret|token|credentials?|dsn"
    r"|(?:api|access|private|secret|encryption|sentry|account)[_-]?key|authorization|cookie)"
)
_SECRET_KEY = re.compile(_SENSITIVE + r"\Z", re.IGNORECASE)

# Quoted values end at their quote, with the escapes of libpq, SQL and the shell; others at white space.
_ASSIGNED = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\.|[^\s\\]|\\)+"""
# The values of JSON, of JSON within JSON (its quotes escaped), and of Python's dicts.
_MEMBER = r"""(?:\\+".*?\\+"|[bru]?"(?:[^"\\]|\\.)*"|[bru]?'(?:[^'\\]|\\.)*'|[^\s,}\]]+)"""

# Each pattern marks its group `secret`.
_PATTERNS: tuple[re.Pattern[str], ...] = (
    # scheme://user:password@host, the password up to the last @ of the word: raw passwords may hold @ and /.
    re.compile(r"://[^\s:/@]*:(?P<secret>\S*)@"),
    # https://key@host: a Sentry DSN, or a token given as user name.
    re.compile(r"https?://(?P<secret>[^\s/@]+)@", re.IGNORECASE),
    # Telegram's /bot<id>:<token>/ and the bare token (an id, a colon and 35 characters).
    re.compile(r"/bot(?P<secret>\d+(?::|%3A)[^\s/?'\"<>]+)", re.IGNORECASE),
    re.compile(r"(?<![\w-])(?P<secret>\d{6,14}(?::|%3A)[\w-]{30,})", re.IGNORECASE),
    # name=value and name = value
    re.compile(_SENSITIVE + r"\s*=\s*(?P<secret>" + _ASSIGNED + ")", re.IGNORECASE | re.DOTALL),
    # "name": "value", as JSON and Python print it; the name at the start of a line, as YAML does.
    re.compile(_SENSITIVE + r"\\*[\"']\s*:\s*(?P<secret>" + _MEMBER + ")", re.IGNORECASE | re.DOTALL),
    re.compile(r"^[ \t-]*[\w.-]*" + _SENSITIVE + r"[ \t]*:[ \t]+(?P<secret>\S[^\r\n]*)", re.IGNORECASE | re.MULTILINE),
    # HTTP headers, whatever their scheme, and a bearer token anywhere.
    re.compile(
        r"(?:authorization|x-sentry-auth|x-api-key|set-cookie|cookie)[\"']?\s*[:=]\s*[\"']?(?P<secret>[^\"'\r\n]+)",
        re.IGNORECASE,
    ),
    re.compile(r"\bbearer\s+(?P<secret>[\w.~+/=-]{8,})", re.IGNORECASE),
    # Private keys: PEM and age.
    re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?P<secret>.*?)(?:-----END|\Z)", re.DOTALL),
    re.compile(r"(?P<secret>AGE-SECRET-KEY-[A-Z0-9-]+)", re.IGNORECASE),
)


# A percent-encoded byte, or any character.
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)


def redact_text(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` with every secret replaced by ``***``; ``secrets`` are the known ones."""
    return _mask_spans(text, _secret_spans(text, frozenset(secrets)))


def redact(value: Any, secrets: Iterable[str] = ()) -> Any:
    """A copy of nested dicts, lists and tuples with every secret in keys and values replaced by ``***``.

    A value whose key names a secret (``login_password``) is masked whole. Elsewhere booleans, None and
    numbers that are no known secret are kept; anything that is not plain data becomes its redacted text.
    """
    known = frozenset(secrets)
    if isinstance(value, str):
        return redact_text(value, known)
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"), known)
    if isinstance(value, Mapping):
        return {redact(key, known): _redact_named(key, item, known) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(redact(item, known) for item in value)
    if isinstance(value, (list, set, frozenset)):
        return [redact(item, known) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return MASK if len(str(value)) >= SHORT_SECRET and str(value) in known else value
    return redact_text(str(value), known)


def names_a_secret(key: object) -> bool:
    """Whether values under this name are secrets by their name alone."""
    return isinstance(key, str) and _SECRET_KEY.search(key) is not None


def find_secrets(value: Any) -> frozenset[str]:
    """The texts that stand, at any depth, under keys which name a secret."""
    return frozenset(_named_secrets(value, False))


def _named_secrets(value: Any, secret: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named_secrets(item, secret or names_a_secret(key))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _named_secrets(item, secret)
    elif secret and value is not None and not isinstance(value, bool):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        if text:
            yield text


def _redact_named(key: object, item: Any, secrets: frozenset[str]) -> Any:
    if names_a_secret(key) and item is not None and not isinstance(item, bool):
        return MASK
    return redact(item, secrets)


def _secret_spans(text: str, secrets: frozenset[str]) -> Iterator[tuple[int, int]]:
    # All spans are found in the original text and only then masked, so that what one rule takes out never
    # hides a secret from the next.
    for spelling in _known_spellings(secrets):
        yield from _occurrences(text, spelling)
    if "%" in text:
        yield from _percent_encoded(text, secrets)
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            yield match.span("secret")


def _occurrences(text: str, spelling: str) -> Iterator[tuple[int, int]]:
    start = text.find(spelling)
    while start >= 0:
        end = start + len(spelling)
        if len(spelling) >= SHORT_SECRET or _stands_alone(text, start, end):
            yield start, end
        # Overlapping occurrences count too.
        start = text.find(spelling, start + 1)


def _percent_encoded(text: str, secrets: frozenset[str]) -> Iterator[tuple[int, int]]:
    # Which characters a program encodes, and in which case it writes the digits, is its own affair. So the text
    # is decoded instead, with the place in the text that each byte came from.
    for space in ("+", " "):
        decoded = bytearray()
        places: list[tuple[int, int]] = []
        for match in _ENCODED.finditer(text):
            piece = match.group()
            plain = bytes.fromhex(piece[1:]) if len(piece) > 1 else piece.replace("+", space).encode("utf-8", "replace")
            decoded += plain
            places += [match.span()] * len(plain)
        for secret in secrets:
            wanted = secret.encode("utf-8", "replace")
            start = decoded.find(wanted) if secret.strip() else -1
            while start >= 0:
                span = places[start][0], places[start + len(wanted) - 1][1]
                # What is written plainly has been found already, and short secrets only where they stand alone.
                if text[slice(*span)] != secret:
                    yield span
                start = decoded.find(wanted, start + 1)


def _stands_alone(text: str, start: int, end: int) -> bool:
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())


def _mask_spans(text: str, spans: Iterable[tuple[int, int]]) -> str:
    pieces: list[str] = []
    position = masked_until = 0
    for start, end in sorted(spans):
        if start == end:
            continue
        if start > masked_until or not pieces:
            pieces.append(text[position:start])
            pieces.append(MASK)
        masked_until = position = max(masked_until, end)
    pieces.append(text[position:])
    return "".join(pieces)


@functools.lru_cache(maxsize=8)
def _known_spellings(secrets: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted({spelling for secret in secrets for spelling in spellings(secret)}))


def spellings(secret: str) -> frozenset[str]:
    """The forms a secret may have been written in on its way into a text, percent-encoding aside.

    None for a secret that is empty or white space.
    """
    if not secret.strip():
        return frozenset()
    escaped = secret.replace("\\", "\\\\")
    forms = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        html.escape(secret),
        html.escape(secret, quote=False),
        shlex.quote(secret),
        escaped.replace("'", "\\'"),  # a libpq connection string
        escaped.replace(":", "\\:"),  # a libpq password file
        secret.replace("'", "''"),  # an SQL literal
        quote_plus(secret, errors="replace"),  # a form: spaces as +
    }
    return frozenset(form for form in forms if form)
