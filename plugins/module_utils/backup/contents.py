# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in the ``COPY`` blocks of a script, counted and digested while it passes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

TableName = tuple[str, str]


@dataclass(frozen=True)
class TableContent:
    """What stands in one table's ``COPY`` block. ``digest`` is the SHA-256 of the block, in hexadecimal."""

    name: TableName
    rows: int
    bytes: int
    digest: str


@dataclass(frozen=True)
class Contents:
    """All data of an archive."""

    tables: tuple[TableContent, ...]
    sequences: dict[str, tuple[int, bool]] = field(default_factory=dict)
    large_objects: int = 0
    large_object_bytes: int = 0
    large_objects_digest: str | None = None

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def bytes(self) -> int:
        """Bytes of all ``COPY`` blocks, uncompressed."""
        return sum(table.bytes for table in self.tables)


class Block:
    """The ``COPY`` block of a table while it is being read; several in a row count as one."""

    def __init__(self, name: TableName, columns: bytes) -> None:
        self.name = name
        self.columns = columns
        self.at_start = True
        self.bytes = 0
        self._rows = 0
        self._hash = hashlib.sha256()

    def take(self, data: bytearray, view: memoryview, start: int, end: int) -> None:
        """Count and hash the bytes from ``start`` to ``end``; ``view`` is one of ``data``."""
        if end > start:
            self._hash.update(view[start:end])
            self._rows += data.count(b"\n", start, end)
            self.bytes += end - start
            self.at_start = False

    def content(self) -> TableContent:
        """What was taken."""
        return TableContent(self.name, self._rows, self.bytes, self.ordered())

    def ordered(self) -> str:
        """The digest of the rows in their order."""
        return self._hash.hexdigest()


class UnorderedBlock(Block):
    """The same rows in another order have the same digest: the sum of the hashes of the rows."""

    def __init__(self, name: TableName, columns: bytes) -> None:
        super().__init__(name, columns)
        self._sum = 0
        self._begun = b""

    def take(self, data: bytearray, view: memoryview, start: int, end: int) -> None:
        """The same, and hash every row by itself."""
        super().take(data, view, start, end)
        lines = (self._begun + data[start:end]).split(b"\n")
        self._begun = lines.pop()
        for line in lines:
            self._sum += int.from_bytes(hashlib.sha256(line).digest(), "big")

    def content(self) -> TableContent:
        """What was taken, with a digest that knows no order."""
        return TableContent(self.name, self._rows, self.bytes, "%064x" % (self._sum % (1 << 256)))
