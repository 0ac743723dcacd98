# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply retention to a backup root, under its lock."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..system.errors import ResilienceError
from ..system.lock import lock_for
from . import catalogue
from .catalogue import LastRun
from .retain import Decision, decide, to_remove


def prune(
    backup_root: str, keep: Mapping[str, int], lock_timeout: float, *, dry_run: bool = False
) -> tuple[Decision, ...]:
    """Remove what no tier keeps (nothing with ``dry_run``); returns every decision with its reason.

    ``lock_timeout`` is in seconds. A root that is not there has nothing to remove. Raises LockedError while
    a backup runs: its outcome decides whether anything may go.
    """
    if not os.path.isdir(backup_root):
        return ()
    with lock_for(os.path.join(backup_root, catalogue.LOCK_NAME), lock_timeout, dry_run):
        # Every run leaves a record; one that is missing is that of a run that could not write it.
        last_run = catalogue.read_last_run(backup_root) or LastRun("failed", "unknown", "its record is missing")
        decisions = decide(catalogue.read_catalogue(backup_root), keep, last_run)
        if dry_run:
            return decisions
        decisions, problems = remove_unkept(decisions)
    if problems:
        raise ResilienceError("; ".join(problems), stage="prune", remedy="See who may write there, then prune again.")
    return decisions


def remove_unkept(decisions: Sequence[Decision]) -> tuple[tuple[Decision, ...], list[str]]:
    """Remove what no tier keeps; returns the decisions as they could be carried out, and what went wrong.

    Call it under the lock.
    """
    problems: dict[str, str] = {}
    for archive in to_remove(decisions):
        try:
            catalogue.remove_archive(archive)
        except ResilienceError as error:
            problems[archive.path] = error.message
    done = (
        replace(decision, keep=True, reason="could not be removed") if decision.archive.path in problems else decision
        for decision in decisions
    )
    return tuple(done), list(problems.values())
