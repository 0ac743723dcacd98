# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What both ways stand on: one run at a time, its confirmation, PM2, and the mark in the database."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Callable

from ..postgres.connection import connect
from ..processes.pm2 import Pm2, find_pm2
from ..system.errors import ResilienceError, SettingsError
from ..system.files import private_directory
from ..system.lock import exclusive_lock
from .journal import Journal, journal_path
from .request import EmergencyRequest
from .way import Run

ON_DATABASE, ON_FILES = "PostgreSQL", "files"


@dataclass(frozen=True)
class Outcome:
    """What a run came to. ``plan`` is what was planned, ``run`` what was done; either may be None.

    Without both there was nothing to do: the service is there already, as ``journal`` says.
    """

    plan: Any = None
    run: Run | None = None
    journal: Journal | None = None


@contextlib.contextmanager
def one_at_a_time(request: EmergencyRequest) -> Iterator[None]:
    """One emergency of a source at a time. Raises LockedError."""
    path = journal_path(request.state_directory, request.source)
    private_directory(os.path.dirname(path))
    with exclusive_lock(path[: -len(".json")] + ".lock", request.lock_timeout):
        yield


def require_confirmation(request: EmergencyRequest) -> None:
    """Raises SettingsError unless the service was confirmed by its name."""
    app = request.service.app
    if request.confirm != app:
        raise SettingsError(
            f'This stops and moves the service "{app}", and was not confirmed'
            + (f' (what was confirmed is "{request.confirm}")' if request.confirm else ""),
            stage="confirm",
            remedy="Nothing was touched. See the plan with --check, then confirm by the name of the service: "
            f"-e emergency_confirm={app}",
        )


def pm2_of(request: EmergencyRequest) -> Pm2:
    """The PM2 that runs the service. Raises MissingDependencyError."""
    service = request.service
    return find_pm2(user=service.pm2_user, home=service.pm2_home, program=service.pm2_program)


def owner_of(pm2: Pm2) -> tuple[int, int] | None:
    """Whom the files must belong to, for the service to write them; None: whoever makes them."""
    return (pm2.user.uid, pm2.user.gid) if pm2.user else None


def on_database(request: EmergencyRequest, action: Callable[[Any], str | None]) -> list[str]:
    """Do something in the database if it can be reached; returns what became of it as warnings."""
    try:
        with contextlib.closing(connect(request.settings)) as connection:
            warning = action(connection)
    except ResilienceError as error:
        return [f"The fence stands on this host, but the database itself could not be marked: {error.message}"]
    return [warning] if warning else []


def stamp() -> str:
    """Now, for the name of a directory."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H%M%SZ")
