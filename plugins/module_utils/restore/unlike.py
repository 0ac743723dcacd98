# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A table whose digest differs: changed, or the same rows in another order or with their columns in another order?

Asked only then, because it reads the table once more on both sides. A difference that is none must alarm nobody.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..backup.contents import TableName
from ..backup.decode import enlarge
from ..backup.describe import Manifest
from ..backup.pipes import Child
from ..backup.script import ScriptReader
from ..postgres.client import ClientTools
from ..postgres.databases import working_session
from ..postgres.settings import ConnectionSettings
from ..system.commands import minimal_environment
from .comparison import TableComparison
from .load import plain_script

REORDERED = "the same rows in another order"
COLUMNS = "the same rows with the columns in another order"
# As pg_dump sets them.
_PINS = (
    "SET datestyle = 'ISO'",
    "SET intervalstyle = 'postgres'",
    "SET extra_float_digits = 3",
    "SET row_security = off",
)


def explain_unlike(
    path: str,
    manifest: Manifest,
    tools: ClientTools,
    settings: ConnectionSettings,
    tables: tuple[TableComparison, ...],
    columns: Mapping[TableName, bytes],
) -> tuple[TableComparison, ...]:
    """The same comparisons, with those that are only in another order told apart. Raises ResilienceError."""
    names = {table.name for table in tables if table.outcome == "changed" and table.rows == table.rows_expected}
    if not names:
        return tables
    with _archive_data(path, manifest, tools) as descriptor:
        archive = _read(descriptor, names)
    restored = _read_table_by_table(settings, names, archive.columns(), manifest)
    stated = {(item["schema"], item["table"]): item["digest"] for item in manifest["tables"]}
    # Only of an archive that still holds what its manifest says can it be said that the order is all there is.
    ordered = archive.ordered_digests()
    wanted = {
        table.name: table.digest
        for table in archive.finish().tables
        if table.name in names and ordered[table.name] == stated.get(table.name)
    }

    def explain(table: TableComparison) -> TableComparison:
        if table.name not in wanted or wanted[table.name] != restored.get(table.name):
            return table
        same_columns = archive.columns().get(table.name) == columns.get(table.name)
        return dataclasses.replace(table, outcome="reordered", detail=REORDERED if same_columns else COLUMNS)

    return tuple(explain(table) for table in tables)


class _Sum:
    """A file that sums up the hashes of the lines written to it, as ``ScriptReader`` does for ``unordered`` tables."""

    def __init__(self) -> None:
        self._begun = b""
        self._sum = 0

    def write(self, piece: bytes) -> int:
        lines = (self._begun + piece).split(b"\n")
        self._begun = lines.pop()
        for line in lines:
            self._sum += int.from_bytes(hashlib.sha256(line).digest(), "big")
        return len(piece)

    def digest(self) -> str:
        return "%064x" % (self._sum % (1 << 256))


@contextlib.contextmanager
def _archive_data(path: str, manifest: Manifest, tools: ClientTools) -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        if manifest["format"] == "plain":
            descriptor = stack.enter_context(plain_script(path, manifest, tools))
        else:
            command = [tools.program("pg_restore"), "--file=-", "--section=data", path]
            child = stack.enter_context(Child(command, minimal_environment(), death_signal="KILL"))
            descriptor = child.stdout
            enlarge(descriptor)
        yield descriptor


def _read(descriptor: int, unordered: Collection[TableName]) -> ScriptReader:
    reader = ScriptReader(unordered=unordered)
    while reader.feed_from(descriptor):
        pass
    return reader


def _read_table_by_table(
    settings: ConnectionSettings,
    names: Collection[TableName],
    columns: Mapping[TableName, bytes],
    manifest: Manifest,
) -> dict[TableName, str]:
    """Digests of these tables of the restored database, columns in the archive's order."""
    found = {}
    with contextlib.closing(working_session(settings)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.set_config('client_encoding', %s, false)", (manifest["encoding"],))
        for statement in _PINS:
            cursor.execute(statement)
        for name in sorted(names):
            total = _Sum()
            cursor.copy_expert(_copy(cursor, name, columns.get(name, b"()")), total)
            found[name] = total.digest()
    return found


def _copy(cursor: Any, name: TableName, columns: bytes) -> str:
    """The statement that gives the rows of the table itself, or of all partitions where the name is that of their root.

    (pg_dump loads partitions through the root where a row may belong to another one after the restore.)
    """
    table = ".".join('"{}"'.format(part.replace('"', '""')) for part in name)
    cursor.execute("SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = %s::regclass", (table,))
    only = "" if cursor.fetchone()[0] else "ONLY "
    listed = columns.decode("utf-8", "surrogateescape")[1:-1]
    return f"COPY (SELECT {listed} FROM {only}{table}) TO STDOUT"  # noqa: S608 - names as PostgreSQL quoted them
