# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is exported is read by Baileys itself, key for key, and what Baileys writes comes back into the database."""

from __future__ import annotations

import os

import pytest

from tests.support.baileys_oracle import baileys
from tests.support.session_stores import KINDS, TENANTS, Store, baileys_keys, default_keys
from tests.support.session_values import ENCODINGS, IDS, creds_of, keys_of

ONE, TWO = TENANTS


@pytest.fixture(scope="module")
def oracle():
    with baileys() as running:
        yield running


def ids_of(keys):
    return {key_type: list(members) for key_type, members in keys.items()}


@pytest.fixture(params=["server18", "server16"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_type_in_every_encoding_with_ids_of_every_kind(server, make_database, tmp_path, oracle, encoding):
    store = Store(make_database(server))
    keys, creds = keys_of(), creds_of()
    store.fill(ONE, keys, creds, encoding)

    store.export(tmp_path / "out")

    read_creds, read_keys = oracle.read(tmp_path / "out" / ONE, ids_of(keys))
    assert read_keys == keys
    assert read_creds == creds
    # And nothing else is there.
    assert len(os.listdir(tmp_path / "out" / ONE)) == len(["creds.json", ".manifest.json"]) + sum(
        map(len, keys.values())
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_layout(server18, make_database, tmp_path, oracle, kind):
    store = Store(make_database(server18), kind)
    first, second = keys_of(1), keys_of(2)
    store.fill(ONE, first, creds_of(1))
    store.fill(TWO, second, creds_of(2))

    result = store.export(tmp_path / "out")

    assert [one.tenant for one in result.tenants] == sorted(TENANTS)
    for tenant, keys, creds in ((ONE, first, creds_of(1)), (TWO, second, creds_of(2))):
        assert oracle.read(tmp_path / "out" / tenant, ids_of(keys)) == (creds, keys)


def test_a_realistic_store_to_the_last_key(server18, make_session_store, tmp_path, oracle):
    database = make_session_store(server18)
    store = Store(database, made=True)
    ((tenant,),) = database.execute("SELECT company_id FROM whatsapp_auth")
    held = default_keys(database, tenant)

    result = store.export(tmp_path)

    _, read = oracle.read(tmp_path / tenant, ids_of(held))
    assert read == baileys_keys(held)
    assert dict(result.tenants[0].keys) == {key_type: len(members) for key_type, members in held.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_what_baileys_wrote_comes_back(server18, make_database, tmp_path, oracle, kind):
    store = Store(make_database(server18), kind)
    keys, creds = keys_of(1, nasty=False), creds_of(1)
    store.fill(ONE, keys, creds)
    store.export(tmp_path / "out")
    later = keys_of(3, nasty=False)
    written = {
        "session": dict.fromkeys(IDS["session"], later["session"][IDS["session"][0]]),
        "pre-key": {"1": None, "32": later["pre-key"]["1"]},
        "sender-key": {"120363041234567890@g.us::998877665544332_1::4": b"[]"},
        "app-state-sync-key": {"AAAAAP//////": later["app-state-sync-key"]["AAAAAPv/"]},
        "lid-mapping": {"4917612345678": "998877665544332"},
    }
    oracle.write(tmp_path / "out" / ONE, written, {"nextPreKeyId": 33})

    (done,) = store.import_(tmp_path / "out").tenants

    assert (done.added, done.changed, done.removed, done.creds) == (4, 2, 1, "changed")
    # Out again, into another directory, is what the database now holds.
    store.export(tmp_path / "again")
    expected = {key_type: {**members, **written.get(key_type, {})} for key_type, members in keys.items()}
    read_creds, read_keys = oracle.read(tmp_path / "again" / ONE, ids_of(expected))
    assert read_keys == expected
    assert read_creds == {**creds, "nextPreKeyId": 33}
    if store.layout.escaped_ids:
        assert not any(set(row[store.layout.id_column]) & set("/:") for row in store.rows())


def test_ids_that_a_file_name_cannot_tell_come_back_by_what_the_database_has(server18, make_database, tmp_path, oracle):
    """`a/b:c` of a type whose ids never hold that; the row is there, and so is its id."""
    store = Store(make_database(server18))
    keys = keys_of()
    store.fill(ONE, keys)
    before = store.rows()
    store.export(tmp_path)
    nasty = {key_type: {"a/b:c+d==": keys_of(5)[key_type]["a/b:c+d=="]} for key_type in keys}
    oracle.write(tmp_path / ONE, nasty)

    (done,) = store.import_(tmp_path).tenants

    same = sum(nasty[key_type]["a/b:c+d=="] == keys[key_type]["a/b:c+d=="] for key_type in keys)
    assert (done.added, done.changed, done.removed) == (0, len(keys) - same, 0)
    assert [(row.get("key_type"), row.get("key_id")) for row in store.rows()] == [
        (row.get("key_type"), row.get("key_id")) for row in before
    ]
    held = default_keys(store.database, ONE)
    assert all(held[key_type]["a/b:c+d=="] == nasty[key_type]["a/b:c+d=="] for key_type in keys)
