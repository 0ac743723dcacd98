# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Outages of real minutes against the credentials cache with all its defaults: `make test-long`."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.cache_program import CacheProgram, rows_digest
from tests.support.databases import UGLY_PASSWORD, fresh_database
from tests.support.run_processes import wait_until
from tests.support.standbys import Standby, fill_sessions
from tests.support.stub_servers import SentryStub, sentry_stub

TENANTS = ("acme", "beta", "gamma")
PASSWORD = UGLY_PASSWORD.replace("`", "")


@pytest.fixture
def sentry() -> Iterator[SentryStub]:
    with sentry_stub() as stub:
        yield stub


@pytest.fixture
def program(start_server: StartServer, bin_full18: Path, tmp_path: Path, sentry: SentryStub) -> Iterator[CacheProgram]:
    server = start_server(bin_full18)
    with fresh_database(server, password=PASSWORD) as database:
        fill_sessions(database, TENANTS)
        yield CacheProgram(database, tmp_path / "state", {"SENTRY_DSN": sentry.dsn})
        if server.process is None:
            server.start()


def age(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


def levels(sentry: SentryStub) -> list[str]:
    return [event["level"] for event in sentry.of_type("event")]


def test_an_outage_of_three_minutes(program: CacheProgram, sentry: SentryStub) -> None:
    server, rows = program.database.server, rows_digest(program.database)
    with program.running() as process:
        good = program.wait_for("database")
        server.stop("immediate")
        stopped = time.monotonic()
        served = program.wait_for("cache", 60)
        while time.monotonic() - stopped < 180:
            served = program.file()
            assert served["served_from"] == "cache"
            # As old as they are, and never served too long.
            assert {one["read_at"] for one in served["tenants"].values()} == {
                one["read_at"] for one in good["tenants"].values()
            }
            assert all(age(one["read_at"]) < 300 for one in served["tenants"].values())
            time.sleep(1)
        assert {name: one["creds"] for name, one in served["tenants"].items()} == {
            name: one["creds"] for name, one in good["tenants"].items()
        }
        assert levels(sentry) == ["warning"], "once in each five minutes"
        server.start()
        outage = time.monotonic() - stopped
        back = program.wait_for("database", 60)
        assert all(one["read_at"] > served["checked_at"] for one in back["tenants"].values())
        wait_until(lambda: levels(sentry) == ["warning", "info"], "the team is told of the end")
        process.send_signal(signal.SIGTERM)
        assert process.wait(2) == 0
    assert rows_digest(program.database) == rows
    told = sentry.of_type("event")[0]["contexts"]["report"]
    print(f"\noutage of {outage:.0f} s: {told['Sessions']}, aged {told['Age']}, code {told['Code']}: {told['Error']}")


def test_after_five_minutes_the_cache_is_empty_and_the_standby_is_not(
    program: CacheProgram, sentry: SentryStub
) -> None:
    standby = Standby(program.database, program.state_directory)
    standby.refresh()
    with program.running() as process:
        program.wait_for("database")
        program.database.server.stop("immediate")
        served = program.wait_for("cache", 60)
        (read_at,) = {one["read_at"] for one in served["tenants"].values()}
        program.wait_for("nothing", 330)
        assert 300 <= age(read_at) < 365
        assert len(standby.read().tenants) == len(TENANTS)
        wait_until(lambda: levels(sentry)[-1] == "error", "the team is told that nothing is left")
        process.send_signal(signal.SIGTERM)
        assert process.wait(2) == 0
