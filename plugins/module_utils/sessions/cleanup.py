# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Delete the keys that the policy lets go, beside an application that goes on working.

The whole is a series of small deletions, each a transaction of its own, and each asks the policy once more: a run that is
killed leaves nothing half done, and the next one goes on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Callable

from ..postgres.settings import ConnectionSettings
from ..system.errors import ResilienceError, SettingsError
from .batches import Pace, delete_in_batches
from .census import Census, ListedKey, deletable_now, list_deletable, take_census
from .deletable import Deletable
from .fence import require_database, require_unmarked
from .keys_table import KeysTable, Sizes, open_keys_table
from .layout import SessionLayout
from .policy import Policy

try:
    from psycopg2 import sql
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

DOING = "delete keys of it"
# Two cleanups at once would each miss what the other takes. The number is anybody's; it stands for this module.
_ADVISORY_LOCK = 0x6B657973


@dataclass(frozen=True)
class CleanupRequest:
    """What to clean up, and how carefully. ``listed`` is how many keys are listed at most."""

    source: str
    settings: ConnectionSettings
    layout: SessionLayout
    policy: Policy
    state_directory: str
    max_delete_percent: float = 50
    pace: Pace = field(default_factory=Pace)
    listed: int = 0
    dry_run: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.max_delete_percent <= 100:
            raise SettingsError(
                f"max_delete_percent is {self.max_delete_percent:g}",
                stage="settings",
                remedy="Give a percentage above 0 and up to 100.",
            )


@dataclass(frozen=True)
class CleanupResult:
    """``before`` is what stood there; ``deleted`` is by type.

    Of the keys that were to go, ``held`` are locked by the application, ``refreshed`` were written or deleted by somebody
    else meanwhile, and ``kept`` are still there though nobody holds them. ``obstacles`` are why a dry run could not be
    followed by a real one.
    """

    before: Census
    sizes_after: Sizes
    deleted: dict[str, int] = field(default_factory=dict)
    batches: int = 0
    held: int = 0
    refreshed: int = 0
    kept: int = 0
    listed: Sequence[ListedKey] = ()
    obstacles: Sequence[str] = ()
    dry_run: bool = True
    seconds: float = 0.0

    @property
    def deleted_keys(self) -> int:
        """How many were deleted."""
        return sum(self.deleted.values())

    @property
    def deleted_bytes(self) -> int:
        """About how many bytes that is."""
        types = self.before.types
        return sum(
            types[key_type].deletable_bytes * keys // types[key_type].deletable
            for key_type, keys in self.deleted.items()
            if key_type in types and types[key_type].deletable
        )


def survey(
    settings: ConnectionSettings, layout: SessionLayout, policy: Policy, listed: int = 0
) -> tuple[Census, list[ListedKey]]:
    """Count the keys and, up to so many, list those that may go. Raises ResilienceError."""
    with open_keys_table(settings, layout) as table:
        deletable = deletable_now(table, policy)
        return take_census(table, deletable), list_deletable(table, deletable, listed) if listed else []


def clean_up(request: CleanupRequest, require_backup: Callable[[str], object]) -> CleanupResult:
    """Delete what may go, or with ``dry_run`` say what would.

    ``require_backup`` is asked, with the name of the database, once it is known that there is something to delete. It
    raises ResilienceError where there is none to lean on. So does everything else that speaks against the deletion.
    """
    started = time.monotonic()

    def permit() -> None:
        require_database(request.state_directory, request.source, DOING)

    permit()
    with open_keys_table(request.settings, request.layout, deleting=True, read_only=request.dry_run) as table:
        require_unmarked(table.connection, request.layout, DOING)
        deletable = deletable_now(table, request.policy)
        before = take_census(table, deletable)
        listed = list_deletable(table, deletable, request.listed) if request.listed else []
        if request.dry_run:
            obstacles = _obstacles(request, table, before, require_backup)
            return CleanupResult(
                before, before.sizes, listed=listed, obstacles=obstacles, seconds=time.monotonic() - started
            )
        if not before.deletable:
            return CleanupResult(before, before.sizes, dry_run=False, seconds=time.monotonic() - started)
        _refuse_too_many(before, request.max_delete_percent)
        require_backup(table.server.database)
        _alone(table)
        done = delete_in_batches(table, deletable, before.deletable, request.pace, permit)
        held, refreshed, kept = 0, 0, 0
        if done.keys != before.deletable:
            held, kept = _left(table, deletable)
            refreshed = max(0, before.deletable - done.keys - held - kept)
            _refuse_nothing_deleted(table, done.keys, kept)
        return CleanupResult(
            before=before,
            sizes_after=table.sizes(),
            deleted=done.deleted,
            batches=done.batches,
            held=held,
            refreshed=refreshed,
            kept=kept,
            listed=listed,
            dry_run=False,
            seconds=time.monotonic() - started,
        )


def _too_many(before: Census, max_delete_percent: float) -> str | None:
    percent = 100 * before.deletable / before.keys if before.keys else 0
    if percent <= max_delete_percent:
        return None
    return "%d of %d keys (%.1f %%) would go, and at most %g %% may" % (
        before.deletable,
        before.keys,
        percent,
        max_delete_percent,
    )


def _refuse_too_many(before: Census, max_delete_percent: float) -> None:
    problem = _too_many(before, max_delete_percent)
    if problem is not None:
        raise ResilienceError(
            f"Nothing was deleted: {problem}",
            stage="plan",
            remedy="See by a dry run what would go. If it is meant, raise max_delete_percent for this run.",
        )


def _obstacles(
    request: CleanupRequest, table: KeysTable, before: Census, require_backup: Callable[[str], object]
) -> list[str]:
    """Why a real run would be refused."""
    if not before.deletable:
        return []
    found = [_too_many(before, request.max_delete_percent)]
    try:
        require_backup(table.server.database)
    except ResilienceError as error:
        found.append(error.message)
    return [obstacle for obstacle in found if obstacle is not None]


def _alone(table: KeysTable) -> None:
    """Keep a second cleanup of the table away; the server forgets it with this session, however that ends."""
    question = "SELECT pg_catalog.pg_try_advisory_lock(%s, pg_catalog.hashtext(%s))"
    ((alone,),) = table.query(question, "keep other cleanups away", (_ADVISORY_LOCK, str(table.oid)))
    if not alone:
        raise ResilienceError(
            f"Another cleanup of {table.name()} is under way",
            stage="lock",
            remedy="Wait for it to end. If its host was killed, the server notices within two minutes.",
        )


def _left(table: KeysTable, deletable: Deletable) -> tuple[int, int]:
    """How many of the keys that may go are still there and locked by others, and how many nobody holds."""
    counting = sql.SQL("SELECT count(*) FROM (SELECT FROM ONLY {} WHERE {} {}) AS keys")
    parts = (table.layout.keys_relation(), deletable.condition())
    ((present,),) = table.query(counting.format(*parts, sql.SQL("")), "count what is left")
    ((free,),) = table.query(counting.format(*parts, sql.SQL("FOR UPDATE SKIP LOCKED")), "count what is left")
    return max(0, present - free), free


def _refuse_nothing_deleted(table: KeysTable, deleted: int, kept: int) -> None:
    if deleted == 0 and kept > 0:
        raise ResilienceError(
            f"The server deleted none of the keys of {table.name()} that it was told to, and nobody holds {kept} of them",
            stage="delete",
            remedy="See whether a trigger or a rule of the table keeps its rows from being deleted.",
        )
