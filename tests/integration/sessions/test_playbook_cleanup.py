# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cleanup_keys.yml: a dry run unless told otherwise, source by source, and the team is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.support.backups import back_up
from tests.support.key_store import DAY, Key, KeyStore
from tests.support.playbooks import Surroundings, Unsafe
from tests.support.stub_servers import CHAT_ID, TOKEN, Stub, sentry_stub, telegram_stub

PLAYBOOK = "baileys.resilience.cleanup_keys"


@pytest.fixture
def store(server18: PostgresServer, make_database: MakeDatabase) -> KeyStore:
    """Eight keys that may go of a hundred."""
    made = KeyStore(make_database(server18)).create()
    made.fill(
        [Key("device-list", str(number), 40 * DAY) for number in range(8)]
        + [Key("pre-key", str(number), 400 * DAY) for number in range(92)]
    )
    return made


def site(directory: Path, store: KeyStore, telegram: Stub, sentry: Any, **sources: dict[str, Any]) -> Surroundings:
    made = Surroundings(directory)
    database = store.database
    connection = {
        "login_host": "localhost",
        "login_port": database.server.port,
        "login_user": database.user,
        "login_password": Unsafe(database.password),
        "database": database.name,
    }
    entries = [
        {"name": name, "backup_root": str(directory / name), **connection, **given} for name, given in sources.items()
    ]
    made.write_hosts(
        {
            "app1": {"backup_sources": entries, "backup_state_directory": str(directory / "state")},
            # Another host of the inventory, which holds no sessions, has nothing to do.
            "keeper1": {"backup_sources": [{"name": "ledger", "database": "no sessions in it, never looked at"}]},
        },
        telegram_token=TOKEN,
        telegram_chat_id=CHAT_ID,
        telegram_api_url=telegram.url,  # type: ignore[attr-defined]
        sentry_dsn=sentry.dsn,
    )
    return made


def test_a_dry_run_first_then_for_real(store: KeyStore, tmp_path: Path) -> None:
    everything = store.names()
    with telegram_stub() as telegram, sentry_stub() as sentry:
        made = site(
            tmp_path,
            store,
            telegram,
            sentry,
            app={"session_layout": {}},
            lost={"session_layout": {}, "database": "not there"},
            other={"database": "no sessions in it, never looked at"},
        )
        dry = made.play(PLAYBOOK, "-e", "backup_only=app", "-e", "cleanup_list_keys=2")
        assert dry.rc == 0, dry
        assert "Dry run: 8 of 100 keys would be deleted. Nothing was." in dry.output
        assert "device-list: 8 keys, 8 could go" in dry.output
        assert "and 6 more" in dry.output
        assert store.names() == everything
        assert not telegram.messages
        assert not (tmp_path / "state").exists()

        back_up(store.database, tmp_path / "app")
        real = made.play(PLAYBOOK, "-e", "cleanup_dry_run=false", "-e", "cleanup_max_deletions_warning=5")
        messages = [message["text"] for message in telegram.messages]
        events = sentry.of_type("event")
    assert real.rc == 2, real
    assert "8 of 100 keys were deleted." in real.output
    assert store.names() == {name for name in everything if name[1] == "pre-key"}
    assert 'database \\"not there\\" does not exist' in real.output
    assert "no sessions in it" not in real.output
    assert "failed=0" in next(line for line in real.output.splitlines() if line.startswith("keeper1"))
    assert {(event["level"], event["tags"]["source"]) for event in events} == {("warning", "app"), ("fatal", "lost")}
    assert any("8 of 100 keys were deleted" in text for text in messages)
    standing = json.loads((tmp_path / "state" / "status" / "cleanup.json").read_text())["subjects"]
    assert {name: found["level"] for name, found in standing.items()} == {"app": "warning", "lost": "fatal"}
    # Neither a password nor a value on the screen.
    assert store.database.password not in real.output + dry.output
