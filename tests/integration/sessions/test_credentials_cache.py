# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credentials cache as a program of its own, against servers that are really stopped.

Three whole minutes of it are in tests/long; here the setting makes five minutes four seconds.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.fence import Fence, mark_database, set_fence
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout
from tests.conftest import MakeDatabase, StartServer
from tests.support.cache_program import MODULE, SOURCE, CacheProgram, resident_kilobytes, rows_digest
from tests.support.databases import UGLY_PASSWORD, fresh_database
from tests.support.pm2 import command, listed, pm2_home, write_script
from tests.support.run_processes import wait_until
from tests.support.standbys import Standby, fill_sessions
from tests.support.stub_servers import SentryStub, sentry_stub

PASSWORD = UGLY_PASSWORD.replace("`", "")
TENANTS = ("acme", "b/ü 1")
FAST = ("--interval", "0.2")
SHORT = {"CREDENTIALS_CACHE_TTL_MS": "4000"}


@pytest.fixture
def sentry() -> Iterator[SentryStub]:
    with sentry_stub() as stub:
        yield stub


@pytest.fixture
def program(make_database: MakeDatabase, server18: Any, tmp_path: Path, sentry: SentryStub) -> CacheProgram:
    """The program for a database of the server that tests share: not to be stopped."""
    database = make_database(server18, password=PASSWORD)
    fill_sessions(database, TENANTS)
    return CacheProgram(database, tmp_path / "state", {"SENTRY_DSN": sentry.dsn})


@pytest.fixture(params=[16, 18])
def own(
    request: pytest.FixtureRequest,
    start_server: StartServer,
    bin_embedded16: Path,
    bin_full18: Path,
    tmp_path: Path,
    sentry: SentryStub,
) -> Iterator[CacheProgram]:
    """The program for a server of its own, which the test may stop; an entry lives four seconds."""
    server = start_server({16: bin_embedded16, 18: bin_full18}[request.param])
    with fresh_database(server, password=PASSWORD) as database:
        fill_sessions(database, TENANTS)
        yield CacheProgram(database, tmp_path / "state", {"SENTRY_DSN": sentry.dsn, **SHORT})
        if server.process is None:
            server.start()


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    """End it as PM2 does; returns what it printed."""
    process.send_signal(number)
    output, _ = process.communicate(timeout=5)
    return output


def events(sentry: SentryStub) -> list[dict[str, Any]]:
    return [event for event in sentry.of_type("event") if event["tags"]["job"] == "credentials_cache"]


def test_an_outage_from_beginning_to_end(own: CacheProgram, sentry: SentryStub) -> None:
    standby = Standby(own.database, own.state_directory)
    standby.refresh()
    rows, server = rows_digest(own.database), own.database.server
    with own.running(*FAST) as process:
        good = own.wait_for("database")
        server.stop("immediate")
        # Used while it is young enough ...
        served = own.wait_for("cache")
        assert set(served["tenants"]) == set(TENANTS)
        for tenant in TENANTS:
            assert served["tenants"][tenant]["creds"] == good["tenants"][tenant]["creds"]
        # ... and not a moment longer, while the standby stays.
        empty = own.wait_for("nothing")
        assert empty["tenants"] == {}
        assert len(standby.read().tenants) == len(TENANTS)
        server.start()
        back = own.wait_for("database")
        assert set(back["tenants"]) == set(TENANTS)
        assert back["error"] is None
        wait_until(lambda: len(events(sentry)) == 3, "the team is told of beginning, worse and end")
        output = stop(process)
    assert process.returncode == 0
    assert output.splitlines()[-1].endswith("ended")
    assert PASSWORD not in output
    assert rows_digest(own.database) == rows
    warning, error, recovered = events(sentry)
    assert [event["level"] for event in (warning, error, recovered)] == ["warning", "error", "info"]
    told = warning["contexts"]["report"]
    assert told["Sessions"] == "2, from the cache"
    assert told["Age"]
    assert "Cannot connect" in told["Error"]
    assert told["Code"] in ("ECONNREFUSED", "08006", "57P03")
    assert warning["contexts"]["measurements"]["oldest_age_seconds"] < 4


def test_what_is_read_after_the_outage_takes_the_place_of_all_that_was_cached(
    start_server: StartServer, bin_full18: Path, tmp_path: Path
) -> None:
    server = start_server(bin_full18)
    with fresh_database(server, password=PASSWORD) as database:
        fill_sessions(database, TENANTS)
        # An entry would live for long.
        program = CacheProgram(database, tmp_path / "state", {"CREDENTIALS_CACHE_TTL_MS": "3600000"})
        with program.running(*FAST) as process:
            program.wait_for("database")
            server.stop("immediate")
            program.wait_for("cache")
            # Before the program reads again, a session goes.
            process.send_signal(signal.SIGSTOP)
            server.start()
            database.execute("DELETE FROM whatsapp_keys WHERE company_id = 'acme'")
            database.execute("DELETE FROM whatsapp_auth WHERE company_id = 'acme'")
            assert set(program.file()["tenants"]) == set(TENANTS)
            process.send_signal(signal.SIGCONT)
            assert set(program.wait_for("database")["tenants"]) == {TENANTS[1]}
            stop(process)


def test_a_killed_program_goes_on_with_entries_as_old_as_they_are(own: CacheProgram, sentry: SentryStub) -> None:
    own.variables["CREDENTIALS_CACHE_TTL_MS"] = "600000"
    with own.running(*FAST) as process:
        own.wait_for("database")
        own.database.server.stop("immediate")
        before = own.wait(lambda found: found["told"] is not None, "the team is told")
        process.kill()
        process.wait()
    (own.state_directory / f"cache.json.{process.pid}.partial").write_text("what a killed writer leaves")
    with own.running(*FAST) as process:
        again = own.wait(lambda found: found["checked_at"] > before["checked_at"], "the program reads again")
        assert again["served_from"] == "cache"
        assert again["tenants"] == before["tenants"]
        process.kill()
        process.wait()
    # The same as if it were started again only when they have expired.
    own.variables["CREDENTIALS_CACHE_TTL_MS"] = "1000"
    with own.running(*FAST) as process:
        own.wait_for("nothing")
        wait_until(lambda: len(events(sentry)) == 2, "the team is told that nothing is left")
        stop(process)
    assert [event["level"] for event in events(sentry)] == ["warning", "error"], "the outage was told once"
    assert not list(own.state_directory.glob("*.partial"))


def test_it_reads_through_the_password_file_and_keeps_its_file_private(program: CacheProgram) -> None:
    done = program.run("--once")
    assert done.returncode == 0, done.stdout + done.stderr
    modes = {path.name: path.stat().st_mode & 0o7777 for path in program.state_directory.iterdir()}
    assert modes["cache.json"] == 0o600
    assert set(modes.values()) <= {0o600, 0o700}
    file = program.file()
    assert file["served_from"] == "database"
    for tenant in TENANTS:
        ((me,),) = program.database.execute(
            f"SELECT creds #>> '{{me,id}}' FROM whatsapp_auth WHERE company_id = '{tenant}'"
        )
        assert file["tenants"][tenant]["creds"]["me"]["id"] == me


def test_once_says_by_its_exit_status_how_it_went(program: CacheProgram) -> None:
    assert program.run("--once").returncode == 0
    program.database.execute("ALTER TABLE whatsapp_auth RENAME TO elsewhere")
    assert program.run("--once").returncode == 2
    assert program.file()["served_from"] == "cache"
    assert program.file()["error"]["message"].startswith("There is no table")


def test_list_shows_ages_and_print_shows_credentials_that_are_young_enough(program: CacheProgram) -> None:
    program.run("--once")
    listed = program.run("--list")
    assert listed.returncode == 0
    assert all(tenant in listed.stdout for tenant in TENANTS)
    assert "noiseKey" not in listed.stdout
    printed = program.run("--print", "acme")
    assert printed.returncode == 0
    answer = json.loads(printed.stdout)
    assert answer["creds"]["me"]["id"]
    assert answer["served_from"] == "database"
    assert 0 <= answer["age_seconds"] < 30
    unknown = program.run("--print", "nobody")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "nobody" in unknown.stderr
    # Long after the program has ended.
    file = program.state_directory / "cache.json"
    document = json.loads(file.read_text())
    document["sources"][SOURCE]["tenants"]["acme"]["read_at"] = "2026-01-01T00:00:00.000000Z"
    file.write_text(json.dumps(document))
    assert program.run("--print", "acme").returncode == 2
    assert "expired" in program.run("--list").stdout


def test_a_fenced_source_is_neither_read_nor_served(program: CacheProgram) -> None:
    program.run("--once")
    set_fence(str(program.state_directory), SOURCE, "files", "test")
    assert program.run("--print", "acme").returncode == 2
    assert program.run("--once").returncode == 2
    assert program.file()["tenants"] == {}
    assert program.file()["error"]["code"] == "fenced"


def test_a_marked_database_is_not_cached(program: CacheProgram) -> None:
    connection = program.database.connect()
    mark_database(connection, SessionLayout(), SOURCE, Fence("files", 1, "2026-11-25T03:00:00Z", "app2"))
    connection.close()
    assert program.run("--once").returncode == 2
    assert program.file()["tenants"] == {}
    assert "app2" in program.file()["error"]["message"]


def test_broken_and_unpaired_credentials_are_not_cached(program: CacheProgram, sentry: SentryStub) -> None:
    program.run("--once")
    old = program.file()["tenants"]["acme"]
    program.database.execute("UPDATE whatsapp_auth SET creds = creds - 'noiseKey' WHERE company_id = 'acme'")
    program.database.execute(
        "INSERT INTO whatsapp_auth SELECT 'new', creds - 'me' - 'account' || '{\"registered\": false}',"
        " now(), now() FROM whatsapp_auth WHERE company_id <> 'acme'"
    )
    assert program.run("--once").returncode == 0
    tenants = program.file()["tenants"]
    assert tenants["acme"] == old
    assert tenants[TENANTS[1]]["read_at"] > old["read_at"]
    assert "new" not in tenants
    (event,) = events(sentry)
    assert event["level"] == "error"
    assert "noiseKey" in event["contexts"]["report"]["acme"]


def test_two_programs_exclude_each_other(program: CacheProgram) -> None:
    with program.running(*FAST) as process:
        program.wait_for("database")
        second = program.run("--once")
        assert second.returncode == 2
        assert "Another run" in second.stderr
        assert str(process.pid) in second.stderr
        stop(process)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_ends_at_once_when_it_is_asked_to(program: CacheProgram, number: int) -> None:
    with program.running() as process:
        program.wait_for("database")
        # PM2 gives it 1.6 s before it kills.
        process.send_signal(number)
        assert process.wait(1.5) == 0


def test_it_ends_at_once_while_it_waits_for_a_server_that_says_nothing(program: CacheProgram) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        path = program.state_directory.parent / "silent.env"
        port = str(silent.getsockname()[1])
        path.write_text(program.env_file.read_text().replace(f"PORT={program.database.server.port}", f"PORT={port}"))
        with program.running("--env-file", str(path)) as process:
            connection, _address = silent.accept()
            process.send_signal(signal.SIGTERM)
            assert process.wait(1.5) == 0
            connection.close()


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        ((), {"CREDENTIALS_CACHE_TTL_MS": "5m"}, "CREDENTIALS_CACHE_TTL_MS is '5m'"),
        (("--ttl-ms", "1"), {}, "CREDENTIALS_CACHE_TTL_MS is '1'"),
        (("--interval", "300"), {}, "--interval is 300 s, and an entry lives 300 s"),
        (("--interval", "0"), {}, "--interval is 0 s"),
        (("--layout", "[]"), {}, "--layout is no JSON object"),
        (("--layout", '{"tables": "x"}'), {}, "has no option tables"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(
    program: CacheProgram, arguments: tuple[str, ...], variables: dict[str, str], words: str
) -> None:
    program.variables.update(variables)
    done = program.run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert not program.state_directory.exists()


def test_the_applications_own_env_file_may_say_how_long_entries_live(program: CacheProgram) -> None:
    program.variables["CREDENTIALS_CACHE_TTL_MS"] = "3000000"
    path = program.state_directory.parent / "with-ttl.env"
    path.write_text(program.env_file.read_text() + "CREDENTIALS_CACHE_TTL_MS=60000\n")
    program.run("--once", "--env-file", str(path))
    entry = program.file()["tenants"]["acme"]
    assert entry["read_at"][14:16] != entry["expires_at"][14:16], "a minute apart"
    assert entry["read_at"][17:] == entry["expires_at"][17:]


def test_pm2_runs_restarts_and_stops_it(program: CacheProgram, tmp_path: Path) -> None:
    script = write_script(
        tmp_path / "resilience-credentials-cache", ["#!/bin/sh", f'exec {sys.executable} -m {MODULE} "$@"']
    )
    words = ["--source", SOURCE, "--state-directory", str(program.state_directory), "--env-file", str(program.env_file)]
    with pm2_home(tmp_path / "pm2") as pm2:
        command(pm2, "start", script, "--name", "cache", "--interpreter", "none", "--", *words)
        first = program.wait_for("database")["checked_at"]
        command(pm2, "restart", "cache")
        program.wait(lambda found: found["checked_at"] > first, "it reads again")
        command(pm2, "stop", "cache")
        (app,) = listed(pm2)
        assert app["pm2_env"]["status"] == "stopped"
        log = Path(app["pm2_env"]["pm_out_log_path"]).read_text()
        assert log.count("ended\n") == 2, "PM2 had to kill it"


def test_its_memory_does_not_grow(program: CacheProgram) -> None:
    with program.running("--interval", "0.01") as process:
        first = program.wait_for("database")["checked_at"]
        program.wait(lambda found: found["checked_at"] > first, "a second read")
        reads, size = 0, 0
        seen = set()
        while reads < 45:
            now = program.file()["checked_at"]
            reads += now not in seen
            seen.add(now)
            if reads == 15:
                size = size or resident_kilobytes(process.pid)
        assert resident_kilobytes(process.pid) - size < 2000
        stop(process)
