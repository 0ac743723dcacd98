# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database replaced while it is being written to; the restore killed, at chosen and at random moments.

Whatever happens, the old database serves under its name, or the new one is complete.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.support import run_processes
from tests.support.playbooks import ROOT
from tests.support.restore_job import RestoreJob, drop_others, restore_job
from tests.support.writers import Writers

MOMENTS = 20
SEED = 20261122
# What the issue demands of refused or waiting connections.
LONGEST_GAP_S = 2.0

CONTENT = """
    CREATE TABLE t AS SELECT g AS id, md5(g::text) AS value FROM generate_series(1, 20000) g;
    ALTER TABLE t ADD PRIMARY KEY (id);
    CREATE TABLE beat (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT clock_timestamp());
    CREATE TABLE generation (n int);
"""
IN_THE_NEW_ONE = "SELECT count(*), min(id), max(id), md5(string_agg(value, '' ORDER BY id)) FROM t"


@pytest.fixture
def job(tmp_path: Path, server18: PostgresServer, make_database: MakeDatabase) -> Iterator[RestoreJob]:
    """A job whose database differs from its archive by a row in `generation`."""
    with restore_job(tmp_path, make_database(server18, role_options="CREATEDB")) as made:
        made.database.execute(CONTENT)
        made.back_up(compression="gzip")
        made.database.execute("INSERT INTO generation VALUES (1)")
        yield made


def which(job: RestoreJob) -> str:
    """Whether the old or the new database serves; each must be whole."""
    (rows,) = job.ask(IN_THE_NEW_ONE)
    assert rows[:3] == (20000, 1, 20000)
    assert job.ask("SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'") == [(2,)]
    return "old" if job.ask("SELECT count(*) FROM generation") == [(1,)] else "new"


def halves(job: RestoreJob) -> list[str]:
    return [name for name in job.databases() if "_restoring_" in name or "_switching_" in name]


@pytest.mark.parametrize("attempt", range(3))
def test_switch_under_writers(job: RestoreJob, attempt: int) -> None:
    with Writers(job.database.parameters()) as writers:
        result = job.restore(replace=True, terminate=True)
        writers.wait_for_writes()
        gap = writers.longest_gap()

    assert which(job) == "new"
    assert result.switched is not None
    assert result.switched.ended >= 4
    assert result.switched.attempts == 1
    assert result.switched.blocked < LONGEST_GAP_S
    print(f"\nthe longest gap of 4 writers: {gap:.3f} s, of it blocked {result.switched.blocked:.3f} s")
    assert gap < LONGEST_GAP_S
    # Nothing that was acknowledged is lost: it is here, or in the old one.
    assert result.old_database is not None
    (here,) = job.ask("SELECT count(*) FROM beat")
    (there,) = job.ask("SELECT count(*) FROM beat", result.old_database)
    assert here[0] + there[0] >= writers.written


@contextlib.contextmanager
def coming_and_going(job: RestoreJob, number: int = 3) -> Iterator[None]:
    """Clients that connect again and again: some are let in just before the database is closed to newcomers."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            with contextlib.suppress(psycopg2.Error), contextlib.closing(job.database.connect()) as connection:
                connection.cursor().execute("SELECT 1")

    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("attempt", range(3))
def test_way_back_under_writers(job: RestoreJob, attempt: int) -> None:
    result = job.restore(replace=True)
    assert which(job) == "new"
    with Writers(job.database.parameters(), number=8) as writers, coming_and_going(job):
        done = subprocess.run(
            [job.server.bin_directory / "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "-c", str(result.way_back)],
            env={
                "PGHOST": "localhost",
                "PGPORT": str(job.server.port),
                "PGUSER": job.database.user,
                "PGPASSWORD": job.database.password,
                "PGDATABASE": "postgres",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        writers.wait_for_writes()
        gap = writers.longest_gap()

    assert done.returncode == 0, done.stderr
    assert which(job) == "old"
    print(f"\nthe way back: the longest gap of 8 writers: {gap:.3f} s")
    assert gap < LONGEST_GAP_S


POINTS = [
    ("create_database", 1, "after"),
    ("load_archive", 1, "before"),
    ("load_archive", 1, "after"),
    ("compare", 1, "after"),
    ("_analyze", 1, "after"),
    ("_rename", 1, "after"),
    ("apply", 1, "after"),
    ("apply", 2, "after"),
    ("_rename", 2, "before"),
    ("_rename", 2, "after"),
    ("_rename", 3, "after"),
    ("_attempt", 1, "after"),
]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: "-".join(map(str, point)))
def test_killed_at_a_stage(job: RestoreJob, point: tuple[str, int, str]) -> None:
    with Writers(job.database.parameters(), number=2) as writers:
        request = job.request()
        options = {
            "source": "app",
            "backup_root": request.backup_root,
            "client_directory": request.client_directory,
            "replace": True,
            "terminate": True,
        }
        ended = subprocess.run(
            [sys.executable, "-m", "tests.support.killed_restore"],
            cwd=ROOT,
            input=json.dumps({"parameters": job.database.parameters(), "options": options, "point": point}).encode(),
            capture_output=True,
            check=False,
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
        writers.wait_for_writes()
        gap = writers.longest_gap()

    assert which(job) == ("new" if point[0] == "_attempt" else "old")
    assert gap < LONGEST_GAP_S
    left = halves(job)
    # The first time it is only rehearsed, before there is anything; after the last the work is done.
    assert len(left) == (0 if point[:2] in (("apply", 1), ("_attempt", 1)) else 1)
    assert all("_restoring_" in name for name in left)
    assert job.ask("SELECT datallowconn, datconnlimit FROM pg_database WHERE datname = current_database()") == [
        (True, -1)
    ]

    # The next run removes what is left, as soon as the server has noticed the end of the killed one.
    job.restore(replace=True, terminate=True, lock_timeout=10)
    assert halves(job) == []
    assert which(job) == "new"


def test_killed_at_random_moments(job: RestoreJob) -> None:
    chance = random.Random(SEED)
    found: Counter[str] = Counter()
    with Writers(job.database.parameters(), number=3) as writers:
        took = max(time_at_work(job) for _ in range(2))
        for number in range(MOMENTS):
            moment = took * 1.05 * (number + chance.random()) / MOMENTS
            when = f"seed {SEED}, killed after {moment:.3f} of {took:.3f} s"
            with job.start_module(replace=True, terminate=True, lock_timeout=10) as running:
                wait_for_start(job)
                time.sleep(moment)
                running.kill()
                running.finish()
            writers.wait_for_writes(LONGEST_GAP_S)
            run_processes.wait_for_none(str(job.jobs.home))
            state = which(job)
            left = halves(job)
            found[state + (" and a half one" if left else "")] += 1
            assert len([name for name in left if not name.endswith("b")]) <= 1, when
            assert all("_restoring_" in name for name in left), when
            if state == "new":
                job.ask("INSERT INTO generation VALUES (1)")
            for name in job.databases():
                if "_before_" in name:
                    assert state == "new", when
                    job.ask(f"DROP DATABASE {name} WITH (FORCE)")
        gap = writers.longest_gap()
    print(f"\n{MOMENTS} kills: {dict(found)}; the longest gap of 3 writers: {gap:.3f} s")
    assert found["old and a half one"] > 0, "no run was killed while it restored"
    assert gap < LONGEST_GAP_S
    job.restore(replace=True, terminate=True, lock_timeout=10)
    assert halves(job) == []
    drop_others(job.database)


def wait_for_start(job: RestoreJob) -> None:
    """Wait until the run holds its lock on the server."""
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    run_processes.wait_until(lambda: job.ask(query, "postgres") != [(0,)], "no restore has begun")


def time_at_work(job: RestoreJob) -> float:
    """Seconds from the lock to the end of a run."""
    with job.start_module(replace=True, terminate=True) as running:
        wait_for_start(job)
        started = time.monotonic()
        run = running.finish()
    assert not run.failed, run.output
    drop_others(job.database)
    job.ask("INSERT INTO generation VALUES (1)")
    return time.monotonic() - started
