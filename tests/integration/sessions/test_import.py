# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions back into the database: the rows are what the files are, as old as they should be, or untouched."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from datetime import UTC, datetime

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions import workers
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.creds import BrokenCredsError
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.directory import read_sessions
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.writing import importing_alone
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import LockedError, ResilienceError
from tests.support.backups import settings_from
from tests.support.databases import create_role
from tests.support.session_stores import KINDS, TENANTS, default_keys
from tests.support.session_values import IDS, keys_of

ONE, TWO = TENANTS
KEYS = sum(map(len, IDS.values()))
LONG_AGO = datetime(2026, 3, 1, tzinfo=UTC)
EXPIRES = datetime(2027, 1, 1, tzinfo=UTC)
IN_FILE = datetime(2026, 11, 20, 12, 30, 0, 123456, tzinfo=UTC)
COLUMNS = "company_id, key_type, key_id, value, created_at, updated_at, expires_at"


def rows_of(store):
    """Every row of the default layout with its times."""
    return {
        row[:3]: row[3:] for row in store.database.execute(f"SELECT {COLUMNS} FROM whatsapp_keys")
    }, store.database.execute("SELECT company_id, creds, created_at, updated_at FROM whatsapp_auth ORDER BY 1")


def write(directory, tenant, name, value, modified=IN_FILE):
    path = directory / tenant / name
    path.write_text(json.dumps(value))
    # Whole microseconds are all that a timestamptz can hold.
    nanoseconds = round(modified.timestamp() * 1_000_000) * 1000
    os.utime(path, ns=(nanoseconds, nanoseconds))


def counts(one):
    return one.added, one.changed, one.removed, one.unchanged


@pytest.fixture
def old_store(make_store):
    """A store whose rows are of long ago, with triggers that set updated_at at every update."""
    store = make_store()
    with contextlib.closing(store.database.connect()) as connection, connection, connection.cursor() as cursor:
        for table in ("whatsapp_keys", "whatsapp_auth"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cursor.execute(f"UPDATE {table} SET created_at = %s, updated_at = %s", (LONG_AGO, LONG_AGO))
        cursor.execute("UPDATE whatsapp_keys SET expires_at = %s", (EXPIRES,))
        for table in ("whatsapp_keys", "whatsapp_auth"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    return store


def test_rows_that_did_not_change_are_not_touched(old_store, tmp_path):
    old_store.export(tmp_path)
    places = "SELECT ctid, xmin, tableoid::regclass FROM whatsapp_keys UNION ALL SELECT ctid, xmin, tableoid::regclass FROM whatsapp_auth"
    before = sorted(old_store.database.execute(places))
    result = old_store.import_(tmp_path)
    assert sorted(old_store.database.execute(places)) == before
    assert [counts(one) for one in result.tenants] == [(0, 0, 0, KEYS)] * 2
    assert not any(one.differs for one in result.tenants)


def test_every_row_is_as_old_as_it_should_be(old_store, tmp_path):
    old_store.export(tmp_path)
    keys_before, creds_before = rows_of(old_store)
    write(tmp_path, ONE, "pre-key-1.json", {"changed": True})
    write(tmp_path, ONE, "pre-key-77.json", {"added": True})
    (tmp_path / ONE / "pre-key-16777215.json").unlink()
    creds = json.loads((tmp_path / ONE / "creds.json").read_text())
    write(tmp_path, ONE, "creds.json", {**creds, "nextPreKeyId": 78})

    result = old_store.import_(tmp_path)

    assert [counts(one) for one in result.tenants] == [
        (1, 1, 1, KEYS - 2) if one.tenant == ONE else (0, 0, 0, KEYS) for one in result.tenants
    ]
    keys, creds_rows = rows_of(old_store)
    assert keys.pop((ONE, "pre-key", "77")) == ({"added": True}, IN_FILE, IN_FILE, None)
    assert keys.pop((ONE, "pre-key", "1")) == ({"changed": True}, LONG_AGO, IN_FILE, EXPIRES)
    del keys_before[(ONE, "pre-key", "1")], keys_before[(ONE, "pre-key", "16777215")]
    assert keys == keys_before
    changed = {row[0]: row[1:] for row in creds_rows}
    assert (changed[ONE][0]["nextPreKeyId"], *changed[ONE][1:]) == (78, LONG_AGO, IN_FILE)
    assert changed[TWO] == {row[0]: row[1:] for row in creds_before}[TWO]


def test_ages_survive_the_loss_of_every_row(old_store, tmp_path):
    """The files carry them."""
    old_store.export(tmp_path)
    before = rows_of(old_store)
    old_store.database.execute("TRUNCATE whatsapp_keys, whatsapp_auth")
    result = old_store.import_(tmp_path)
    assert [(*counts(one), one.creds) for one in result.tenants] == [(KEYS, 0, 0, 0, "added")] * 2
    keys, creds = rows_of(old_store)
    for held, was in ((keys, before[0]), ({row[0]: row[1:] for row in creds}, {row[0]: row[1:] for row in before[1]})):
        # When they were made and when they expire is in no file.
        assert {name: row[2] for name, row in held.items()} == {name: row[2] for name, row in was.items()}
    assert default_keys(old_store.database, ONE) == keys_of(0, nasty=False)


def test_every_row_was_written_now_if_ages_are_not_kept(old_store, tmp_path):
    old_store.export(tmp_path)
    earliest = datetime.now(UTC)
    result = old_store.import_(tmp_path, keep_ages=False)
    keys, creds = rows_of(old_store)
    assert all(updated >= earliest and created == LONG_AGO for _value, created, updated, _expires in keys.values())
    assert all(updated >= earliest for _tenant, _creds, _created, updated in creds)
    assert [counts(one) for one in result.tenants] == [(0, 0, 0, KEYS)] * 2


def test_a_dry_run_says_the_same_and_writes_nothing(old_store, tmp_path):
    old_store.export(tmp_path)
    write(tmp_path, ONE, "pre-key-1.json", 5)
    before = rows_of(old_store)
    planned = old_store.import_(tmp_path, dry_run=True)
    assert rows_of(old_store) == before
    assert planned.tenants == old_store.import_(tmp_path).tenants
    assert planned.tenants[1].keys_before == planned.tenants[1].keys


def test_only_what_is_asked_for(old_store, tmp_path):
    old_store.export(tmp_path)
    for tenant in TENANTS:
        write(tmp_path, tenant, "pre-key-1.json", 5)
    assert [one.tenant for one in old_store.import_(tmp_path, tenants=(TWO,)).tenants] == [TWO]
    assert default_keys(old_store.database, ONE)["pre-key"]["1"] != 5
    assert default_keys(old_store.database, TWO)["pre-key"]["1"] == 5
    with pytest.raises(ResilienceError, match="There is no session main in "):
        old_store.import_(tmp_path, tenants=("main",))
    # A session that has no directory is left alone.
    before = rows_of(old_store)
    (tmp_path / ONE).rename(tmp_path / ".away")
    assert [one.tenant for one in old_store.import_(tmp_path).tenants] == [TWO]
    assert rows_of(old_store) == before


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "default"])
def test_other_columns_stay_as_they_are(make_store, tmp_path, kind):
    store = make_store(kind)
    if kind == "single":
        store.database.execute("UPDATE auth_state SET note = 'kept'")
    before = store.rows()
    store.export(tmp_path)
    write(tmp_path, ONE, "session-4915112345678.0.json", {"changed": True})
    (done,) = store.import_(tmp_path, tenants=(ONE,)).tenants
    assert counts(done) == (0, 1, 0, KEYS - 1)
    times = dict.fromkeys(("updated_at", "changed"))
    assert sorted(str({**row, **times}) for row in store.rows()) == sorted(str({**row, **times}) for row in before)


def test_credentials_that_were_a_string_stay_one(make_store, tmp_path):
    store = make_store()
    store.database.execute("UPDATE whatsapp_auth SET creds = to_jsonb(creds::text)")
    store.export(tmp_path)
    assert not any(one.differs for one in store.import_(tmp_path).tenants)
    creds = json.loads((tmp_path / ONE / "creds.json").read_text())
    write(tmp_path, ONE, "creds.json", {**creds, "nextPreKeyId": 78})
    assert store.import_(tmp_path, tenants=(ONE,)).tenants[0].creds == "changed"
    ((held,),) = store.database.execute(f"SELECT creds FROM whatsapp_auth WHERE company_id = '{ONE}'")
    assert json.loads(held)["nextPreKeyId"] == 78


def test_a_broken_row_is_replaced(make_store, tmp_path):
    store = make_store("auth")
    store.export(tmp_path)
    store.database.execute(f"UPDATE auth SET value = '{{' WHERE session = '{ONE}' AND id IN ('creds', 'pre-key-1')")
    (done,) = store.import_(tmp_path, tenants=(ONE,)).tenants
    assert (*counts(done), done.creds) == (0, 1, 0, KEYS - 1, "changed")
    assert not store.export(tmp_path).tenants[0].changed


# What must not come in.


def broken_creds(directory):
    creds = json.loads((directory / TWO / "creds.json").read_text())
    del creds["me"]["id"]
    write(directory, TWO, "creds.json", creds)


def no_creds(directory):
    (directory / TWO / "creds.json").unlink()


def strangers(directory):
    (directory / TWO / "7.json").write_text("{}")
    (directory / TWO / "notes.txt").write_text("")


def half_a_file(directory):
    (directory / TWO / "session-4915112345678.0.json").write_text('{"secret": "c2Vjc')


def two_of_one(directory):
    shutil.copytree(directory / TWO, directory / "copy")


@pytest.mark.parametrize(
    ("damage", "kind", "words"),
    [
        (broken_creds, BrokenCredsError, f"The credentials of the session {TWO} are broken: me.id is missing"),
        (no_creds, BrokenCredsError, f"The session {TWO} has no credentials"),
        (
            strangers,
            ResilienceError,
            "holds what are no files of Baileys' that this collection knows: 7.json, notes.txt",
        ),
        (half_a_file, ResilienceError, "session-4915112345678.0.json is no JSON"),
        (two_of_one, ResilienceError, f"both hold the session {TWO}"),
    ],
)
def test_a_directory_that_is_not_understood(old_store, tmp_path, damage, kind, words):
    old_store.export(tmp_path)
    write(tmp_path, TWO, "pre-key-1.json", 5)
    damage(tmp_path)
    before = rows_of(old_store)
    with pytest.raises(kind) as caught:
        old_store.import_(tmp_path)
    assert words in caught.value.message
    assert "c2Vjc" not in str(caught.value)
    assert rows_of(old_store) == before
    if damage is not half_a_file:
        with pytest.raises(kind):
            read_sessions(str(tmp_path))


def test_sessions_that_wait_for_their_phone(old_store, tmp_path):
    old_store.export(tmp_path)
    new = {
        name: value
        for name, value in json.loads((tmp_path / TWO / "creds.json").read_text()).items()
        if name not in ("me", "account")
    }
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "creds.json").write_text(json.dumps(new))
    before = rows_of(old_store)
    result = old_store.import_(tmp_path)
    assert {one.tenant: one.skipped for one in result.tenants} == {
        ONE: None,
        TWO: None,
        "new": "not paired with a phone yet",
    }
    write(tmp_path, TWO, "creds.json", new)
    with pytest.raises(BrokenCredsError, match="are new ones, of no paired phone, beside keys"):
        old_store.import_(tmp_path)
    assert rows_of(old_store) == before


def test_no_sessions_at_all(old_store, tmp_path):
    with pytest.raises(ResilienceError, match="There is no session in "):
        old_store.import_(tmp_path)
    with pytest.raises(ResilienceError, match=r"Cannot read .*nowhere"):
        old_store.import_(tmp_path / "nowhere")


def test_what_a_trigger_changes_is_noticed_before_it_is_committed(old_store, tmp_path):
    old_store.export(tmp_path)
    write(tmp_path, ONE, "pre-key-1.json", 5)
    old_store.database.execute(
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.value = '6'; RETURN NEW; END$$"
    )
    old_store.database.execute(
        "CREATE TRIGGER meddle BEFORE INSERT ON whatsapp_keys FOR EACH ROW EXECUTE FUNCTION meddle()"
    )
    before = rows_of(old_store)
    with pytest.raises(ResilienceError, match=f"The rows of the session {ONE} do not hold what its files hold"):
        old_store.import_(tmp_path)
    assert rows_of(old_store) == before


def test_what_the_server_says_of_a_row_shows_nothing_of_it(old_store, tmp_path):
    old_store.export(tmp_path)
    old_store.database.execute("ALTER TABLE whatsapp_keys ADD CHECK (value::text !~ 'secret')")
    for value in ("my secret", "my \u0000"):
        write(tmp_path, ONE, "pre-key-1.json", {"private": value})
        with pytest.raises(ResilienceError, match=f"Cannot import the session {ONE} into database") as caught:
            old_store.import_(tmp_path)
        assert "my " not in str(caught.value)
        assert caught.value.__suppress_context__


def test_a_role_that_may_not_write(old_store, tmp_path):
    old_store.export(tmp_path)
    write(tmp_path, ONE, "pre-key-1.json", 5)
    role = create_role(old_store.database.server)
    old_store.database.execute(f"GRANT SELECT ON whatsapp_auth, whatsapp_keys TO {role}")
    old_store.database.execute(f"ALTER ROLE {role} BYPASSRLS", superuser=True)
    try:
        old_store.settings = settings_from({**old_store.database.parameters(), "user": role})
        with pytest.raises(ResilienceError, match="permission denied for table whatsapp_keys") as caught:
            old_store.import_(tmp_path)
        assert "granted" in str(caught.value.remedy)
    finally:
        old_store.database.execute(f"DROP OWNED BY {role}", superuser=True)
        old_store.database.execute(f"DROP ROLE {role}", superuser=True)


# Beside others.


def test_one_import_at_a_time(old_store, tmp_path):
    old_store.export(tmp_path)
    with importing_alone(old_store.settings, old_store.layout):
        with pytest.raises(LockedError, match=r"Another import into public\.whatsapp_keys is running"):
            old_store.import_(tmp_path)
        # It only looks.
        old_store.import_(tmp_path, dry_run=True)
    old_store.import_(tmp_path)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_application_that_still_writes_is_noticed(old_store, tmp_path, monkeypatch, processes):
    monkeypatch.setattr(workers, "_KEYS_PER_WORKER", 1)
    old_store.export(tmp_path)
    write(tmp_path, ONE, "pre-key-1.json", 5)
    raised = []

    def run():
        try:
            old_store.import_(tmp_path, workers=processes)
        except ResilienceError as error:
            raised.append(error)

    with contextlib.closing(old_store.database.connect()) as application, application.cursor() as cursor:
        cursor.execute(f"UPDATE whatsapp_keys SET value = '7' WHERE company_id = '{ONE}' AND key_id = '1'")
        thread = threading.Thread(target=run)
        thread.start()
        wait_until_blocked(old_store)
        application.commit()
        thread.join(60)
    assert f"Somebody else wrote rows of the session {ONE}" in raised[0].message
    assert "Stop the application first" in str(raised[0].remedy)
    assert default_keys(old_store.database, ONE)["pre-key"]["1"] == 7


def wait_until_blocked(store):
    deadline = time.monotonic() + 30
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while store.database.execute(waiting, superuser=True) == [(0,)]:
        assert time.monotonic() < deadline, "nobody waits for the row"
        time.sleep(0.02)
