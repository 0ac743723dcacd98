# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Undo a move: the service runs again where it came from, or it is said what stands in the way."""

from __future__ import annotations

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
    with run.timings.step("undo"):
        if switched:
            # First of all: the two must never run at the same time.
            if not undoing.attempt("it could not be stopped", lambda: app.remove(run.pm2, run.request.service)):
                return undoing
            # Whoever finishes this begins anew: what was carried over counts no more.
            undoing.attempt("the journal could not be written", lambda: run.reach("stopping"))
        if reached >= PHASES.index("carrying"):
            undoing.attempt("what was carried over could not be removed", lambda: way.uncarry(switched))
        if reached >= PHASES.index("fencing"):
            undoing.attempt("the sessions could not be given back", way.unfence)
            if not undoing.attempt("its code could not be put back", way.uncode):
                return undoing
        if run.journal.was_running:
            undoing.started = undoing.attempt("it could not be started", lambda: _start_again(way))
        if not undoing.problems:
            undoing.attempt("the rest could not be removed", way.forget)
    return undoing


def _start_again(way: Way) -> None:
    run = way.run
    app.start(run.pm2, run.request.service, way.origin.spec)
    save(run.pm2, [run.request.service.app])
