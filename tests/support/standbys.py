# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database with a few small sessions of any names, and a standby of it."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2

from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings, resolve
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.files import MANIFEST_FILE
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.names import tenant_directory
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby import (
    StandbyState,
    read_standby,
    read_standings,
    standby_directory,
    write_standings,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby_refresh import (
    Refresh,
    RefreshRequest,
    refresh_standby,
)
from demo import session_store
from demo.session_creds import auth_row
from demo.session_rows import key_rows
from tests.support.databases import TestDatabase

SOURCE = "whatsapp"
KEYS = 12


def fill_sessions(database: TestDatabase, tenants: Sequence[str], keys: int = KEYS) -> None:
    """Make the tables of the session store, with sessions of these names and so many keys."""
    now_us = int(datetime.now(UTC).timestamp() * 1_000_000)
    with psycopg2.connect(**database.parameters()) as connection, connection.cursor() as cursor:
        cursor.execute(session_store.SCHEMA_FILE.read_text(encoding="utf-8"))
        for number, tenant in enumerate(tenants):
            rows = [line for _, line in zip(range(keys), key_rows(7, number, now_us), strict=False)]
            for table, lines in (
                ("whatsapp_auth (company_id, creds, created_at, updated_at)", [auth_row(7, number, now_us)]),
                ("whatsapp_keys (company_id, key_type, key_id, value, created_at, updated_at, expires_at)", rows),
            ):
                text = "".join(f"{_escaped(tenant)}\t{line.partition(chr(9))[2]}" for line in lines)
                cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(text))
    connection.close()


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def settings_of(database: TestDatabase, **overrides: Any) -> ConnectionSettings:
    """How the collection connects to it, as its owner."""
    given = {name: str(value) for name, value in database.parameters(**overrides).items()}
    return resolve(given, environment={})


@dataclass(frozen=True)
class Standby:
    """The standby of a database, in a state directory."""

    database: TestDatabase
    state_directory: Path

    @property
    def directory(self) -> Path:
        """Where its sessions lie."""
        return Path(standby_directory(str(self.state_directory), SOURCE))

    def of(self, tenant: str) -> Path:
        """The directory of one session."""
        return self.directory / tenant_directory(tenant)

    def request(self, **changes: Any) -> RefreshRequest:
        """What to refresh."""
        given = RefreshRequest(SOURCE, settings_of(self.database), SessionLayout(), str(self.state_directory))
        return dataclasses.replace(given, **changes)

    def refresh(self, **changes: Any) -> Refresh:
        """Refresh it in this process."""
        return refresh_standby(self.request(**changes))

    def read(self) -> StandbyState:
        """What it holds, as the collection sees it."""
        return read_standby(str(self.state_directory), SOURCE)

    def contents(self) -> dict[str, bytes]:
        """Every file of every session that can be seen, by its path; manifests left out: they hold times."""
        return {
            str(path.relative_to(self.directory)): path.read_bytes()
            for path in sorted(self.directory.glob("*/*"))
            if path.name != MANIFEST_FILE and not path.parent.name.startswith(".")
        }

    def leftovers(self) -> list[str]:
        """What lies beside the sessions, but for the locks and the memory of the standby."""
        kept = {".lock", ".refresh.lock", ".standby.json"}
        return [path.name for path in self.directory.glob(".*") if path.name not in kept]

    def change(self, tenant: str) -> None:
        """Let the application write to one session."""
        self.database.execute(
            "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES"
            f" ({_literal(tenant)}, 'lid-mapping', 'change', to_jsonb(now()::text))"
            " ON CONFLICT (company_id, key_type, key_id) DO UPDATE SET value = excluded.value"
        )

    def grow_old(self, tenant: str, **changes: Any) -> None:
        """Change what is remembered of a session."""
        standings = read_standings(str(self.directory))
        standings[tenant] = dataclasses.replace(standings[tenant], **changes)
        write_standings(str(self.directory), standings)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def results(refresh: Refresh) -> dict[str, str]:
    """What became of each session."""
    return {outcome.tenant: outcome.result for outcome in refresh.outcomes}


def reason(refresh: Refresh, tenant: str) -> str:
    """Why it came to that with one session."""
    return next(str(outcome.reason) for outcome in refresh.outcomes if outcome.tenant == tenant)


def long_ago() -> datetime:
    """A moment that no setting of the collection reaches."""
    return datetime.now(UTC) - timedelta(days=200)
