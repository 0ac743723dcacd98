# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's disk is full in the middle of a restore: the old database serves on, and the half one goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from demo.installations import account_for_server
from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.faults.conftest import MakeDisk
from tests.support.databases import run_sql
from tests.support.restore_job import RestoreJob, restore_job
from tests.support.small_disk import SmallDisk

DISK_BYTES = 120 << 20


def test_disk_of_the_server_full(
    make_disk: MakeDisk, server18: PostgresServer, make_database: MakeDatabase, tmp_path: Path
) -> None:
    """The disk of the databases; a server whose log finds no room any more goes down with all of them."""
    disk = make_disk(DISK_BYTES)
    if disk.prefix:
        pytest.skip("the server does not see what is mounted inside a user namespace; root has no need of one")
    place = disk.path / "data"
    place.mkdir()
    account = account_for_server()
    assert account is not None, "a tmpfs was mounted, so this is root"
    os.chown(place, account.uid, account.gid)
    for path in (disk.path, *tmp_path.parents, tmp_path):
        path.chmod(path.stat().st_mode | 0o011)
    run_sql(server18.parameters(), f"CREATE TABLESPACE small LOCATION '{place}'")
    database = make_database(server18, role_options="CREATEDB", database_options="TABLESPACE small")
    try:
        run_sql(server18.parameters(), f"GRANT CREATE ON TABLESPACE small TO {database.user}")
        with restore_job(tmp_path, database) as job:
            refuse_and_recover(job, disk)
    finally:
        run_sql(server18.parameters(), f"DROP DATABASE {database.name} WITH (FORCE)")
        run_sql(server18.parameters(), "DROP TABLESPACE small")


def refuse_and_recover(job: RestoreJob, disk: SmallDisk) -> None:
    job.database.execute(
        "CREATE TABLE t AS SELECT g AS id, repeat(md5(g::text), 20) AS value FROM generate_series(1, 40000) g"
    )
    job.back_up(compression="zstd")
    before = job.contents()
    # Room for the new database, which is 8 MB while it is empty, and for half of the rows.
    job.ask("CHECKPOINT")
    disk.fill(leave=24 << 20)

    run = job.run_module(replace=True)

    assert run.failed
    assert run.result["stage"] == "restore", run.output
    assert "No space left on device" in run.message
    assert "Free space where the server keeps its data" in run.message
    assert job.databases() == [job.database.name]
    # It serves, on a disk that has no room even for sorting.
    assert job.database.execute("SELECT count(*) FROM t") == [(40000,)]
    (disk.here / "ballast").unlink()
    job.restore(replace=True, keep_old=False)
    assert job.contents() == before
    placed = "SELECT spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE datname = current_database()"
    assert job.ask(placed) == [("small",)]
