# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the sessions as they stood at one moment, with little in memory however many there are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ..postgres.connection import translate
from ..postgres.settings import ConnectionSettings
from ..postgres.snapshot import server_session
from ..system.errors import ResilienceError
from .layout import CREDS, SessionLayout, check_layout
from .values import normalise

try:
    import psycopg2
    from psycopg2 import sql
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# A company has about 1,650 keys: one round trip to another datacentre fetches them all.
ROWS_PER_FETCH = 2000
# A table that is being altered is waited for so long.
LOCK_SECONDS = 30.0


class KeyRow(NamedTuple):
    """One key, or the credentials (of the type ``creds``); ``value`` is its JSON text as the column holds it."""

    key_type: str
    key_id: str
    value: str
    updated_at: datetime | None


@dataclass(frozen=True)
class SessionSnapshot:
    """The sessions at ``at``, read in one transaction. ``columns`` and ``auth_columns`` are names and types of those."""

    at: datetime
    connection: Any
    settings: ConnectionSettings
    layout: SessionLayout
    columns: Mapping[str, str]
    auth_columns: Mapping[str, str]

    def text(self, row: KeyRow) -> str:
        """The value of a row as the one text it has (see ``values.normalise``). Raises BrokenValueError."""
        if row.key_type == CREDS:
            return normalise(row.value, jsonb=self.auth_columns[self._creds_column] == "jsonb", double_stringified=True)
        jsonb = self.columns[self.layout.value_column] == "jsonb"
        return normalise(row.value, jsonb=jsonb, double_stringified=self.layout.double_stringified)

    def tenants(self) -> list[str]:
        """Every tenant that has credentials or keys, in order."""
        return sorted(self.counts())

    def counts(self) -> dict[str, int]:
        """How many keys each tenant has. Raises ResilienceError for rows that belong to none."""
        layout = self.layout
        query = sql.SQL("SELECT {}, count(*) FILTER (WHERE {} IS NOT TRUE), min({}::text) FROM {} GROUP BY 1").format(
            layout.tenant_expression(),
            layout.creds_condition(),
            sql.Identifier(layout.id_column),
            layout.keys_relation(),
        )
        counts: dict[str, int] = {}
        for tenant, keys, first_id in self._fetch(query):
            if tenant is None:
                raise ResilienceError(
                    f"Of {keys} rows of {layout.schema}.{layout.keys_table} no session can be told, as of the one "
                    f"with {layout.id_column} {first_id!r}",
                    stage="read",
                    remedy="Correct the layout of the sessions, or delete the rows if they are none of the application's.",
                )
            counts[tenant] = keys
        if layout.auth_table is not None:
            query = sql.SQL("SELECT {}::text FROM {}").format(
                sql.Identifier(str(layout.tenant_column)), layout.auth_relation()
            )
            for (tenant,) in self._fetch(query):
                counts.setdefault(tenant, 0)
        return counts

    def creds(self, tenant: str) -> str | None:
        """The JSON text of the credentials of a tenant, None where it has none."""
        row = self.creds_row(tenant)
        return None if row is None else row.value

    def creds_row(self, tenant: str) -> KeyRow | None:
        """The credentials of a tenant."""
        layout = self.layout
        updated_column = layout.updated_column if layout.updated_column in self.auth_columns else None
        query = sql.SQL("SELECT {}, '', {}::text, {} FROM {} WHERE {} AND {}").format(
            sql.Literal(CREDS),
            sql.Identifier(self._creds_column),
            _column(updated_column),
            layout.auth_relation(),
            layout.tenant_condition(tenant),
            sql.SQL("true") if layout.auth_table is not None else layout.creds_condition(),
        )
        rows = self._fetch(query)
        return KeyRow(*rows[0]) if rows and rows[0][2] is not None else None

    def keys(self, tenant: str) -> Iterator[KeyRow]:
        """The keys of a tenant by type and id. Raises ResilienceError for one of no type that is known."""
        layout = self.layout
        query = sql.SQL(
            "SELECT * FROM (SELECT {} AS key_type, {} AS key_id, coalesce({}::text, 'null'), {} FROM {}"
            ' WHERE {} AND NOT {}) AS keys ORDER BY key_type COLLATE "C", key_id COLLATE "C"'
        ).format(
            layout.type_expression(),
            layout.id_expression(),
            sql.Identifier(layout.value_column),
            _column(layout.updated_column),
            layout.keys_relation(),
            layout.tenant_condition(tenant),
            layout.creds_condition(),
        )
        with self._reading(), self.connection.cursor(name="sessions") as cursor:
            cursor.execute(query)
            rows = cursor.fetchmany(ROWS_PER_FETCH)
            while rows:
                if rows[-1][0] is None:
                    # They are sorted last; without a type there is no id either.
                    raise self._of_no_type(tenant)
                yield from map(KeyRow._make, rows)
                rows = cursor.fetchmany(ROWS_PER_FETCH) if len(rows) == ROWS_PER_FETCH else []

    def export_id(self) -> str:
        """Share this moment with other sessions, for as long as this one stays in its transaction."""
        return str(self._fetch(sql.SQL("SELECT pg_catalog.pg_export_snapshot()"))[0][0])

    @property
    def _creds_column(self) -> str:
        return self.layout.creds_column if self.layout.auth_table is not None else self.layout.value_column

    def _of_no_type(self, tenant: str) -> ResilienceError:
        return ResilienceError(
            f"The session {tenant} has rows in {self.layout.schema}.{self.layout.keys_table} that are of no known type",
            stage="read",
            remedy="Correct the layout of the sessions, or delete the rows if they are none of the application's.",
        )

    def _fetch(self, query: Any) -> list[Any]:
        with self._reading(), self.connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            raise translate(error, self.settings, "read the sessions").at_stage("read") from error


def _column(name: str | None) -> Any:
    return sql.SQL("NULL") if name is None else sql.Identifier(name)


@contextlib.contextmanager
def open_snapshot(
    settings: ConnectionSettings, layout: SessionLayout, snapshot_id: str | None = None
) -> Iterator[SessionSnapshot]:
    """The sessions as they are now, or at the moment another session has shared by ``export_id``.

    Read only, repeatable read. A policy that would hide rows is an error. Raises ResilienceError.
    """
    with server_session(settings, (), LOCK_SECONDS) as (connection, _server):
        if snapshot_id is not None:
            try:
                with connection.cursor() as cursor:
                    # Before anything else in the transaction, and the session has asked for the server's version.
                    connection.rollback()
                    cursor.execute("SET TRANSACTION SNAPSHOT %s", (snapshot_id,))
            except psycopg2.Error as error:
                raise translate(error, settings, "share the snapshot").at_stage("snapshot") from error
        yield sessions_in(connection, settings, layout)


def sessions_in(connection: Any, settings: ConnectionSettings, layout: SessionLayout) -> SessionSnapshot:
    """The sessions as the transaction of this connection sees them. Raises ResilienceError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.now()")
            at = cursor.fetchone()[0].astimezone(timezone.utc)
    except psycopg2.Error as error:
        raise translate(error, settings, "take a snapshot").at_stage("snapshot") from error
    columns = check_layout(connection, layout, settings)
    _refuse_filtered(connection, layout, settings)
    return SessionSnapshot(
        at, connection, settings, layout, columns[layout.keys_table], columns[layout.auth_table or layout.keys_table]
    )


def _refuse_filtered(connection: Any, layout: SessionLayout, settings: ConnectionSettings) -> None:
    """A policy would make the first query fail; this says so in words of our own. Raises ResilienceError."""
    tables = sorted({layout.keys_table, layout.auth_table or layout.keys_table})
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT c.relname, current_user FROM pg_catalog.pg_class c
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = %s AND c.relname = ANY (%s) AND pg_catalog.row_security_active(c.oid)
                """,
                (layout.schema, tables),
            )
            filtered = cursor.fetchall()
    except psycopg2.Error as error:
        raise translate(error, settings, "read the layout of the sessions").at_stage("layout") from error
    if filtered:
        names = ", ".join(f"{layout.schema}.{table}" for table, _role in filtered)
        role = filtered[0][1]
        raise ResilienceError(
            f"Row level security may hide rows of {names} from the role {role}, so that sessions would lack keys",
            stage="layout",
            remedy=f"Connect as the owner of these tables, or have an administrator run: ALTER ROLE {role} BYPASSRLS. "
            "(An owner is filtered too where FORCE ROW LEVEL SECURITY is set.)",
        )
