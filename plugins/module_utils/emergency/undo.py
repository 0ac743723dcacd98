# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Undo a move: the service runs again where it came from, or it is said what stands in the way."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Callable

from ..processes.pm2_saved import save
from ..system.errors import ResilienceError
from . import app
from .journal import PHASES
from .way import Way


@dataclass
class Undoing:
    """What came of it: whether the service was started where it came from, and what could not be undone."""

    started: bool = False
    # Whether the service may still run on the other side.
    unknown: bool = False
    problems: list[str] = field(default_factory=list)

    def attempt(self, what: str, action: Callable[[], None]) -> bool:
        """Do one part of it; one that fails is told, and the others are done all the same."""
        try:
            action()
        except ResilienceError as error:
            self.problems.append(f"{what}: {error.message}")
        except Exception as error:  # noqa: BLE001 - a fault of ours in one part must not keep the service down
            self.problems.append(f"{what}: {type(error).__name__}")
        else:
            return True
        return False


def undo(way: Way) -> Undoing:
    """Bring the service back to where it came from."""
    run, undoing = way.run, Undoing()
    switched, reached = run.journal.switched, PHASES.index(run.journal.phase)
    run.progress.step("undo")
    with run.timings.step("undo"), _uninterrupted():
        if not switched and _runs_still(way):
            # A run that was killed before it stopped the service.
            undoing.started = True
            undoing.attempt("the rest could not be removed", way.forget)
            return undoing
        # First of all: the two must never run at the same time.
        if not undoing.attempt("it could not be stopped", lambda: app.stop(run.pm2, run.request.service)):
            undoing.unknown = True
            return undoing
        # Whoever finishes this begins anew, since what was carried over counts no more; so nothing is moved before that
        # stands in the journal.
        if switched and not undoing.attempt("the journal could not be written", lambda: run.reach("stopping")):
            return undoing
        if reached >= PHASES.index("carrying"):
            undoing.attempt("what was carried over could not be removed", lambda: way.uncarry(switched))
        if reached >= PHASES.index("fencing"):
            undoing.attempt("the sessions could not be given back", way.unfence)
            if not undoing.attempt("its code could not be put back", way.uncode):
                return undoing
        if run.journal.was_running:
            undoing.started = undoing.attempt("it could not be started", lambda: _start_again(way))
        else:
            spec = way.origin.spec
            undoing.attempt("PM2 could not be given it back", lambda: app.register(run.pm2, run.request.service, spec))
        if not undoing.problems:
            undoing.attempt("the rest could not be removed", way.forget)
    return undoing


def _runs_still(way: Way) -> bool:
    before, after = way.origin.spec, way.target.spec
    changed = [name for name, value in after.env.items() if before.env.get(name) != value]
    return bool(app.runs_as(way.run.pm2, before, changed))


def _start_again(way: Way) -> None:
    run = way.run
    app.start(run.pm2, run.request.service, way.origin.spec)
    try:
        save(run.pm2, [run.request.service.app])
    except ResilienceError as error:
        run.warnings.append(f"PM2 would not bring it back like this at a boot: {error.message}")


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Whoever asks this process to end has to wait until the service stands again where it was."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
