# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known sessions put into a database in each of the layouts that applications use."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg2 import sql

from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.export import (
    ExportRequest,
    ExportResult,
    export_sessions,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.import_ import (
    ImportRequest,
    ImportResult,
    import_sessions,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout, layout_from
from demo.session_store import SCHEMA_FILE
from tests.support.backups import settings_from
from tests.support.databases import TestDatabase
from tests.support.session_values import Keys, creds_of, keys_of, plain, spelt

NO_TIMES = {"created_column": None, "updated_column": None, "expires_column": None}


@dataclass(frozen=True)
class Kind:
    """A layout, and the statements that make its tables."""

    options: Mapping[str, Any]
    schema: str

    @property
    def layout(self) -> SessionLayout:
        return layout_from(self.options)


KINDS = {
    "default": Kind({}, SCHEMA_FILE.read_text(encoding="utf-8")),
    # session_key = "<session>:<type>-<id>", text data, everything double-stringified.
    "single": Kind(
        {
            "keys_table": "auth_state",
            "id_column": "session_key",
            "value_column": "data",
            "ids": "tenant_combined",
            "double_stringified": True,
            **NO_TIMES,
            "updated_column": "updated_at",
        },
        "CREATE TABLE auth_state (session_key text PRIMARY KEY, data text NOT NULL, note text DEFAULT 'new',"
        " updated_at timestamptz NOT NULL DEFAULT now())",
    ),
    # auth(session, id, value longtext), as it comes from MySQL.
    "auth": Kind(
        {
            "auth_table": None,
            "keys_table": "auth",
            "tenant_column": "session",
            "id_column": "id",
            "value_column": "value",
            "ids": "combined",
            **NO_TIMES,
        },
        "CREATE TABLE auth (session varchar(50), id varchar(255), value text, PRIMARY KEY (session, id))",
    ),
    # Session(sessionId, id, data), whose ids are spelt as file names.
    "prisma": Kind(
        {
            "auth_table": None,
            "keys_table": "Session",
            "tenant_column": "sessionId",
            "id_column": "id",
            "value_column": "data",
            "ids": "combined",
            "escaped_ids": True,
            **NO_TIMES,
        },
        'CREATE TABLE "Session" ("pkId" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "sessionId" varchar NOT NULL,'
        ' id varchar NOT NULL, data text NOT NULL, UNIQUE ("sessionId", id))',
    ),
    # Another schema and other names, json and an enumeration, and a key from the keys to the credentials.
    "own": Kind(
        {
            "schema": "wa store",
            "auth_table": "Creds",
            "keys_table": "signal keys",
            "tenant_column": "tenant",
            "creds_column": "document",
            "type_column": "kind",
            "id_column": "name",
            "value_column": "document",
            "created_column": None,
            "updated_column": "changed",
            "expires_column": None,
        },
        """
        CREATE SCHEMA "wa store";
        CREATE TYPE "wa store".kind AS ENUM ('pre-key', 'session', 'sender-key', 'sender-key-memory', 'app-state-sync-key',
            'app-state-sync-version', 'lid-mapping', 'device-list', 'tctoken', 'identity-key');
        CREATE TABLE "wa store"."Creds" (tenant uuid PRIMARY KEY, document json);
        CREATE TABLE "wa store"."signal keys" (tenant uuid REFERENCES "wa store"."Creds" ON DELETE CASCADE,
            kind "wa store".kind, name text, document json NOT NULL, changed timestamp NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant, kind, name))
        """,
    ),
}
TENANTS = ("6f1c2b6e-6a0e-4b55-8b3f-6c0e1a3f9a10", "0b0e7a52-54b5-4f7b-9f0e-7a3b8f3d2c11")


class Store:
    """Sessions in a database, in one of the layouts."""

    def __init__(self, database: TestDatabase, kind: str = "default", made: bool = False) -> None:
        """Make the tables, unless they are there already."""
        self.database = database
        self.layout = KINDS[kind].layout
        self.settings: ConnectionSettings = settings_from(database.parameters())
        if not made:
            database.execute(KINDS[kind].schema)

    def fill(self, tenant: str, keys: Keys | None = None, creds: Any = None, encoding: str = "mixed") -> None:
        """Add a session; its creds are those of a paired phone unless given."""
        keys = keys_of() if keys is None else keys
        creds = creds_of() if creds is None else creds
        with closing(self.database.connect()) as connection, connection, connection.cursor() as cursor:
            self._insert(cursor, tenant, None, "", creds, encoding)
            for key_type, members in keys.items():
                for key_id, value in members.items():
                    self._insert(cursor, tenant, key_type, key_id, value, encoding)

    def _insert(self, cursor: Any, tenant: str, key_type: str | None, key_id: str, value: Any, encoding: str) -> None:
        layout = self.layout
        text = json.dumps(spelt(value, encoding), ensure_ascii=False)
        if layout.double_stringified:
            text = json.dumps(text)
        if layout.escaped_ids:
            key_id = key_id.replace("/", "__").replace(":", "-")
        row: dict[str, Any] = {}
        if layout.tenant_column:
            row[layout.tenant_column] = tenant
        if key_type is None and layout.auth_table:
            table, row[layout.creds_column] = layout.auth_table, text
        else:
            name = "creds" if key_type is None else key_id if layout.type_column else f"{key_type}-{key_id}"
            table, row[layout.value_column] = layout.keys_table, text
            row[layout.id_column] = name if layout.tenant_column else f"{tenant}:{name}"
            if layout.type_column:
                row[layout.type_column] = key_type
        cursor.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(layout.schema, table),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(map(sql.Literal, row.values())),
            )
        )

    def rows(self) -> list[dict[str, Any]]:
        """Every row of the tables, the values aside, in order."""
        layout = self.layout
        tables = dict.fromkeys((layout.keys_table, layout.auth_table or layout.keys_table))
        return [
            row
            for table in tables
            for (row,) in self.database.execute(
                f"SELECT to_jsonb(t) - '{layout.value_column}' - '{layout.creds_column}'"
                f' FROM "{layout.schema}"."{table}" t ORDER BY 1'
            )
        ]

    def export(self, directory: Path, **options: Any) -> ExportResult:
        return export_sessions(ExportRequest("app", self.settings, self.layout, str(directory), **options))

    def import_(self, directory: Path, **options: Any) -> ImportResult:
        return import_sessions(ImportRequest("app", self.settings, self.layout, str(directory), **options))


def default_keys(database: TestDatabase, tenant: str) -> Keys:
    """Keys in the default layout as they are in the database, by this file's own reading of the encodings."""
    keys: Keys = {}
    for key_type, key_id, value in database.execute(
        f"SELECT key_type, key_id, value FROM whatsapp_keys WHERE company_id = '{tenant}'"
    ):
        keys.setdefault(key_type, {})[key_id] = plain(value)
    return keys


def baileys_keys(keys: Keys) -> Keys:
    """The same keys as Baileys gives them: of an app-state-sync-key it makes a message, whose bytes may be bare base64."""
    return {
        key_type: {
            key_id: {**value, "keyData": b64decode(value["keyData"])}
            if key_type == "app-state-sync-key" and isinstance(value["keyData"], str)
            else value
            for key_id, value in members.items()
        }
        for key_type, members in keys.items()
    }
