# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""session_export and session_import as Ansible runs them."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from datetime import UTC, datetime

import psycopg2
import pytest
import yaml

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.fence import (
    FILES,
    POSTGRESQL,
    Fence,
    clear_mark,
    mark_database,
    set_fence,
)
from tests.support.backups import back_up, tree_state
from tests.support.playbooks import MODULES, Surroundings, Unsafe, run_module
from tests.support.session_stores import TENANTS
from tests.support.session_values import IDS

ONE, TWO = TENANTS
OF_ANSIBLE = {"changed", "failed", "msg", "diff", "warnings", "invocation", "exception", "deprecations"}


def connection_of(database):
    return {
        "login_host": "localhost",
        "login_port": database.server.port,
        "login_user": database.user,
        "login_password": database.password,
        "database": database.name,
    }


@pytest.fixture
def arguments(make_store, tmp_path):
    """The options of both modules for a store of two sessions."""
    store = make_store()
    given = {
        **connection_of(store.database),
        "source": "app",
        "directory": str(tmp_path / "sessions"),
        "state_directory": str(tmp_path / "state"),
    }
    return store, given


def test_there_and_back_by_ansible_in_several_processes(make_store, tmp_path_factory):
    """The modules as Ansible packs them, workers and all; nothing secret in all that is printed."""
    directory = tmp_path_factory.mktemp("play")
    store = make_store()
    for tenant in TENANTS:
        store.database.execute(
            "INSERT INTO whatsapp_keys (company_id, key_type, key_id, value)"
            f" SELECT '{tenant}', 'pre-key', n, to_jsonb(n) FROM generate_series(1001, 6000) n"
        )
    surroundings = Surroundings(directory)
    surroundings.write_hosts({"app": {}})
    connection = {**connection_of(store.database), "login_password": Unsafe(store.database.password)}
    options = {"directory": str(directory / "sessions"), "source": "app", "state_directory": str(directory / "state")}
    export, import_ = "baileys.resilience.session_export", "baileys.resilience.session_import"
    played, results = surroundings.play_tasks(
        [
            {export: options, "check_mode": True, "register": "planned"},
            {export: options, "register": "made"},
            {export: options, "register": "again"},
            {import_: {**options, "require_backup": False}, "register": "imported"},
        ],
        "--diff",
        "-vvv",
        module_defaults={"group/baileys.resilience.resilience": connection},
    )
    assert played.rc == 0, played
    assert [results[name]["changed"] for name in ("planned", "made", "again", "imported")] == [True, True, False, False]
    assert results["planned"]["sessions"] == results["made"]["sessions"]
    for one in results["made"]["sessions"]:
        assert one["keys"]["pre-key"] == 5002
        assert (
            one["digest"]
            == json.loads((directory / "sessions" / one["tenant"] / ".manifest.json").read_text())["digest"]
        )
    assert "+  pre-key: 5002" in played.output
    secrets = [
        json.loads((directory / "sessions" / tenant / "creds.json").read_text())["advSecretKey"] for tenant in TENANTS
    ]
    assert not any(secret in played.output for secret in (*secrets, store.database.password))
    assert list(surroundings.temporary.iterdir()) == []


def test_check_mode_and_diff_of_an_export(arguments, tmp_path):
    store, given = arguments
    looked = run_module("session_export", {**given, "_ansible_check_mode": True, "_ansible_diff": True})
    assert looked["changed"] is True
    assert looked["diff"]["before"] == ""
    count = sum(map(len, IDS.values()))
    assert looked["diff"]["after"].startswith(
        f"{TWO}: {count} keys\n  app-state-sync-key: 3\n  app-state-sync-version: 2\n"
    )
    assert os.listdir(tmp_path) == []

    made = run_module("session_export", given)
    assert made["changed"] is True
    assert made["report"]["level"] == "info"
    assert made["report"]["measurements"] == {
        "sessions_count": 2,
        "keys_count": 2 * count,
        "files_bytes": sum(one["size_bytes"] for one in made["sessions"]),
    }
    status = json.loads((tmp_path / "state" / "status" / "session-export.json").read_text())
    assert status["subjects"]["app"]["level"] == "info"
    moment = datetime.strptime(made["snapshot_at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60

    store.database.execute(f"DELETE FROM whatsapp_keys WHERE key_type = 'session' AND company_id = '{ONE}'")
    before = tree_state(tmp_path)
    again = run_module("session_export", {**given, "_ansible_check_mode": True, "_ansible_diff": True})
    assert {one["tenant"]: one["changed"] for one in again["sessions"]} == {ONE: True, TWO: False}
    assert again["diff"]["before"].count("  session: 2\n") == 2
    assert again["diff"]["after"].count("  session: 2\n") == 1
    assert tree_state(tmp_path) == before


def test_an_import_wants_a_backup_that_is_young_enough(arguments, tmp_path):
    store, given = arguments
    run_module("session_export", given)
    (tmp_path / "sessions" / ONE / "pre-key-1.json").write_text("5")
    root = tmp_path / "backups"
    wanted = {**given, "backup_root": str(root)}

    refused = run_module("session_import", wanted)
    assert refused["failed"]
    assert refused["stage"] == "backup"
    assert "There is no verified backup" in refused["msg"]
    looked = run_module("session_import", {**wanted, "_ansible_check_mode": True, "_ansible_diff": True})
    assert (looked["changed"], "backup" in looked) == (True, False)
    assert looked["diff"]["before"] == looked["diff"]["after"]
    assert store.database.execute("SELECT count(*) FROM whatsapp_keys WHERE value = '5'") == [(0,)]

    archive = back_up(store.database, root).archive
    old = run_module("session_import", {**wanted, "backup_max_age": 0})
    assert "the limit is 0 s" in old["msg"]
    done = run_module("session_import", wanted)
    assert (done["changed"], done["backup"]) == (True, archive)
    rows = {one["tenant"]: one["rows"] for one in done["sessions"]}
    count = sum(map(len, IDS.values()))
    assert rows[ONE] == {"added": 0, "changed": 1, "removed": 0, "unchanged": count - 1}
    assert store.database.execute("SELECT count(*) FROM whatsapp_keys WHERE value = '5'") == [(1,)]
    assert run_module("session_import", wanted)["changed"] is False
    assert run_module("session_import", {**wanted, "keep_ages": False})["changed"] is True


@pytest.mark.parametrize("where", ["here", "in the database"])
@pytest.mark.parametrize("module", ["session_export", "session_import"])
def test_nothing_goes_over_the_fence(arguments, tmp_path, module, where):
    store, given = arguments
    run_module("session_export", given)
    before = tree_state(tmp_path / "sessions")
    with contextlib.closing(psycopg2.connect(**store.database.parameters())) as connection:
        if where == "here":
            set_fence(given["state_directory"], "app", FILES, "a test")
        else:
            mark_database(connection, store.layout, "app", Fence(FILES, 1, "2026-11-21T03:00:00Z", "a test"))
        wanted = {**given, **({"require_backup": False} if module == "session_import" else {})}
        for check_mode in (True, False):
            refused = run_module(module, {**wanted, "_ansible_check_mode": check_mode})
            assert refused["failed"]
            assert refused["stage"] == "fence"
            assert "belong to the files since" in refused["msg"]
        assert tree_state(tmp_path / "sessions") == before
        if where == "here":
            set_fence(given["state_directory"], "app", POSTGRESQL, "a test")
        else:
            clear_mark(connection, store.layout)
    assert not run_module(module, wanted).get("failed")


def test_a_failure_is_reported(arguments, tmp_path):
    store, given = arguments
    store.database.execute(f"UPDATE whatsapp_auth SET creds = creds - 'noiseKey' WHERE company_id = '{ONE}'")
    failed = run_module("session_export", given)
    assert failed["failed"]
    assert failed["stage"] == "creds"
    assert failed["msg"].startswith(
        f"The credentials of the session {ONE} are broken: noiseKey.private is missing. Baileys would"
    )
    assert (failed["report"]["level"], failed["report"]["job"]) == ("error", "session-export")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": {"key_table": "x"}}, "The layout of the sessions has no option key_table"),
        ({"owner": "nobody-of-this-name"}, "This host has no user nobody-of-this-name"),
        ({"group": "root"}, "A group is given without an owner"),
        ({"owner": "nobody", "group": "no-such-group"}, "or no group no-such-group"),
        ({"tenants": ["main"]}, "There is no session main"),
    ],
)
def test_options_that_cannot_be_right(arguments, tmp_path, options, words):
    _store, given = arguments
    failed = run_module("session_export", {**given, **options})
    assert failed["failed"]
    assert words in failed["msg"]
    assert not (tmp_path / "sessions" / ONE).exists()


def test_one_session_of_another_layout_for_another_user(make_store, tmp_path):
    store = make_store("single")
    options = {
        **connection_of(store.database),
        "directory": str(tmp_path / "sessions"),
        "state_directory": str(tmp_path / "state"),
        "tenants": [TWO],
        # As a template of Ansible may give them.
        "layout": {
            "keys_table": "auth_state",
            "id_column": "session_key",
            "value_column": "data",
            "ids": "tenant_combined",
            "double_stringified": "True",
            "created_column": None,
            "expires_column": "",
        },
        **({"owner": "nobody"} if os.geteuid() == 0 else {}),
    }
    made = run_module("session_export", options)
    assert [one["tenant"] for one in made["sessions"]] == [TWO]
    assert (tmp_path / "sessions" / TWO / "creds.json").stat().st_uid == (65534 if os.geteuid() == 0 else os.geteuid())
    # The source is called after the database where it has no name.
    assert made["report"]["subject"] == store.database.name
    options.pop("owner", None)
    imported = run_module("session_import", {**options, "require_backup": False})
    assert imported["changed"] is False


@pytest.mark.parametrize("module", ["session_export", "session_import"])
def test_everything_returned_is_documented(arguments, module):
    _store, given = arguments
    run_module("session_export", given)
    options = {**given, **({"require_backup": False} if module == "session_import" else {})}
    documented = yaml.safe_load(importlib.import_module(f"{MODULES}.{module}").RETURN)
    returned = run_module(module, options)
    failed = run_module(module, {**options, "tenants": ["main"]})
    assert set(returned) | set(failed) <= set(documented) | OF_ANSIBLE
    sessions = documented["sessions"]["contains"]
    assert all(set(one) == set(sessions) for one in returned["sessions"])
