# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases with something of everything in them, for tests to back up and restore."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.support.restore_job import RestoreJob, restore_job

MakeRestore = Callable[..., RestoreJob]

# Two schemas, a constraint that the server spells its own way, a sequence, a view, a grant, a comment, a large object.
CONTENT = """
    CREATE TABLE t AS SELECT g AS id, md5(g::text) AS value FROM generate_series(1, 500) g;
    ALTER TABLE t ADD PRIMARY KEY (id);
    CREATE SCHEMA other;
    CREATE TABLE other.kinds (n serial PRIMARY KEY, kind varchar(9) CHECK (kind IN ('one', 'two')));
    INSERT INTO other.kinds (kind) VALUES ('one'), ('two');
    CREATE VIEW v AS SELECT count(*) AS rows FROM t;
    COMMENT ON TABLE t IS 'five hundred rows';
    GRANT SELECT ON t TO PUBLIC;
    SELECT lo_from_bytea(0, 'a large object');
"""


@pytest.fixture
def make_restore(tmp_path: Path, make_database: MakeDatabase) -> Iterator[MakeRestore]:
    """Make a job: `make_restore(server, content=CONTENT, backup={...}, **options of fresh_database)`.

    The role may create databases unless `role_options` says otherwise; `backup` None makes no archive.
    """
    with ExitStack() as stack:

        def make(
            server: PostgresServer, content: str = CONTENT, backup: dict[str, Any] | None = None, **options: Any
        ) -> RestoreJob:
            database = make_database(server, **{"role_options": "CREATEDB", **options})
            if content:
                database.execute(content)
            job = stack.enter_context(restore_job(tmp_path, database))
            job.back_up(**({"compression": "gzip"} if backup is None else backup))
            return job

        yield make


@pytest.fixture
def job(make_restore: MakeRestore, server18: PostgresServer) -> RestoreJob:
    """A job on the server that tests share, with one archive."""
    return make_restore(server18)
