# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that does not answer, or not yet, or not any more: tried again only where that may help."""

from __future__ import annotations

import subprocess
import time

import psycopg2
import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ConnectionFailedError,
    ResilienceError,
)
from demo.server_processes import free_port, process_options
from tests.support.backups import KINDS, back_up, strays
from tests.support.databases import TestDatabase
from tests.support.run_processes import wait_until
from tests.support.tcp_proxy import TcpProxy


@pytest.fixture
def database(server18, make_database):
    database = make_database(server18)
    database.execute("CREATE TABLE t AS SELECT generate_series(1, 7)")
    return database


def test_a_closed_port_is_tried_three_times(database, tmp_path):
    started = time.monotonic()
    with pytest.raises(ConnectionFailedError, match="Connection refused") as caught:
        back_up(database, tmp_path, parameters=database.parameters(port=free_port()))
    assert caught.value.message.endswith("(3 attempts)")
    # Waits of 100 and 200 ms.
    assert 0.3 <= time.monotonic() - started < 3
    assert "host and port" in str(caught.value.remedy)
    assert list(tmp_path.iterdir()) == [] or strays(tmp_path) == []


def test_a_name_that_is_not_known_is_tried_three_times(database, tmp_path):
    with pytest.raises(ConnectionFailedError, match="could not translate host name") as caught:
        back_up(database, tmp_path, parameters=database.parameters(host="no-such-host.invalid"))
    assert caught.value.message.endswith("(3 attempts)")
    assert "login_host" in str(caught.value.remedy)


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_a_server_that_comes_back_in_between_is_backed_up(database, refused, tmp_path):
    with TcpProxy(database.server.port, refused=refused) as proxy:
        parameters = database.parameters(port=proxy.port)
        assert back_up(database, tmp_path, parameters=parameters).manifest["rows"] == 7
        # The session with the snapshot and pg_dump itself come on top.
        assert proxy.accepted == refused + 2


def test_a_server_that_stays_away_is_tried_three_times(database, tmp_path):
    with TcpProxy(database.server.port, refused=100) as proxy:
        with pytest.raises(ConnectionFailedError, match=r"\(3 attempts\)"):
            back_up(database, tmp_path, parameters=database.parameters(port=proxy.port))
        assert proxy.accepted == 3


def test_a_server_that_is_starting_up_is_tried_three_times(start_server, bin_full18, tmp_path):
    """57P03, which the driver does not tell: a standby that accepts nobody gives it for as long as one likes."""
    server = start_server(bin_full18)
    server.stop()
    (server.data_directory / "standby.signal").touch()
    with (server.data_directory / "server.conf").open("a") as configuration:
        configuration.write("hot_standby = off\n")
    process = subprocess.Popen(
        [server.bin_directory / "postgres", "-D", server.data_directory],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **process_options(server.account, server.directory),
    )
    try:
        ready = [bin_full18 / "pg_isready", "-h", server.socket_directory, "-p", str(server.port)]
        wait_until(lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 1, "it rejects")
        with pytest.raises(ConnectionFailedError) as caught:
            back_up_with(server, server.parameters(), tmp_path)
        assert "the database system is not accepting connections" in caught.value.message
        assert caught.value.message.endswith("(3 attempts)")
        assert caught.value.transient
    finally:
        process.terminate()
        process.wait()


def test_all_connections_taken(start_server, bin_full18, tmp_path):
    settings = {
        "max_connections": 3,
        "superuser_reserved_connections": 0,
        "max_wal_senders": 0,
        "autovacuum": "off",
    }
    server = start_server(bin_full18, settings=settings)
    held = [psycopg2.connect(**server.parameters()) for _ in range(3)]
    try:
        with pytest.raises(ConnectionFailedError, match="too many clients already") as caught:
            back_up_with(server, server.parameters(), tmp_path)
        # It answered: that the connections will be free in 300 ms is not to be expected.
        assert "attempts" not in caught.value.message
        assert "All connections are taken: stop what holds them" in str(caught.value.remedy)
        # One is left, which is enough for the snapshot but not for pg_dump.
        held.pop().close()
        wait_until(lambda: len(sessions(held[0])) == 2, "the connection is closed")
        with pytest.raises(ResilienceError, match="too many clients already") as failed:
            back_up_with(server, server.parameters(), tmp_path)
        assert failed.value.stage == "dump"
        assert "All connections are taken" in str(failed.value.remedy)
        assert strays(tmp_path) == []
        # Two are.
        held.pop().close()
        wait_until(lambda: len(sessions(held[0])) == 1, "the connection is closed")
        assert back_up_with(server, server.parameters(), tmp_path).archive
    finally:
        for connection in held:
            connection.close()


def sessions(connection):
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        return cursor.fetchall()


def back_up_with(server, parameters, root):
    return back_up(
        TestDatabase(server, "postgres", "postgres", ""), root, parameters=parameters, **KINDS["custom-gzip"]
    )
