# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rollback would do now: everything that can be refused is refused here, before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass

from ..processes.pm2 import Pm2
from ..processes.pm2_spec import AppSpec, spec_from_dict
from ..processes.release import Commit
from ..system.errors import SettingsError
from . import app, code
from .journal import Journal
from .request import WORKTREE, EmergencyRequest
from .sources import Candidate, choose, survey


@dataclass(frozen=True)
class Plan:
    """Where the sessions come from, which code they go to, and how PM2 starts the service before and after."""

    candidates: tuple[Candidate, ...]
    chosen: Candidate
    commit: Commit
    original: AppSpec
    emergency: AppSpec
    was_running: bool
    code_words: tuple[str, ...]


def plan_rollback(request: EmergencyRequest, pm2: Pm2, earlier: Journal | None) -> Plan:
    """``earlier`` is what a killed run left: it knows how the service was started before it was stopped.

    Raises ResilienceError.
    """
    service = request.service
    commit, code_words = code.examine(service)
    if earlier is None:
        original, was_running = app.current(pm2, service.app)
    else:
        original, was_running = spec_from_dict(earlier.original), earlier.was_running
    emergency = code.emergency_spec(original, service)
    if service.release == WORKTREE and (emergency.script, emergency.cwd) == (original.script, original.cwd):
        raise SettingsError(
            f'PM2 starts "{service.app}" from {original.script} in {original.cwd}, and neither is below '
            f"{service.checkout}",
            stage="preflight",
            remedy="Correct `checkout`: it is the directory whose git repository holds the service's code.",
        )
    candidates = survey(request, resuming=earlier is not None)
    return Plan(
        tuple(candidates), choose(request, candidates), commit, original, emergency, was_running, tuple(code_words)
    )
