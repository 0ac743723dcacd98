# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The database that is restored into until it is complete: made, dropped, and removed when a killed run has left it."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from ..postgres.databases import abandoned, create_database, drop_database, working_session
from ..system.errors import ResilienceError
from . import preflight, swap
from .survey import RestoreRequest, Survey

try:
    import psycopg2
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# A stamp, and the letter of a second database of the same run.
_HALF = re.compile(r"\d{8}_\d{6}[a-z]?")


def collect(found: Survey) -> None:
    """Remove what killed runs to the same name have left: the lock says that none of them is at work."""
    prefix = swap.name_with(found.target, "restoring", "")
    for name in abandoned(found.connection, prefix):
        if _HALF.fullmatch(name[len(prefix) :]):
            drop_database(found.connection, name)


def reach(request: RestoreRequest, found: Survey) -> Any:
    """A new connection to where the survey was made from: the old one may have died during a long restore."""
    return working_session(request.settings.with_database(found.from_database))


def create(request: RestoreRequest, found: Survey, name: str, connection: Any) -> list[str]:
    """Make an empty database like the one that was backed up, and, where one is replaced, like that one.

    Returns limitations in words. Raises ResilienceError for a collation that the server has not got, unless told that
    another will do.
    """
    owner, tablespace = request.options.role, None
    if found.old is not None:
        owner = found.old.owner if found.old.owner != found.role.role else None
        tablespace = found.old.tablespace if found.old.tablespace != "pg_default" else None
    limitations = create_database(connection, name, found.manifest, owner, tablespace)
    if limitations and not request.allow_other_collation:
        drop_database(connection, name)
        preflight.refuse_after_trying(
            [
                preflight.Obstacle(
                    limitation, "Have that locale installed on the server, or say allow_other_collation=true."
                )
                for limitation in limitations
            ]
        )
    return limitations


def discard(request: RestoreRequest, found: Survey, error: BaseException) -> None:
    """Drop the half database; say so in the error where that fails."""
    with contextlib.suppress(ResilienceError, psycopg2.Error), contextlib.closing(reach(request, found)) as connection:
        drop_database(connection, found.staging)
        return
    if isinstance(error, ResilienceError):
        error.message += f'. The half-restored database "{found.staging}" is left; the next restore removes it'
        error.args = (error.message,)
