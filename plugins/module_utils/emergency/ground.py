# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What both ways stand on: one run at a time, its confirmation, PM2, and the mark in the database."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Callable

from ..postgres.connection import answering_within, connect
from ..processes.pm2 import Pm2, find_pm2
from ..processes.pm2_processes import list_processes
from ..processes.pm2_spec import spec_from_dict
from ..system.errors import ResilienceError, SettingsError
from ..system.files import private_directory
from ..system.lock import exclusive_lock
from . import app
from .journal import Journal, journal_path
from .request import EmergencyRequest
from .way import Run

ON_DATABASE, ON_FILES = "PostgreSQL", "files"
# For the mark, while the service is stopped.
ANSWER_SECONDS = 10.0


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


def runs_origin(pm2: Pm2, original: Mapping[str, Any], emergency: Mapping[str, Any]) -> bool:
    """Whether PM2 runs the service as it ran before, and not as it was to run afterwards."""
    before, after = spec_from_dict(original), spec_from_dict(emergency)
    changed = [name for name, value in after.env.items() if before.env.get(name) != value]
    return bool(app.runs_as(pm2, before, changed)) and not app.runs_as(pm2, after, changed)


def require_running_or_down(pm2: Pm2, journal: Journal) -> None:
    """As ``require_running`` on files, but one that is down will do: its files are what is current."""
    name = spec_from_dict(journal.emergency).name
    if any(process.running for process in list_processes(pm2, name)):
        require_running(pm2, journal, ON_FILES)


def require_running(pm2: Pm2, journal: Journal, side: str) -> None:
    """Raise ResilienceError unless the service runs on the side where the journal has left it."""
    there, other = spec_from_dict(journal.emergency), spec_from_dict(journal.original)
    changed = [name for name, value in there.env.items() if other.env.get(name) != value]
    runs = app.runs_as(pm2, there, changed)
    if runs:
        return
    if runs is None:
        raise ResilienceError(
            f'"{there.name}" was brought to {side} at {journal.started_at}, but does not run now',
            stage="preflight",
            remedy=f"Start it there: pm2 restart {there.name} (as the user that PM2 runs as). See pm2 logs {there.name} "
            "for why it ended.",
        )
    raise ResilienceError(
        f'"{there.name}" was brought to {side} at {journal.started_at}, but PM2 runs it otherwise now: somebody has '
        "started it from another directory or with other settings",
        stage="preflight",
        remedy="What it wrote since is there, not where it was brought to. Decide which of the two is to count "
        '(docs/emergency.md, "When somebody has moved it by hand").',
    )


def on_database(request: EmergencyRequest, action: Callable[[Any], str | None]) -> list[str]:
    """Do something in the database if it can be reached; returns what became of it as warnings."""
    try:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(contextlib.closing(connect(request.settings)))
            stack.enter_context(answering_within(connection, ANSWER_SECONDS))
            warning = action(connection)
    except ResilienceError as error:
        return [
            f"The mark in the database could not be changed; what counts is the fence on this host: {error.message}"
        ]
    return [warning] if warning else []


def stamp() -> str:
    """Now, for the name of a directory."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H%M%SZ")
