# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of the keys, met in a session that sees all of it: what it is, and what this role may do with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..postgres.connection import translate
from ..postgres.settings import ConnectionSettings
from ..postgres.snapshot import Server, server_session
from ..system.errors import ResilienceError
from .layout import SessionLayout, check_layout

try:
    import psycopg2
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# A table that is being altered is waited for so long, in seconds.
LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Sizes:
    """Bytes on the server's disk: the table with its TOAST, its indexes, both, and the whole database (None: not told)."""

    table_bytes: int
    index_bytes: int
    total_bytes: int
    database_bytes: int | None


@dataclass(frozen=True)
class KeysTable:
    """The table as it was met at ``at``, the server's own time. Each statement is a transaction of its own."""

    connection: Any
    settings: ConnectionSettings
    layout: SessionLayout
    server: Server
    oid: int
    at: datetime

    def query(self, statement: Any, doing: str, parameters: tuple[Any, ...] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a statement. Raises ConnectionFailedError that says what it was for."""
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return list(cursor.fetchall())
        except psycopg2.Error as error:
            raise translate(error, self.settings, doing).at_stage("keys") from error

    def name(self) -> str:
        """Schema and table, for messages."""
        return f"{self.layout.schema}.{self.layout.keys_table}"

    def pages(self) -> int:
        """How many pages the rows themselves stand on."""
        question = (
            "SELECT pg_catalog.pg_relation_size(%s::oid::regclass) / pg_catalog.current_setting('block_size')::int"
        )
        return int(self.query(question, "ask for the size of the keys", (self.oid,))[0][0])

    def sizes(self) -> Sizes:
        """What it takes on the disk."""
        ((table, indexes, total, database),) = self.query(
            """
            SELECT pg_catalog.pg_table_size(t), pg_catalog.pg_indexes_size(t), pg_catalog.pg_total_relation_size(t),
                   CASE WHEN pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CONNECT')
                        THEN pg_catalog.pg_database_size(pg_catalog.current_database()) END
            FROM (SELECT %s::oid::regclass AS t) AS keys
            """,
            "ask for the size of the keys",
            (self.oid,),
        )
        return Sizes(table, indexes, total, database)


@contextlib.contextmanager
def open_keys_table(
    settings: ConnectionSettings, layout: SessionLayout, *, deleting: bool = False, read_only: bool = True
) -> Iterator[KeysTable]:
    """Connect and meet the table; refuse what could not be counted, or with ``deleting`` not be deleted, to the last row.

    Raises ResilienceError.
    """
    if layout.updated_column is None:
        raise ResilienceError(
            f"The layout has no updated_column, so the keys in {layout.schema}.{layout.keys_table} have no age",
            stage="layout",
            remedy="Name the column that says when a key was last written; without one no key can be told to be old.",
        )
    with server_session(settings, (), LOCK_SECONDS) as (connection, server):
        check_layout(connection, layout, settings)
        try:
            _pin(connection, read_only)
            with connection.cursor() as cursor:
                oid = _examine(cursor, layout, deleting)
                cursor.execute("SELECT pg_catalog.now()")
                at = cursor.fetchone()[0].astimezone(timezone.utc)
        except psycopg2.Error as error:
            raise translate(error, settings, "look at the table of the keys").at_stage("keys") from error
        yield KeysTable(connection, settings, layout, server, oid, at)


def _pin(connection: Any, read_only: bool) -> None:
    """What server_session pinned for a snapshot, loosened for statements that each stand alone."""
    connection.rollback()
    connection.set_session(isolation_level="READ COMMITTED", readonly=read_only, autocommit=True)
    pins = {
        # For times without a zone.
        "TimeZone": "UTC",
        # Compiling takes longer than any of these statements.
        "jit": "off",
        # A count by several processes takes all processors of a small server from the application at once.
        "max_parallel_workers_per_gather": "0",
        # The server cannot know that there are ten types of keys, and would sort a million rows to count them.
        "enable_sort": "off",
    }
    with connection.cursor() as cursor:
        for name, value in pins.items():
            cursor.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
        if not read_only:
            # The table's triggers run in this session, and find what they need where the application's role looks.
            cursor.execute("SET search_path TO DEFAULT")


def _examine(cursor: Any, layout: SessionLayout, deleting: bool) -> int:
    """The number of the table. Raises ResilienceError for one of another kind, or where the role is kept from rows."""
    table = f"{layout.schema}.{layout.keys_table}"
    cursor.execute(
        """
        SELECT c.oid, current_user,
               c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = c.oid),
               pg_catalog.row_security_active(c.oid),
               pg_catalog.has_table_privilege(c.oid, 'DELETE'),
               pg_catalog.has_any_column_privilege(c.oid, 'UPDATE'),
               (SELECT pg_catalog.string_agg(DISTINCT p.polcmd::text, '') FROM pg_catalog.pg_policy p
                WHERE p.polrelid = c.oid)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = %s
        """,
        (layout.schema, layout.keys_table),
    )
    oid, role, plain, filtered, may_delete, may_lock, policies = cursor.fetchone()
    if not plain:
        raise ResilienceError(
            f"{table} is a view, or has partitions or children; keys are counted and deleted in a plain table only",
            stage="keys",
            remedy="Name the plain table itself as keys_table, one source for each.",
        )
    if filtered:
        raise ResilienceError(
            f"Row level security filters {table} for the role {role}{_missing_policy(policies or '')}, so that keys would "
            "be passed over in silence",
            stage="keys",
            remedy=f"Connect as the owner of the table, or have an administrator run: ALTER ROLE {role} BYPASSRLS. "
            "(An owner is filtered too where FORCE ROW LEVEL SECURITY is set.)",
        )
    # Without the right to update a row it cannot be locked, nor can one that the application holds be told.
    missing = [name for name, granted in (("DELETE", may_delete), ("UPDATE", may_lock)) if not granted]
    if deleting and missing:
        rights = ", ".join(missing)
        raise ResilienceError(
            f"The role {role} lacks the right to {rights} on {table}",
            stage="keys",
            remedy=f"As the table's owner: GRANT {rights} ON {table} TO {role}. (UPDATE is needed to lock a row before it goes.)",
        )
    return int(oid)


def _missing_policy(commands: str) -> str:
    names = {"r": "SELECT", "w": "UPDATE", "d": "DELETE"}
    missing = [name for letter, name in names.items() if letter not in commands and "*" not in commands]
    return " and has no policy for {}".format(", ".join(missing)) if missing else ""
