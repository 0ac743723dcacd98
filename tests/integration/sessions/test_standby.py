# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The standby holds what the database last held for certain, session by session, and never goes back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions import export
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.fence import (
    Fence,
    FencedError,
    clear_mark,
    mark_database,
    set_fence,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.files import write_files
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby import read_standings, verify_standby
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import LockedError, ResilienceError
from ansible_collections.baileys.resilience.plugins.module_utils.system.lock import exclusive_lock
from tests.conftest import MakeDatabase
from tests.support.standbys import KEYS, SOURCE, Standby, fill_sessions, long_ago, reason, results

ODD_NAMES = (
    "acme",
    "a/b",
    "..",
    ".hidden",
    "ünï côdé ✓",
    "x:y'z\"",
    "tab\tline\nend",
    "%41",
    "-rf",
    "A" * 80,
)

MakeStandby = Callable[..., Standby]


@pytest.fixture
def make_standby(make_database: MakeDatabase, server18: Any, tmp_path: Path) -> MakeStandby:
    """Make a database with sessions and an empty standby of it: `make_standby(*tenants, server=server18)`."""

    def make(*tenants: str, server: Any = server18) -> Standby:
        database = make_database(server)
        fill_sessions(database, tenants or ("acme", "beta", "gamma"))
        return Standby(database, tmp_path / "state")

    return make


@pytest.fixture
def standby(make_standby: MakeStandby) -> Standby:
    """Three sessions, refreshed once."""
    made = make_standby()
    made.refresh()
    return made


@pytest.mark.parametrize("version", [16, 18])
def test_every_session_whatever_its_name_is_there_and_private(
    make_standby: MakeStandby, version: int, server16: Any, server18: Any
) -> None:
    standby = make_standby(*ODD_NAMES, server={16: server16, 18: server18}[version])
    old_umask = os.umask(0o000)
    try:
        done = standby.refresh()
    finally:
        os.umask(old_umask)
    assert results(done) == dict.fromkeys(ODD_NAMES, "refreshed")
    assert {one.tenant for one in standby.read().tenants} == set(ODD_NAMES)
    assert verify_standby(str(standby.state_directory), SOURCE).problems == ()
    for tenant in ODD_NAMES:
        directory = standby.of(tenant)
        assert directory.parent == standby.directory
        creds = json.loads((directory / "creds.json").read_text())
        ((me,),) = standby.database.execute(
            "SELECT creds #>> '{me,id}' FROM whatsapp_auth WHERE company_id = '%s'" % tenant.replace("'", "''")
        )
        assert creds["me"]["id"] == me
        assert len([name for name in os.listdir(directory) if not name.startswith(".")]) == KEYS + 1
    for path in standby.state_directory.rglob("*"):
        assert path.stat().st_mode & 0o7777 == (0o700 if path.is_dir() else 0o600), path
    assert standby.leftovers() == []


def test_what_has_not_changed_is_not_written_again_and_shows_the_new_moment(standby: Standby) -> None:
    before = standby.read()
    inodes = {path: path.stat().st_ino for path in standby.directory.glob("*/*")}
    done = standby.refresh()
    assert set(results(done).values()) == {"unchanged"}
    assert {path: path.stat().st_ino for path in standby.directory.glob("*/*")} == inodes
    after = standby.read()
    assert before.snapshot_at is not None
    assert after.snapshot_at is not None
    assert after.snapshot_at > before.snapshot_at
    assert [one.made_at for one in after.tenants] == [one.made_at for one in before.tenants]


ONE_KEY = "company_id = 'beta' AND key_id = (SELECT min(key_id) FROM whatsapp_keys WHERE company_id = 'beta')"
CHANGES = {
    "value": f"UPDATE whatsapp_keys SET value = '{{\"n\": 1}}' WHERE {ONE_KEY}",
    "deleted": f"DELETE FROM whatsapp_keys WHERE {ONE_KEY}",
    "inserted": "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) VALUES ('beta', 'pre-key', '999999', '1')",
    "creds": "UPDATE whatsapp_auth SET creds = jsonb_set(creds, '{nextPreKeyId}', '846') WHERE company_id = 'beta'",
    "age": f"UPDATE whatsapp_keys SET updated_at = updated_at WHERE {ONE_KEY}",
}


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES)
def test_only_the_session_that_changed_is_written(standby: Standby, statement: str) -> None:
    before = {one.tenant: one for one in standby.read().tenants}
    standby.database.execute(statement)
    assert results(standby.refresh()) == {"acme": "unchanged", "beta": "refreshed", "gamma": "unchanged"}
    after = {one.tenant: one for one in standby.read().tenants}
    assert after["acme"].content == before["acme"].content
    assert after["beta"].made_at > before["beta"].made_at
    assert results(standby.refresh()) == dict.fromkeys(("acme", "beta", "gamma"), "unchanged")


def test_an_export_that_reads_back_differently_leaves_the_old_one(
    standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte changes on the disk between writing and reading back."""
    standby.change("beta")
    standby.change("gamma")
    before = standby.contents()

    def write(path: str, *arguments: Any, **keywords: Any) -> Any:
        content = write_files(path, *arguments, **keywords)
        if "beta" in path:
            file = min(Path(path).glob("[a-z]*.json"))
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            # What is the same as before is a link to it: only the new one is damaged.
            file.unlink()
            file.write_bytes(data)
        return content

    monkeypatch.setattr(export, "write_files", write)
    done = standby.refresh()
    assert results(done) == {"acme": "unchanged", "beta": "failed", "gamma": "refreshed"}
    assert "reads back differently" in reason(done, "beta")
    after = standby.contents()
    assert {name: data for name, data in after.items() if name.startswith("beta/")} == {
        name: data for name, data in before.items() if name.startswith("beta/")
    }
    assert standby.leftovers() == []
    monkeypatch.undo()
    assert results(standby.refresh())["beta"] == "refreshed"


def test_broken_credentials_stop_their_own_session_only(standby: Standby) -> None:
    before = standby.contents()
    for tenant in ("acme", "beta", "gamma"):
        standby.change(tenant)
    standby.database.execute("UPDATE whatsapp_auth SET creds = creds - 'noiseKey' WHERE company_id = 'beta'")
    done = standby.refresh()
    assert results(done) == {"acme": "refreshed", "beta": "failed", "gamma": "refreshed"}
    assert "noiseKey" in reason(done, "beta")
    assert standby.contents()["beta/creds.json"] == before["beta/creds.json"]
    assert {one.tenant for one in standby.read().tenants} == {"acme", "beta", "gamma"}


def test_a_row_that_the_server_cannot_read_stops_its_own_session_only(make_standby: MakeStandby) -> None:
    """As a damaged page does: an error of the server in the middle of reading."""
    standby = make_standby()
    standby.database.execute("ALTER TABLE whatsapp_keys RENAME TO stored_keys")
    standby.database.execute(
        "CREATE VIEW whatsapp_keys AS SELECT company_id, key_type, key_id, created_at, updated_at, expires_at,"
        " CASE WHEN company_id = 'beta' AND now() > '2000-01-01' THEN (1 / (length(key_id) * 0))::text::jsonb"
        " ELSE value END AS value FROM stored_keys"
    )
    done = standby.refresh()
    assert results(done) == {"acme": "refreshed", "beta": "failed", "gamma": "refreshed"}
    assert "division by zero" in reason(done, "beta")


def test_a_session_without_a_phone_is_left_out_until_it_has_one(make_standby: MakeStandby) -> None:
    standby = make_standby()
    standby.database.execute("DELETE FROM whatsapp_keys WHERE company_id = 'beta'")
    standby.database.execute(
        "UPDATE whatsapp_auth SET creds = creds - 'me' - 'account' || '{\"registered\": false}' WHERE company_id = 'beta'"
    )
    done = standby.refresh()
    assert results(done) == {"acme": "refreshed", "beta": "skipped", "gamma": "refreshed"}
    assert "paired" in reason(done, "beta")
    # Whatever has keys had a phone once.
    standby.change("beta")
    assert results(standby.refresh())["beta"] == "failed"


def test_a_session_whose_phone_was_taken_away_is_kept_and_no_longer_counts(standby: Standby) -> None:
    standby.database.execute("DELETE FROM whatsapp_keys WHERE company_id = 'beta'")
    standby.database.execute(
        "UPDATE whatsapp_auth SET creds = creds - 'me' - 'account' || '{\"registered\": false}' WHERE company_id = 'beta'"
    )
    before = standby.contents()
    done = standby.refresh()
    assert results(done) == {"acme": "unchanged", "beta": "missing", "gamma": "unchanged"}
    assert standby.contents() == before
    assert done.state.snapshot_at == done.snapshot_at


@pytest.mark.parametrize("changed", [False, True], ids=["unchanged", "changed"])
def test_an_older_moment_never_replaces_a_newer_one(standby: Standby, changed: bool) -> None:
    """The server's clock was set back by a day: to the standby it looks as if its own moment lay in the future."""
    if changed:
        standby.change("beta")
    standby.grow_old("beta", snapshot_at=datetime.now(UTC) + timedelta(days=1))
    before = standby.contents()
    done = standby.refresh()
    assert results(done) == {"acme": "unchanged", "beta": "failed", "gamma": "unchanged"}
    assert "clock" in reason(done, "beta")
    assert str(standby.of("beta")) in reason(done, "beta")
    assert standby.contents() == before


def test_a_manifest_of_a_later_moment_is_respected_without_the_memory_too(standby: Standby) -> None:
    manifest = standby.of("beta") / ".manifest.json"
    text = json.loads(manifest.read_text())
    text["snapshot_at"] = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    manifest.write_text(json.dumps(text))
    (standby.directory / ".standby.json").unlink()
    assert results(standby.refresh()) == {"acme": "refreshed", "beta": "failed", "gamma": "refreshed"}


def test_a_session_that_the_database_has_no_more_is_kept_and_said(standby: Standby) -> None:
    before = standby.contents()
    standby.database.execute("DELETE FROM whatsapp_keys WHERE company_id = 'beta'")
    standby.database.execute("DELETE FROM whatsapp_auth WHERE company_id = 'beta'")
    done = standby.refresh()
    assert results(done) == {"acme": "unchanged", "beta": "missing", "gamma": "unchanged"}
    assert "kept" in reason(done, "beta")
    assert standby.contents() == before
    beta = {one.tenant: one for one in standby.read().tenants}["beta"]
    assert beta.missing_since is not None
    # It grows old for ever, and says nothing of the others.
    later = standby.refresh().state
    assert later.snapshot_at is not None
    assert later.snapshot_at > beta.missing_since > beta.snapshot_at
    assert {one.tenant: one.missing_since for one in later.tenants}["beta"] == beta.missing_since


def test_a_session_that_comes_back_is_missing_no_more(standby: Standby) -> None:
    standby.database.execute("CREATE TABLE aside AS SELECT * FROM whatsapp_auth WHERE company_id = 'beta'")
    standby.database.execute("DELETE FROM whatsapp_auth WHERE company_id = 'beta'")
    standby.database.execute("UPDATE whatsapp_keys SET company_id = 'aside' WHERE company_id = 'beta'")
    assert results(standby.refresh())["beta"] == "missing"
    standby.database.execute("INSERT INTO whatsapp_auth SELECT * FROM aside")
    standby.database.execute("UPDATE whatsapp_keys SET company_id = 'beta' WHERE company_id = 'aside'")
    assert results(standby.refresh())["beta"] == "refreshed"
    assert {one.missing_since for one in standby.read().tenants} == {None}


def test_an_empty_store_is_an_error_and_takes_nothing_away(standby: Standby) -> None:
    before = standby.contents()
    standby.database.execute("TRUNCATE whatsapp_keys, whatsapp_auth")
    with pytest.raises(ResilienceError, match="no session"):
        standby.refresh()
    assert standby.contents() == before


def test_without_the_database_it_stays_however_old_it_is(standby: Standby) -> None:
    for tenant in ("acme", "beta", "gamma"):
        standby.grow_old(tenant, snapshot_at=long_ago())
        manifest = standby.of(tenant) / ".manifest.json"
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "snapshot_at": long_ago().isoformat()}))
    before = standby.contents()
    with pytest.raises(ResilienceError):
        standby.refresh(settings=standby.request().settings.with_database("not there"))
    state = standby.read()
    assert standby.contents() == before
    assert len(state.tenants) == 3
    assert state.snapshot_at is not None
    assert state.snapshot_at < datetime.now(UTC) - timedelta(days=199)


def test_the_fence_of_this_host_stops_it_before_it_connects(standby: Standby) -> None:
    before = standby.contents(), standby.read()
    standby.change("beta")
    set_fence(str(standby.state_directory), SOURCE, "files", "test")
    with pytest.raises(FencedError, match="refresh the standby"):
        standby.refresh(settings=standby.request().settings.with_database("not there"))
    assert (standby.contents(), standby.read()) == before


def test_the_mark_in_the_database_stops_it_too(standby: Standby) -> None:
    """Another host has rolled back, or this one has lost its state directory."""
    before = standby.contents(), standby.read()
    standby.change("beta")
    connection = standby.database.connect()
    mark_database(connection, SessionLayout(), "another name", Fence("files", 3, "2026-11-25T03:00:00Z", "app2"))
    with pytest.raises(FencedError, match="app2"):
        standby.refresh()
    assert (standby.contents(), standby.read()) == before
    clear_mark(connection, SessionLayout())
    connection.close()
    assert results(standby.refresh())["beta"] == "refreshed"


def test_two_refreshes_exclude_each_other(standby: Standby) -> None:
    with (
        exclusive_lock(str(standby.directory / ".refresh.lock"), 0),
        pytest.raises(LockedError, match="Another run"),
    ):
        standby.refresh(lock_timeout=0)


def test_check_mode_says_what_would_be_and_writes_nothing(make_standby: MakeStandby) -> None:
    standby = make_standby()
    standby.database.execute("UPDATE whatsapp_auth SET creds = '{}' WHERE company_id = 'beta'")
    done = standby.refresh(dry_run=True)
    assert results(done) == {"acme": "refreshed", "beta": "failed", "gamma": "refreshed"}
    assert not standby.state_directory.exists()
    standby.refresh()
    memory = (standby.directory / ".standby.json").read_bytes()
    before = standby.contents()
    standby.change("gamma")
    assert results(standby.refresh(dry_run=True))["gamma"] == "refreshed"
    assert standby.contents() == before
    assert (standby.directory / ".standby.json").read_bytes() == memory


@pytest.mark.parametrize("damage", ["truncated", "gone", "stranger"])
def test_damage_that_shows_in_numbers_and_sizes_is_told_and_mended(standby: Standby, damage: str) -> None:
    file = min(standby.of("beta").glob("[a-z]*.json"))
    if damage == "truncated":
        file.write_bytes(b"")
    elif damage == "gone":
        file.unlink()
    else:
        (standby.of("beta") / "notes.txt").write_text("x")
    state = standby.read()
    (problem,) = state.problems
    assert problem.startswith(str(standby.of("beta")))
    assert {one.tenant for one in state.tenants} == {"acme", "gamma"}
    assert results(standby.refresh()) == {"acme": "unchanged", "beta": "refreshed", "gamma": "unchanged"}
    assert standby.read().problems == ()


def test_damage_that_only_reading_shows_is_found_within_a_day(standby: Standby) -> None:
    file = min(standby.of("beta").glob("[a-z]*.json"))
    data = bytearray(file.read_bytes())
    data[-2] ^= 1
    file.write_bytes(data)
    (problem,) = verify_standby(str(standby.state_directory), SOURCE).problems
    assert "not those that were verified" in problem
    assert results(standby.refresh())["beta"] == "unchanged"
    standby.grow_old("beta", read_back_at=datetime.now(UTC) - timedelta(days=1, minutes=1))
    assert results(standby.refresh())["beta"] == "refreshed"
    assert verify_standby(str(standby.state_directory), SOURCE).problems == ()
    age = datetime.now(UTC) - read_standings(str(standby.directory))["beta"].read_back_at
    assert age < timedelta(minutes=1)


def test_a_directory_that_is_no_export_is_said_and_left_alone(standby: Standby) -> None:
    (standby.directory / "notes").mkdir()
    (standby.of("beta") / ".manifest.json").write_text("{")
    assert len(standby.read().problems) == 2
    before = standby.contents()
    done = standby.refresh()
    assert results(done)["beta"] == "failed"
    assert "damaged" in reason(done, "beta")
    assert standby.contents() == before
    assert len(done.state.problems) == 2


def test_a_memory_that_is_damaged_only_makes_the_next_refresh_thorough(standby: Standby) -> None:
    (standby.directory / ".standby.json").write_text("{")
    assert len(standby.read().tenants) == 3
    assert set(results(standby.refresh()).values()) == {"refreshed"}
    assert set(results(standby.refresh()).values()) == {"unchanged"}


def test_there_is_none_before_the_first_refresh(tmp_path: Path, make_standby: MakeStandby) -> None:
    state = make_standby().read()
    assert (state.tenants, state.problems, state.snapshot_at) == ((), (), None)


def test_one_that_has_changed_little_takes_little_time(
    make_session_store: MakeDatabase, server18: Any, tmp_path: Path
) -> None:
    """1,647 keys: the second refresh asks the server for a few bytes."""
    standby = Standby(make_session_store(server18), tmp_path / "state")
    started = time.process_time()
    standby.refresh()
    first = time.process_time() - started
    started = time.process_time()
    assert set(results(standby.refresh()).values()) == {"unchanged"}
    assert time.process_time() - started < first / 2
