# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run under way, the two sides of it, and what either way has to know how to do."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..processes.pm2 import Pm2
from ..processes.pm2_spec import AppSpec
from ..reporting.progress import SILENT, Progress
from ..system.errors import ResilienceError
from ..system.timings import Timings
from .journal import Journal, write_journal
from .request import EmergencyRequest


@dataclass(frozen=True)
class Side:
    """A side the service can run on: its name for people, and how PM2 starts the service there."""

    name: str
    spec: AppSpec


@dataclass
class Run:
    """A run under way. ``stopped_at`` is on the monotonic clock: from then on nobody is served."""

    request: EmergencyRequest
    pm2: Pm2
    journal: Journal
    progress: Progress = SILENT
    timings: Timings = field(default_factory=Timings)
    warnings: list[str] = field(default_factory=list)
    stopped_at: float | None = None
    started_seconds: float | None = None
    recovery_seconds: float | None = None

    def reach(self, phase: str, **changes: Any) -> None:
        """Write down that this phase begins, and what is known now."""
        self.journal = write_journal(
            self.request.state_directory,
            self.request.source,
            dataclasses.replace(self.journal, phase=phase, **changes),
        )

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a step, show it, and name it in what is raised."""
        self.progress.step(name)
        with self.timings.step(name):
            try:
                yield
            except ResilienceError as error:
                raise error.at_stage(name) from error


class Way:
    """One of the two ways: how it does what both have to do. Every method may raise ResilienceError."""

    carry_name = "carry"
    # Whether what the service comes from did not answer when the run began.
    origin_is_dead = False

    def __init__(self, run: Run, origin: Side, target: Side) -> None:
        self.run, self.origin, self.target = run, origin, target

    def carry(self) -> None:
        """Bring the sessions over."""
        raise NotImplementedError

    def uncarry(self, switched: bool) -> None:
        """Take away what was brought over; ``switched`` tells that the service may have written to it since."""

    def fence(self) -> None:
        """Give the sessions to the other side."""
        raise NotImplementedError

    def unfence(self) -> None:
        """Give them back."""
        raise NotImplementedError

    def code(self) -> None:
        """Bring up the code of the other side, where that could not be done before the stop."""

    def uncode(self) -> None:
        """Bring up the code of this side again."""

    def forget(self) -> None:
        """All was undone: it is to be as if the run had never been."""
        raise NotImplementedError
