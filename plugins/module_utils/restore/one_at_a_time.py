# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One restore to a name at a time, from whatever host and by whatever database of the server."""

from __future__ import annotations

import time
from typing import Any

from ..system.errors import ResilienceError

PAUSE_SECONDS = 0.2


def take_lock(connection: Any, name: str, timeout: float) -> None:
    """Lock the name for as long as this session lasts; wait for at most ``timeout`` seconds. Raises ResilienceError.

    The server lets go of the lock when the session ends, however it ends. An advisory lock counts in the database where
    it was taken; who has taken it in another one is seen in the list of all locks. Two that come in the same moment by
    two databases may both give up.
    """
    deadline = time.monotonic() + timeout
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_catalog.set_config('lock_timeout', %s, false)", ("%dms" % max(1, round(timeout * 1000)),)
        )
        try:
            cursor.execute(
                "SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtext('baileys.resilience restore'), pg_catalog.hashtext(%s))",
                (name,),
            )
        except Exception as error:
            if getattr(error, "pgcode", None) != "55P03":
                raise
            raise _running(name, timeout) from error
        while _locked_from_elsewhere(cursor, name):
            if time.monotonic() >= deadline:
                raise _running(name, timeout)
            time.sleep(PAUSE_SECONDS)
        cursor.execute("SELECT pg_catalog.set_config('lock_timeout', '60s', false)")


def _locked_from_elsewhere(cursor: Any, name: str) -> bool:
    cursor.execute(
        """
        SELECT EXISTS (
            SELECT FROM pg_catalog.pg_locks
            WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND pid <> pg_catalog.pg_backend_pid()
              -- The list shows both halves of the key as unsigned.
              AND classid::bigint = pg_catalog.hashtext('baileys.resilience restore')::bigint & 4294967295
              AND objid::bigint = pg_catalog.hashtext(%s)::bigint & 4294967295)
        """,
        (name,),
    )
    return bool(cursor.fetchone()[0])


def _running(name: str, timeout: float) -> ResilienceError:
    return ResilienceError(
        f'Another restore to the database "{name}" is running; waited {timeout:g} s',
        stage="lock",
        remedy="Wait for it to end, or raise lock_timeout.",
    )
