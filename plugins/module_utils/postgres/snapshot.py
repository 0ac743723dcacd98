# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The moment a backup shows: a snapshot exported for pg_dump, and what the server itself counts in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..system.errors import ConnectionFailedError, ResilienceError
from .client import ClientTools
from .connection import answering_within, connect_once, translate, with_retries
from .needs import Needs, read_needs
from .properties import Properties, read_properties
from .settings import ConnectionSettings
from .version import Version, from_number

try:
    import psycopg2
    from psycopg2 import sql
except ImportError:
    # connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# One statement counts this many tables: a round trip to another datacentre each would take minutes for
# thousands of tables, and a single statement over all of them would plan for as long.
TABLES_PER_COUNT = 100

# How long a server may take for questions that any server answers at once.
ANSWER_SECONDS = 60.0

TableName = tuple[str, str]  # schema, table; as the catalogue has them, unquoted


@dataclass(frozen=True)
class Table:
    """A table whose rows pg_dump will write. ``filtered``: of an extension, dumped only in part.

    ``root`` is the partitioned table it belongs to, under whose name pg_dump writes the rows where their
    partition may differ after a restore (hash partitions of an enum).
    """

    name: TableName
    filtered: bool
    root: TableName | None = None


@dataclass(frozen=True)
class Server:
    """What a plain role can learn of the server and the database at the start of a session."""

    version: Version
    database: str
    user: str
    encoding: str
    collation: str
    locale_provider: str
    in_recovery: bool
    database_bytes: int | None
    ctype: str = ""
    locale: str | None = None
    icu_rules: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """An exported snapshot: valid for pg_dump as long as its session stays in the transaction.

    ``properties`` is None where they cannot be read.
    """

    identifier: str
    taken_at: str
    lsn: str | None
    server: Server
    tables: tuple[Table, ...]
    large_objects: int
    connection: Any
    needs: Needs = field(default_factory=Needs)
    properties: Properties | None = None


def read_server(connection: Any) -> Server:
    """Version, names and locale of the connected database."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT current_setting('server_version_num')::int, d.datname, current_user,
                   pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate,
                   pg_catalog.to_jsonb(d) ->> 'datlocprovider', pg_catalog.pg_is_in_recovery(),
                   CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT')
                        THEN pg_catalog.pg_database_size(d.oid) END,
                   d.datctype,
                   -- The locale of ICU or builtin; its column was renamed in 17.
                   coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale'),
                   pg_catalog.to_jsonb(d) ->> 'daticurules'
            FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
            """
        )
        number, database, user, encoding, collation, provider, in_recovery, size, *locale = cursor.fetchone()
        ctype, provider_locale, icu_rules = locale
    providers = {"c": "libc", "i": "icu", "b": "builtin", None: "libc"}
    return Server(
        version=from_number(number),
        database=database,
        user=user,
        encoding=encoding,
        collation=collation,
        locale_provider=providers.get(provider, str(provider)),
        in_recovery=in_recovery,
        database_bytes=size,
        ctype=ctype,
        locale=provider_locale,
        icu_rules=icu_rules,
    )


@contextlib.contextmanager
def server_session(
    settings: ConnectionSettings,
    clients: Sequence[ClientTools],
    lock_timeout: float,
    answer_timeout: float = ANSWER_SECONDS,
) -> Iterator[tuple[Any, Server]]:
    """A read-only, repeatable-read session pinned as pg_dump pins its own, and the server it met.

    Both timeouts are in seconds. Raises ConnectionFailedError.
    """

    def open_session() -> tuple[Any, Server]:
        connection = connect_once(settings, clients)
        try:
            with answering_within(connection, answer_timeout):
                _refuse_pooler(connection, settings)
                _pin(connection, lock_timeout)
                return connection, read_server(connection)
        except psycopg2.Error as error:
            connection.close()
            raise translate(error, settings, "read the server's version").at_stage("connect") from error
        except ConnectionFailedError as error:
            connection.close()
            raise error.at_stage("connect") from error

    connection, server = with_retries(open_session)
    try:
        yield connection, server
    finally:
        connection.close()


def _refuse_pooler(connection: Any, settings: ConnectionSettings) -> None:
    """A pooler hands our settings on to the application's sessions and cannot keep a snapshot for pg_dump.

    It shows by the process it names when it greets us, which is not the one that answers.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.pg_backend_pid()")
        (process,) = cursor.fetchone()
    connection.rollback()
    if process != connection.info.backend_pid:
        raise ConnectionFailedError(
            f"At {settings.host}:{settings.port} a connection pooler answers, not the server itself",
            stage="connect",
            remedy="Give the host and port of the server; a pooler cannot share a snapshot.",
        )


def _pin(connection: Any, lock_timeout: float) -> None:
    # Not among the settings below: the driver itself must know in which encoding names come and go.
    connection.set_client_encoding("UTF8")
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
    # The session that exports a snapshot must not be ended by a timeout of the role or the database,
    # and a policy must make it fail, not see less (facts: row_security, idle_in_transaction).
    pins = {
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "idle_session_timeout": "0",
        "row_security": "off",
        "synchronize_seqscans": "off",
        "lock_timeout": "%dms" % round(lock_timeout * 1000),
        "search_path": "pg_catalog",
    }
    if connection.server_version >= 170000:
        pins["transaction_timeout"] = "0"
    with connection.cursor() as cursor:
        for name, value in pins.items():
            cursor.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
    # Committed, so that the settings outlive this transaction and the snapshot begins with the next one.
    connection.commit()


def take_snapshot(connection: Any, server: Server, settings: ConnectionSettings) -> Snapshot:
    """Export a snapshot and list what a complete dump of it must contain.

    Raises ResilienceError when the role cannot read everything: a table it may not read, or one whose
    rows a policy hides from it (pg_dump would fail, and a count would silently see less).
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT pg_catalog.pg_export_snapshot(),
                       pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                            ELSE pg_catalog.pg_current_wal_lsn() END::text
                """
            )
            identifier, taken_at, lsn = cursor.fetchone()
            tables = _tables(cursor, server)
            cursor.execute("SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata")
            large_objects = cursor.fetchone()[0]
            needs = read_needs(cursor)
            properties = _properties(connection, server.database)
    except psycopg2.Error as error:
        raise translate(error, settings, "take a snapshot").at_stage("snapshot") from error
    return Snapshot(identifier, taken_at, lsn, server, tables, large_objects, connection, needs, properties)


def _properties(connection: Any, database: str) -> Properties | None:
    try:
        return read_properties(connection, database)
    except UnicodeDecodeError:
        # Databases of all encodings share these catalogues: a comment may have been written by one of another. That is
        # no reason to go without a backup.
        return None


def _tables(cursor: Any, server: Server) -> tuple[Table, ...]:
    cursor.execute(
        """
        SELECT n.nspname, c.relname,
               EXISTS (SELECT FROM pg_catalog.pg_depend d
                       WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                         AND d.deptype = 'e'),
               EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE c.oid = ANY (e.extconfig)),
               -- NULL for a table that was dropped a moment ago: pg_dump will say so.
               coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT')
                        AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'), true),
               pg_catalog.row_security_active(c.oid),
               c.relpersistence = 'u',
               rn.nspname, r.relname
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_class r ON c.relispartition AND r.oid = pg_catalog.pg_partition_root(c.oid)
        LEFT JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence <> 't'
          AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        ORDER BY 1, 2
        """
    )
    tables: list[Table] = []
    unreadable: list[str] = []
    hidden: list[str] = []
    for schema, name, of_extension, configuration, readable, policed, unlogged, *root in cursor.fetchall():
        if (of_extension and not configuration) or (unlogged and server.in_recovery):
            # pg_dump leaves these out: CREATE EXTENSION makes the first, a standby cannot read the second.
            continue
        if not readable:
            unreadable.append(f"{schema}.{name}")
        elif policed:
            hidden.append(f"{schema}.{name}")
        tables.append(Table((schema, name), of_extension, tuple(root) if root[1] else None))
    if unreadable:
        raise ResilienceError(
            f"The role {server.user} may not read {_some(unreadable)}",
            stage="snapshot",
            remedy=f"As the tables' owner: GRANT USAGE ON SCHEMA and GRANT SELECT ON these tables TO {server.user}; or back up "
            "as their owner.",
        )
    if hidden:
        raise ResilienceError(
            f"Row level security hides rows of {_some(hidden)} from the role {server.user}, so a backup by it would be incomplete",
            stage="snapshot",
            remedy=f"Back up as the owner of these tables, or have an administrator run: ALTER ROLE {server.user} BYPASSRLS. "
            "(An owner is filtered too where FORCE ROW LEVEL SECURITY is set.)",
        )
    return tuple(tables)


def count_rows(snapshot: Snapshot, settings: ConnectionSettings) -> dict[TableName, int]:
    """Rows of every table in this snapshot, counted by the server. Raises ConnectionFailedError.

    The tables are locked all at once, as pg_dump does it. What was rewritten between the snapshot and the lock
    (TRUNCATE and many an ALTER take the rows out of every snapshot) is noticed by its file, which is not the
    snapshot's any more: pg_dump and the count would agree on a table that only looks empty. The locks go with the
    savepoint: held on, a statement that wants a table for itself would wait for us, pg_dump behind it, and we for
    pg_dump, which the server cannot see.
    """
    counts: dict[TableName, int] = {}
    names = [table.name for table in snapshot.tables]
    if not names:
        return counts
    try:
        with snapshot.connection.cursor() as cursor:
            cursor.execute("SAVEPOINT counting")
            every = [sql.SQL("ONLY {}").format(sql.Identifier(*name)) for name in names]
            cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.SQL(", ").join(every)))
            _refuse_rewritten(cursor)
            for first in range(0, len(names), TABLES_PER_COUNT):
                part = names[first : first + TABLES_PER_COUNT]
                count = sql.SQL("SELECT {}, count(*) FROM ONLY {}")
                queries = [count.format(sql.Literal(index), sql.Identifier(*name)) for index, name in enumerate(part)]
                cursor.execute(sql.SQL(" UNION ALL ").join(queries))
                for index, rows in cursor.fetchall():
                    counts[part[index]] = rows
            cursor.execute("ROLLBACK TO SAVEPOINT counting")
    except psycopg2.Error as error:
        raise translate(error, settings, "count rows").at_stage("snapshot") from error
    return counts


def _refuse_rewritten(cursor: Any) -> None:
    cursor.execute(
        """
        SELECT n.nspname || '.' || c.relname
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence <> 't'
          AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          -- The first as the snapshot has it, the second as it is now.
          AND c.relfilenode <> pg_catalog.pg_relation_filenode(c.oid)
        ORDER BY 1
        """
    )
    rewritten = [name for (name,) in cursor.fetchall()]
    if rewritten:
        raise ResilienceError(
            f"{_some(rewritten)} was rewritten (TRUNCATE, ALTER TABLE, VACUUM FULL) just as the backup began, "
            "so its rows are not in the snapshot",
            stage="snapshot",
            remedy="Run the backup again.",
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown + (" and %d more" % (len(names) - 5) if len(names) > 5 else "")
