# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply retention to a backup root, under its lock."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..system.lock import exclusive_lock
from . import catalogue
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
    with exclusive_lock(os.path.join(backup_root, catalogue.LOCK_NAME), lock_timeout):
        decisions = decide(catalogue.read_catalogue(backup_root), keep, catalogue.read_last_run(backup_root))
        if not dry_run:
            for archive in to_remove(decisions):
                catalogue.remove_archive(archive)
    return decisions
