# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write rows of one tenant with the ages they are to have.

Triggers BEFORE UPDATE commonly set ``updated_at`` to now. A row is therefore not updated: it is deleted, and inserted
again with every other column as it was. Where foreign keys refer to the table that could take other rows along, so there
it is updated after all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from .layout import CREDS, SessionLayout
from .store import SessionSnapshot

try:
    from psycopg2 import sql
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True


class Row(NamedTuple):
    """What a row is to hold: its identity, in the columns that make it, and its value. ``updated_at`` None: now."""

    identity: tuple[str, ...]
    value: str = ""
    updated_at: datetime | None = None


@dataclass(frozen=True)
class RowWriter:
    """Rows of one tenant in one table: ``identity`` are the columns that tell them apart.

    ``columns`` are the names and types of all columns. Errors are those of psycopg2.
    """

    cursor: Any
    relation: Any
    columns: Mapping[str, str]
    tenant: str
    tenant_column: str | None
    identity: tuple[str, ...]
    value_column: str
    created_column: str | None
    updated_column: str | None
    referred_to: bool = False

    def insert(self, rows: Sequence[Row]) -> None:
        """Add rows that are not there; they count as made when they were last written."""
        taken = {**self._identity(), **self._written()}
        if self.created_column is not None:
            taken[self.created_column] = self._moment(self.created_column)
        if self.tenant_column is not None:
            taken[self.tenant_column] = sql.Literal(self.tenant)
        statement = sql.SQL("WITH {new} INSERT INTO {table} ({columns}) SELECT {selected} FROM new")
        self._run(statement, rows, columns=_names(taken), selected=sql.SQL(", ").join(taken.values()))

    def replace(self, rows: Sequence[Row]) -> None:
        """Give rows that are there another value and age; whatever else they hold stays."""
        written = self._written()
        if self.referred_to:
            changes = [sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in written.items()]
            statement = sql.SQL("WITH {new} UPDATE {table} AS t SET {changes} FROM new WHERE {same}")
            self._run(statement, rows, changes=sql.SQL(", ").join(changes))
            return
        selected = [written.get(name, sql.SQL("t.{}").format(sql.Identifier(name))) for name in self.columns]
        statement = sql.SQL(
            "WITH {new}, old AS (DELETE FROM {table} AS t USING new WHERE {same} RETURNING t.*)"
            " INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE"
            " SELECT {selected} FROM old AS t JOIN new ON {same}"
        )
        self._run(statement, rows, columns=_names(self.columns), selected=sql.SQL(", ").join(selected))

    def delete(self, rows: Sequence[Row]) -> None:
        """Remove rows; only their identity counts."""
        self._run(sql.SQL("WITH {new} DELETE FROM {table} AS t USING new WHERE {same}"), rows)

    def _run(self, statement: Any, rows: Sequence[Row], **parts: Any) -> None:
        if not rows:
            return
        width = len(self.identity)
        names = ["identity_%d" % number for number in range(width)]
        values = [
            sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, (*row.identity, row.value, row.updated_at))))
            for row in rows
        ]
        new = sql.SQL("new ({}) AS (VALUES {})").format(
            _names([*names, "value", "updated_at"]), sql.SQL(", ").join(values)
        )
        same = [
            sql.SQL("t.{}::text = new.{}").format(sql.Identifier(column), sql.Identifier(name))
            for column, name in zip(self.identity, names)
        ]
        if self.tenant_column is not None:
            # First, and as the column's own type: this is what finds the rows by their index.
            same.insert(0, sql.SQL("t.{} = {}").format(sql.Identifier(self.tenant_column), sql.Literal(self.tenant)))
        query = statement.format(new=new, table=self.relation, same=sql.SQL(" AND ").join(same), **parts)
        # Without arguments, so that a percent sign in a value is none of psycopg2's business.
        self.cursor.execute(query)

    def _identity(self) -> dict[str, Any]:
        return {
            column: self._cast(column, sql.SQL("new.{}").format(sql.Identifier("identity_%d" % number)))
            for number, column in enumerate(self.identity)
        }

    def _written(self) -> dict[str, Any]:
        written = {self.value_column: self._cast(self.value_column, sql.SQL("new.value"))}
        if self.updated_column is not None:
            written[self.updated_column] = self._moment(self.updated_column)
        return written

    def _moment(self, column: str) -> Any:
        return self._cast(column, sql.SQL("coalesce(new.updated_at::timestamptz, pg_catalog.now())"))

    def _cast(self, column: str, expression: Any) -> Any:
        # As format_type wrote it, quotes included.
        return sql.SQL("CAST({} AS " + self.columns[column] + ")").format(expression)


def keys_writer(cursor: Any, sessions: SessionSnapshot, tenant: str) -> RowWriter:
    """Writes the keys of a tenant; a row's identity is what ``key_identity`` gives."""
    layout = sessions.layout
    return RowWriter(
        cursor=cursor,
        relation=layout.keys_relation(),
        columns=sessions.columns,
        tenant=tenant,
        tenant_column=layout.tenant_column,
        identity=(layout.id_column,) if layout.type_column is None else (layout.type_column, layout.id_column),
        value_column=layout.value_column,
        created_column=layout.created_column,
        updated_column=layout.updated_column,
    )


def creds_writer(cursor: Any, sessions: SessionSnapshot, tenant: str) -> RowWriter:
    """Writes the credentials of a tenant; the identity of the row is what ``creds_identity`` gives."""
    layout, columns = sessions.layout, sessions.auth_columns
    if layout.auth_table is None:
        return keys_writer(cursor, sessions, tenant)
    return RowWriter(
        cursor=cursor,
        relation=layout.auth_relation(),
        columns=columns,
        tenant=tenant,
        tenant_column=layout.tenant_column,
        identity=(),
        value_column=layout.creds_column,
        created_column=layout.created_column if layout.created_column in columns else None,
        updated_column=layout.updated_column if layout.updated_column in columns else None,
        referred_to=_is_referred_to(cursor, layout),
    )


def key_identity(layout: SessionLayout, tenant: str, key_type: str, key_id: str) -> tuple[str, ...]:
    """What the columns of its identity hold for a key."""
    name = layout.row_name(tenant, key_type, key_id)
    return (name,) if layout.type_column is None else (key_type, name)


def creds_identity(layout: SessionLayout, tenant: str) -> tuple[str, ...]:
    """What the columns of its identity hold for the credentials: nothing in a table of their own."""
    return () if layout.auth_table is not None else (layout.row_name(tenant, None, CREDS),)


def _is_referred_to(cursor: Any, layout: SessionLayout) -> bool:
    cursor.execute(
        """
        SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint f
                       JOIN pg_catalog.pg_class c ON c.oid = f.confrelid
                       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                       WHERE f.contype = 'f' AND n.nspname = %s AND c.relname = %s)
        """,
        (layout.schema, layout.auth_table),
    )
    return bool(cursor.fetchone()[0])


def _names(columns: Iterable[str]) -> Any:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
