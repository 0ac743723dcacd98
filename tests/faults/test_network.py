# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server or the network goes away: before, while and after it dumps; or a table stays locked."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import make
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.snapshot import Snapshot
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ConnectionFailedError
from demo.postgres_server import PostgresServer
from tests.conftest import StartServer
from tests.faults.conftest import MakeJob
from tests.support import run_processes
from tests.support.backup_job import BackupJob, ModuleRun
from tests.support.backups import KINDS
from tests.support.mid_dump import MID_DUMP, held_in_mid_dump
from tests.support.tcp_proxy import TcpProxy


def through(job: BackupJob, proxy: TcpProxy, **options: Any) -> ModuleRun:
    return job.run(login_host="127.0.0.1", login_port=proxy.port, **options)


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-zstd"])
def test_server_stopped_in_mid_dump(start_server: StartServer, make_job: MakeJob, bin_full18: Path, kind: str) -> None:
    server = start_server(bin_full18)
    job = make_job(server)
    before = job.published()
    with held_in_mid_dump(job, **KINDS[kind]) as (running, proxy):
        server.stop("immediate")
        proxy.thaw()
        run = running.finish()
    server.start()

    job.assert_harmless(run, before)
    assert "pg_dump failed with exit status 1" in run.message
    assert "server closed the connection unexpectedly" in run.message or "terminating connection" in run.message
    assert "The server went away during the dump" in run.message
    assert run.result["stage"] == "dump"
    assert job.last_run() == "failed"
    job.assert_heals()


@pytest.mark.parametrize("kind", ["plain-gzip", "directory-zstd"])
def test_network_that_swallows_packets_in_mid_dump(job: BackupJob, kind: str) -> None:
    before = job.published()
    with TcpProxy(job.database.server.port, freeze_after=MID_DUMP) as proxy:
        run = through(job, proxy, stall_timeout=1, **KINDS[kind])
        # While the network is still dead: nothing may be left that waits for it.
        run_processes.wait_for_none(str(job.home))
        assert run.seconds < 20

    job.assert_harmless(run, before)
    assert "pg_dump gave no data for 1 s and was stopped" in run.message
    assert "network that swallows packets" in run.message
    assert run.result["stage"] == "dump"
    job.assert_heals()


def test_slow_network_is_not_a_dead_one(job: BackupJob) -> None:
    """Less than stall_timeout between two pieces: however long it takes in all."""
    with held_in_mid_dump(job, stall_timeout=30) as (running, proxy):
        time.sleep(1)
        proxy.thaw()
        run = running.finish()

    assert not run.failed, run.output


@pytest.mark.parametrize("after", [700, 1700])
def test_server_that_hangs_before_the_dump(job: BackupJob, after: int) -> None:
    """It accepts, it even lets us in, and at some question it stays silent: pinning, version, snapshot."""
    before = job.published()
    with TcpProxy(job.database.server.port, freeze_after=after) as proxy:
        run = through(job, proxy, stall_timeout=1)
        assert proxy.frozen.is_set()

    job.assert_harmless(run, before)
    assert "gave no answer for 1 s" in run.message
    assert "raise stall_timeout" in run.message
    assert run.seconds < 15
    job.assert_heals()


@pytest.mark.parametrize("stage", ["at first", "in the middle"])
def test_connection_that_is_cut(job: BackupJob, stage: str) -> None:
    """A reset instead of silence."""
    before = job.published()
    with held_in_mid_dump(job, 3_000 if stage == "at first" else MID_DUMP) as (running, proxy):
        proxy.cut()
        run = running.finish()

    job.assert_harmless(run, before)
    # pg_dump may come to the server when the snapshot has gone with the session that held it.
    assert "closed the connection unexpectedly" in run.message or "run it again" in run.message
    job.assert_heals()


def test_server_that_does_not_answer_at_all(job: BackupJob) -> None:
    """An endpoint that takes connections and says nothing: connect_timeout, three times."""
    before = job.published()
    with TcpProxy(job.database.server.port) as proxy:
        proxy.freeze()
        run = through(job, proxy, connect_params={"connect_timeout": "2"})

    job.assert_harmless(run, before)
    assert "timeout expired" in run.message
    assert run.message.count("(3 attempts)") == 1
    assert "firewall" in run.message
    assert run.result["stage"] == "connect"
    assert run.seconds < 25
    assert job.last_run() == "failed"


def test_nobody_listens(job: BackupJob) -> None:
    before = job.published()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    run = job.run(login_host="127.0.0.1", login_port=port)

    job.assert_harmless(run, before)
    assert "Connection refused" in run.message
    assert "(3 attempts)" in run.message
    assert "Check host and port" in run.message


@pytest.mark.parametrize("failures", [1, 2])
def test_connection_that_fails_at_first(job: BackupJob, failures: int) -> None:
    """By the time anybody looks why, the server is there again: that must count as passing all the same."""
    with TcpProxy(job.database.server.port, refused=failures) as proxy:
        run = through(job, proxy)

    assert not run.failed, run.output
    job.assert_all_verify()


def test_connection_that_fails_three_times(job: BackupJob) -> None:
    before = job.published()
    with TcpProxy(job.database.server.port, refused=100) as proxy:
        run = through(job, proxy)
        assert proxy.accepted <= 6, "three attempts, and three looks at the reason"

    job.assert_harmless(run, before)
    assert "(3 attempts)" in run.message


def test_wrong_password_is_not_tried_again(job: BackupJob) -> None:
    before = job.published()
    with TcpProxy(job.database.server.port) as proxy:
        run = through(job, proxy, login_password="wrong § password")

    job.assert_harmless(run, before)
    assert "password authentication failed" in run.message
    assert "attempts" not in run.message
    assert "wrong § password" not in run.output
    # One of them is pg_isready's.
    assert proxy.accepted <= 2


def test_server_that_is_being_restarted(start_server: StartServer, make_job: MakeJob, bin_full18: Path) -> None:
    """Refused, then starting up, then there: all within the three attempts."""
    server = start_server(bin_full18)
    job = make_job(server)
    server.stop()
    with TcpProxy(server.port) as proxy, job.start(login_host="127.0.0.1", login_port=proxy.port) as running:
        deadline = time.monotonic() + 20
        while proxy.accepted == 0:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        server.start()
        run = running.finish()

    assert not run.failed, run.output
    job.assert_all_verify()


def test_locked_table(job: BackupJob) -> None:
    before = job.published()
    connection = job.database.connect()
    try:
        connection.cursor().execute("LOCK TABLE whatsapp_keys IN ACCESS EXCLUSIVE MODE")
        run = job.run(table_lock_timeout=1)
    finally:
        connection.close()

    job.assert_harmless(run, before)
    assert "public.whatsapp_keys IN ACCESS SHARE MODE" in run.message
    assert "raise table_lock_timeout" in run.message
    assert run.seconds < 15
    assert job.last_run() == "failed"
    job.assert_heals()


def test_table_that_is_unlocked_in_time(job: BackupJob) -> None:
    connection = job.database.connect()
    connection.cursor().execute("LOCK TABLE whatsapp_keys IN ACCESS EXCLUSIVE MODE")
    threading.Timer(1.5, connection.close).start()

    run = job.run(table_lock_timeout=30)

    assert not run.failed, run.output


def test_session_ended_by_an_administrator(job: BackupJob) -> None:
    """The session that holds the snapshot and counts, not that of pg_dump."""
    before = job.published()
    with held_in_mid_dump(job) as (running, proxy):
        job.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE usename = '{job.database.user}' AND pid <> pg_backend_pid()",
            superuser=True,
        )
        proxy.thaw()
        run = running.finish()

    job.assert_harmless(run, before)
    assert "terminating connection" in run.message or "connection" in run.message
    job.assert_heals()


def test_no_connection_left(start_server: StartServer, make_job: MakeJob, bin_full18: Path) -> None:
    server = start_server(
        bin_full18, settings={"max_connections": 6, "superuser_reserved_connections": 2, "max_wal_senders": 0}
    )
    job = make_job(server)
    before = job.published()
    taken = [job.database.connect() for _ in range(4)]
    try:
        run = job.run()
    finally:
        for connection in taken:
            connection.close()

    job.assert_harmless(run, before)
    assert "All connections are taken" in run.message
    job.assert_heals()


def test_connections_run_out_while_it_dumps(start_server: StartServer, make_job: MakeJob, bin_full18: Path) -> None:
    """The session is there, pg_dump's own connection is refused."""
    server = start_server(
        bin_full18, settings={"max_connections": 6, "superuser_reserved_connections": 2, "max_wal_senders": 0}
    )
    job = make_job(server)
    before = job.published()
    taken = [job.database.connect() for _ in range(3)]
    try:
        run = job.run()
    finally:
        for connection in taken:
            connection.close()

    job.assert_harmless(run, before)
    assert "pg_dump failed with exit status 1" in run.message
    assert "All connections are taken" in run.message
    job.assert_heals()


def test_server_that_never_ends_counting(
    server18: PostgresServer, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(server18)
    before = job.published()

    def count_for_ever(snapshot: Snapshot, settings: object) -> dict[tuple[str, str], int]:
        with snapshot.connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.pg_sleep(15)")
        return {}

    monkeypatch.setattr(make, "count_rows", count_for_ever)
    started = time.monotonic()
    with pytest.raises(ConnectionFailedError, match="has not counted the rows 1 s after") as caught:
        make.make_backup(job.request(stall_timeout=1.0))

    assert time.monotonic() - started < 10
    assert "stall_timeout" in (caught.value.remedy or "")
    assert job.published() == before
    assert job.last_run() == "failed"
