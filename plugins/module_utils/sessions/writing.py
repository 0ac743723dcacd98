# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions of a database that are to be written: one writer at a time, and errors that show nothing of a value."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

from ..postgres.connection import connect, translate
from ..postgres.settings import ConnectionSettings
from ..system.errors import LockedError, ResilienceError
from .layout import SessionLayout
from .store import LOCK_SECONDS, SessionSnapshot, sessions_in

try:
    import psycopg2
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# Could not serialize, deadlock, duplicate key: somebody else wrote the same rows.
_SOMEBODY_ELSE = ("40001", "40P01", "23505")
_NOT_ALLOWED = "42501"


@contextlib.contextmanager
def importing_alone(settings: ConnectionSettings, layout: SessionLayout) -> Iterator[None]:
    """Keep every other import out of these tables, from any host. Raises LockedError."""
    words = f"baileys.resilience import {layout.schema}.{layout.keys_table}"
    key = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big", signed=True)
    with contextlib.closing(connect(settings)) as connection:
        with telling(settings), connection.cursor() as cursor:
            _pin(cursor)
            # It is held as long as this transaction: even a killed import leaves no lock.
            cursor.execute("SELECT pg_catalog.pg_try_advisory_xact_lock(%s)", (key,))
            (alone,) = cursor.fetchone()
        if not alone:
            raise LockedError(
                f"Another import into {layout.schema}.{layout.keys_table} is running",
                stage="lock",
                remedy="Wait for it to end. The lock goes with the session that holds it.",
            )
        yield


@contextlib.contextmanager
def open_for_writing(
    settings: ConnectionSettings, layout: SessionLayout, read_only: bool = False
) -> Iterator[SessionSnapshot]:
    """Sessions on a connection of its own, each transaction of which sees one moment. Raises ResilienceError."""
    with contextlib.closing(connect(settings)) as connection:
        connection.set_client_encoding("UTF8")
        connection.set_session(isolation_level="REPEATABLE READ", readonly=read_only)
        with telling(settings), connection, connection.cursor() as cursor:
            _pin(cursor)
        sessions = sessions_in(connection, settings, layout)
        connection.rollback()
        yield sessions


@contextlib.contextmanager
def telling(settings: ConnectionSettings, tenant: str | None = None) -> Iterator[None]:
    """Tell psycopg2's errors in our words: what the server says of a row that it refuses shows the row."""
    try:
        yield
    except psycopg2.Error as error:
        session = "" if tenant is None else f" the session {tenant}"
        if error.pgcode in _SOMEBODY_ELSE:
            raise ResilienceError(
                f"Somebody else wrote rows of{session} while it was imported; nothing of it was committed",
                stage="write",
                remedy="Stop the application first, then run again.",
            ) from None
        if error.pgcode is None:
            raise translate(error, settings, f"import{session}").at_stage("write") from None
        raise ResilienceError(
            f"Cannot import{session} into {settings.describe()}: {error.diag.message_primary}",
            stage="write",
            remedy="Connect as the owner of the tables, or have the right to write them granted."
            if error.pgcode == _NOT_ALLOWED
            else None,
        ) from None


def _pin(cursor: Any) -> None:
    # Not search_path: triggers of the application's may count on it.
    pins = {
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "row_security": "off",
        "lock_timeout": "%dms" % round(LOCK_SECONDS * 1000),
    }
    for name, value in pins.items():
        cursor.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
