# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a new archive goes: its name, its tier, and the longer tiers it also appears in."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from . import naming
from .catalogue import Archive
from .retain import period

LONGER_TIERS = ("weekly", "monthly")


@dataclass(frozen=True)
class Place:
    """The path an archive gets, the moment in its name, and its links: tier -> path."""

    path: str
    moment: datetime
    links: Mapping[str, str]


def tiers_in_use(tier: str, keep: Mapping[str, int]) -> list[str]:
    """The tier a run writes to, and those that keep any archive at all."""
    return [name for name in naming.TIERS if name == tier or keep.get(name, 0) > 0]


def find_place(
    backup_root: str,
    tier: str,
    keep: Mapping[str, int],
    archives: Sequence[Archive],
    archive_format: str,
    compression: str,
) -> Place:
    """The place of an archive that is made now.

    Nobody has its name yet, in any tier: two runs in one second, or a clock set back, must not meet.
    """
    moment = datetime.now(timezone.utc).replace(microsecond=0)
    while True:
        name = naming.archive_name(moment, archive_format, compression)
        paths = {tier: os.path.join(backup_root, tier, name) for tier in naming.TIERS}
        if not any(os.path.lexists(path) or os.path.lexists(path + naming.PARTIAL_SUFFIX) for path in paths.values()):
            links = {longer: paths[longer] for longer in _longer_tiers(tier, keep, archives, moment)}
            return Place(paths[tier], moment, links)
        moment += timedelta(seconds=1)


def _longer_tiers(tier: str, keep: Mapping[str, int], archives: Sequence[Archive], moment: datetime) -> list[str]:
    """The longer tiers in which this archive is the first of its week or month."""
    tiers = []
    for longer in LONGER_TIERS:
        present = {
            period(longer, archive.time)
            for archive in archives
            if archive.tier == longer and archive.counted and archive.time is not None
        }
        if longer != tier and keep.get(longer, 0) > 0 and period(longer, moment) not in present:
            tiers.append(longer)
    return tiers
