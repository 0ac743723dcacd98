# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills on a staging server: what is made there is dropped again, and nothing about it is the archive's fault."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.drill import target as target_module
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.client import find_clients
from ansible_collections.baileys.resilience.plugins.module_utils.restore import load
from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.support import run_processes
from tests.support.backup_job import BackupJob, ModuleRun
from tests.support.backups import back_up, only_archive, settings_from
from tests.support.databases import UGLY_PASSWORD, run_sql
from tests.support.drilling import (
    assert_proven,
    assert_unjudged,
    drill,
    module_options,
    only_drill,
    reordered,
    run_drill,
)
from tests.support.hard_databases import hard_database
from tests.support.tcp_proxy import TcpProxy

OURS = "SELECT datname FROM pg_database WHERE datname LIKE 'baileys\\_drill\\_%'"


class Staging:
    """A role that may make databases on a server, and what is there of drills of its own."""

    def __init__(self, server: PostgresServer, user: str) -> None:
        self.server = server
        self.user = user

    def options(self, **changes: Any) -> dict[str, Any]:
        return {
            "login_host": "localhost",
            "login_port": self.server.port,
            "login_user": self.user,
            "login_password": UGLY_PASSWORD,
            "ssl_mode": "disable",
            **changes,
        }

    def settings(self) -> Any:
        return settings_from(
            self.server.parameters(host="localhost", user=self.user, password=UGLY_PASSWORD, dbname="postgres")
        )

    def databases(self) -> list[str]:
        statement = f"{OURS} AND pg_get_userbyid(datdba) = '{self.user}' ORDER BY 1"
        return [name for (name,) in run_sql(self.server.parameters(), statement)]


@pytest.fixture
def staging(server18: PostgresServer, make_database: MakeDatabase) -> Iterator[Staging]:
    staging = Staging(server18, make_database(server18, role_options="CREATEDB").user)
    yield staging
    for name in staging.databases():
        run_sql(server18.parameters(), f'DROP DATABASE "{name}" WITH (FORCE)')


def test_proven_on_staging(job: BackupJob, staging: Staging) -> None:
    run = run_drill(job, staging=staging.options())
    assert not run.failed, run.output
    result = only_drill(run)
    assert_proven(result)
    assert result["target"]["kind"] == "staging"
    assert result["target"]["directory"] == f"localhost:{staging.server.port}"
    assert result["not_covered"][0]["what"] == "owners, privileges and tablespaces"
    assert staging.databases() == []
    assert UGLY_PASSWORD not in run.output
    job.assert_secret_kept(run.output)


def test_hard_databases_as_superuser(
    server18: PostgresServer, start_server: Any, bin_full18: Path, tmp_path: Path
) -> None:
    """Subscriptions would keep the database from being dropped; they go first."""
    with hard_database(server18) as hard:
        back_up(hard.database, tmp_path / "root", parameters=hard.parameters())
        other = start_server(bin_full18)
        result = drill(
            tmp_path / "root", tmp_path, bin_full18, staging=settings_from(other.parameters(dbname="postgres"))
        )
        # Roles are the staging server's own: what a policy or a setting names is not there.
        assert_unjudged(result, "role", "does not exist")
        assert run_sql(other.parameters(), OURS) == []
        for (name,) in run_sql(
            server18.parameters(), "SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg_|postgres$)'"
        ):
            run_sql(other.parameters(), f'CREATE ROLE "{name}"')
        result = drill(
            tmp_path / "root", tmp_path, bin_full18, staging=settings_from(other.parameters(dbname="postgres"))
        )
    assert_proven(result)
    assert len(reordered(result)) == 5
    assert run_sql(other.parameters(), OURS) == []


def test_role_that_may_not_make_databases(
    job: BackupJob, server18: PostgresServer, make_database: MakeDatabase
) -> None:
    staging = Staging(server18, make_database(server18).user)
    run = run_drill(job, staging=staging.options())
    assert run.failed
    assert_unjudged(only_drill(run), "permission denied to create database")
    assert only_archive(job.root).state == "verified"


@pytest.mark.parametrize("wrong", ["password", "port", "database", "host"])
def test_staging_server_that_cannot_be_reached(job: BackupJob, staging: Staging, wrong: str) -> None:
    every: dict[str, dict[str, Any]] = {
        "password": {"login_password": "an0ther <secret>"},
        "port": {"login_port": 1},
        "database": {"database": "not_there"},
        "host": {"login_host": "staging.invalid"},
    }
    changes = every[wrong]
    run = run_drill(job, staging=staging.options(**changes))
    assert run.failed
    words = {
        "password": "password authentication failed",
        "port": "refused",
        "database": "does not exist",
        "host": "staging.invalid",
    }
    assert_unjudged(only_drill(run), words[wrong])
    assert "an0ther" not in run.output
    assert UGLY_PASSWORD not in run.output
    assert only_archive(job.root).state == "verified"
    job.assert_gone()


def test_settings_of_the_role_change_nothing(job: BackupJob, staging: Staging) -> None:
    """How a session there writes times, bytes and letters is not how the archive was written."""
    job.database.execute(
        "CREATE TABLE odd AS SELECT now() AS a, '\\x00ff'::bytea AS b, 'Grüße €' AS c, 0.1::float8 + 0.2 AS d"
    )
    job.database.execute(
        "INSERT INTO odd SELECT now() - interval '1 year', '\\x5c', 'ünï', 1e-17 FROM generate_series(1, 50)"
    )
    shutil.rmtree(job.root)
    job.back_up_here()
    settings = {
        "client_encoding": "LATIN9",
        "timezone": "Asia/Kolkata",
        "datestyle": "German",
        "bytea_output": "escape",
        "extra_float_digits": "-5",
        "search_path": "nowhere",
        "statement_timeout": "5min",
    }
    for name, value in settings.items():
        run_sql(staging.server.parameters(), f"ALTER ROLE \"{staging.user}\" SET {name} = '{value}'")
    run = run_drill(job, staging=staging.options())
    assert not run.failed, run.output
    assert_proven(only_drill(run))
    assert staging.databases() == []


def test_older_staging_server(job: BackupJob, server16: PostgresServer, make_database: MakeDatabase) -> None:
    staging = Staging(server16, make_database(server16, role_options="CREATEDB").user)
    run = run_drill(job, staging=staging.options())
    assert_unjudged(only_drill(run), "staging server is PostgreSQL 16.14", "archive comes from 18.6")


@pytest.mark.parametrize("program", ["pg_restore", "pg_dump"])
def test_killed_and_collected_by_the_next(job: BackupJob, staging: Staging, program: str) -> None:
    with job.start("pg_restore_drill", **module_options(job, staging=staging.options())) as running:
        # Before that, programs only tell their versions.
        run_processes.wait_until(lambda: bool(staging.databases()), "no database was made")
        run_processes.wait_for_program(str(job.home), program)
        running.kill()
        assert running.finish().rc == -signal.SIGKILL
    run_processes.wait_for_none(str(job.home))
    assert len(staging.databases()) == 1
    sessions = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{staging.user}'"
    run_processes.wait_until(lambda: run_sql(staging.server.parameters(), sessions) == [(0,)], "sessions are left")
    run = run_drill(job, staging=staging.options())
    assert not run.failed, run.output
    assert staging.databases() == []


def test_others_databases_are_left_alone(job: BackupJob, staging: Staging, make_database: MakeDatabase) -> None:
    other = make_database(staging.server, name="baileys_drill_of_somebody_else")
    mine = "something_of_mine"
    run_sql(staging.server.parameters(), f'CREATE DATABASE {mine} OWNER "{staging.user}"')
    try:
        assert not run_drill(job, staging=staging.options()).failed
        assert other.execute("SELECT 1") == [(1,)]
        assert run_sql(staging.server.parameters(), f"SELECT 1 FROM pg_database WHERE datname = '{mine}'") == [(1,)]
    finally:
        run_sql(staging.server.parameters(), f"DROP DATABASE {mine}")


def test_two_drills_on_one_staging_server(job: BackupJob, staging: Staging, tmp_path: Path) -> None:
    """In none of its moments is the one's database the other's rubbish, even while nobody is connected to it."""
    from_other: list[list[str]] = []

    def look(_settings: Any) -> None:
        # Between restore and comparison no session is in the database.
        with target_module.staging_target(staging.settings(), only_archive(job.root).manifest or {}):
            from_other.append(staging.databases())

    result = drill(job.root, tmp_path / "state", staging.server.bin_directory, look, staging=staging.settings())
    assert_proven(result)
    assert [len(names) for names in from_other] == [1]
    assert staging.databases() == []


def test_server_that_ends_during_the_restore(job: BackupJob, start_server: Any, bin_full18: Path) -> None:
    server = start_server(bin_full18)
    run_sql(
        server.parameters(),
        f"CREATE ROLE drills LOGIN CREATEDB PASSWORD '{UGLY_PASSWORD.replace(chr(39), chr(39) * 2)}'",
    )
    staging = Staging(server, "drills")
    with job.start("pg_restore_drill", **module_options(job, staging=staging.options())) as running:
        run_processes.wait_for_program(str(job.home), "pg_restore")
        server.stop("immediate")
        run = running.finish()
    assert run.failed
    result = only_drill(run)
    assert (result["verdict"], result["problems"]) == ("unjudged", []), run.output
    server.start()
    assert not run_drill(job, staging=staging.options()).failed
    assert staging.databases() == []


def test_network_that_ends_during_the_restore(job: BackupJob, staging: Staging) -> None:
    with TcpProxy(staging.server.port, freeze_after=3000) as proxy:
        options = staging.options(login_host="127.0.0.1", login_port=proxy.port)
        with job.start("pg_restore_drill", **module_options(job, staging=options)) as running:
            assert proxy.frozen.wait(30)
            threading.Timer(0.2, proxy.cut).start()
            run: ModuleRun = running.finish()
    assert run.failed
    for result in run.result.get("drills", []):
        assert (result["verdict"], result["problems"]) == ("unjudged", []), run.output
    assert json.dumps(run.result).count("Traceback") == 0
    assert only_archive(job.root).state == "verified"


def test_server_that_stops_answering(job: BackupJob, staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps every connection and says nothing more: no error of the network ends that."""
    archive = only_archive(job.root)
    assert archive.manifest is not None
    monkeypatch.setattr(load, "ASK_SECONDS", 0.2)
    monkeypatch.setattr(load, "MOST_SILENCES", 2)
    with (
        target_module.staging_target(staging.settings(), archive.manifest) as target,
        target.database(archive.manifest) as (settings, _limits),
        TcpProxy(staging.server.port, freeze_after=1500) as proxy,
    ):
        there = {**settings.parameters, "host": "127.0.0.1", "port": str(proxy.port)}
        tools = find_clients(str(staging.server.bin_directory))[0]
        started = time.monotonic()
        with pytest.raises(load.LoadError, match="has not answered for") as caught:
            load.load_archive(
                archive.path,
                archive.manifest,
                tools,
                dataclasses.replace(settings, parameters=there),
                target.options,
            )
        assert proxy.frozen.is_set()
    assert caught.value.obstacle, "it says nothing against the archive"
    assert time.monotonic() - started < 30


def test_plain_archive_on_staging(staging: Staging, tmp_path: Path, make_session_store: Any) -> None:
    """It brings its owners along, which cannot be left out: refused before anything is made."""
    root = tmp_path / "plain"
    back_up(make_session_store(staging.server), root, format="plain", compression="none")
    result = drill(root, tmp_path / "state", staging.server.bin_directory, staging=staging.settings())
    assert result["verdict"] == "unjudged"
    assert "A plain archive is restored with all its owners" in result["obstacle"]
    assert staging.databases() == []
