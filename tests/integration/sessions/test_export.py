# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions out of the database: one moment, whole or not at all, and never over what is newer."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import time
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions import files, workers
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.creds import BrokenCredsError
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.export import ExportRequest, export_sessions
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.files import (
    Manifest,
    read_manifest,
    read_tenant,
    write_manifest,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ConnectionFailedError,
    ResilienceError,
)
from tests.support.backups import settings_from, tree_state
from tests.support.databases import create_role
from tests.support.session_stores import TENANTS, Store
from tests.support.session_values import IDS, creds_of

ONE, TWO = TENANTS


KEYS = sum(map(len, IDS.values()))


def manifest_of(directory: str) -> Manifest:
    manifest = read_manifest(directory)
    assert manifest is not None
    return manifest


def state_of(directory):
    """Everything below the directories of the sessions, times and inodes included."""
    return {name: state for name, state in tree_state(directory).items() if name not in (".", ".lock")}


def value_in(directory, tenant, name):
    return json.loads((directory / tenant / name).read_text())


def test_every_file_has_its_type_in_its_name_and_every_key_has_a_file(make_store, tmp_path):
    """The old script left the type out: a session and an identity key of one contact fell into one file."""
    store = make_store()
    result = store.export(tmp_path)
    expected = {
        f"{key_type}-{key_id}.json".replace("/", "__").replace(":", "-") for key_type in IDS for key_id in IDS[key_type]
    }
    for one in result.tenants:
        assert set(os.listdir(one.directory)) == expected | {"creds.json", ".manifest.json"}
        assert dict(one.keys) == {key_type: len(ids) for key_type, ids in IDS.items()}
    assert [one.me for one in result.tenants] == ["4915112345678:7@s.whatsapp.net"] * 2


@pytest.mark.parametrize("processes", [1, 2])
def test_one_moment_while_a_writer_changes_everything(make_store, tmp_path, monkeypatch, processes):
    monkeypatch.setattr(workers, "_KEYS_PER_WORKER", 1)
    store = make_store()
    held = store.export(tmp_path / "before")

    def change_all(tenant, at):
        store.database.execute("UPDATE whatsapp_keys SET value = '\"changed\"'")
        store.database.execute("INSERT INTO whatsapp_keys VALUES ('%s', 'pre-key', '99', '1')" % tenant)
        store.database.execute("DELETE FROM whatsapp_keys WHERE key_type = 'session'")

    shown = store.export(tmp_path / "during", accept=change_all, workers=processes)

    assert [one.digest for one in shown.tenants] == [one.digest for one in held.tenants]
    assert shown.snapshot_at > held.snapshot_at
    after = store.export(tmp_path / "after")
    # With two processes the other tenant's change may have come after this key.
    assert value_in(tmp_path / "after", ONE, "pre-key-99.json") in (1, "changed")
    assert after.tenants[0].digest != shown.tenants[0].digest


def test_the_moment_is_told(make_store, tmp_path):
    store = make_store()
    earliest = datetime.now(UTC)
    result = store.export(tmp_path)
    assert earliest <= result.snapshot_at <= datetime.now(UTC)
    for one in result.tenants:
        manifest = manifest_of(one.directory)
        assert (manifest.snapshot_at, manifest.source, manifest.tenant) == (result.snapshot_at, "app", one.tenant)
        assert manifest.content == read_tenant(one.directory).content
        assert manifest.content.digest == one.digest


def test_what_is_the_same_is_not_changed(make_store, tmp_path):
    store = make_store()
    assert [one.changed for one in store.export(tmp_path).tenants] == [True, True]
    first = manifest_of(str(tmp_path / ONE))
    again = store.export(tmp_path)
    assert [one.changed for one in again.tenants] == [False, False]
    # It does show the later moment now.
    assert manifest_of(str(tmp_path / ONE)).snapshot_at == again.snapshot_at > first.snapshot_at
    store.database.execute(f"UPDATE whatsapp_keys SET value = '1' WHERE company_id = '{TWO}' AND key_id = '16777215'")
    changed = store.export(tmp_path)
    assert {one.tenant: one.changed for one in changed.tenants} == {ONE: False, TWO: True}
    # And what was changed in the files is put right.
    (tmp_path / ONE / "pre-key-1.json").write_text("5")
    assert {one.tenant: one.changed for one in store.export(tmp_path).tenants} == {ONE: True, TWO: False}


def test_files_that_did_not_change_are_taken_over(make_store, tmp_path):
    store = make_store()
    store.export(tmp_path)
    before = inodes(tmp_path / ONE)
    store.database.execute(f"UPDATE whatsapp_keys SET value = '1' WHERE company_id = '{ONE}' AND key_type = 'pre-key'")
    store.database.execute("UPDATE whatsapp_keys SET updated_at = updated_at WHERE key_type = 'tctoken'")
    store.export(tmp_path)
    after = inodes(tmp_path / ONE)
    # The trigger made the second ones younger, and the file of a key is as old as its row.
    new = {name for name in after if after[name] != before[name]}
    assert {name.split("-")[0] for name in new} == {"pre", "tctoken", ".manifest.json"}
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / ONE).iterdir())


def inodes(directory):
    return {path.name: path.stat().st_ino for path in directory.iterdir()}


def test_a_dry_run_says_the_same_and_writes_nothing(make_store, tmp_path):
    store = make_store()
    directory = tmp_path / "out"
    planned = store.export(directory, dry_run=True)
    assert not directory.exists()
    done = store.export(directory)
    assert [dataclasses.replace(one, changed=True) for one in planned.tenants] == list(done.tenants)
    before = state_of(directory)
    assert not any(one.changed for one in store.export(directory, dry_run=True).tenants)
    assert state_of(directory) == before


def test_files_carry_the_age_of_their_rows(make_store, tmp_path):
    store = make_store()
    store.database.execute("ALTER TABLE whatsapp_keys DISABLE TRIGGER USER")
    store.database.execute(
        "UPDATE whatsapp_keys SET updated_at = '2026-03-01 12:00:00.123456+05' WHERE key_id = '16777215'"
    )
    store.export(tmp_path)
    modified = (tmp_path / ONE / "pre-key-16777215.json").stat().st_mtime_ns
    assert modified == int(datetime(2026, 3, 1, 7, tzinfo=UTC).timestamp()) * 10**9 + 123_456_000


# What must not go out.


@pytest.mark.parametrize("processes", [1, 2])
def test_one_broken_session_stops_all_before_anything_is_replaced(make_store, tmp_path, monkeypatch, processes):
    monkeypatch.setattr(workers, "_KEYS_PER_WORKER", 1)
    store = make_store()
    store.export(tmp_path)
    before = state_of(tmp_path)
    store.database.execute("UPDATE whatsapp_keys SET value = '1'")
    for damage in ("creds - 'noiseKey'", "creds #- '{me,id}'", "'{}'", "'\"x\"'"):
        store.database.execute(f"UPDATE whatsapp_auth SET creds = {damage} WHERE company_id = '{TWO}'")
        with pytest.raises(BrokenCredsError, match=f"The credentials of the session {TWO} are broken: "):
            store.export(tmp_path, workers=processes)
        assert state_of(tmp_path) == before


def test_keys_without_credentials_stop_all(make_store, tmp_path):
    store = make_store()
    store.database.execute(f"DELETE FROM whatsapp_auth WHERE company_id = '{TWO}'")
    with pytest.raises(BrokenCredsError, match=f"The session {TWO} has no credentials") as caught:
        store.export(tmp_path)
    assert os.listdir(tmp_path) == [".lock"]
    # The way on that the remedy names.
    assert "tenants" in str(caught.value.remedy)
    assert [one.tenant for one in store.export(tmp_path, tenants=(ONE,)).tenants] == [ONE]


def test_a_session_that_waits_for_its_phone_is_left_out(make_store, tmp_path):
    store = make_store()
    store.fill("new", {}, creds_of(me=None))
    result = store.export(tmp_path)
    assert {one.tenant: one.skipped for one in result.tenants} == {
        ONE: None,
        TWO: None,
        "new": "not paired with a phone yet",
    }
    assert not (tmp_path / "new").exists()
    with pytest.raises(BrokenCredsError, match="new ones, of no paired phone, and it has 0 keys"):
        store.export(tmp_path, tenants=("new",))


def test_new_credentials_beside_old_keys_are_a_lost_session(make_store, tmp_path):
    """What the library leaves when it could not read the credentials and made new ones."""
    store = make_store()
    store.export(tmp_path)
    before = state_of(tmp_path)
    store.database.execute(f"DELETE FROM whatsapp_auth WHERE company_id = '{ONE}'")
    store.fill(ONE, {}, creds_of(me=None))
    with pytest.raises(BrokenCredsError, match="new ones, of no paired phone, and it has %d keys" % KEYS):
        store.export(tmp_path)
    assert state_of(tmp_path) == before


def test_a_value_that_is_no_json_is_named_and_not_shown(make_store, tmp_path):
    store = make_store("auth")
    store.database.execute(
        "UPDATE auth SET value = '{\"private\": \"c2VjcmV0' WHERE id = 'pre-key-1' AND session = '%s'" % TWO
    )
    with pytest.raises(ResilienceError) as caught:
        store.export(tmp_path)
    assert f"The key pre-key 1 of the session {TWO} is no JSON" in caught.value.message
    assert "c2VjcmV0" not in str(caught.value)
    assert os.listdir(tmp_path) == [".lock"]


def test_two_ids_with_one_file_name_are_an_error(make_store, tmp_path):
    store = make_store()
    store.fill("three", {"session": {"a/b": 1, "a__b": 2}})
    with pytest.raises(ResilienceError, match=r"Two keys would have the same file session-a__b\.json"):
        store.export(tmp_path)
    assert os.listdir(tmp_path) == [".lock"]


@pytest.mark.parametrize(
    ("kind", "statement", "words"),
    [
        (
            "single",
            "INSERT INTO auth_state VALUES ('config', '1')",
            "Of 1 rows of public.auth_state no session can be told",
        ),
        ("auth", f"INSERT INTO auth VALUES ('{ONE}', 'reaction-1', '1')", "that are of no known type"),
    ],
)
def test_rows_that_are_not_understood_are_an_error(make_store, tmp_path, kind, statement, words):
    store = make_store(kind)
    store.database.execute(statement)
    with pytest.raises(ResilienceError, match=words):
        store.export(tmp_path)


def test_a_type_that_is_not_known_is_kept_where_it_has_a_column(make_store, tmp_path):
    store = make_store()
    store.fill("three", {"reaction-key": {"1": {"a": b"x"}}})
    result = store.export(tmp_path)
    assert dict(result.tenants[-1].keys) == {"reaction-key": 1}
    assert (tmp_path / "three" / "reaction-key-1.json").exists()
    assert not store.import_(tmp_path, tenants=("three",)).tenants[0].differs


def test_sessions_with_any_name(make_store, tmp_path):
    store = make_store()
    names = ["a/b", ".hidden", "..", "ünï cødé", "50%", "'; --"]
    for name in names:
        store.fill(name, {"pre-key": {"1": 1}})
    result = store.export(tmp_path)
    assert {one.tenant for one in result.tenants} == {*TENANTS, *names}
    assert all((tmp_path / os.path.basename(one.directory) / "creds.json").exists() for one in result.tenants)
    assert {one.tenant for one in store.import_(tmp_path).tenants} == {*TENANTS, *names}


@pytest.mark.parametrize("damage", ["a byte", "a file too many", "a file too few"])
def test_what_reads_back_differently_is_not_put_into_place(make_store, tmp_path, monkeypatch, damage):
    store = make_store()
    store.export(tmp_path)
    store.database.execute("UPDATE whatsapp_keys SET value = '1'")
    before = state_of(tmp_path)
    real = files._write_file

    def write(directory, name, content, *rest):
        if name != "pre-key-1.json":
            real(directory, name, content, *rest)
        elif damage == "a byte":
            real(directory, name, b"2", *rest)
        elif damage == "a file too many":
            real(directory, name, content, *rest)
            real(directory, "stranger.json", content, *rest)

    monkeypatch.setattr(files, "_write_file", write)
    with pytest.raises(ResilienceError, match="reads back differently"):
        store.export(tmp_path)
    assert state_of(tmp_path) == before


# Where it comes from.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"id_column": "keyid"},
            "has no column keyid (id_column). Its columns: company_id, created_at, expires_at, key_id",
        ),
        ({"creds_column": "cred", "auth_table": "whatsapp_auth"}, "has no column cred (creds_column)"),
        (
            {"type_column": "kind", "value_column": "data"},
            "no column kind (type_column) and no column data (value_column)",
        ),
        ({"updated_column": "key_id"}, "no time in its column key_id (updated_column) but text"),
        ({"keys_table": "keys"}, "There is no table public.keys in database"),
        ({"schema": "wa"}, "There is no table wa.whatsapp_keys in database"),
    ],
)
def test_a_wrong_name_is_an_error_that_names_it(make_store, tmp_path, options, words):
    """The old script asked for a column that is not there, and took the empty answer for an empty store."""
    store = make_store()
    store.layout = dataclasses.replace(store.layout, **options)
    with pytest.raises(ResilienceError) as caught:
        store.export(tmp_path)
    assert words in caught.value.message
    assert "layout" in str(caught.value.remedy)


def test_an_empty_store_is_never_exported(make_database, server18, tmp_path):
    store = Store(make_database(server18))
    with pytest.raises(ResilienceError, match="There is no session in database"):
        store.export(tmp_path)


def test_a_session_that_is_not_there(make_store, tmp_path):
    store = make_store()
    with pytest.raises(ResilienceError, match="There is no session main in database") as caught:
        store.export(tmp_path, tenants=("main", ONE))
    assert ONE in str(caught.value.remedy)


@pytest.fixture
def other_role(make_store):
    """A store, and its settings for a role that owns nothing."""
    store = make_store()
    role = create_role(store.database.server)
    store.settings = settings_from({**store.database.parameters(), "user": role})
    store.database.execute(f"GRANT SELECT ON whatsapp_auth TO {role}")
    yield store, role
    store.database.execute(f"DROP OWNED BY {role}", superuser=True)
    store.database.execute(f"DROP ROLE {role}", superuser=True)


def test_a_role_that_may_not_read(other_role, tmp_path):
    store, role = other_role
    with pytest.raises(ResilienceError, match=f"The role {role} may not read public.whatsapp_keys"):
        store.export(tmp_path)


def test_a_role_from_which_rows_are_hidden_gets_an_error_and_not_fewer_rows(other_role, tmp_path):
    store, role = other_role
    store.database.execute(f"GRANT SELECT ON whatsapp_keys TO {role}")
    store.database.execute("DROP POLICY whatsapp_keys_service ON whatsapp_keys")
    store.database.execute("CREATE POLICY most ON whatsapp_keys USING (key_type <> 'session')")
    with pytest.raises(ResilienceError, match="Row level security may hide rows of ") as caught:
        store.export(tmp_path)
    assert "public.whatsapp_auth, public.whatsapp_keys" in caught.value.message
    assert f"ALTER ROLE {role} BYPASSRLS" in str(caught.value.remedy)
    store.database.execute(f"ALTER ROLE {role} BYPASSRLS", superuser=True)
    assert sum(store.export(tmp_path).tenants[0].keys.values()) == KEYS


def test_timeouts_that_are_set_for_the_role_end_nothing(make_store, tmp_path):
    store = make_store()
    for setting in ("statement_timeout = '50ms'", "idle_in_transaction_session_timeout = '50ms'"):
        store.database.execute(f"ALTER ROLE {store.database.user} SET {setting}", superuser=True)
    assert len(store.export(tmp_path, accept=lambda tenant, at: time.sleep(0.2)).tenants) == 2


def test_a_server_that_is_gone_is_asked_three_times(make_store, tmp_path):
    store = make_store()
    store.settings = settings_from({**store.database.parameters(), "port": 1})
    with pytest.raises(ConnectionFailedError, match=r"\(3 attempts\)"):
        store.export(tmp_path)
    assert os.listdir(tmp_path) == []


# Where it goes.


def test_an_older_export_never_replaces_a_newer_one(make_store, tmp_path):
    store = make_store()
    store.export(tmp_path)
    path = tmp_path / TWO
    later = dataclasses.replace(manifest_of(str(path)), snapshot_at=datetime.now(UTC) + timedelta(minutes=5))
    (path / ".manifest.json").unlink()
    write_manifest(str(path), later)
    before = state_of(tmp_path)
    for dry_run in (True, False):
        with pytest.raises(ResilienceError, match="an older export never replaces a newer one"):
            store.export(tmp_path, dry_run=dry_run)
    assert state_of(tmp_path) == before


def test_files_that_no_export_made_are_never_replaced(make_store, tmp_path):
    store = make_store()
    (tmp_path / ONE).mkdir()
    (tmp_path / TWO).mkdir()
    (tmp_path / TWO / "creds.json").write_text("{}")
    before = state_of(tmp_path)
    for dry_run in (True, False):
        with pytest.raises(ResilienceError, match="was not made by an export"):
            store.export(tmp_path, dry_run=dry_run)
        assert state_of(tmp_path) == before
    # An empty directory is.
    assert store.export(tmp_path, tenants=(ONE,)).tenants[0].changed


def test_the_export_of_another_source_is_never_replaced(make_store, tmp_path):
    store = make_store()
    store.export(tmp_path)
    with pytest.raises(ResilienceError, match=f"holds the session {TWO} of the source app"):
        export_sessions(ExportRequest("shop", store.settings, store.layout, str(tmp_path)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_files_are_given_to_the_user_of_the_service(make_store, tmp_path):
    store = make_store()
    for _ in range(2):
        store.export(tmp_path / "home" / "sessions", owner=(65534, 65534))
    for root, directories, names in os.walk(tmp_path / "home"):
        for name in [*directories, *names]:
            status = os.lstat(os.path.join(root, name))
            if name != ".lock":
                assert (status.st_uid, status.st_gid) == (65534, 65534), name
            assert stat.S_IMODE(status.st_mode) == (0o700 if name in directories else 0o600), name


def test_the_caller_may_leave_a_session_out(make_store, tmp_path):
    store = make_store()
    result = store.export(tmp_path, accept=lambda tenant, at: "not today" if tenant == ONE else None)
    assert {one.tenant: one.skipped for one in result.tenants} == {ONE: "not today", TWO: None}
    assert sorted(os.listdir(tmp_path)) == [".lock", TWO]
