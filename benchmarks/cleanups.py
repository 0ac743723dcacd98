# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cleanup of half a million keys of a million, beside an application that writes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator

import psycopg2

from benchmarks.commands import Bench
from benchmarks.figures import Comparison, Run, Target
from benchmarks.measure import ROOT, Side, measure
from benchmarks.stores import default_server
from demo import session_store
from demo.postgres_server import PostgresServer
from demo.session_rows import KEYS_BY_TYPE

TIME_TARGET, WRITER_TARGET = Target(2.5, 2.0), Target(2.0, 1.4)
PAIRS = 5
# Before each run the writer is watched undisturbed for so long.
QUIET_SECONDS = 5.0
KEYS, KEYS_QUICK = 1_000_000, 100_000
DATABASE, TEMPLATE = "cleanup", "cleanup_template"
# Keys of the types that the default policy deletes, with values as in life, half of them old, old and young side by side
# on the disk; and sessions for the writer.
STORE = """
    CREATE TABLE made AS
    SELECT row_number() OVER (ORDER BY hashtext(k.company_id || k.key_type || k.key_id || n)) AS number,
           k.company_id || '-' || n AS company_id, k.key_type, k.key_id, k.value
    FROM whatsapp_keys k, generate_series(1, {copies}) n WHERE k.key_type IN ('device-list', 'sender-key-memory');
    DELETE FROM made WHERE number > {keys};
    CREATE TABLE sessions AS SELECT * FROM whatsapp_keys WHERE key_type = 'session' ORDER BY key_id LIMIT {keys} / 200;
    TRUNCATE whatsapp_keys;
    INSERT INTO whatsapp_keys (company_id, key_type, key_id, value, updated_at)
    SELECT company_id, key_type, key_id, value,
           now() - CASE WHEN number % 2 = 0 THEN interval '31 days' ELSE interval '1 day' END * (1 + number % 97 / 100.0)
    FROM made ORDER BY number;
    INSERT INTO whatsapp_keys (company_id, key_type, key_id, value) SELECT company_id, key_type, key_id, value FROM sessions;
    DROP TABLE made, sessions
"""
# Of those two types in a hundred companies.
OF_TYPES = 100 * (KEYS_BY_TYPE["device-list"] + KEYS_BY_TYPE["sender-key-memory"])


@dataclasses.dataclass(frozen=True)
class _Watched:
    """A run, and what 99 of 100 writes took at most: before it, and beside it (seconds)."""

    run: Run
    quiet: float
    beside: float


def cleanup_million(bench: Bench) -> Comparison:
    """Our cleanup, everything in it, against one DELETE; both beside the writer."""
    keys = KEYS_QUICK if bench.quick else KEYS
    with _server_with_store(keys) as server:
        ours, peer = _ours(bench, server), _single_delete(bench, server)
        _watch(server, ours)
        pairs = [(_watch(server, ours).run, _watch(server, peer).run) for _ in range(PAIRS)]
    return Comparison(
        "cleanup-million",
        f"cleanup of {keys // 2:,} of {keys:,} keys beside a writer: counted, deleted in batches, said",
        "a single DELETE",
        tuple(mine for mine, _theirs in pairs),
        tuple(theirs for _mine, theirs in pairs),
        TIME_TARGET,
    )


def cleanup_writer(bench: Bench) -> Comparison:
    """The writer beside our cleanup against the writer alone: what 99 of 100 of its writes take at most."""
    keys = KEYS_QUICK if bench.quick else KEYS
    with _server_with_store(keys) as server:
        ours = _ours(bench, server)
        _watch(server, ours)
        watched = [_watch(server, ours) for _ in range(PAIRS)]
    return Comparison(
        "cleanup-writer",
        f"99 of 100 writes beside the cleanup of {keys // 2:,} of {keys:,} keys",
        "the same writer undisturbed, just before",
        tuple(_as_run(one, one.beside) for one in watched),
        tuple(_as_run(one, one.quiet) for one in watched),
        WRITER_TARGET,
    )


@contextlib.contextmanager
def _server_with_store(keys: int) -> Iterator[PostgresServer]:
    """A server as it comes, commits synced: what a writer waits for is part of the question."""
    with default_server() as server:
        _execute(server, f"CREATE DATABASE {TEMPLATE}")
        session_store.populate(server.parameters(dbname=TEMPLATE), size="hundred")
        copies = -(-keys // OF_TYPES)
        _execute(server, STORE.format(copies=copies, keys=keys), database=TEMPLATE)
        _execute(server, "VACUUM (ANALYZE) whatsapp_keys", database=TEMPLATE)
        yield server


def _watch(server: PostgresServer, side: Side) -> _Watched:
    """Run a side on a fresh copy of the store, with the writer at work."""
    _execute(server, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    _execute(server, f"CREATE DATABASE {DATABASE} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    _execute(server, "CHECKPOINT")
    command = [sys.executable, "-m", "benchmarks.live_writer", _dsn(server)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(QUIET_SECONDS)
        run = measure(side)
        ended = time.time()
        # communicate() would have nothing to send, and wait for the end of a writer that waits for it.
        assert writer.stdin is not None
        writer.stdin.close()
        writes = json.load(writer.stdout)
    began = ended - run.wall
    quiet = [took for moment, took in writes if moment < began - 0.5]
    beside = [took for moment, took in writes if began <= moment <= ended]
    return _Watched(run, _percentile(quiet), _percentile(beside))


def _as_run(watched: _Watched, write: float) -> Run:
    """A write in the place of a run; what others took of the machine stays the share that it was."""
    share = watched.run.foreign_cpu / watched.run.wall
    return Run(write, cpu=0.0, server_cpu=0.0, foreign_cpu=share * write)


def _ours(bench: Bench, server: PostgresServer) -> Side:
    command = [sys.executable, "-m", "benchmarks.cleanup_step", _dsn(server), bench.work / "cleanup-state"]
    return dataclasses.replace(bench.side("our cleanup", command, {}), server=server.pid)


def _single_delete(bench: Bench, server: PostgresServer) -> Side:
    statement = "DELETE FROM whatsapp_keys WHERE updated_at < now() - interval '30 days'"
    command = [bench.programs / "psql", "--no-psqlrc", "--quiet", f"--dbname={_dsn(server)}", f"--command={statement}"]
    return dataclasses.replace(bench.side("a single DELETE", command, {}), server=server.pid)


def _dsn(server: PostgresServer) -> str:
    return server.dsn(dbname=DATABASE)


def _execute(server: PostgresServer, statement: str, database: str = "postgres") -> None:
    with contextlib.closing(psycopg2.connect(**server.parameters(dbname=database))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


def _percentile(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]
