# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether there is a backup young enough to lean on, before something is done that cannot be undone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timezone

from ..system.errors import LockedError, ResilienceError
from ..system.lock import lock_for
from ..system.units import human_duration
from .catalogue import LOCK_NAME, Archive, counted, read_catalogue, read_last_run
from .describe import Manifest

STAGE = "backup"
# The snapshot's time is the server's and the age is judged by this host's clock: so far may the two be apart, in
# seconds. What lies further in the future would count as fresh for as long.
CLOCK_TOLERANCE = 300.0


def fresh_backup(backup_root: str, max_age: float, wait: float, database: str | None = None) -> Archive:
    """The newest verified or proven archive whose snapshot is at most ``max_age`` seconds old.

    While there is none and a run is under way on this root, wait up to ``wait`` seconds for it to end and look again.
    An archive whose size is not the one it was made with does not count, nor one of another ``database`` if that is
    given. Raises ResilienceError that says how old the newest one is.
    """
    found = _fresh(read_catalogue(backup_root), max_age, database)
    if found is not None:
        return found
    running = None
    try:
        # Nothing is to be done under the lock: having had it means that no run is under way.
        with lock_for(os.path.join(backup_root, LOCK_NAME), wait, dry_run=True):
            pass
    except LockedError as error:
        running = error
    archives = read_catalogue(backup_root)
    found = _fresh(archives, max_age, database)
    if found is not None:
        return found
    raise _refusal(backup_root, archives, max_age, database, running)


def snapshot_age(manifest: Manifest) -> float:
    """Seconds between the moment that an archive shows and now."""
    taken = datetime.strptime(str(manifest["snapshot_at"]), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return (datetime.now(timezone.utc) - taken).total_seconds()


def _fresh(archives: Sequence[Archive], max_age: float, database: str | None) -> Archive | None:
    young = (archive for archive, age in _usable(archives, database) if -CLOCK_TOLERANCE <= age <= max_age)
    return next(young, None)


def _usable(archives: Sequence[Archive], database: str | None) -> list[tuple[Archive, float]]:
    """Those that count, are of this database, and have the size they should, each with its age; newest run first."""
    return [
        (archive, snapshot_age(archive.manifest))
        for archive in counted(archives)
        if archive.manifest is not None
        and archive.size_bytes == archive.manifest["size_bytes"]
        and database in (None, archive.manifest["database"])
    ]


def _refusal(
    backup_root: str,
    archives: Sequence[Archive],
    max_age: float,
    database: str | None,
    running: LockedError | None,
) -> ResilienceError:
    of = f" of the database {database}" if database else ""
    usable = _usable(archives, database)
    if not usable:
        message = f"There is no verified backup{of} in {backup_root}"
    else:
        age = usable[0][1]
        message = "The newest verified backup{} in {} is {}; the limit is {}".format(
            of,
            backup_root,
            f"{human_duration(age)} old"
            if age >= 0
            else f"dated {human_duration(-age)} in the future, so the clocks of this host and the server disagree",
            human_duration(max_age),
        )
    remedy = "Make a backup (playbook backup), then run again."
    last = read_last_run(backup_root)
    if running is not None:
        message += f". {running.message}"
        remedy = "See what that run is doing; run again once it has ended."
    elif last is not None and last.outcome == "failed":
        message += f". The last run, of {last.at}, failed: {last.reason or 'see its report'}"
        remedy = "Mend what made it fail, make a backup (playbook backup), then run again."
    return ResilienceError(message, stage=STAGE, remedy=remedy)
