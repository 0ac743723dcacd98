# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the SQL script that pg_dump and pg_restore write, and measure the data in it.

A script is read once, in pieces of any size, in bounded memory. The rows of a ``COPY`` block are counted
by their line ends and hashed as they stand, so that a table's digest is simply

    psql -c 'COPY schema.table (columns) TO STDOUT' | sha256sum

in the same row order. Everything outside the blocks passes line by line through a small lexer that knows
quotes, dollar quotes and comments: a line ``COPY ...`` within a function's body is no block.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections.abc import Collection
from typing import Callable

from ..system.errors import ArchiveError
from .contents import Block, Contents, TableName, UnorderedBlock

# What is hashed, searched and counted in one go: small enough for a processor's cache.
PIECE_BYTES = 1 << 18

_LAST_WORDS = b"-- PostgreSQL database dump complete\n"
_COPY_END = b"\n\\.\n"
_EMPTY_COPY_END = b"\\.\n"
_COPY_STATEMENT = re.compile(
    rb'COPY ((?:"(?:[^"]|"")+"|[^\s".(]+))\.((?:"(?:[^"]|"")+"|[^\s".(]+))[ ]+(?:(\(.*\)) )?FROM stdin;\n\Z', re.DOTALL
)
_SETVAL = re.compile(rb"SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?\d{1,19}), (true|false)\);\n\Z", re.DOTALL)
_ENCODING = re.compile(rb"SET client_encoding = '([A-Za-z0-9_]+)';\n\Z")
_LO_OPEN = re.compile(rb"SELECT pg_catalog\.lo_open\('(\d+)', \d+\);\n\Z")
_LO_WRITE = re.compile(rb"SELECT pg_catalog\.lowrite\(0, '\\x([0-9a-f]*)'\);\n\Z")
_MEASURED = (b"SELECT pg_catalog.setval(", b"SELECT pg_catalog.lo_open(", b"SELECT pg_catalog.lowrite(")
_DATA_STATEMENTS = (b"COPY ", b"SELECT pg_catalog.setval(")
# PostgreSQL's names of encodings are Python's, but for the Windows code pages and these. The last two Python
# cannot read: what is not ASCII in a name stays as it is.
_ENCODING_NAMES = {
    "sql_ascii": "utf-8",
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
    "euc_tw": "ascii",
    "mule_internal": "ascii",
}
# What opens something that may run over the end of the line, or hide such an opening.
# A word is taken whole, so that the dollars and the e within it open nothing.
_TOKEN = re.compile(
    rb"--[^\n]*|/\*|[eE]'|'|\"|\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$|[A-Za-z_\x80-\xff][\w$\x80-\xff]*"
)
_OPENING = {text: text.lower() for text in (b"'", b'"', b"e'", b"E'", b"/*")}
_CLOSING = {
    b"'": re.compile(rb"'"),
    b'"': re.compile(rb'"'),
    b"e'": re.compile(rb"\\.|'", re.DOTALL),
    b"/*": re.compile(rb"\*/"),
}


class ScriptReader:
    """Takes a script in pieces by ``feed`` and gives its ``Contents`` at the end by ``finish``.

    ``on_line`` is called with every line outside the rows, and whether it begins outside any quote or comment.
    ``unordered`` names tables whose digest is to be the same in any order of their rows.
    """

    def __init__(
        self,
        on_line: Callable[[bytes, bool], None] | None = None,
        unordered: Collection[TableName] = (),
    ) -> None:
        self._on_line = on_line
        self._unordered = frozenset(unordered)
        self._tables: dict[TableName, Block] = {}
        self._sequences: dict[str, tuple[int, bool]] = {}
        self._large_objects = 0
        self._large_object_bytes = 0
        self._large_objects_hash = hashlib.sha256()
        self._buffer = bytearray(2 * PIECE_BYTES)
        self._filled = 0  # bytes of the buffer in use
        self._consumed = 0  # how many of them are dealt with
        self._opened = b""  # the quote or comment that is open at the end of the last line
        self._statement = b""  # a statement about data whose quoted names run over a line end
        self._encoding = "utf-8"  # of the names; the script states the database's own
        self._copy: Block | None = None
        # Whether the script has come to the line with which pg_dump and pg_restore end one. All data may be there
        # without it, and the keys, indexes and policies that follow them may not.
        self.complete = False

    def feed(self, piece: bytes) -> None:
        """Read the next piece. Raises ArchiveError for what no PostgreSQL program writes."""
        self._make_room(len(piece))
        self._buffer[self._filled : self._filled + len(piece)] = piece
        self._filled += len(piece)
        self._consume()

    def feed_from(self, descriptor: int) -> bool:
        """Read the next piece from a descriptor, without copying it; False at the end of the data.

        Raises ArchiveError as ``feed`` does, and OSError.
        """
        self._make_room(PIECE_BYTES)
        with memoryview(self._buffer) as view:
            count = os.readv(descriptor, [view[self._filled :]])
        self._filled += count
        self._consume()
        return count > 0

    def _make_room(self, size: int) -> None:
        if len(self._buffer) - self._filled < size:
            self._buffer.extend(bytes(size))

    def _consume(self) -> None:
        position: int | None = 0
        with memoryview(self._buffer) as view:
            while position is not None:
                if self._copy is not None:
                    position = self._in_copy(self._copy, view, position)
                else:
                    position = self._outside(position)
        rest = self._filled - self._consumed
        if self._consumed:
            self._buffer[:rest] = self._buffer[self._consumed : self._filled]
            self._filled = rest

    @property
    def progress(self) -> tuple[int, int]:
        """Tables begun so far and bytes of rows read so far."""
        return len(self._tables), sum(block.bytes for block in self._tables.values())

    def columns(self) -> dict[TableName, bytes]:
        """The list of columns of every table's ``COPY``, as it stands there."""
        return {name: block.columns for name, block in self._tables.items()}

    def ordered_digests(self) -> dict[TableName, str]:
        """The digest of every table's rows in the order of the script, of ``unordered`` tables as well."""
        return {name: block.ordered() for name, block in self._tables.items()}

    def finish(self) -> Contents:
        """The contents, once everything was fed. Raises ArchiveError if the script ends within a block."""
        if self._copy is not None:
            raise ArchiveError("The data of table %s ends in the middle" % ".".join(self._copy.name), stage="verify")
        if self._filled or self._statement or self._opened:
            raise ArchiveError("The script ends in the middle of a statement", stage="verify")
        return Contents(
            tables=tuple(self._tables[name].content() for name in sorted(self._tables)),
            sequences=dict(sorted(self._sequences.items())),
            large_objects=self._large_objects,
            large_object_bytes=self._large_object_bytes,
            large_objects_digest=self._large_objects_hash.hexdigest() if self._large_objects else None,
        )

    # -- inside a COPY block: only its end is searched for; this is where all the bytes are

    def _in_copy(self, block: Block, view: memoryview, position: int) -> int | None:
        data, filled = self._buffer, self._filled
        if block.at_start and data.startswith(_EMPTY_COPY_END, position, filled):
            return self._end_copy(position + len(_EMPTY_COPY_END))
        end = data.find(_COPY_END, position, filled)
        if end >= 0:
            block.take(data, view, position, end + 1)
            return self._end_copy(end + len(_COPY_END))
        # The last bytes may begin the end marker: they wait for the next piece.
        safe = max(position, filled - (len(_COPY_END) - 1))
        block.take(data, view, position, safe)
        self._consumed = safe
        return None

    def _end_copy(self, position: int) -> int:
        self._copy = None
        return position

    # -- outside: line by line

    def _outside(self, position: int) -> int | None:
        end = self._buffer.find(b"\n", position, self._filled) + 1
        self._consumed = position
        if end == 0:
            return None
        line = bytes(self._buffer[position:end])
        if self._statement or (not self._opened and line.startswith(_DATA_STATEMENTS)):
            self._data_statement(self._statement + line)
        else:
            if self._on_line is not None:
                self._on_line(line, not self._opened)
            if not self._opened and line.startswith(b"SELECT pg_catalog."):
                self._function_call(line)
            elif not self._opened and line.startswith(b"SET client_encoding"):
                self._set_encoding(line)
            elif not self._opened and line == _LAST_WORDS:
                self.complete = True
            self._opened = _open_after(self._opened, line)
        return end

    def _data_statement(self, statement: bytes) -> None:
        if statement.startswith(b"COPY "):
            self._copy_statement(statement)
        elif statement.count(b"'") % 2:
            self._statement = statement
        else:
            self._statement = b""
            self._function_call(statement)

    def _copy_statement(self, statement: bytes) -> None:
        if statement.count(b'"') % 2 or not statement.endswith(b" FROM stdin;\n"):
            self._statement = statement
            return
        match = _COPY_STATEMENT.match(statement)
        if not match:
            raise _unreadable(statement)
        name = (self._text(_unquote(match.group(1))), self._text(_unquote(match.group(2))))
        self._statement = b""
        # A second block of a name continues the first: pg_dump loads some partitions through their root.
        if name not in self._tables:
            kind = UnorderedBlock if name in self._unordered else Block
            self._tables[name] = kind(name, match.group(3) or b"")
        self._copy = self._tables[name]
        self._copy.at_start = True

    def _function_call(self, line: bytes) -> None:
        written = _LO_WRITE.match(line)
        if written and len(written.group(1)) % 2 == 0:
            content = bytes.fromhex(written.group(1).decode("ascii"))
            self._large_objects_hash.update(content)
            self._large_object_bytes += len(content)
            return
        opened = _LO_OPEN.match(line)
        if opened:
            # The number and where its content begins are part of the digest: moved bytes must show.
            self._large_objects_hash.update(b"\n%s %d\n" % (opened.group(1), self._large_object_bytes))
            self._large_objects += 1
            return
        set_value = _SETVAL.match(line)
        if set_value:
            name = self._text(set_value.group(1)).replace("''", "'")
            self._sequences[name] = (int(set_value.group(2)), set_value.group(3) == b"true")
            return
        if line.startswith(_MEASURED):
            # Rather none than one of which a part was passed over. What is in it is nobody's business.
            raise _unreadable(line.partition(b"(")[0])

    def _set_encoding(self, line: bytes) -> None:
        match = _ENCODING.match(line)
        if not match:
            return
        name = match.group(1).decode("ascii").lower()
        name = _ENCODING_NAMES.get(name, name.replace("win", "cp"))
        try:
            self._encoding = codecs.lookup(name).name
        except LookupError as error:
            raise ArchiveError(f"Cannot read names in the encoding {name}", stage="verify") from error

    def _text(self, name: bytes) -> str:
        return name.decode(self._encoding, "surrogateescape")


def _unreadable(statement: bytes) -> ArchiveError:
    return ArchiveError(
        "Cannot read the statement {!r}".format(statement[:200].decode("utf-8", "replace")), stage="verify"
    )


def _open_after(opened: bytes, line: bytes) -> bytes:
    """What is still open at the end of ``line``, given what was open at its beginning."""
    position = 0
    while True:
        if opened:
            position = _close(opened, line, position)
            if position < 0:
                return opened
        token = _TOKEN.search(line, position)
        if not token:
            return b""
        position = token.end()
        text = token.group()
        opened = _OPENING.get(text, text if text.startswith(b"$") else b"")


def _close(opened: bytes, line: bytes, position: int) -> int:
    """Where in ``line`` that which is open ends; -1 if it does not."""
    if opened.startswith(b"$"):
        found = line.find(opened, position)
        return found + len(opened) if found >= 0 else -1
    for match in _CLOSING[opened].finditer(line, position):
        if not match.group().startswith(b"\\"):
            return match.end()
    return -1


def _unquote(name: bytes) -> bytes:
    return name[1:-1].replace(b'""', b'"') if name.startswith(b'"') else name
