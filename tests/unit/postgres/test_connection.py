# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three attempts, only where waiting may help; and a failure in words that say what to do."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import psycopg2
import psycopg2.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.postgres import connection, snapshot
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.client import ClientTools
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.connection import (
    abandon,
    answering_within,
    connect,
    remedy_for,
    translate,
    with_retries,
)
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings, resolve
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.version import Version
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ArchiveError,
    ConnectionFailedError,
    MissingDependencyError,
    ResilienceError,
)
from tests.support.fake_clients import fake_clients

SETTINGS = ConnectionSettings({"host": "db.example", "user": "app", "dbname": "store"}, "top§secret")


class Attempts:
    """An action that fails as it is told, and how long was waited before each attempt."""

    def __init__(self, *outcomes: Exception | str) -> None:
        self.outcomes = list(outcomes)
        self.waits: list[float] = []
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def refused() -> ConnectionFailedError:
    return ConnectionFailedError("refused", transient=True, remedy="wait")


class TestRetries:
    @pytest.mark.parametrize("failures", [0, 1, 2])
    def test_three_attempts_and_waits_of_100_and_200_ms(self, failures: int) -> None:
        attempts = Attempts(*[refused() for _ in range(failures)], "done")
        assert with_retries(attempts, sleep=attempts.sleep) == "done"
        assert attempts.waits == [0.1, 0.2][:failures]

    def test_the_third_failure_is_the_last(self) -> None:
        attempts = Attempts(refused(), refused(), refused(), "never")
        with pytest.raises(ConnectionFailedError) as caught:
            with_retries(attempts, sleep=attempts.sleep)
        assert (attempts.made, attempts.waits) == (3, [0.1, 0.2])
        assert caught.value.message == str(caught.value) == "refused (3 attempts)"
        assert caught.value.remedy == "wait"

    @pytest.mark.parametrize(
        "error",
        [ConnectionFailedError("wrong password"), ArchiveError("x"), ResilienceError("x"), ValueError("x"), OSError()],
    )
    def test_anything_else_fails_at_once(self, error: Exception) -> None:
        attempts = Attempts(error, "never")
        with pytest.raises(type(error)) as caught:
            with_retries(attempts, sleep=attempts.sleep)
        assert caught.value is error
        assert (attempts.made, attempts.waits) == (1, [])
        assert "attempts" not in str(error)

    def test_a_lasting_failure_after_a_passing_one_ends_it(self) -> None:
        attempts = Attempts(refused(), ConnectionFailedError("wrong password"), "never")
        with pytest.raises(ConnectionFailedError, match=r"^wrong password$"):
            with_retries(attempts, sleep=attempts.sleep)
        assert attempts.waits == [0.1]

    @given(attempts=st.integers(1, 12), first_wait=st.sampled_from([0.1, 0.25, 1.0]))
    def test_more_attempts_double_the_wait_each_time(self, attempts: int, first_wait: float) -> None:
        action = Attempts(*[refused() for _ in range(attempts)])
        with pytest.raises(ConnectionFailedError, match=rf"\({attempts} attempts\)$"):
            with_retries(action, attempts, first_wait, action.sleep)
        assert action.made == attempts
        assert action.waits == pytest.approx([first_wait * 2**number for number in range(attempts - 1)])

    def test_no_attempt_at_all_makes_no_sense(self) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            with_retries(lambda: "never", attempts=0)


class FakeDriver:
    """Stands in for psycopg2.connect: fails as it is told, and keeps what it saw."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.seen: list[tuple[str, dict[str, str]]] = []

    def __call__(self, dsn: str) -> Any:
        self.seen.append((dsn, dict(os.environ)))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits that are noted instead of waited."""
    waits: list[float] = []
    # The default of a parameter is settled when the function is made.
    monkeypatch.setattr(with_retries, "__defaults__", (*(with_retries.__defaults__ or ())[:-1], waits.append))
    return waits


@pytest.fixture
def clients(tmp_path: Path) -> Callable[[int], list[ClientTools]]:
    """Clients whose pg_isready gives this answer."""

    def make(status: int) -> list[ClientTools]:
        directory = fake_clients(tmp_path / str(status), pg_isready=f"exit {status}")
        return [ClientTools(str(directory), Version(18, 4))]

    return make


class TestConnecting:
    @pytest.mark.parametrize(("status", "attempts"), [(0, 1), (1, 3), (2, 3), (3, 1)])
    def test_pg_isready_tells_what_may_pass(
        self,
        monkeypatch: pytest.MonkeyPatch,
        no_waiting: list[float],
        clients: Callable[[int], list[ClientTools]],
        status: int,
        attempts: int,
    ) -> None:
        driver = FakeDriver(*[psycopg2.OperationalError("odd\n\twords\n")] * 3)
        monkeypatch.setattr(psycopg2, "connect", driver)
        with pytest.raises(ConnectionFailedError) as caught:
            connect(SETTINGS, clients(status))
        assert len(driver.seen) == attempts
        assert no_waiting == [0.1, 0.2][: attempts - 1]
        told = 'Cannot connect to database "store" at db.example:5432 as app: odd words'
        assert caught.value.message == told + (" (3 attempts)" if attempts == 3 else "")
        assert caught.value.stage == "connect"
        assert "top§secret" not in caught.value.message

    def test_the_second_attempt_may_do(
        self, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float], clients: Callable[[int], list[ClientTools]]
    ) -> None:
        monkeypatch.setattr(psycopg2, "connect", FakeDriver(psycopg2.OperationalError("starting up"), "a connection"))
        assert connect(SETTINGS, clients(1)) == "a connection"
        assert no_waiting == [0.1]

    def test_an_error_of_another_kind_does_not_pass(
        self, monkeypatch: pytest.MonkeyPatch, clients: Callable[[int], list[ClientTools]]
    ) -> None:
        driver = FakeDriver(psycopg2.ProgrammingError('invalid connection option "x"'))
        monkeypatch.setattr(psycopg2, "connect", driver)
        with pytest.raises(ConnectionFailedError, match="invalid connection option"):
            connect(SETTINGS, clients(2))
        assert len(driver.seen) == 1

    def test_clients_are_looked_up_if_not_given(
        self, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float], clients: Callable[[int], list[ClientTools]]
    ) -> None:
        monkeypatch.setattr(connection, "find_clients", lambda: clients(2))
        driver = FakeDriver(*[psycopg2.OperationalError("no")] * 3)
        monkeypatch.setattr(psycopg2, "connect", driver)
        with pytest.raises(ConnectionFailedError, match=r"\(3 attempts\)"):
            connect(SETTINGS)
        assert len(driver.seen) == 3

    def test_without_any_client_nothing_is_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def none() -> NoReturn:
            raise MissingDependencyError("No pg_dump found")

        monkeypatch.setattr(connection, "find_clients", none)
        monkeypatch.setattr(psycopg2, "connect", FakeDriver(psycopg2.OperationalError("no")))
        with pytest.raises(ConnectionFailedError, match=r": no$"):
            connect(SETTINGS)

    def test_without_the_driver_it_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "HAS_PSYCOPG2", False)
        with pytest.raises(MissingDependencyError, match="psycopg2") as caught:
            connect(SETTINGS)
        assert "python3-psycopg2" in (caught.value.remedy or "")

    def test_a_session_is_opened_three_times_and_not_nine(
        self, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float], clients: Callable[[int], list[ClientTools]]
    ) -> None:
        driver = FakeDriver(*[psycopg2.OperationalError("no")] * 9)
        monkeypatch.setattr(psycopg2, "connect", driver)
        with (
            pytest.raises(ConnectionFailedError, match=r": no \(3 attempts\)$"),
            snapshot.server_session(SETTINGS, clients(2), 1.0),
        ):
            pass
        assert len(driver.seen) == 3
        assert no_waiting == [0.1, 0.2]


class TestTheDriverSeesOnlyTheSettings:
    def test_the_environment_is_hidden_while_it_connects(self, monkeypatch: pytest.MonkeyPatch) -> None:
        overruled = {
            "PGHOSTADDR": "192.0.2.1",
            "PGSERVICE": "other",
            "PGPASSWORD": "other",
            "PGOPTIONS": "-c role=other",
            "PGCLIENTENCODING": "SJIS",
        }
        for name, value in {**overruled, "PGSERVICEFILE": "/etc/services", "PGSYSCONFDIR": "/etc"}.items():
            monkeypatch.setenv(name, value)
        before = dict(os.environ)
        driver = FakeDriver("a connection")
        monkeypatch.setattr(psycopg2, "connect", driver)
        assert connect(SETTINGS, []) == "a connection"
        ((dsn, seen),) = driver.seen
        assert dsn == SETTINGS.driver_dsn()
        assert not overruled.keys() & seen.keys()
        # These only say where libpq's own files are.
        assert (seen["PGSERVICEFILE"], seen["PGSYSCONFDIR"]) == ("/etc/services", "/etc")
        assert dict(os.environ) == before

    def test_and_is_back_after_a_failure(
        self, monkeypatch: pytest.MonkeyPatch, clients: Callable[[int], list[ClientTools]]
    ) -> None:
        monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
        monkeypatch.setattr(psycopg2, "connect", FakeDriver(psycopg2.OperationalError("no")))
        with pytest.raises(ConnectionFailedError):
            connect(SETTINGS, clients(0))
        assert os.environ["PGHOSTADDR"] == "192.0.2.1"

    @pytest.mark.parametrize(("variable", "value"), [("PGHOSTADDR", "127.0.0.2"), ("PGSERVICE", "no-such-service")])
    def test_the_real_libpq_goes_where_the_option_says(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
    ) -> None:
        # Nobody listens there: the message of the real libpq says where it went.
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            monkeypatch.setenv(variable, value)
            settings = resolve({"host": "127.0.0.1", "port": str(taken.getsockname()[1]), "user": "app"})
            with pytest.raises(ConnectionFailedError, match=r'connection to server at "127\.0\.0\.1", port \d+ failed'):
                connect(settings, [])


class Session:
    """A connection of which only the socket matters."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()

    def fileno(self) -> int:
        return self.ours.fileno()

    def wait(self) -> None:
        """As a statement would: until there is an answer, or an end."""
        if not self.ours.recv(1):
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def session() -> Iterator[Session]:
    opened = Session()
    yield opened
    opened.close()


class TestAnsweringWithin:
    def test_an_answer_in_time(self, session: Session) -> None:
        with answering_within(session, 60):
            session.theirs.send(b"x")
            session.wait()
        # And the connection is still good.
        session.theirs.send(b"x")
        session.wait()

    def test_none_in_time(self, session: Session) -> None:
        with (
            pytest.raises(ConnectionFailedError, match=r"gave no answer for 0\.1 s") as caught,
            answering_within(session, 0.1),
        ):
            session.wait()
        assert "stall_timeout" in (caught.value.remedy or "")
        # Its own descriptor stays: closing is for whoever opened it.
        assert session.fileno() >= 0

    def test_none_in_time_as_the_core_tells_it(self, session: Session) -> None:
        def ask() -> None:
            try:
                session.wait()
            except psycopg2.Error as error:
                raise ConnectionFailedError("Cannot take a snapshot") from error

        with pytest.raises(ConnectionFailedError, match=r"gave no answer for 0\.1 s"), answering_within(session, 0.1):
            ask()

    def test_another_error_is_its_own(self, session: Session) -> None:
        with pytest.raises(psycopg2.ProgrammingError, match=r"^no$"), answering_within(session, 60):
            raise psycopg2.ProgrammingError("no")

    def test_nothing_is_abandoned_later(self, session: Session) -> None:
        with answering_within(session, 0.05):
            pass
        time.sleep(0.1)
        session.theirs.send(b"x")
        session.wait()

    def test_a_connection_that_is_closed_already(self) -> None:
        closed = Session()
        closed.close()
        abandon(closed)


class TestTranslating:
    @pytest.mark.parametrize("state", ["08006", "08003", "57P03"])
    def test_states_that_pass(self, state: str) -> None:
        error = psycopg2.errors.lookup(state)("x")
        monkeyed = type("Error", (type(error),), {"pgcode": state})("the connection\nwas lost")
        failure = translate(monkeyed, SETTINGS, "count rows")
        assert failure.transient
        assert (
            failure.message
            == 'Cannot count rows on database "store" at db.example:5432 as app: the connection was lost'
        )

    @pytest.mark.parametrize("state", ["28P01", "3D000", "42501", "53300", "57014", "08001"])
    def test_states_that_stay(self, state: str) -> None:
        error = type("Error", (psycopg2.OperationalError,), {"pgcode": state})("no")
        assert not translate(error, SETTINGS, "count rows").transient

    @pytest.mark.parametrize(
        ("kind", "passes"),
        [(psycopg2.OperationalError, True), (psycopg2.InterfaceError, True), (psycopg2.ProgrammingError, False)],
    )
    def test_without_a_state_a_lost_connection_passes(self, kind: type[psycopg2.Error], passes: bool) -> None:
        assert translate(kind("server closed the connection unexpectedly"), SETTINGS, "x").transient is passes


# Words of libpq 18 and the server, as they are.
WORDS = [
    ('FATAL:  password authentication failed for user "app"', "login_password"),
    ("fe_sendauth: no password supplied", "POSTGRES_PASSWORD"),
    ("SSL error: ssl/tls alert certificate expired: certificate has expired", "renew"),
    ("SSL error: certificate verify failed", "ca_cert"),
    ('server certificate for "a" does not match host name "b"', "server's certificate"),
    ('root certificate file "/x" does not exist', "Put the provider's root certificate"),
    ("server does not support SSL, but SSL was required", "ssl_mode=disable"),
    ('FATAL:  database "x" does not exist', "names of database and role"),
    ('FATAL:  role "x" does not exist', "names of database and role"),
    ('FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "x"', "access rules"),
    ("FATAL:  remaining connection slots are reserved for roles with", "All connections are taken"),
    ('FATAL:  too many connections for role "app"', "All connections are taken"),
    ("FATAL:  sorry, too many clients already", "All connections are taken"),
    ("FATAL:  unsupported startup parameter in options: TimeZone", "pooler"),
    ('could not translate host name "x" to address: Name or service not known', "name resolution"),
    ('connection to server at "h", port 1 failed: Connection refused', "that the server is running"),
    ("timeout expired", "firewall"),
]


@pytest.mark.parametrize(("words", "part"), WORDS)
def test_a_remedy_for_every_known_message(words: str, part: str) -> None:
    assert part in (remedy_for(words) or "")


def test_no_remedy_is_invented() -> None:
    assert remedy_for("something new") is None
