# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores of session keys in every layout, with rows of a test's own, and what a cleanup must make of them.

What may go is worked out here a second time, from the rows themselves and in Python.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg2 import sql
from psycopg2.extras import execute_values

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.batches import Pace
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cleanup import (
    CleanupRequest,
    CleanupResult,
    clean_up,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout, layout_from
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.policy import Policy
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.taken_apart import over_parts
from tests.support.backups import settings_from
from tests.support.databases import TestDatabase

DAY = timedelta(days=1)
# Of the tenant itself, as its credentials name it.
OWN_PHONE, OWN_LID = "4915100000001", "100000000000001"
CREDS = {"me": {"id": f"{OWN_PHONE}:7@s.whatsapp.net", "lid": f"{OWN_LID}:7@lid"}}

LAYOUTS: dict[str, dict[str, Any]] = {
    "default": {},
    "text": {"keys_table": "keys_as_text", "auth_table": "auth_as_text"},
    "double": {"keys_table": "keys_double", "auth_table": "auth_double", "double_stringified": True},
    "combined": {
        "auth_table": None,
        "keys_table": "auth",
        "tenant_column": "session",
        "id_column": "id",
        "created_column": None,
        "updated_column": "changed",
        "expires_column": None,
        "ids": "combined",
        "escaped_ids": True,
    },
    "tenant_combined": {
        "keys_table": "store",
        "id_column": "session_key",
        "value_column": "session_data",
        "created_column": None,
        "updated_column": "changed",
        "expires_column": None,
        "ids": "tenant_combined",
    },
}
_TABLES = {
    "default": """
        CREATE TABLE IF NOT EXISTS whatsapp_auth (company_id text PRIMARY KEY, creds jsonb NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
        CREATE TABLE IF NOT EXISTS whatsapp_keys (company_id text, key_type text, key_id text, value jsonb,
            created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz, expires_at timestamptz,
            PRIMARY KEY (company_id, key_type, key_id))""",
    "text": """
        CREATE TABLE auth_as_text (company_id text PRIMARY KEY, creds text NOT NULL);
        CREATE TABLE keys_as_text (company_id text, key_type text, key_id text, value text,
            created_at timestamp DEFAULT now(), updated_at timestamp, expires_at timestamp)""",
    "double": """
        CREATE TABLE auth_double (company_id text PRIMARY KEY, creds jsonb NOT NULL);
        CREATE TABLE keys_double (company_id text, key_type text, key_id text, value jsonb,
            created_at timestamptz DEFAULT now(), updated_at timestamptz, expires_at timestamptz)""",
    "combined": "CREATE TABLE auth (session text, id text, value json, changed timestamptz, PRIMARY KEY (session, id))",
    "tenant_combined": "CREATE TABLE store (session_key text PRIMARY KEY, session_data text, changed timestamptz)",
}

Name = tuple[str, str, str]


@dataclass(frozen=True)
class Key:
    """A key and how long ago it was written; `age` None is a NULL, a text is taken as it is (`infinity`)."""

    key_type: str
    key_id: str
    age: timedelta | str | None
    value: Any = None
    tenant: str = "acme"

    @property
    def name(self) -> Name:
        return self.tenant, self.key_type, self.key_id


@dataclass
class KeyStore:
    """The keys of one layout in a database, and cleanups of them."""

    database: TestDatabase
    kind: str = "default"
    layout: SessionLayout = field(init=False)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.layout = layout_from(LAYOUTS[self.kind])

    def create(self) -> KeyStore:
        """Make the tables."""
        self.database.execute(_TABLES[self.kind])
        return self

    def fill(self, keys: Iterable[Key], tenants: Sequence[str] = ("acme",)) -> None:
        """Put these keys, and no others, into it; the tenants have credentials."""
        with self.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET timezone TO 'UTC'; SELECT now()")
            ((self.at,),) = cursor.fetchall()
            for table in {self.layout.keys_table, self.layout.auth_table} - {None}:
                cursor.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(str(table))))
            rows = [self._row(key) for key in keys]
            columns = [self.layout.tenant_column, self.layout.type_column, self.layout.id_column]
            columns += [self.layout.value_column, self.layout.updated_column]
            self._insert(cursor, self.layout.keys_table, [str(name) for name in columns if name is not None], rows)
            creds = [(tenant, self._text(CREDS)) for tenant in tenants]
            if self.layout.auth_table is not None:
                self._insert(cursor, self.layout.auth_table, ["company_id", "creds"], creds)
            else:
                rows = [self._creds_row(tenant, text) for tenant, text in creds]
                self._insert(cursor, self.layout.keys_table, [str(name) for name in columns if name is not None], rows)
        connection.close()

    def names(self) -> set[Name]:
        """Every key that is there; credentials among the keys are of the type `creds`."""
        query = sql.SQL("SELECT {}, coalesce({}, 'creds'), coalesce({}, '') FROM {}").format(
            over_parts(self.layout, SessionLayout.tenant_expression),
            over_parts(self.layout, SessionLayout.type_expression),
            over_parts(self.layout, SessionLayout.id_expression),
            self.layout.keys_relation(),
        )
        with self.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(query)
            found = {(tenant, key_type, self._read_id(key_id)) for tenant, key_type, key_id in cursor.fetchall()}
        connection.close()
        return found

    def request(self, state_directory: Path, policy: Policy | None = None, **options: Any) -> CleanupRequest:
        """A cleanup of it as the owner, for real unless told otherwise, of whatever part."""
        chosen = {"max_delete_percent": 100, "dry_run": False, "pace": Pace(pause=0), **options}
        parameters = chosen.pop("parameters", None) or self.database.parameters()
        return CleanupRequest(
            source="app",
            settings=settings_from(parameters),
            layout=self.layout,
            policy=policy or Policy(),
            state_directory=str(state_directory),
            **chosen,
        )

    def clean(
        self, state_directory: Path, policy: Policy | None = None, require_backup: Any = None, **options: Any
    ) -> CleanupResult:
        """Clean it up; no backup is asked for unless the test does."""
        return clean_up(self.request(state_directory, policy, **options), require_backup or (lambda _database: None))

    def _row(self, key: Key) -> tuple[Any, ...]:
        when = self.at - key.age if isinstance(key.age, timedelta) else key.age
        if self.kind == "text" and isinstance(when, datetime):
            when = when.replace(tzinfo=None)
        key_id = self._written_id(key.key_id)
        text = self._text(key.value if key.value is not None else {"made": "up"})
        if self.kind == "tenant_combined":
            return f"{key.tenant}:{key.key_type}-{key_id}", text, when
        if self.kind == "combined":
            return key.tenant, f"{key.key_type}-{key_id}", text, when
        return key.tenant, key.key_type, key_id, text, when

    def _creds_row(self, tenant: str, text: str) -> tuple[Any, ...]:
        old = self.at - 1000 * DAY
        return (f"{tenant}:creds", text, old) if self.kind == "tenant_combined" else (tenant, "creds", text, old)

    def _text(self, value: Any) -> str:
        text = json.dumps(value)
        return json.dumps(text) if self.layout.double_stringified else text

    def _written_id(self, key_id: str) -> str:
        return key_id.replace("/", "__").replace(":", "-") if self.layout.escaped_ids else key_id

    def _read_id(self, key_id: str) -> str:
        # Enough for the ids of these tests.
        return key_id.replace("--", "::") if self.layout.escaped_ids else key_id

    @staticmethod
    def _insert(cursor: Any, table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        statement = sql.SQL("INSERT INTO {} ({}) VALUES %s").format(sql.Identifier(table), names)
        if rows:
            execute_values(cursor, statement, rows)


def token(*, timestamp: Any = None, sender_timestamp: Any = None, **more: Any) -> dict[str, Any]:
    """A tctoken as Baileys stores it; the timestamp is left out where it is None."""
    value: dict[str, Any] = {"token": {"type": "Buffer", "data": [4, 1, 2, 3]}, **more}
    if timestamp is not None:
        value["timestamp"] = timestamp
    if sender_timestamp is not None:
        value["senderTimestamp"] = sender_timestamp
    return value


def may_go(keys: Sequence[Key], policy: Policy, at: datetime, tenants: Mapping[str, Any] | Sequence[str]) -> set[Name]:
    """What the policy lets go, worked out without any of its code."""
    doomed_groups = {(key.tenant, key.key_id.split("::")[0]) for key in keys if _old_sender_key(key, policy, tenants)}
    gone = set()
    for key in keys:
        if not isinstance(key.age, timedelta):
            continue
        old = key.age > policy.retention_days * DAY
        if policy.mode == "everything_by_age":
            goes = old and key.key_type in EVERY_TYPE
        elif key.key_type == "device-list":
            goes = old
        elif key.key_type == "sender-key-memory":
            goes = old or (key.tenant, key.key_id) in doomed_groups
        elif key.key_type == "tctoken":
            limit = max(policy.retention_days, 28) * DAY
            goes = key.key_id != "__index" and key.age > limit and _expired(key.value, at - limit)
        elif key.key_type == "session":
            goes = policy.session_days is not None and key.age > policy.session_days * DAY
        else:
            goes = _old_sender_key(key, policy, tenants)
        if goes:
            gone.add(key.name)
    return gone


NEVER_BY_AGE = {"pre-key", "app-state-sync-key", "app-state-sync-version", "lid-mapping", "identity-key"}
EVERY_TYPE = NEVER_BY_AGE | {"session", "sender-key", "sender-key-memory", "device-list", "tctoken"}


def ages_of(keys: Sequence[Key]) -> Counter[str]:
    """Keys by age bucket."""
    limits = ((1, "<1d"), (7, "1-7d"), (14, "7-14d"))
    found: Counter[str] = Counter()
    for key in keys:
        if not isinstance(key.age, timedelta):
            found["unknown"] += 1
            continue
        young = [name for days, name in limits if key.age < days * DAY]
        found[young[0] if young else "14-30d" if key.age <= 30 * DAY else ">30d"] += 1
    return found


def _old_sender_key(key: Key, policy: Policy, tenants: Mapping[str, Any] | Sequence[str]) -> bool:
    if key.key_type != "sender-key" or policy.sender_key_days is None or not isinstance(key.age, timedelta):
        return False
    _group, sender, _device = key.key_id.split("::")
    own = sender.split("_")[0] in (OWN_PHONE, OWN_LID)
    return key.age > policy.sender_key_days * DAY and not own and key.tenant in tenants


def _expired(value: Any, limit: datetime) -> bool:
    times = list(_times(value))
    names = sorted(name for name, _time in times)
    # As Baileys writes it; with more than that nobody knows which counts.
    usual = names in (["timestamp"], ["senderTimestamp", "timestamp"])
    return usual and all(time < limit.timestamp() for _name, time in times)


def _times(value: Any) -> Iterator[tuple[str, int]]:
    """Every time that can be read in a value, at whatever depth."""
    if not isinstance(value, dict):
        return
    for name, item in value.items():
        if name in ("timestamp", "senderTimestamp") and re.fullmatch("[0-9]+", str(item)):
            yield name, int(item)
        yield from _times(item)


def with_age(key: Key, age: timedelta) -> Key:
    """The same key, of another age."""
    return dataclasses.replace(key, age=age)


def seconds_ago(at: datetime, age: timedelta) -> int:
    """A moment so long before, as WhatsApp writes it."""
    return int((at - age).astimezone(UTC).timestamp())
