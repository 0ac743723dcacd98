# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A part of an archive: some tables or schemas of it, restored beside what is there already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..backup.contents import Contents
from ..backup.describe import Manifest
from ..backup.pipes import Child
from ..backup.script import ScriptReader
from ..postgres.client import ClientTools
from ..system.commands import minimal_environment
from ..system.errors import ArchiveError
from .entries import Entries, EntryCollector
from .load import LoadOptions, archive_script
from .preflight import Obstacle

try:
    from psycopg2 import sql
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# Entries by which a relation comes into being, and others that begin with the same words.
_RELATIONS = ("TABLE ", "VIEW ", "MATERIALIZED VIEW ", "FOREIGN TABLE ", "SEQUENCE ")
_NO_RELATIONS = ("TABLE ATTACH ", "SEQUENCE OWNED BY ")
# What pg_dump pins in its own session, and so what a row looks like in an archive; the rest is pinned at the start.
_AS_DUMPED = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "row_security": "off",
    "synchronize_seqscans": "off",
}


@dataclass(frozen=True)
class Part:
    """What pg_restore takes from an archive for a selection."""

    contents: Contents
    entries: Entries

    @property
    def relations(self) -> tuple[str, ...]:
        """Tables, views and sequences as ``schema name``."""
        found = []
        for key in self.entries:
            kind = next((kind for kind in _RELATIONS if key.startswith(kind)), None)
            if kind is not None and not key.startswith(_NO_RELATIONS):
                found.append(key[len(kind) :])
        return tuple(sorted(found))


def read_part(path: str, tools: ClientTools, options: LoadOptions) -> Part:
    """Ask pg_restore what it would restore. Raises ArchiveError when the archive cannot be read."""
    collector = EntryCollector()
    reader = ScriptReader(collector.line)
    command = archive_script(path, tools, options)
    with Child(command, minimal_environment(), death_signal="KILL") as child:
        while reader.feed_from(child.stdout):
            pass
        if child.wait() != 0:
            raise ArchiveError(
                f"The archive cannot be read: {child.messages() or child.ending()}",
                stage="preflight",
                remedy="Verify it (pg_backup_verify), or restore another one.",
                cmd=command,
            )
    return Part(reader.finish(), collector.entries())


def part_obstacles(part: Part, options: LoadOptions) -> Iterator[Obstacle]:
    """Names that the archive does not hold, and tables that nobody asked for.

    pg_restore passes over the first without a word; the second come of two tables in two schemas, since it takes every
    named table of every named schema.
    """
    asked = [name.rpartition(".") for name in options.tables]
    missing = [
        (schema + dot + table)
        for schema, dot, table in asked
        if not any(_is(relation, schema, table) for relation in part.relations)
    ]
    missing += [
        schema
        for schema in options.schemas
        if not any(relation.startswith(f"{schema} ") for relation in part.relations)
    ]
    if missing:
        yield Obstacle(
            "the archive holds nothing of the name {}".format(", ".join(missing)),
            "Name tables as schema.table, as they stand in the manifest. One with a dot in its own name cannot be named: "
            "restore its schema, or all into a new database.",
        )
    if asked and not options.schemas:
        more = [
            relation
            for relation in part.relations
            if not any(_is(relation, schema, table) for schema, _dot, table in asked)
        ]
        if more:
            yield Obstacle(
                "tables of these names in several schemas cannot be told apart; {} would come along".format(
                    ", ".join(more)
                ),
                "Restore the tables of each schema in a run of its own.",
            )


def _is(relation: str, schema: str, table: str) -> bool:
    return relation == f"{schema} {table}" if schema else relation.endswith(f" {table}")


def present_relations(connection: Any, part: Part) -> list[str]:
    """Which of the part's relations the connected database has already."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT n.nspname || ' ' || c.relname FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname || ' ' || c.relname = ANY (%s)
            ORDER BY 1
            """,
            (list(part.relations),),
        )
        return [name for (name,) in cursor.fetchall()]


def schemas_of(part: Part, options: LoadOptions) -> list[str]:
    """The schemas that the part needs. pg_restore does not make them for a selection."""
    named = {table.name[0] for table in part.contents.tables} | set(options.schemas)
    named |= {schema for schema, dot, _table in (name.rpartition(".") for name in options.tables) if dot}
    return sorted(named)


def make_schemas(connection: Any, schemas: Sequence[str], role: str | None) -> list[str]:
    """Make those of the schemas that are not there; returns which were made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = ANY (%s)", (list(schemas),))
        missing = sorted(set(schemas) - {name for (name,) in cursor.fetchall()})
        for name in missing:
            statement = sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name))
            if role is not None:
                statement += sql.SQL(" AUTHORIZATION {}").format(sql.Identifier(role))
            cursor.execute(statement)
    return missing


def remove_schemas(connection: Any, schemas: Sequence[str]) -> None:
    """Remove schemas that were made and stayed empty."""
    with connection.cursor() as cursor:
        for name in schemas:
            cursor.execute(sql.SQL("DROP SCHEMA {} RESTRICT").format(sql.Identifier(name)))


def differing_tables(connection: Any, part: Part, manifest: Manifest) -> list[str]:
    """Tables of the connected database whose rows are not those of the archive, each in words."""
    problems = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_catalog.set_config('client_encoding', %s, false)", (manifest.get("encoding", "UTF8"),)
        )
        for name, value in _AS_DUMPED.items():
            cursor.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
        for table in part.contents.tables:
            sink = _Digest()
            cursor.copy_expert(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(*table.name)), sink)
            label = "table {}.{}".format(*table.name)
            if sink.rows != table.rows:
                problems.append(f"{label} has {sink.rows} rows, {table.rows} expected")
            elif sink.digest.hexdigest() != table.digest:
                problems.append(f"{label} has other content than in the archive")
    return problems


class _Digest:
    """A file for the driver to write rows to; it keeps their number and their hash."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.rows = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.rows += data.count(b"\n")
        return len(data)
