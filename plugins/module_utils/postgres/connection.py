# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Open a session, three times if need be, and make it see what pg_dump sees."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Callable, TypeVar

from ..system.errors import ConnectionFailedError, MissingDependencyError
from .client import NO_RESPONSE, REJECTING, ClientTools, find_clients, ping
from .settings import PLACES, ConnectionSettings

try:
    import psycopg2
except ImportError:
    # Said by name when a connection is wanted; a module's documentation is read without it.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

Result = TypeVar("Result")

# Requirements row 14: three attempts, waits of 100 and 200 ms, doubling.
ATTEMPTS = 3
FIRST_WAIT_SECONDS = 0.1

# Connection failure, connection does not exist, cannot connect now (starting up or shutting down).
TRANSIENT_STATES = ("08006", "08003", "57P03")

# The same failures, and those of the network, in the words of libpq and the server. By the time pg_isready asks,
# a server that is being restarted may be there again.
_PASSING = (
    "Connection refused",
    "Connection reset",
    "Connection timed out",
    "timeout expired",
    "No route to host",
    "Network is unreachable",
    "closed the connection unexpectedly",
    "could not translate host name",
    "the database system is starting up",
    "the database system is shutting down",
    "the database system is in recovery mode",
    "not yet accepting connections",
)

_LIBPQ_HINT = re.compile(r" Is the server running [^?]*\?")

_TAKEN = (
    "All connections are taken: stop what holds them, or raise the limit. A backup takes two, with format=directory "
    "jobs and two more."
)
# Words of libpq and the server -> what to do. The first that fits is shown.
_REMEDIES = (
    ("password authentication failed", "Check login_user and login_password (or POSTGRES_USER and POSTGRES_PASSWORD)."),
    ("no password supplied", "Give login_password, or POSTGRES_PASSWORD in the env_file."),
    ("certificate has expired", "The server's certificate has expired: have the provider renew it."),
    ("certificate verify failed", "Check that ca_cert is the provider's root certificate and the server's is current."),
    ("does not match host name", "Use the host name that stands in the server's certificate."),
    ("root certificate file", "Put the provider's root certificate where ca_cert points."),
    ("does not support SSL", "Use ssl_mode=disable for a server without TLS, or turn TLS on there."),
    ('snapshot "', "The session that held the snapshot was ended while the backup began: run it again."),
    ('relation "', "A table was dropped or renamed as the backup began: run it again."),
    ("does not exist", "Check the names of database and role."),
    ("max_locks_per_transaction", "The database has many tables: raise max_locks_per_transaction on the server."),
    ("pg_hba.conf", "Have this host, role and database allowed in the server's access rules."),
    ("remaining connection slots", _TAKEN),
    ("too many connections", _TAKEN),
    ("too many clients", _TAKEN),
    ("unsupported startup parameter", "Connect to the server itself: a pooler cannot share a snapshot."),
    ("could not translate host name", "Check login_host and this host's name resolution."),
    ("refused", "Check host and port, and that the server is running."),
    ("timeout expired", "Check the network path and firewall to the server."),
)


def connect(settings: ConnectionSettings, clients: Sequence[ClientTools] | None = None) -> Any:
    """A psycopg2 connection. Tries again only where waiting may help; raises ConnectionFailedError.

    ``clients`` are the installed tools whose pg_isready tells the two apart; looked up if not given.
    """
    return with_retries(lambda: connect_once(settings, clients))


def with_retries(
    action: Callable[[], Result],
    attempts: int = ATTEMPTS,
    first_wait: float = FIRST_WAIT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Run ``action``; repeat it after a transient connection failure, and after nothing else.

    Waits are in seconds and double. The last failure is raised with the number of attempts in its words.
    """
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except ConnectionFailedError as error:
            if not error.transient:
                raise
            if attempt == attempts:
                error.message += " (%d attempts)" % attempts
                error.args = (error.message,)
                raise
            sleep(first_wait * 2 ** (attempt - 1))
    raise ValueError("attempts must be at least 1")


def connect_once(settings: ConnectionSettings, clients: Sequence[ClientTools] | None = None) -> Any:
    """As ``connect``, in a single attempt: for a caller that repeats more than the connecting."""
    if not HAS_PSYCOPG2:
        raise MissingDependencyError(
            "The Python package psycopg2 is not installed for this interpreter",
            stage="connect",
            remedy="Install python3-psycopg2 (Debian, Ubuntu) or psycopg2-binary (pip).",
        )
    try:
        with _without_libpq_variables():
            return psycopg2.connect(settings.driver_dsn())
    except psycopg2.Error as error:
        words = _plain(error)
        raise ConnectionFailedError(
            f"Cannot connect to {settings.describe()}: {words}",
            transient=isinstance(error, psycopg2.OperationalError) and _may_pass(words, settings, clients),
            stage="connect",
            remedy=remedy_for(words),
        ) from error


@contextlib.contextmanager
def _without_libpq_variables() -> Iterator[None]:
    """Keep libpq, while it connects, from reading what ``settings.resolve`` has already judged.

    A PGHOSTADDR or PGSERVICE that was overruled there would otherwise lead the driver to another server than
    the programs, which get an environment of their own.
    """
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PG") and name not in PLACES}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _may_pass(words: str, settings: ConnectionSettings, clients: Sequence[ClientTools] | None) -> bool:
    if any(part in words for part in _PASSING):
        return True
    # psycopg2 has no SQLSTATE for a failed connection, and the words may come in any language.
    try:
        status = ping(find_clients() if clients is None else clients, settings)
    except MissingDependencyError:
        return False
    return status in (REJECTING, NO_RESPONSE)


def abandon(connection: Any) -> None:
    """End whatever another thread waits for on this connection, at once and whatever the network does.

    The connection is good for nothing but closing afterwards. The server is not asked to stop its work first:
    that request would itself wait for a dead network, and psycopg2 lets no other thread run meanwhile.
    """
    with contextlib.suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def answering_within(connection: Any, seconds: float) -> Iterator[None]:
    """Give up what the block asks of the server after so many seconds: a hung server accepts and stays silent.

    Keepalives do not notice that; its machine still answers them. Raises ConnectionFailedError.
    """
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        abandon(connection)

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (ConnectionFailedError, psycopg2.Error) as error:
        if not expired.is_set():
            raise
        raise ConnectionFailedError(
            f"The server took the connection and then gave no answer for {seconds:g} s",
            remedy="Look at the server and the network to it; raise stall_timeout if it is that slow.",
        ) from error
    finally:
        timer.cancel()


def translate(error: Exception, settings: ConnectionSettings, doing: str) -> ConnectionFailedError:
    """A psycopg2 error that came up within a session, in our words."""
    words = _plain(error)
    state = getattr(error, "pgcode", None)
    lost = state in TRANSIENT_STATES or (
        state is None and isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError))
    )
    return ConnectionFailedError(
        f"Cannot {doing} on {settings.describe()}: {words}", transient=lost, remedy=remedy_for(words)
    )


def _plain(error: Exception) -> str:
    # libpq adds a question of its own to a refused connection; the remedy says what to do.
    return _LIBPQ_HINT.sub("", " ".join(str(error).split()))


def remedy_for(words: str) -> str | None:
    """What to do about a message of libpq or the server, None if we do not know it."""
    for part, remedy in _REMEDIES:
        if part in words:
            return remedy
    return None
