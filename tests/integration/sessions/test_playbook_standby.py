# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""standby.yml: every source with sessions by itself, and a team that is not told the same thing every five minutes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.fence import set_fence
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby import read_standby
from tests.conftest import MakeDatabase
from tests.support.databases import TestDatabase
from tests.support.playbooks import Surroundings, Unsafe, run_module
from tests.support.standbys import fill_sessions
from tests.support.stub_servers import CHAT_ID, TOKEN, refused_address, sentry_stub, telegram_stub

BY_PATH, BY_NAME = "playbooks/standby.yml", "baileys.resilience.standby"
MakeSite = Callable[..., Surroundings]


@pytest.fixture
def database(make_database: MakeDatabase, server18: Any) -> TestDatabase:
    made = make_database(server18)
    fill_sessions(made, ["acme", "beta"])
    return made


def login_to(database: TestDatabase, **more: Any) -> dict[str, Any]:
    return {
        "login_host": "localhost",
        "login_port": database.server.port,
        "login_user": database.user,
        "login_password": Unsafe(database.password),
        "database": database.name,
        **more,
    }


@pytest.fixture
def make_site(tmp_path: Path) -> MakeSite:
    def make(*sources: dict[str, Any], **variables: Any) -> Surroundings:
        site = Surroundings(tmp_path)
        app = {"backup_sources": list(sources)}
        # A host that only backs up is left out.
        keeper = {"backup_sources": [{"name": "ledger", "database": "none", "login_host": "nowhere.invalid"}]}
        site.write_hosts({"app1": app, "keeper1": keeper}, backup_state_directory=str(tmp_path / "state"), **variables)
        return site

    return make


def status(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "state/status/standby.json").read_text())["subjects"]
    return found


def test_one_source_that_cannot_be_reached_stops_no_other(
    make_site: MakeSite, database: TestDatabase, tmp_path: Path
) -> None:
    port = int(refused_address().rpartition(":")[2])
    gone = login_to(database, name="gone", login_host="127.0.0.1", login_port=port, session_layout={})
    site = make_site(gone, login_to(database, name="app", session_layout={}), login_to(database, name="other"))
    played = site.play(BY_NAME)
    assert played.rc == 2, played
    assert "failed: [app1] (item=gone)" in played.output
    assert "Connection refused" in played.output
    assert database.password not in played.output
    assert len(read_standby(str(tmp_path / "state"), "app").tenants) == 2
    assert sorted(path.name for path in (tmp_path / "state/standby").iterdir()) == [
        "app",
        "gone",
    ], "the third has no layout"
    standing = status(tmp_path)
    assert (standing["app"]["level"], standing["gone"]["level"]) == ("info", "error")
    assert "keeper1" not in [line.split()[0] for line in played.output.splitlines() if "failed=1" in line]


def test_the_team_is_told_of_what_begins_and_not_of_what_goes_on(
    make_site: MakeSite, database: TestDatabase, tmp_path: Path
) -> None:
    with telegram_stub() as telegram:
        site = make_site(
            login_to(database, name="app", session_layout={}),
            telegram_token=TOKEN,
            telegram_chat_id=CHAT_ID,
            telegram_api_url=telegram.url,
        )

        def play(rc: int) -> list[str]:
            before = len(telegram.messages)
            played = site.play(BY_PATH)
            assert played.rc == rc, played
            return [message["text"] for message in telegram.messages[before:]]

        (first,) = play(0)
        assert "the standby is up to date" in first
        assert play(0) == []
        database.execute("UPDATE whatsapp_auth SET creds = creds - 'noiseKey' WHERE company_id = 'beta'")
        (broken,) = play(2)
        assert "beta" in broken
        assert "noiseKey" in broken
    assert status(tmp_path)["app"]["consecutive_failures"] == 1


def test_a_cron_monitor_sees_the_runs_without_news_too(make_site: MakeSite, database: TestDatabase) -> None:
    with sentry_stub() as sentry:
        source = login_to(database, name="app", session_layout={})
        site = make_site(source, sentry_dsn=sentry.dsn, standby_monitor_schedule="*/5 * * * *")
        for number in (1, 2):
            played = site.play(BY_PATH)
            assert played.rc == 0, played
            assert [check["status"] for check in sentry.of_type("check_in")] == ["ok"] * number


def test_check_mode_shows_the_numbers_of_keys_and_writes_nothing(
    make_site: MakeSite, database: TestDatabase, tmp_path: Path
) -> None:
    played = make_site(login_to(database, name="app", session_layout={})).play(BY_NAME, "--check", "--diff")
    assert played.rc == 0, played
    assert "pre-key" in played.output
    assert "noiseKey" not in played.output
    assert not (tmp_path / "state").exists()


def test_a_fenced_source_is_refused_with_the_way_back(
    make_site: MakeSite, database: TestDatabase, tmp_path: Path
) -> None:
    set_fence(str(tmp_path / "state"), "app", "files", "test")
    played = make_site(login_to(database, name="app", session_layout={})).play(BY_NAME)
    assert played.rc == 2, played
    assert "emergency_rollforward" in played.output
    assert not (tmp_path / "state/standby").exists()


def test_a_play_without_any_session_says_so(make_site: MakeSite, database: TestDatabase) -> None:
    played = make_site(login_to(database, name="app")).play(BY_NAME)
    assert played.rc == 2, played
    assert "session_layout" in played.output


def module_arguments(database: TestDatabase, state: Path, **more: Any) -> dict[str, Any]:
    return {**login_to(database, login_password=database.password), "state_directory": str(state), **more}


def test_the_modules_say_what_they_did_and_what_there_is(database: TestDatabase, tmp_path: Path) -> None:
    state = tmp_path / "state"
    arguments = module_arguments(database, state, source="app")
    first = run_module("session_standby", {**arguments, "_ansible_diff": True})
    assert first["changed"] is True
    assert first["news"] is True
    assert [(one["tenant"], one["result"]) for one in first["outcomes"]] == [
        ("acme", "refreshed"),
        ("beta", "refreshed"),
    ]
    assert first["diff"]["before"] == {"acme": {}, "beta": {}}
    assert sum(first["diff"]["after"]["acme"].values()) == 12
    second = run_module("session_standby", arguments)
    assert (second["changed"], second["news"]) == (False, False)
    assert second["snapshot_at"] >= first["snapshot_at"]
    info = run_module("session_standby_info", {"source": "app", "state_directory": str(state), "verify": True})
    assert info["changed"] is False
    assert info["problems"] == []
    assert info["fence"]["owner"] == "postgresql"
    assert [one["tenant"] for one in info["tenants"]] == ["acme", "beta"]
    for one, other in zip(info["tenants"], second["tenants"], strict=True):
        assert {**one, "age_seconds": 0} == {**other, "age_seconds": 0}
    file = min((state / "standby/app/acme").glob("[a-z]*.json"))
    file.write_text("x" * file.stat().st_size)
    damaged = run_module("session_standby_info", {"source": "app", "state_directory": str(state), "verify": True})
    assert "acme" in damaged["problems"][0]


def test_a_failing_module_says_what_the_standby_still_holds(database: TestDatabase, tmp_path: Path) -> None:
    state = tmp_path / "state"
    run_module("session_standby", module_arguments(database, state, source="app"))
    failed = run_module("session_standby", module_arguments(database, state, source="app", login_user="nobody"))
    assert failed["failed"] is True
    assert failed["stage"] == "connect"
    assert failed["news"] is True
    facts = {fact["label"]: fact["value"] for fact in failed["report"]["facts"]}
    assert facts["The standby holds"].startswith("2 sessions of ")
    wrong = run_module("session_standby", module_arguments(database, state, source="app", layout={"tables": "x"}))
    assert "has no option tables" in wrong["msg"]
