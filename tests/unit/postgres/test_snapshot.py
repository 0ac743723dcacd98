# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of a server's answers: which tables belong to a dump, what hides rows, how counts find their tables.

The answers are made up here; that real servers give them is shown in tests/integration.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import psycopg2
import pytest
from psycopg2 import sql

from ansible_collections.baileys.resilience.plugins.module_utils.postgres import compatibility, connection, snapshot
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.compatibility import check_versions
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.connection import with_retries
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.properties import Properties
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.snapshot import (
    TABLES_PER_COUNT,
    Server,
    Snapshot,
    Table,
    count_rows,
    read_server,
    server_session,
    take_snapshot,
)
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.version import Version
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ConnectionFailedError,
    ResilienceError,
)
from tests.support.fake_clients import fake_clients
from tests.support.fake_server import fake_server, fake_snapshot

SETTINGS = ConnectionSettings({"host": "db.example", "user": "app"}, "top§secret")
SERVER_ROW = (180004, "store", "app", "UTF8", "C", "i", False, 7_000_000, "C", None, None)

# A word of each statement, and what the server says to it unless a test says otherwise.
BACKEND = 4711
ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "pg_backend_pid": [(BACKEND,)],
    "set_config": [("",)],
    "server_version_num": [SERVER_ROW],
    "pg_export_snapshot": [("00000003-1", "2026-11-21T03:00:00.000000Z", "0/1")],
    "row_security_active": [],
    "pg_largeobject_metadata": [(5,)],
    "rolsuper": [("app", False), ("postgres", True)],
    "extversion": [("hstore", "1.8", "public")],
    "spcname": [("fast",)],
    "datconnlimit": [(-1, [[None, "CONNECT", False]], [["app", "search_path", "x"]], None, "app")],
    "relfilenode": [],
    "SAVEPOINT": [],
}
Count = Callable[[tuple[str, ...]], int]


class FakeSession:
    """A session that answers by a word of the statement, and keeps what was asked of it."""

    def __init__(self, version: int = 180004, count: Count = lambda name: 0, **answers: Any) -> None:
        self.server_version = version
        self.info = SimpleNamespace(backend_pid=BACKEND)
        self.done: list[Any] = []
        self._answers = {**ANSWERS, **answers}
        self._count = count
        self._rows: list[Any] = []

    @contextlib.contextmanager
    def cursor(self) -> Iterator[FakeSession]:
        yield self

    def execute(self, statement: Any, arguments: Any = None) -> None:
        self.done.append(arguments or statement)
        if isinstance(statement, sql.Composed):
            self._rows = self._counted(statement)
            return
        (word,) = [word for word in self._answers if word in statement]
        answer = self._answers[word]
        if callable(answer):
            answer = answer()
        self._rows = answer

    def _counted(self, statement: Any) -> list[Any]:
        # One SELECT with a number and a name for each table; the server may answer in any order.
        selects: list[list[Any]] = [
            part.seq for part in statement.seq if isinstance(part, sql.Composed) and len(part.seq) == 4
        ]
        return [(index.wrapped, self._count(name.strings)) for _, index, _, name in reversed(selects)]

    def fetchone(self) -> Any:
        return self._rows[0]

    def fetchall(self) -> list[Any]:
        return self._rows

    def set_client_encoding(self, encoding: str) -> None:
        self.done.append(f"encoding {encoding}")

    def set_session(self, **options: Any) -> None:
        self.done.append(options)

    def commit(self) -> None:
        self.done.append("commit")

    def rollback(self) -> None:
        self.done.append("rollback")

    def close(self) -> None:
        self.done.append("close")

    def fileno(self) -> int:
        return -1


def failing(kind: type[Exception] = psycopg2.OperationalError, state: str | None = None) -> Callable[[], NoReturn]:
    """An answer that is an error of the driver."""

    def answer() -> NoReturn:
        raise type("Error", (kind,), {"pgcode": state})("the server\nwent away")

    return answer


class TestServer:
    @pytest.mark.parametrize(
        ("provider", "name"), [("c", "libc"), ("i", "icu"), ("b", "builtin"), (None, "libc"), ("x", "x")]
    )
    def test_what_a_plain_role_learns(self, provider: str | None, name: str) -> None:
        row = (*SERVER_ROW[:5], provider, *SERVER_ROW[6:])
        assert read_server(FakeSession(server_version_num=[row])) == fake_server(locale_provider=name)


class TestSession:
    @pytest.fixture
    def connect_to(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
        """Let connecting give these sessions, one after the other; gives the waits in between."""

        def set_up(*sessions: FakeSession) -> list[float]:
            waits: list[float] = []
            given = iter(sessions)
            monkeypatch.setattr(snapshot, "connect_once", lambda *_: next(given))
            monkeypatch.setattr(with_retries, "__defaults__", (*(with_retries.__defaults__ or ())[:-1], waits.append))
            return waits

        return set_up

    @pytest.mark.parametrize("number", [150012, 160014, 170005, 180004])
    def test_it_is_pinned_as_pg_dump_pins_its_own(self, connect_to: Callable[..., list[float]], number: int) -> None:
        session = FakeSession(number)
        connect_to(session)
        with server_session(SETTINGS, [], 2.5) as (opened, server):
            assert opened is session
            assert server.version == Version(18, 4)
            assert "close" not in session.done
        pins: dict[str, str] = dict(done for done in session.done if isinstance(done, tuple))
        expected = {
            "statement_timeout": "0",
            "idle_in_transaction_session_timeout": "0",
            "idle_session_timeout": "0",
            "row_security": "off",
            "synchronize_seqscans": "off",
            "lock_timeout": "2500ms",
            "search_path": "pg_catalog",
        }
        if number >= 170000:
            expected["transaction_timeout"] = "0"
        assert pins == expected
        assert {"isolation_level": "REPEATABLE READ", "readonly": True, "autocommit": False} in session.done
        # The driver itself must know the encoding; as a mere setting it would not.
        assert "encoding UTF8" in session.done
        # The pins are committed before the snapshot's transaction begins with the next statement.
        assert session.done.index("commit") > max(session.done.index(pin) for pin in pins.items())
        assert session.done[-1] == "close"

    def test_it_is_closed_after_an_error(self, connect_to: Callable[..., list[float]]) -> None:
        session = FakeSession()
        connect_to(session)
        with pytest.raises(KeyError), server_session(SETTINGS, [], 1):
            raise KeyError
        assert session.done[-1] == "close"

    def test_a_pooler_is_refused(self, connect_to: Callable[..., list[float]]) -> None:
        # It greets with a process that is not the one which answers.
        pooler = FakeSession(pg_backend_pid=[(BACKEND + 1,)])
        waits = connect_to(pooler)
        with pytest.raises(ConnectionFailedError, match=r"^At db\.example:5432 a connection pooler") as caught:
            server_session(SETTINGS, [], 1).__enter__()
        assert (caught.value.stage, waits, pooler.done[-1]) == ("connect", [], "close")
        # Nothing was set there: it would hand that on to the application's sessions.
        assert [done for done in pooler.done if "set_config" in str(done)] == []

    def test_one_that_is_lost_at_once_is_opened_again(self, connect_to: Callable[..., list[float]]) -> None:
        lost, good = FakeSession(server_version_num=failing()), FakeSession()
        waits = connect_to(lost, good)
        with server_session(SETTINGS, [], 1) as (opened, _server):
            assert opened is good
        assert waits == [0.1]
        assert lost.done[-1] == "close"

    def test_one_that_is_refused_is_not(self, connect_to: Callable[..., list[float]]) -> None:
        refused = FakeSession(server_version_num=failing(psycopg2.ProgrammingError, "42501"))
        waits = connect_to(refused)
        with pytest.raises(ConnectionFailedError) as caught, server_session(SETTINGS, [], 1):
            pass
        assert caught.value.message == (
            'Cannot read the server\'s version on database "app" at db.example:5432 as app: the server went away'
        )
        assert (caught.value.stage, waits, refused.done[-1]) == ("connect", [], "close")

    def test_a_server_that_takes_the_connection_and_stays_silent(
        self, connect_to: Callable[..., list[float]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        abandoned: list[Any] = []

        def silent() -> NoReturn:
            while not abandoned:
                time.sleep(0.01)
            raise psycopg2.OperationalError("connection was shut down")

        session = FakeSession(set_config=silent)
        waits = connect_to(session)
        monkeypatch.setattr(connection, "abandon", abandoned.append)
        with (
            pytest.raises(ConnectionFailedError, match=r"gave no answer for 0\.1 s") as caught,
            server_session(SETTINGS, [], 1, 0.1),
        ):
            pass
        assert (caught.value.stage, waits, session.done[-1]) == ("connect", [], "close")


def catalogue_row(name: str, root: tuple[str, str] | None = None, **changes: Any) -> tuple[Any, ...]:
    known = {
        "of_extension": False,
        "configuration": False,
        "readable": True,
        "policed": False,
        "unlogged": False,
    }
    return ("public", name, *{**known, **changes}.values(), *(root or (None, None)))


class TestSnapshot:
    def take(self, *rows: tuple[Any, ...], server: Server | None = None) -> Snapshot:
        session = FakeSession(row_security_active=list(rows))
        taken = take_snapshot(session, server or fake_server(), SETTINGS)
        assert taken.connection is session
        return taken

    def test_what_it_knows(self) -> None:
        taken = self.take(catalogue_row("a"), catalogue_row("b"))
        assert (taken.identifier, taken.taken_at, taken.lsn) == ("00000003-1", "2026-11-21T03:00:00.000000Z", "0/1")
        assert taken.tables == (Table(("public", "a"), False), Table(("public", "b"), False))
        assert taken.large_objects == 5
        assert taken.needs.roles == ({"role": "app", "superuser": False}, {"role": "postgres", "superuser": True})
        assert taken.needs.extensions == ({"extension": "hstore", "version": "1.8", "schema": "public"},)
        assert taken.needs.tablespaces == ("fast",)
        assert taken.properties == Properties(
            -1, ((None, "CONNECT", False),), (("app", "search_path", "x"),), None, "app"
        )

    @pytest.mark.parametrize(
        ("changes", "in_recovery", "tables"),
        [
            ({}, False, 1),
            # CREATE EXTENSION makes its tables, unless they are marked as its configuration.
            ({"of_extension": True}, False, 0),
            ({"of_extension": True, "readable": False, "policed": True}, False, 0),
            ({"of_extension": True, "configuration": True}, False, 1),
            # A standby has no contents of unlogged tables.
            ({"unlogged": True}, False, 1),
            ({"unlogged": True}, True, 0),
            ({"unlogged": True, "readable": False}, True, 0),
        ],
    )
    def test_which_tables_a_dump_must_hold(self, changes: dict[str, Any], in_recovery: bool, tables: int) -> None:
        taken = self.take(catalogue_row("t", **changes), server=fake_server(in_recovery=in_recovery))
        assert len(taken.tables) == tables

    def test_of_an_extensions_configuration_only_a_part_is_dumped(self) -> None:
        taken = self.take(catalogue_row("a", of_extension=True, configuration=True), catalogue_row("b"))
        assert [table.filtered for table in taken.tables] == [True, False]

    def test_the_root_of_a_partition(self) -> None:
        taken = self.take(catalogue_row("a1", root=("public", "a")), catalogue_row("b"))
        assert [table.root for table in taken.tables] == [("public", "a"), None]

    def test_tables_that_may_not_be_read(self) -> None:
        rows = [catalogue_row(f"t{number}", readable=False) for number in range(7)]
        with pytest.raises(ResilienceError) as caught:
            self.take(*rows, catalogue_row("good"), catalogue_row("hidden", policed=True))
        assert caught.value.message == (
            "The role app may not read public.t0, public.t1, public.t2, public.t3, public.t4 and 2 more"
        )
        assert caught.value.stage == "snapshot"
        assert "GRANT SELECT" in (caught.value.remedy or "")

    def test_tables_of_which_a_policy_hides_rows(self) -> None:
        with pytest.raises(ResilienceError) as caught:
            self.take(catalogue_row("a", policed=True), catalogue_row("b"))
        assert caught.value.message == (
            "Row level security hides rows of public.a from the role app, so a backup by it would be incomplete"
        )
        assert "ALTER ROLE app BYPASSRLS" in (caught.value.remedy or "")

    def test_a_session_that_is_lost(self) -> None:
        with pytest.raises(
            ConnectionFailedError, match=r"^Cannot take a snapshot on .*: the server went away$"
        ) as caught:
            take_snapshot(FakeSession(pg_export_snapshot=failing()), fake_server(), SETTINGS)
        assert caught.value.stage == "snapshot"


class TestCounting:
    @pytest.mark.parametrize("number", [1, TABLES_PER_COUNT, TABLES_PER_COUNT + 1, 2 * TABLES_PER_COUNT + 50])
    def test_every_count_finds_its_table(self, number: int) -> None:
        rows = {("s", f"t{index}"): index * 7 for index in range(number)}
        session = FakeSession(count=lambda name: rows[name[0], name[1]])
        taken = fake_snapshot(tables=[Table(name, False) for name in rows], connection=session)
        assert count_rows(taken, SETTINGS) == rows
        batches = [done for done in session.done if isinstance(done, sql.Composed) and "count(*)" in repr(done)]
        assert len(batches) == -(-number // TABLES_PER_COUNT)
        # The locks are given back: held on, they could make pg_dump wait for us.
        assert (session.done[0], session.done[-1]) == ("SAVEPOINT counting", "ROLLBACK TO SAVEPOINT counting")
        assert "LOCK TABLE" in repr(session.done[1])

    def test_tables_that_were_rewritten_just_now(self) -> None:
        session = FakeSession(relfilenode=[("public.a",), ("public.b",)])
        with pytest.raises(ResilienceError, match=r"^public\.a, public\.b was rewritten") as caught:
            count_rows(fake_snapshot(connection=session), SETTINGS)
        assert (caught.value.stage, caught.value.remedy) == ("snapshot", "Run the backup again.")

    def test_no_tables_need_no_question(self) -> None:
        session = FakeSession()
        assert count_rows(fake_snapshot(tables=[], connection=session), SETTINGS) == {}
        assert session.done == []

    def test_a_session_that_is_lost(self) -> None:
        session = FakeSession(SAVEPOINT=failing())
        with pytest.raises(ConnectionFailedError, match=r"^Cannot count rows on .*: the server went away$") as caught:
            count_rows(fake_snapshot(connection=session), SETTINGS)
        assert caught.value.stage == "snapshot"


class TestCompatibility:
    @pytest.fixture
    def server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        @contextlib.contextmanager
        def session(*_: Any) -> Iterator[tuple[None, Server]]:
            yield None, fake_server()

        monkeypatch.setattr(compatibility, "server_session", session)

    def test_one_that_fits(self, server: None, tmp_path: Path) -> None:
        directory = str(fake_clients(tmp_path / "bin", "18.4"))
        found = check_versions(SETTINGS, directory)
        assert found.error is None
        assert found.as_dict() == {
            "compatible": True,
            "server_version": "18.4",
            "client_version": "18.4",
            "client_directory": directory,
            "clients": [{"directory": directory, "version": "18.4"}],
        }

    def test_one_that_is_too_old(self, server: None, tmp_path: Path) -> None:
        directory = str(fake_clients(tmp_path / "bin", "16.10"))
        found = check_versions(SETTINGS, directory)
        assert found.error is not None
        told = found.as_dict()
        assert (told["compatible"], told["client_version"]) == (False, "16.10")
        assert "postgresql-client-18" in told["remedy"]
