# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup and drill of databases that take minutes: `make test-long`. The figures it prints stand in docs/restore_drill.md."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import make
from ansible_collections.baileys.resilience.plugins.module_utils.drill import drill, drill_run
from ansible_collections.baileys.resilience.plugins.module_utils.system.units import human_duration, human_size
from demo import session_store
from demo.postgres_server import PostgresServer
from tests.conftest import StartServer
from tests.support.backups import request_for
from tests.support.databases import TestDatabase, fresh_database

LOADING = {"max_wal_size": "8GB", "wal_level": "minimal", "max_wal_senders": "0", "autovacuum": "off"}
MOST_MEMORY_BYTES = 150e6


def small_rows(database: TestDatabase) -> None:
    database.execute("CREATE TABLE small_rows AS SELECT i AS id, i % 1000 AS n FROM generate_series(1, 10000000) i")
    database.execute("ALTER TABLE small_rows ADD PRIMARY KEY (id)")


def one_large_table(database: TestDatabase) -> None:
    # Rows that neither compress nor fit into a page as they are: 1 GB of them.
    database.execute(
        "CREATE TABLE large AS SELECT i AS id, (SELECT string_agg(md5(i::text || '.' || j::text), '')"
        " FROM generate_series(1, 125) j) AS line FROM generate_series(1, 250000) i"
    )


def pgbench(database: TestDatabase) -> None:
    parameters = database.parameters()
    environment = {
        "PATH": os.environ["PATH"],
        "PGHOST": parameters["host"],
        "PGPORT": str(parameters["port"]),
        "PGUSER": parameters["user"],
        "PGPASSWORD": parameters["password"],
        "PGDATABASE": database.name,
    }
    command = [str(database.server.bin_directory / "pgbench"), "--initialize", "--quiet", "--scale=60"]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def sessions(database: TestDatabase) -> None:
    session_store.populate(database.parameters(), size="large")


@pytest.mark.parametrize(
    "fill",
    [small_rows, one_large_table, pgbench, sessions],
    ids=["10-million-rows", "1-GB-table", "pgbench-60", "large"],
)
def test_drill_of_a_large_database(
    start_server: StartServer, bin_full18: Path, public_directory: Path, fill: Callable[[TestDatabase], None]
) -> None:
    server: PostgresServer = start_server(bin_full18, directory=public_directory / "server", settings=LOADING)
    root = public_directory / "backups"
    with fresh_database(server) as database:
        fill(database)
        started = time.monotonic()
        made = make.make_backup(request_for(database, root, source="large"))
        backed_up = time.monotonic() - started
    server.stop()
    request = drill.DrillRequest(
        "large",
        str(root),
        str(public_directory / "state"),
        client_directory=str(bin_full18),
        server_directory=str(bin_full18),
    )
    (result,) = drill_run.run_drills(request).results

    assert result["verdict"] == "proven", result["problems"] or result["obstacle"]
    assert result["rto"]["met"]
    # Of this whole process, tests and all.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    steps = ", ".join("{} {}".format(step["step"], human_duration(step["seconds"])) for step in result["timings"])
    print(
        f"\n{fill.__name__}: {human_size(made.manifest['database_bytes'])}, {result['archive']['rows']} rows, archive "
        f"{human_size(result['archive']['size_bytes'])}; backup {human_duration(backed_up)}, drill "
        f"{human_duration(result['duration_seconds'])} ({steps}); peak memory {human_size(memory)}"
    )
    assert memory < MOST_MEMORY_BYTES
