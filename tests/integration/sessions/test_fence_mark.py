# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark that a rollback leaves in the database, for everybody else who works on it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.fence import (
    MARK_TABLE,
    DamagedFenceError,
    Fence,
    FencedError,
    clear_mark,
    mark_database,
    read_mark,
    require_unmarked,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ConnectionFailedError,
    ResilienceError,
)
from tests.conftest import MakeDatabase
from tests.support.databases import UGLY_PASSWORD, TestDatabase, create_role, run_sql

LAYOUT = SessionLayout()
FENCE = Fence("files", 3, "2026-11-25T03:00:00Z", "emergency_rollback on app1")


@pytest.fixture(params=[16, 18])
def database(request: pytest.FixtureRequest, make_database: MakeDatabase, server16: Any, server18: Any) -> TestDatabase:
    return make_database({16: server16, 18: server18}[request.param])


@contextlib.contextmanager
def connected(database: TestDatabase, **overrides: Any) -> Iterator[Any]:
    connection = psycopg2.connect(**database.parameters(**overrides))
    try:
        yield connection
    finally:
        connection.close()


def test_a_mark_is_left_read_and_cleared(database: TestDatabase) -> None:
    with connected(database) as connection:
        assert read_mark(connection, LAYOUT) is None
        require_unmarked(connection, LAYOUT, "test")
        assert mark_database(connection, LAYOUT, "app", FENCE) is None
        with connected(database) as other:
            assert read_mark(other, LAYOUT) == FENCE
            with pytest.raises(FencedError, match=r"delete keys: .*epoch 3, by emergency_rollback"):
                require_unmarked(other, LAYOUT, "delete keys")
        assert clear_mark(connection, LAYOUT) is None
        assert read_mark(connection, LAYOUT) is None
        assert clear_mark(connection, LAYOUT) is None, "once more does no harm"
    assert database.execute("SELECT relname FROM pg_class WHERE relname = 'baileys_resilience_fence'") == []


def test_a_dump_that_holds_the_mark_holds_up_nobody(database: TestDatabase) -> None:
    with connected(database) as connection, connected(database) as dump:
        mark_database(connection, LAYOUT, "app", FENCE)
        with dump.cursor() as cursor:
            cursor.execute("LOCK TABLE baileys_resilience_fence IN ACCESS SHARE MODE")
        started = time.monotonic()
        warning = clear_mark(connection, LAYOUT)
        assert time.monotonic() - started < 10
        assert warning is not None
        assert "because something reads it" in warning
        # It stays, and says that nobody need stop for it.
        require_unmarked(connection, LAYOUT, "test")


def test_the_last_mark_is_the_only_one(database: TestDatabase) -> None:
    later = Fence("postgresql", 4, "2026-11-25T04:00:00Z", "emergency_rollforward on app1")
    with connected(database) as connection:
        mark_database(connection, LAYOUT, "app", FENCE)
        mark_database(connection, LAYOUT, "the same by another name", later)
        assert read_mark(connection, LAYOUT) == later
        require_unmarked(connection, LAYOUT, "test")


def test_it_stands_in_the_schema_of_the_sessions(database: TestDatabase) -> None:
    layout = SessionLayout(schema='own "schema" %s')
    with connected(database) as connection, connection.cursor() as cursor:
        cursor.execute('CREATE SCHEMA "own ""schema"" %s"')
        connection.commit()
        assert mark_database(connection, layout, "app", FENCE) is None
        assert read_mark(connection, layout) == FENCE
        assert read_mark(connection, LAYOUT) is None


def test_every_role_may_read_it(database: TestDatabase) -> None:
    reader = create_role(database.server)
    with connected(database) as connection, connected(database, user=reader, password=UGLY_PASSWORD) as other:
        mark_database(connection, LAYOUT, "app", FENCE)
        assert read_mark(other, LAYOUT) == FENCE


def test_a_role_that_may_not_create_it_is_warned(database: TestDatabase) -> None:
    plain = create_role(database.server)
    with connected(database, user=plain, password=UGLY_PASSWORD) as connection:
        warning = mark_database(connection, LAYOUT, "app", FENCE)
        assert warning is not None
        assert "may not create it" in warning
        # The session is of use afterwards.
        assert read_mark(connection, LAYOUT) is None


def test_a_role_that_may_not_remove_it_is_warned(database: TestDatabase) -> None:
    plain = create_role(database.server)
    with connected(database) as owner, connected(database, user=plain, password=UGLY_PASSWORD) as connection:
        mark_database(owner, LAYOUT, "app", FENCE)
        warning = clear_mark(connection, LAYOUT)
        assert warning is not None
        assert "another role" in warning
        assert read_mark(connection, LAYOUT) == FENCE


def test_a_mark_that_cannot_be_read_is_no_open_fence(database: TestDatabase) -> None:
    plain = create_role(database.server)
    database.execute(f"CREATE TABLE {MARK_TABLE} (source text, owner text, epoch int, since text, by text)")
    with (
        connected(database, user=plain, password=UGLY_PASSWORD) as connection,
        pytest.raises(DamagedFenceError, match="may not read it"),
    ):
        require_unmarked(connection, LAYOUT, "test")


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("('app', 'nobody', 1, 'x', 'y')", "neither of"),
        ("('app', 'files', 1, NULL, 'y')", "no texts"),
        ("('app', 'files', -1, 'x', 'y')", "no count"),
        ("('a', 'files', 1, 'x', 'y'), ('b', 'postgresql', 1, 'x', 'y')", "2 rows"),
    ],
)
def test_a_damaged_mark_is_an_error(database: TestDatabase, rows: str, why: str) -> None:
    database.execute(f"CREATE TABLE {MARK_TABLE} (source text, owner text, epoch int, since text, by text)")
    database.execute(f"INSERT INTO {MARK_TABLE} VALUES {rows}")
    with connected(database) as connection, pytest.raises(DamagedFenceError, match=why):
        read_mark(connection, LAYOUT)


def test_an_empty_mark_is_none(database: TestDatabase) -> None:
    database.execute(f"CREATE TABLE {MARK_TABLE} (source text, owner text, epoch int, since text, by text)")
    with connected(database) as connection:
        assert read_mark(connection, LAYOUT) is None


def test_any_other_failure_is_an_error(database: TestDatabase) -> None:
    with connected(database) as connection, connected(database) as other:
        for one in (connection, other):
            run_sql(database.superuser_parameters(), f"SELECT pg_terminate_backend({one.info.backend_pid})")
        with pytest.raises(ResilienceError, match="could not be marked"):
            mark_database(connection, LAYOUT, "app", FENCE)
        with pytest.raises(ConnectionFailedError, match="could not be read"):
            require_unmarked(other, LAYOUT, "test")
