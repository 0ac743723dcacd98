# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a database, asked of the server itself and by other means than the product's.

The digest of a table is what its documentation promises: `psql -c 'COPY table TO STDOUT' | sha256sum` in a
session with the time zone UTC and so on.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg2
import psycopg2.extensions
from psycopg2 import sql

# What a table holds: rows, bytes and SHA-256 of its COPY text.
Content = tuple[int, int, str]
TableName = tuple[str, str]

PINNED = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "TimeZone": "UTC",
        "DateStyle": "ISO",
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "3",
        "synchronize_seqscans": "off",
        "quote_all_identifiers": "off",
        "statement_timeout": "0",
        "search_path": "",
    }.items()
)


class _Digester:
    """The file COPY writes to."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.rows = 0
        self.bytes = 0

    def write(self, data: bytes) -> None:
        self.hash.update(data)
        self.rows += data.count(b"\n")
        self.bytes += len(data)


@contextlib.contextmanager
def pinned_session(parameters: Mapping[str, Any]) -> Iterator[psycopg2.extensions.cursor]:
    """A cursor whose session writes values as a dump does, in the database's own encoding."""
    connection = psycopg2.connect(**{**parameters, "options": PINNED, "client_encoding": "UTF8"})
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def tables(parameters: Mapping[str, Any]) -> dict[TableName, Content]:
    """The content of every ordinary table outside the system's schemas."""
    query = """
        SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
          AND n.nspname NOT LIKE 'pg_temp%'
    """
    found = {}
    with pinned_session(parameters) as cursor:
        cursor.execute(query)
        for name in cursor.fetchall():
            found[name] = _content(cursor, name)
    return found


def sequences(parameters: Mapping[str, Any]) -> dict[str, tuple[int, bool]]:
    """Value of every sequence by its quoted name, and whether it was used."""
    query = """
        SELECT c.oid::pg_catalog.regclass::text, n.nspname, c.relname FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S'
    """
    found = {}
    with pinned_session(parameters) as cursor:
        cursor.execute(query)
        for quoted, schema, name in cursor.fetchall():
            cursor.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name)))
            found[quoted] = _row(cursor)
    return found


def large_objects(parameters: Mapping[str, Any]) -> tuple[int, int, str | None]:
    """Number, bytes and digest of the large objects, by the recipe in the guide to the manifest."""
    digest, size = hashlib.sha256(), 0
    with pinned_session(parameters) as cursor:
        cursor.execute("SELECT oid, lo_get(oid) FROM pg_catalog.pg_largeobject_metadata ORDER BY oid")
        rows = cursor.fetchall()
    for number, content in rows:
        digest.update(b"\n%d %d\n" % (number, size))
        digest.update(bytes(content))
        size += len(content)
    return len(rows), size, digest.hexdigest() if rows else None


def claimed_tables(manifest: Mapping[str, Any]) -> dict[TableName, Content]:
    """The same of a manifest."""
    return {(t["schema"], t["table"]): (t["rows"], t["bytes"], t["digest"]) for t in manifest["tables"]}


def claimed_sequences(manifest: Mapping[str, Any]) -> dict[str, tuple[int, bool]]:
    """The same of a manifest."""
    return {s["sequence"]: (s["value"], s["called"]) for s in manifest["sequences"]}


def claimed_large_objects(manifest: Mapping[str, Any]) -> tuple[int, int, str | None]:
    """The same of a manifest."""
    objects = manifest["large_objects"]
    return objects["count"], objects["bytes"], objects["digest"]


def _content(cursor: psycopg2.extensions.cursor, name: TableName) -> Content:
    digester = _Digester()
    # The name goes there in UTF-8, the values come back as they are stored.
    cursor.execute("SHOW server_encoding")
    copy = "COPY {} TO STDOUT ENCODING {}"
    statement = sql.SQL(copy).format(sql.Identifier(*name), sql.Literal(_row(cursor)[0]))
    cursor.copy_expert(statement.as_string(cursor), digester)
    return digester.rows, digester.bytes, digester.hash.hexdigest()


def _row(cursor: psycopg2.extensions.cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None
    return row
