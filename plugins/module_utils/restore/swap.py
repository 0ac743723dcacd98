# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put a restored database in the place of the one that serves: renames, in one transaction, from a third database.

Renaming a database takes it for itself first: from then on whoever wants to connect waits for the end of the
transaction, and only then does the server look whether somebody is still connected. So its sessions are ended while
the rename holds that lock, and none can come back in between. An attempt gives up before anybody has waited long;
whatever ends it, a timeout, an error or a kill, the transaction is gone and the old database serves as before.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import Any, Callable

from ..postgres import properties
from ..system.errors import ResilienceError

try:
    import psycopg2
    from psycopg2 import sql
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# The longest that one statement of an attempt may keep others waiting. The server looks every 100 ms whether the
# sessions are gone, so one that can succeed does so well within it.
ATTEMPT_SECONDS = 1.0
PAUSE_SECONDS = 0.5
END_EVERY_SECONDS = 0.01
# PostgreSQL's limit of a name, NAMEDATALEN - 1.
NAME_BYTES = 63
# Of a stamp, and a letter after it for a second database of the same run.
STAMP_BYTES = 16
_STAMP = "%Y%m%d_%H%M%S"
# Query cancelled (by the timeout), lock not available, database in use, deadlock.
_NOT_NOW = ("57014", "55P03", "55006", "40P01")

# A role may end the sessions of roles it is a member of, and with pg_signal_backend all but a superuser's
# (documentation of pg_terminate_backend). Autovacuum has no role; it steps aside by itself.
_SESSIONS = """
    SELECT a.pid, a.usename, a.application_name,
           (NOT r.rolsuper OR me.rolsuper)
           AND (pg_catalog.pg_has_role(a.usesysid, 'USAGE') OR pg_catalog.pg_has_role('pg_signal_backend', 'USAGE'))
    FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
    CROSS JOIN (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) me
    WHERE a.datname = %s AND a.pid <> pg_catalog.pg_backend_pid()
"""
# Nothing of anybody's stands in it but our own query.
_END = f"""
    SELECT pg_catalog.array_agg(pid) FROM ({_SESSIONS}) s (pid, role, application, endable)
    WHERE CASE WHEN endable THEN pg_catalog.pg_terminate_backend(pid) END
"""  # noqa: S608


@dataclass(frozen=True)
class Session:
    """A session of another client in a database. ``endable``: whether the connected role may end it."""

    pid: int
    role: str
    application: str
    endable: bool

    def describe(self) -> str:
        """``12345 of app (node)``, for messages."""
        return "%d of %s%s" % (self.pid, self.role, f" ({self.application})" if self.application else "")


@dataclass(frozen=True)
class Switch:
    """``restored`` takes the place of ``name``, which is called ``old`` from then on, None if there is none.

    ``terminate``: whether sessions in the old database may be ended. ``timeout`` is in seconds, for all attempts.
    """

    restored: str
    name: str
    old: str | None
    terminate: bool
    timeout: float


@dataclass(frozen=True)
class Switched:
    """``blocked`` is how long, in seconds, others could not connect; ``lost`` the properties not carried over."""

    ended: int
    blocked: float
    attempts: int
    lost: tuple[str, ...]


class SwitchError(ResilienceError):
    """The switch was not made: the old database serves as before, the restored one stands beside it."""


def name_with(name: str, word: str, stamp: str) -> str:
    """``<name>_<word>_<stamp>``, shortened to what PostgreSQL allows without becoming that of another database."""
    room = NAME_BYTES - len(f"_{word}_") - STAMP_BYTES
    if len(name.encode()) > room:
        name = name.encode()[: room - 9].decode("utf-8", "ignore") + "~" + sha256(name.encode()).hexdigest()[:8]
    return f"{name}_{word}_{stamp}"


def free_stamp(connection: Any, name: str) -> str:
    """The present moment as it stands in names, in UTC: ``20261122_031500``. A name with it needs no quotes.

    If there are names of this very second already, it is the next one that has none.
    """
    moment = datetime.now(timezone.utc)
    while True:
        stamp = moment.strftime(_STAMP)
        if not any(_oid(connection, name_with(name, word, stamp)) for word in ("restoring", "before", "restored")):
            return stamp
        moment += timedelta(seconds=1)


def sessions(connection: Any, name: str) -> list[Session]:
    """Who is connected to a database."""
    with connection.cursor() as cursor:
        cursor.execute(_SESSIONS, (name,))
        return [Session(pid, role, application or "", endable) for pid, role, application, endable in cursor.fetchall()]


def prepared_transactions(connection: Any, name: str) -> int:
    """Transactions prepared in a database, which no rename passes by."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_catalog.pg_prepared_xacts WHERE database = %s", (name,))
        return int(cursor.fetchone()[0])


def rehearse_properties(connection: Any, name: str) -> list[str]:
    """What of the database's own properties this role could not give to another one. Nothing is changed."""
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            cursor.execute(f"SET LOCAL lock_timeout = '{ATTEMPT_SECONDS}s'")
            return properties.apply(connection, name, name)
        finally:
            cursor.execute("ROLLBACK")


def switch(connection: Any, connect: Callable[[], Any], plan: Switch) -> Switched:
    """Make the switch, in as many attempts as the timeout allows. Raises SwitchError when it was not made.

    ``connect`` opens another connection like ``connection``: one to end sessions by, and one to look what became of
    a commit that the network swallowed.
    """
    restored = _oid(connection, plan.restored)
    deadline = time.monotonic() + plan.timeout
    attempts = 0
    with contextlib.closing(connect()) as helper:
        while True:
            obstacle = _obstacle(helper, plan)
            if obstacle is None:
                attempts += 1
                try:
                    blocked, lost, ended = _attempt(connection, helper, plan)
                    return Switched(ended, blocked, attempts, tuple(lost))
                except psycopg2.Error as error:
                    obstacle = " ".join(str(error).split())
                    if error.pgcode is None:
                        return _after_silence(connect, plan, restored, obstacle, attempts)
                    if error.pgcode not in _NOT_NOW:
                        raise _not_made(plan, obstacle) from error
            if time.monotonic() >= deadline:
                raise _not_made(plan, obstacle)
            time.sleep(PAUSE_SECONDS)


def _obstacle(helper: Any, plan: Switch) -> str | None:
    """Why an attempt would be in vain: better known before it makes anybody wait."""
    if plan.old is None:
        return None
    present = sessions(helper, plan.name)
    staying = [session for session in present if not (plan.terminate and session.endable)]
    if staying:
        return "connected to it: {}".format(", ".join(session.describe() for session in staying[:5]))
    prepared = prepared_transactions(helper, plan.name)
    return "%d prepared transactions are open in it" % prepared if prepared else None


def _attempt(connection: Any, helper: Any, plan: Switch) -> tuple[float, list[str], int]:
    """The one short transaction. Returns how long others waited, what was lost, and how many sessions were ended."""
    held = name_with(plan.name, "switching", datetime.now(timezone.utc).strftime(_STAMP))
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            cursor.execute(f"SET LOCAL lock_timeout = '{ATTEMPT_SECONDS}s'")
            cursor.execute(f"SET LOCAL statement_timeout = '{ATTEMPT_SECONDS}s'")
            # The restored one first: if something is still at work in it, the wait for that disturbs nobody.
            _rename(cursor, plan.restored, held)
            lost = properties.apply(connection, plan.name, held) if plan.old is not None else []
            started = time.monotonic()
            ended = 0
            if plan.old is not None:
                with _ending_sessions(helper, plan) as count:
                    _rename(cursor, plan.name, plan.old)
                ended = count()
            _rename(cursor, held, plan.name)
            cursor.execute("COMMIT")
            return time.monotonic() - started, lost, ended
        except BaseException:
            with contextlib.suppress(psycopg2.Error):
                cursor.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def _ending_sessions(helper: Any, plan: Switch) -> Iterator[Callable[[], int]]:
    """End the sessions in the old database again and again while the block runs; gives how many were told to end."""
    over = threading.Event()
    ended: set[int] = set()

    def work() -> None:
        with contextlib.suppress(psycopg2.Error), helper.cursor() as cursor:
            while not over.is_set():
                cursor.execute(_END, (plan.name,))
                ended.update(cursor.fetchone()[0] or [])
                over.wait(END_EVERY_SECONDS)

    thread = threading.Thread(target=work, name="session-ender", daemon=True)
    if plan.terminate:
        thread.start()
    try:
        yield lambda: len(ended)
    finally:
        over.set()
        if plan.terminate:
            thread.join()


def _after_silence(
    connect: Callable[[], Any], plan: Switch, restored: int | None, words: str, attempts: int
) -> Switched:
    """The connection broke: perhaps the commit was made, and only its answer was lost."""
    with contextlib.closing(connect()) as connection:
        if _oid(connection, plan.name) == restored:
            return Switched(0, 0.0, attempts, ())
    raise _not_made(plan, words)


def _rename(cursor: Any, name: str, new: str) -> None:
    cursor.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(new)))


def rename(connection: Any, name: str, new: str) -> None:
    """Rename a database that nobody is connected to. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        _rename(cursor, name, new)


def _oid(connection: Any, name: str) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT oid::bigint FROM pg_catalog.pg_database WHERE datname = %s", (name,))
        row = cursor.fetchone()
    return int(row[0]) if row else None


def _not_made(plan: Switch, why: str) -> SwitchError:
    return SwitchError(
        f'"{plan.restored}" could not take the place of "{plan.name}": {why}',
        stage="switch",
        remedy="End what is connected to it (stop the application; terminate=true ends sessions at the switch), "
        "then run again.",
    )
