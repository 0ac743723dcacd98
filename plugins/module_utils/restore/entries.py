# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The definitions in a script: one entry for every table, index, policy, default, trigger, grant, comment, ...

pg_dump and pg_restore write a header before each (``-- Name: ...; Type: ...; Schema: ...; Owner: ...``); what
follows up to the next one is the entry's text. Two scripts are compared entry by entry, so that the order of
entries, which the server's internal numbers decide, does not matter.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Entries = Mapping[str, tuple[str, ...]]

_HEADER = re.compile(rb"-- (Data for )?Name: (.*); Type: ([A-Z ]+); Schema: (.*?); Owner: (.*)\n", re.DOTALL)
# How the next tables are stored; written when it changes, so it belongs to what follows rather than to an entry.
_STORAGE = re.compile(rb"SET default_(tablespace|table_access_method) = (.*);\n")
_STORED = ("TABLE", "MATERIALIZED VIEW", "INDEX", "CONSTRAINT")
# Their content is compared as data, not as text.
_DATA = ("TABLE DATA", "SEQUENCE SET", "BLOBS", "LARGE OBJECTS", "STATISTICS DATA")
# What the server keeps as it was written: such a text never changes by itself.
_KEPT = ("COMMENT ", "SECURITY LABEL ", "BLOB ", "MATERIALIZED VIEW DATA ", "SEQUENCE ")
# The same, but they are written in relation to the owner, whom a restore may leave out.
_KEPT_WITH_OWNER = ("ACL ", "DEFAULT ACL ")
_LARGE_OBJECT = re.compile(rb"(?:lo_create\('|LARGE OBJECT )(\d+)")
# What may hold a password. Such a text is compared and never shown.
_SECRET = ("USER MAPPING ", "SERVER ", "SUBSCRIPTION ", "FOREIGN DATA WRAPPER ")
# Another one in every process, so that a fingerprint cannot be tried against likely passwords.
_SALT = os.urandom(32)
_UNSAID = (b"SET SESSION AUTHORIZATION", b"\\restrict ", b"\\unrestrict ", b"-- PostgreSQL database dump")


class EntryCollector:
    """Takes the lines outside the rows of a script (``ScriptReader``'s ``on_line``) and gives its entries."""

    def __init__(self) -> None:
        self._entries: dict[str, list[str]] = {}
        self._key: str | None = None
        self._text: list[bytes] = []
        self._storage = {"tablespace": b"''", "table_access_method": b"heap"}

    def line(self, line: bytes, begins_outside: bool) -> None:
        """Take the next line; ``begins_outside`` tells that no quote or comment is open at its beginning."""
        if not begins_outside:
            self._text.append(line)
            return
        if line == b"--\n" or line.startswith(_UNSAID):
            return
        storage = _STORAGE.fullmatch(line)
        if storage:
            self._storage[storage.group(1).decode("ascii")] = storage.group(2)
            return
        header = _HEADER.fullmatch(line)
        if header:
            self._close()
            self._open(header)
        elif self._key is not None:
            self._text.append(line)

    def entries(self) -> Entries:
        """Text of the entries by what they are; several of one name are in the order of their text."""
        self._close()
        return {key: tuple(sorted(texts)) for key, texts in self._entries.items()}

    def _open(self, header: re.Match[bytes]) -> None:
        data, name, kind, schema, owner = (part or b"" for part in header.groups())
        words = kind.decode("ascii")
        if data or words in _DATA:
            return
        place = [] if schema == b"-" else [_text(schema)]
        self._key = " ".join([words, *place, _text(name)])
        self._text = [b"-- owner: " + owner.partition(b"; Tablespace: ")[0] + b"\n"]
        if words in _STORED:
            for setting, value in sorted(self._storage.items()):
                if (setting, value) not in (("tablespace", b"''"), ("table_access_method", b"heap")):
                    self._text.append(b"-- %s: %s\n" % (setting.encode("ascii"), value))

    def _close(self) -> None:
        if self._key is not None:
            for key, lines in self._split(self._key, self._text):
                text = _text(b"".join(lines)).strip("\n")
                self._entries.setdefault(key, []).append(_fingerprint(text) if key.startswith(_SECRET) else text)
        self._key, self._text = None, []

    @staticmethod
    def _split(key: str, lines: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
        """The entry itself, or one for each large object: which of them share an entry goes by their privileges."""
        if key.startswith("BLOB ") and not key.startswith("BLOB METADATA "):
            # Between the versions of pg_dump only blank lines differ.
            yield key, [line for line in lines if line != b"\n"]
            return
        if not key.startswith("BLOB METADATA "):
            yield key, lines
            return
        objects: dict[str, list[bytes]] = {}
        for line in lines:
            found = _LARGE_OBJECT.search(line)
            if found:
                objects.setdefault(found.group(1).decode("ascii"), [lines[0]]).append(line)
        for number, own in objects.items():
            # As pg_dump called them before version 17.
            yield f"BLOB {number}", own


@dataclass(frozen=True)
class Difference:
    """One entry with its text in the archive and in the restored database."""

    entry: str
    archive: str
    restored: str


@dataclass(frozen=True)
class SchemaComparison:
    """What became of every entry. ``rewritten`` are those the server spells differently by itself."""

    entries: int = 0
    equal: int = 0
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    changed: tuple[Difference, ...] = ()
    rewritten: tuple[Difference, ...] = field(default=())

    @property
    def problems(self) -> list[str]:
        """What is not as backed up, an entry a line."""
        found = [f"{entry} is missing from the restored database" for entry in self.missing]
        found += [f"{entry} is in the restored database and not in the archive" for entry in self.unexpected]
        found += [f"{change.entry} is defined differently in the restored database" for change in self.changed]
        return found


def compare_entries(archive: Entries, restored: Entries) -> SchemaComparison:
    """Entry by entry; nothing is called rewritten yet."""
    missing, unexpected, changed = [], [], []
    equal = 0
    for key in sorted(set(archive) | set(restored)):
        there, here = archive.get(key, ()), restored.get(key, ())
        if there == here:
            equal += len(there)
            continue
        common = min(len(there), len(here))
        missing += [key] * (len(there) - common)
        unexpected += [key] * (len(here) - common)
        if common:
            left, right = _without_common(there, here)
            equal += len(there) - len(left)
            changed += [Difference(key, one, other) for one, other in zip(left, right)]
    return SchemaComparison(sum(map(len, archive.values())), equal, tuple(missing), tuple(unexpected), tuple(changed))


def tell_rewritten(comparison: SchemaComparison, again: Entries, owner: bool = True) -> SchemaComparison:
    """Call rewritten what differs in the same way after another, independent restore (``again``) of the archive.

    The server spells some definitions its own way (``CHECK (a IN (...))`` becomes ``= ANY (ARRAY[...])``), each
    time the same (privileges too, where the restore left the ``owner`` out). Whatever was lost or altered in one restored database differs from the other.
    """
    kept = _KEPT + _KEPT_WITH_OWNER if owner else _KEPT
    rewritten = [
        change
        for change in comparison.changed
        if change.restored in again.get(change.entry, ()) and not change.entry.startswith(kept)
    ]
    if not rewritten:
        return comparison
    left = tuple(change for change in comparison.changed if change not in rewritten)
    return SchemaComparison(
        comparison.entries, comparison.equal, comparison.missing, comparison.unexpected, left, tuple(rewritten)
    )


def _fingerprint(text: str) -> str:
    digest = hmac.new(_SALT, text.encode("utf-8"), "sha256").hexdigest()
    return f"not shown, since it may hold a password (fingerprint {digest[:16]})"


def _without_common(one: Sequence[str], other: Sequence[str]) -> tuple[list[str], list[str]]:
    left, right = list(one), list(other)
    for text in one:
        if text in right:
            left.remove(text)
            right.remove(text)
    return left, right


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
