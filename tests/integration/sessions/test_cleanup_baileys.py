# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cleanup does to a conversation: Baileys' own signal repository reads on with what is left, or cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.policy import EFFECTS, Policy
from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.support.baileys_signal import Conversation, Texts, conversation
from tests.support.key_store import DAY, Key, KeyStore

ARRIVES = {
    "direct": "still there?",
    "answer": "still here",
    "group": "anybody?",
    "toGroup": "me",
    "firstContact": "we have not met",
}
# By type of key: what no longer works without it, and Baileys' own words.
LOST = {
    "pre-key": {"firstContact": "Invalid PreKey ID"},
    "session": {"direct": "No session record", "answer": "No sessions"},
    "lid-mapping": {"direct": "No session record", "answer": "No sessions"},
    "sender-key": {"group": "No session found to decrypt message", "toGroup": "No session found to decrypt message"},
    "device-list": {},
    "sender-key-memory": {},
    "tctoken": {},
}


@pytest.fixture
def talking() -> Iterator[Conversation]:
    with conversation() as started:
        yield started


@pytest.fixture
def store(server18: PostgresServer, make_database: MakeDatabase) -> KeyStore:
    return KeyStore(make_database(server18)).create()


def put(store: KeyStore, keys: Texts, age: timedelta) -> None:
    """Bob's keys as the application writes them, all of this age."""
    store.fill(
        [
            Key(key_type, key_id, age, json.loads(text))
            for key_type, values in keys.items()
            for key_id, text in values.items()
        ]
    )


def left(store: KeyStore) -> Texts:
    found: Texts = {}
    for key_type, key_id, text in store.database.execute("SELECT key_type, key_id, value::text FROM whatsapp_keys"):
        found.setdefault(key_type, {})[key_id] = text
    return found


def errors(messages: dict[str, str]) -> dict[str, str]:
    return {case: f"error: {message}" for case, message in messages.items()}


def test_every_message_arrives_after_a_default_cleanup(talking: Conversation, store: KeyStore, tmp_path: Path) -> None:
    creds, keys = talking.talk()
    put(store, keys, 60 * DAY)
    result = store.clean(tmp_path)
    assert result.deleted == {"device-list": 1, "sender-key-memory": 1, "tctoken": 1}
    assert talking.resume(creds, left(store)) == ARRIVES


def test_nothing_arrives_after_a_cleanup_of_everything_by_age(
    talking: Conversation, store: KeyStore, tmp_path: Path
) -> None:
    creds, keys = talking.talk()
    put(store, keys, 60 * DAY)
    result = store.clean(tmp_path, Policy("everything_by_age"))
    assert result.deleted_keys == sum(map(len, keys.values()))
    lost = errors({**LOST["session"], **LOST["pre-key"], "group": "No session found to decrypt message"})
    # To the group he can write: with memory and sender key both gone, he makes a new one and hands it out.
    assert talking.resume(creds, left(store)) == {**ARRIVES, **lost}


@pytest.mark.parametrize("key_type", list(LOST))
def test_what_is_lost_with_each_type(talking: Conversation, key_type: str) -> None:
    creds, keys = talking.talk()
    assert keys.pop(key_type)
    assert talking.resume(creds, keys) == {**ARRIVES, **errors(LOST[key_type])}
    # It is what a person is told beforehand.
    assert all(message in EFFECTS[key_type] for message in LOST[key_type].values())
    assert LOST[key_type] or EFFECTS[key_type].startswith("nothing")


def test_what_is_lost_by_choice_is_what_was_said(talking: Conversation, store: KeyStore, tmp_path: Path) -> None:
    creds, keys = talking.talk()
    put(store, keys, 200 * DAY)
    # The group is in use: only its silent member's key is old.
    store.database.execute("UPDATE whatsapp_keys SET updated_at = now() WHERE key_type = 'sender-key-memory'")
    own = "120363000000000001@g.us::100000000000001_1::7"
    result = store.clean(tmp_path, Policy(session_days=180, sender_key_days=180))
    assert (result.deleted["session"], result.deleted["sender-key"]) == (1, 1)
    remaining = left(store)
    # His own sender key stays, and the memory of who has it goes: he hands it out again.
    assert list(remaining["sender-key"]) == [own]
    assert "sender-key-memory" not in remaining
    lost = errors({**LOST["session"], "group": "No session found to decrypt message"})
    assert talking.resume(creds, remaining) == {**ARRIVES, **lost}
