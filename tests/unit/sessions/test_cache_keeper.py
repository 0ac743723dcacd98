# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An outage of any length, by a clock that the test winds: what serves, what is told, and what comes after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.report import Report
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cache import cache_path, read_cache
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cache_keeper import (
    CacheKeeper,
    CacheRequest,
    Credentials,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cache_report import error_code
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.fence import fence_path, set_fence
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ConnectionFailedError,
    ResilienceError,
    SettingsError,
)

START = 1_795_000_000.0
INTERVAL = 30.0
REFUSED = ConnectionFailedError('Cannot connect to database "app": Connection refused (3 attempts)', transient=True)
GOOD = Credentials({"acme": '{"me":{"id":"1"}}', "beta": '{"me":{"id":"2"}}'}, {})


class World:
    """A database that answers what the test says, a clock, and all that was told."""

    def __init__(self, state_directory: Path, **changes: Any) -> None:
        self.now = START
        self.answer: Credentials | ResilienceError = GOOD
        self.told: list[Report] = []
        self.reads = 0
        given = {"ttl": 300.0, "cooldown": 300.0, **changes}
        settings = ConnectionSettings({})
        self.request = CacheRequest("app", settings, SessionLayout(), str(state_directory), **given)
        self.keeper = self.start()

    def start(self) -> CacheKeeper:
        """The program starts (again)."""
        self.keeper = CacheKeeper(self.request, self.told.append, lambda: self.now, self._read)
        return self.keeper

    def _read(self, _request: CacheRequest) -> Credentials:
        self.reads += 1
        if isinstance(self.answer, ResilienceError):
            raise self.answer
        return self.answer

    def run(self, seconds: float) -> None:
        """Let the program run for so long."""
        end = self.now + seconds
        while self.now < end:
            self.keeper.read_once()
            self.now += INTERVAL

    def ages(self) -> dict[str, float]:
        """What the file holds now, by its age."""
        return {name: self.now - one.read_at for name, one in self.file().entries.items()}

    def file(self) -> Any:
        return read_cache(self.request.state_directory, "app")

    def levels(self) -> list[str]:
        return [report.level for report in self.told]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_outage_of_three_minutes(world: World) -> None:
    world.run(60)
    good = json.loads(Path(cache_path(world.request.state_directory)).read_text())["sources"]["app"]["tenants"]
    world.answer = REFUSED
    world.run(180)
    # Used, as it was, with its age.
    file = json.loads(Path(cache_path(world.request.state_directory)).read_text())["sources"]["app"]
    assert file["served_from"] == "cache"
    assert file["tenants"] == good
    assert file["error"]["code"] == "ECONNREFUSED"
    # Told once, with age, error and code.
    (warning,) = world.told
    facts = dict(warning.facts)
    assert (warning.level, warning.job, warning.subject) == ("warning", "credentials_cache", "app")
    assert facts["Age"] == "30.0 s to 30.0 s"
    assert "Connection refused" in facts["Error"]
    assert facts["Code"] == "ECONNREFUSED"
    assert warning.measurements["oldest_age_seconds"] == 30.0
    # Dropped on reconnect: what left the database meanwhile is gone, the rest is new.
    world.answer = Credentials({"beta": '{"me":{"id":"3"}}'}, {})
    world.keeper.read_once()
    assert world.ages() == {"beta": 0.0}
    assert world.file().entries["beta"].creds == '{"me":{"id":"3"}}'
    assert world.levels() == ["warning", "info"]
    assert dict(world.told[1].facts)["Outage"] == "3 min 0 s"


def test_after_five_minutes_nothing_is_served_and_that_is_told_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, cooldown=3600.0)
    world.keeper.read_once()
    world.answer = REFUSED
    world.run(299)
    assert world.file().served_from == "cache"
    assert world.levels() == ["warning"]
    world.run(60)
    assert (world.file().served_from, world.file().entries) == ("nothing", {})
    assert world.levels() == ["warning", "error"]
    assert "standby" in str(world.told[1].remedy)


def test_the_same_news_is_told_once_in_each_cooldown(world: World) -> None:
    world.request = CacheRequest(**{**vars(world.request), "ttl": 3600.0})
    world.start().read_once()
    world.answer = REFUSED
    world.run(1500)
    assert world.levels() == ["warning"] * 5


def test_a_database_that_comes_and_goes_is_told_once_in_each_cooldown(world: World) -> None:
    for _ in range(5):
        world.answer = GOOD
        world.run(30)
        world.answer = REFUSED
        world.run(30)
    assert world.levels() == ["warning", "info"]


def test_a_killed_program_goes_on_where_it_was(world: World) -> None:
    world.keeper.read_once()
    world.answer = REFUSED
    world.run(120)
    world.start()
    assert {world.now - one.read_at for one in world.keeper.cache.entries.values()} == {120.0}
    world.keeper.read_once()
    assert world.ages() == {"acme": 120.0, "beta": 120.0}
    assert world.levels() == ["warning"], "the team knows"
    world.run(210)
    assert world.file().entries == {}


def test_a_program_that_starts_without_a_database_has_nothing_and_says_so(world: World) -> None:
    world.answer = REFUSED
    world.keeper.read_once()
    assert world.levels() == ["error"]
    assert world.file().served_from == "nothing"


def test_purging_needs_no_database(world: World) -> None:
    world.keeper.read_once()
    before = Path(cache_path(world.request.state_directory)).stat().st_ino
    world.now += 299
    world.keeper.purge()
    assert Path(cache_path(world.request.state_directory)).stat().st_ino == before
    world.now += 1
    world.keeper.purge()
    assert world.file().entries == {}
    assert world.reads == 1
    # The next failure is not news of something that still serves.
    world.answer = REFUSED
    world.keeper.read_once()
    assert world.levels() == ["error"]


def test_a_purge_in_an_outage_does_not_keep_the_worse_news_back(world: World) -> None:
    world.keeper.read_once()
    world.answer = REFUSED
    world.run(60)
    world.now = START + 300
    world.keeper.purge()
    world.keeper.read_once()
    assert world.levels() == ["warning", "error"]


def test_broken_credentials_do_not_replace_those_that_were_read_before(world: World) -> None:
    world.keeper.read_once()
    world.now += 30
    world.answer = Credentials({"acme": '{"me":{"id":"1"}}'}, {"beta": "noiseKey is missing"})
    world.run(60)
    assert world.ages() == {"acme": 30.0, "beta": 90.0}
    (report,) = world.told
    assert report.level == "error"
    assert dict(report.facts) == {"beta": "noiseKey is missing"}
    world.run(300)
    assert set(world.file().entries) == {"acme"}
    assert len(world.told) == 2


def test_a_clock_that_is_set_back_takes_what_it_makes_ageless(world: World) -> None:
    world.keeper.read_once()
    world.now -= 3600
    world.answer = REFUSED
    world.keeper.read_once()
    assert world.file().entries == {}
    assert world.levels() == ["error"]


def test_while_the_sessions_belong_to_the_files_nothing_is_read_or_served(world: World) -> None:
    world.keeper.read_once()
    set_fence(world.request.state_directory, "app", "files", "test")
    world.run(60)
    assert world.reads == 1
    file = world.file()
    assert (file.served_from, file.entries) == ("nothing", {})
    assert file.failure is not None
    assert file.failure.code == "fenced"
    assert world.told == [], "whoever rolled back knows"
    set_fence(world.request.state_directory, "app", "postgresql", "test")
    world.keeper.read_once()
    assert world.file().served_from == "database"
    assert world.told == []


def test_a_damaged_fence_closes_the_cache_and_is_told(world: World) -> None:
    world.keeper.read_once()
    Path(fence_path(world.request.state_directory)).write_text("{")
    world.run(60)
    assert world.file().entries == {}
    assert world.levels() == ["error"]
    assert "fence" in world.told[0].title


def test_a_file_that_cannot_be_written_is_told_and_the_program_goes_on(world: World) -> None:
    path = Path(cache_path(world.request.state_directory))
    path.mkdir()
    world.run(90)
    assert world.levels() == ["error"]
    assert str(path) in world.told[0].title
    path.rmdir()
    world.keeper.read_once()
    assert set(world.ages()) == {"acme", "beta"}


def test_a_damaged_file_is_told_and_replaced(world: World) -> None:
    Path(cache_path(world.request.state_directory)).write_text("{")
    world.start().read_once()
    assert world.levels() == ["error"]
    assert set(world.ages()) == {"acme", "beta"}


def test_a_setting_that_is_wrong_ends_the_program(world: World) -> None:
    world.answer = SettingsError("the layout is wrong")
    with pytest.raises(SettingsError):
        world.keeper.read_once()


class ServerError(psycopg2.Error):
    pgcode = "42P01"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Connection refused", "ECONNREFUSED"),
        ("Connection reset by peer", "ECONNRESET"),
        ("timeout expired", "ETIMEDOUT"),
        ("could not translate host name", "ENOTFOUND"),
        ("server closed the connection unexpectedly", "08006"),
        ("FATAL: the database system is starting up", "57P03"),
        ("FATAL: sorry, too many clients already", "53300"),
        ("FATAL: remaining connection slots are reserved", "53300"),
        ("FATAL: password authentication failed", "28P01"),
        ('FATAL: database "x" does not exist', "3D000"),
        ("something new", "unknown"),
    ],
)
def test_each_failure_has_a_code(words: str, code: str) -> None:
    assert error_code(ConnectionFailedError(f"Cannot connect to database: {words}")) == code


def test_the_servers_own_code_comes_first() -> None:
    error = ConnectionFailedError("Connection refused")
    error.__cause__ = ServerError()
    assert error_code(error) == "42P01"
