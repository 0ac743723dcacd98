# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the sessions stand in the database: tables, columns, and how a row's identifier is put together."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..postgres.connection import translate
from ..postgres.settings import ConnectionSettings
from ..system.errors import ResilienceError, SettingsError

try:
    import psycopg2
    from psycopg2 import sql
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# Every type that Baileys 6 and 7 store, longest first: one type's name may begin another's.
KEY_TYPES = (
    "app-state-sync-version",
    "app-state-sync-key",
    "sender-key-memory",
    "identity-key",
    "lid-mapping",
    "device-list",
    "sender-key",
    "pre-key",
    "session",
    "tctoken",
)
# The identifier of the credentials, where they stand among the keys.
CREDS = "creds"
IDS = ("separate", "combined", "tenant_combined")


@dataclass(frozen=True)
class SessionLayout:
    """Names of tables and columns; the defaults are the store of requirements and demo.

    ``auth_table`` None: the credentials are the row with the id ``creds`` in ``keys_table``. A tenant is one company or
    session. ``ids`` says what ``id_column`` holds: the id alone, ``<type>-<id>``, or ``<tenant>:<type>-<id>``.
    ``escaped_ids``: the id is spelt as in Baileys' file names. ``double_stringified``: a value is a JSON string that
    holds JSON text.
    """

    schema: str = "public"
    auth_table: str | None = "whatsapp_auth"
    keys_table: str = "whatsapp_keys"
    tenant_column: str | None = "company_id"
    creds_column: str = "creds"
    type_column: str | None = "key_type"
    id_column: str = "key_id"
    value_column: str = "value"
    created_column: str | None = "created_at"
    updated_column: str | None = "updated_at"
    expires_column: str | None = "expires_at"
    ids: str = "separate"
    tenant_separator: str = ":"
    escaped_ids: bool = False
    double_stringified: bool = False

    def keys_relation(self) -> Any:
        """The table of the keys, with its schema."""
        return sql.Identifier(self.schema, self.keys_table)

    def auth_relation(self) -> Any:
        """The table of the credentials, with its schema: that of the keys where they have none of their own."""
        return sql.Identifier(self.schema, self.auth_table or self.keys_table)

    def tenant_expression(self) -> Any:
        """The tenant of a row of the keys, as text; NULL where none can be made out."""
        if self.tenant_column is not None:
            return sql.SQL("{}::text").format(sql.Identifier(self.tenant_column))
        types = "|".join(re.escape(key_type) for key_type in KEY_TYPES)
        # Not greedy: the tenant ends before the first separator that a type follows. It may hold separators, as ids do.
        pattern = f"^(.*?){re.escape(self.tenant_separator)}(?:{CREDS}$|(?:{types})-)"
        return sql.SQL("substring({} from {})").format(sql.Identifier(self.id_column), sql.Literal(pattern))

    def tenant_condition(self, tenant: str) -> Any:
        """True for the rows of one tenant among the keys, by an index where there is one."""
        if self.tenant_column is not None:
            # The literal takes the type of the column, which may be uuid or integer.
            return sql.SQL("{} = {}").format(sql.Identifier(self.tenant_column), sql.Literal(tenant))
        prefix = tenant + self.tenant_separator
        return sql.SQL("(starts_with({}, {}) AND {} = {})").format(
            sql.Identifier(self.id_column), sql.Literal(prefix), self.tenant_expression(), sql.Literal(tenant)
        )

    def name_expression(self) -> Any:
        """What the id column holds below the tenant: the id, or ``<type>-<id>``."""
        column = sql.SQL("{}::text").format(sql.Identifier(self.id_column))
        if self.tenant_column is not None:
            return column
        return sql.SQL("substr({}, length({}) + {})").format(
            column, self.tenant_expression(), sql.Literal(len(self.tenant_separator) + 1)
        )

    def type_expression(self) -> Any:
        """The type of a row of the keys; NULL for the credentials and for what is no key."""
        if self.type_column is not None:
            return sql.SQL("{}::text").format(sql.Identifier(self.type_column))
        name = self.name_expression()
        cases = [
            sql.SQL("WHEN starts_with({}, {}) THEN {}").format(name, sql.Literal(f"{one}-"), sql.Literal(one))
            for one in KEY_TYPES
        ]
        return sql.SQL("CASE {} END").format(sql.SQL(" ").join(cases))

    def id_expression(self) -> Any:
        """The id of a row of the keys, without its type and its tenant."""
        if self.type_column is not None:
            return self.name_expression()
        return sql.SQL("substr({}, length({}) + 2)").format(self.name_expression(), self.type_expression())

    def creds_condition(self) -> Any:
        """True for the credentials among the keys; false everywhere where they have a table of their own."""
        if self.auth_table is not None:
            return sql.SQL("false")
        return sql.SQL("{} = {}").format(self.name_expression(), sql.Literal(CREDS))

    def row_name(self, tenant: str, key_type: str | None, key_id: str) -> str:
        """What the id column holds for a key; ``key_type`` None for the credentials."""
        name = key_id if self.type_column is not None or key_type is None else f"{key_type}-{key_id}"
        return name if self.tenant_column is not None else f"{tenant}{self.tenant_separator}{name}"


LAYOUT_OPTIONS = tuple(field.name for field in dataclasses.fields(SessionLayout))
_NULLABLE = ("auth_table", "tenant_column", "type_column", "created_column", "updated_column", "expires_column")
_FLAGS = ("escaped_ids", "double_stringified")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
# What combined identifiers leave no place for.
_ABSENT = {
    "separate": (),
    "combined": ("type_column",),
    "tenant_combined": ("auth_table", "tenant_column", "type_column"),
}


def layout_from(given: Mapping[str, Any] | None) -> SessionLayout:
    """The layout of these options; the default for none. Raises SettingsError naming the option that is wrong."""
    given = given or {}
    unknown = sorted(str(name) for name in given if name not in LAYOUT_OPTIONS)
    if unknown:
        raise _wrong("has no option %s" % ", ".join(unknown), "Its options are: {}.".format(", ".join(LAYOUT_OPTIONS)))
    chosen = {name: _option(name, value) for name, value in given.items()}
    ids = chosen.get("ids", "separate")
    if ids not in IDS:
        raise _wrong(f"says ids: {ids}", "Choose among {}.".format(", ".join(IDS)))
    for name in _ABSENT[ids]:
        if chosen.setdefault(name, None) is not None:
            raise _wrong(f"says ids: {ids} and {name}: {chosen[name]}", f"With ids: {ids} leave {name} out.")
    layout = SessionLayout(**chosen)
    for name, wanted in (("tenant_column", "tenant_combined"), ("type_column", "combined")):
        if getattr(layout, name) is None and name not in _ABSENT[ids]:
            raise _wrong(f"has no {name}", f"Name the column, or say ids: {wanted}.")
    if layout.auth_table is None and layout.type_column is not None:
        raise _wrong("has no auth_table", "Name the table of the credentials, or say ids: combined.")
    return layout


def _option(name: str, value: Any) -> Any:
    if name in _FLAGS:
        # A template of Ansible may have made text of it.
        text = str(value).lower()
        if text not in _TRUE + _FALSE:
            raise _wrong(f"says {name}: {value}", "Say true or false.")
        return text in _TRUE
    if name in _NULLABLE and (value is None or value == ""):
        return None
    if not isinstance(value, str) or not value:
        raise _wrong(f"says {name}: {value}", "Give a name, as text.")
    return value


def _wrong(what: str, remedy: str) -> SettingsError:
    return SettingsError(f"The layout of the sessions {what}", stage="settings", remedy=remedy)


def check_layout(connection: Any, layout: SessionLayout, settings: ConnectionSettings) -> dict[str, dict[str, str]]:
    """The columns of the tables, name -> type, once it is sure that those of the layout are there and may be read.

    Raises ResilienceError naming what is missing.
    """
    times = ["created_column", "updated_column", "expires_column"]
    wanted = {layout.keys_table: ["tenant_column", "type_column", "id_column", "value_column", *times]}
    if layout.auth_table is not None:
        wanted.setdefault(layout.auth_table, []).extend(["tenant_column", "creds_column"])
    found: dict[str, dict[str, str]] = {}
    for table, options in wanted.items():
        columns = found[table] = read_columns(connection, layout.schema, table, settings)
        named = {option: getattr(layout, option) for option in options if getattr(layout, option) is not None}
        wrong = ["no column %s (%s)" % (name, option) for option, name in named.items() if name not in columns]
        wrong += [
            "no time in its column %s (%s) but %s" % (named[option], option, columns[named[option]])
            for option in times
            if named.get(option) in columns and not columns[named[option]].startswith("timestamp")
        ]
        if wrong:
            raise ResilienceError(
                "The table {}.{} has {}. Its columns: {}".format(
                    layout.schema, table, " and ".join(wrong), ", ".join(sorted(columns))
                ),
                stage="layout",
                remedy="Correct the layout of the sessions. A column of times that the table lacks is said as null.",
            )
    return found


def read_columns(connection: Any, schema: str, table: str, settings: ConnectionSettings) -> dict[str, str]:
    """Name -> type of the columns of a table. Raises ResilienceError where it does not exist or may not be read."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT c.oid, pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                              AND pg_catalog.has_table_privilege(c.oid, 'SELECT'),
                       current_user
                FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                """,
                (schema, table),
            )
            found = cursor.fetchone()
            if found is None:
                raise ResilienceError(
                    f"There is no table {schema}.{table} in {settings.describe()}",
                    stage="layout",
                    remedy="Correct schema, auth_table or keys_table in the layout of the sessions, or the database.",
                )
            oid, readable, role = found
            if not readable:
                raise ResilienceError(
                    f"The role {role} may not read {schema}.{table}",
                    stage="layout",
                    remedy=f"As its owner: GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON {schema}.{table} TO {role}.",
                )
            cursor.execute(
                "SELECT attname, pg_catalog.format_type(atttypid, NULL) FROM pg_catalog.pg_attribute"
                " WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped",
                (oid,),
            )
            return dict(cursor.fetchall())
    except psycopg2.Error as error:
        raise translate(error, settings, "read the layout of the sessions").at_stage("layout") from error
