# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose sessions count: those in the database, or, after an emergency rollback, those in the files.

``fence.json`` decides on this host. The database carries a mark as well, for everybody else who works on it: other
hosts, and this one if it has lost its state directory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..reporting.report import as_utc, utc_now
from ..system.errors import ConnectionFailedError, ResilienceError
from ..system.files import explain_os_error, private_directory, write_private
from ..system.lock import exclusive_lock

try:
    import psycopg2
    from psycopg2 import sql
except ImportError:
    # connection.py says so by name before there is a connection to mark.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

if TYPE_CHECKING:
    from .layout import SessionLayout

FENCE_VERSION = 1
POSTGRESQL = "postgresql"
FILES = "files"
OWNERS = (POSTGRESQL, FILES)

MARK_TABLE = "baileys_resilience_fence"

# Another writer holds the lock for a few milliseconds; this is for a host that swaps.
LOCK_SECONDS = 5.0

# What the server says to a role that may not create, write or drop the mark.
_INSUFFICIENT_PRIVILEGE = "42501"
# And to one that waits for what something else holds.
_LOCK_NOT_AVAILABLE = "55P03"


class FencedError(ResilienceError):
    """The sessions belong to the other side: what was asked for would use or overwrite what is out of date."""


class DamagedFenceError(ResilienceError):
    """A fence that cannot be understood; it is never taken for an open one."""


@dataclasses.dataclass(frozen=True)
class Fence:
    """Who owns the sessions of a source: ``postgresql`` or ``files``.

    ``epoch`` counts the changes of owner, 0 before the first. ``since`` is in UTC; ``by`` is for people.
    """

    owner: str = POSTGRESQL
    epoch: int = 0
    since: str = ""
    by: str = ""

    def __post_init__(self) -> None:
        # What a file or a table holds may be anything; JSON's true is no number, though Python's is one.
        if self.owner not in OWNERS:
            raise ValueError("the owner is neither of " + ", ".join(OWNERS))
        epoch: Any = self.epoch
        if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 0:
            raise ValueError("the epoch is no count")
        texts: list[Any] = [self.since, self.by]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("since and by are no texts")


def fence_path(state_directory: str) -> str:
    """The file that decides on this host."""
    return os.path.join(state_directory, "fence.json")


def read_fence(state_directory: str, source: str) -> Fence:
    """The fence of a source; owned by ``postgresql`` with epoch 0 where it was never set.

    Raises DamagedFenceError for a file that cannot be understood.
    """
    return _read(fence_path(state_directory)).get(source, Fence())


def set_fence(state_directory: str, source: str, owner: str, by: str) -> Fence:
    """Give the sessions of a source to ``owner``; returns the new fence, durable by then. The epoch grows by one."""
    private_directory(state_directory)
    path = fence_path(state_directory)
    with exclusive_lock(os.path.join(state_directory, ".fence.lock"), LOCK_SECONDS):
        fences = _read(path)
        fence = Fence(owner, fences.get(source, Fence()).epoch + 1, utc_now(), by)
        fences[source] = fence
        write_private(path, _serialize(fences))
    return fence


def require_database(state_directory: str, source: str, doing: str) -> None:
    """Refuse to go on unless the sessions of a source belong to the database, as far as this host knows.

    ``doing`` is what for, as ``refresh the standby``. Raises FencedError.
    """
    _refuse_files(read_fence(state_directory, source), f"source {source!r}", doing)


def require_unmarked(connection: Any, layout: SessionLayout, doing: str) -> None:
    """Refuse to go on if the database itself says that its sessions belong to the files. Raises FencedError."""
    mark = read_mark(connection, layout)
    if mark is not None:
        _refuse_files(mark, f"the database (its table {layout.schema}.{MARK_TABLE})", doing)


def mark_database(connection: Any, layout: SessionLayout, source: str, fence: Fence) -> str | None:
    """Leave the fence in the database, in a transaction of its own; returns a warning where the role may not.

    The table is made if need be. Everybody may read it: a job under another role must see it too.
    """
    table = sql.Identifier(layout.schema, MARK_TABLE)
    refused = f"The mark {layout.schema}.{MARK_TABLE} could not be left in the database: the role may not create it"
    with _transaction(connection, refused) as (cursor, warnings):
        if not _mark_exists(cursor, layout):
            cursor.execute(
                sql.SQL(
                    "CREATE TABLE {} (source text NOT NULL, owner text NOT NULL, epoch integer NOT NULL,"
                    ' since text NOT NULL, "by" text NOT NULL)'
                ).format(table)
            )
            cursor.execute(sql.SQL("GRANT SELECT ON {} TO PUBLIC").format(table))
        # One row: a database has one owner, whatever each host calls it.
        cursor.execute(sql.SQL("DELETE FROM {}").format(table))
        row = (source, fence.owner, fence.epoch, fence.since, fence.by)
        cursor.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(table, sql.SQL(", ").join(map(sql.Literal, row))))
    return warnings[0] if warnings else None


def read_mark(connection: Any, layout: SessionLayout) -> Fence | None:
    """The fence that was left in the database, None if there is none. Does not end the transaction it is read in.

    Raises DamagedFenceError for a mark that cannot be understood or read, ConnectionFailedError.
    """
    try:
        rows = _read_mark(connection, layout)
    except psycopg2.Error as error:
        raise ConnectionFailedError(
            "The fence could not be read in the database: {}".format(" ".join(str(error).split())),
            transient=error.pgcode is None,
            stage="fence",
        ) from error
    try:
        fences = [Fence(*row) for row in rows]
    except ValueError as error:
        raise _damaged_mark(layout, str(error)) from error
    if len(fences) > 1:
        raise _damaged_mark(layout, "it holds %d rows" % len(fences))
    return fences[0] if fences else None


def _read_mark(connection: Any, layout: SessionLayout) -> list[Any]:
    with connection.cursor() as cursor:
        if not _mark_exists(cursor, layout):
            return []
        cursor.execute(
            "SELECT pg_catalog.has_table_privilege(pg_catalog.format('%%I.%%I', %s, %s), 'SELECT')",
            (layout.schema, MARK_TABLE),
        )
        if not cursor.fetchone()[0]:
            raise _damaged_mark(layout, "this role may not read it")
        table = sql.Identifier(layout.schema, MARK_TABLE)
        cursor.execute(sql.SQL('SELECT owner, epoch, since, "by" FROM {}').format(table))
        return list(cursor.fetchall())


def clear_mark(connection: Any, layout: SessionLayout) -> str | None:
    """Take the mark out of the database, in a transaction of its own; returns a warning where the role may not."""
    refused = f"The mark {layout.schema}.{MARK_TABLE} could not be removed: it belongs to another role"
    table = sql.Identifier(layout.schema, MARK_TABLE)
    with _transaction(connection, refused) as (cursor, warnings):
        if _mark_exists(cursor, layout):
            # That alone says whose they are. A dump that runs holds the table, so it may have to stay.
            cursor.execute(sql.SQL("UPDATE {} SET owner = %s").format(table), (POSTGRESQL,))
    if warnings:
        return warnings[0]
    busy = f"The empty mark {layout.schema}.{MARK_TABLE} stays in the database, because something reads it; drop it"
    with _transaction(connection, busy) as (cursor, warnings):
        cursor.execute("SET LOCAL lock_timeout = '2s'")
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
    return warnings[0] if warnings else None


def _mark_exists(cursor: Any, layout: SessionLayout) -> bool:
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s)",
        (layout.schema, MARK_TABLE),
    )
    return bool(cursor.fetchone()[0])


@contextlib.contextmanager
def _transaction(connection: Any, refused: str) -> Iterator[tuple[Any, list[str]]]:
    """A transaction of its own, and the list of what it was refused."""
    with contextlib.ExitStack() as stack:
        warnings = stack.enter_context(_told_as_warning(refused))
        stack.enter_context(connection)
        yield stack.enter_context(connection.cursor()), warnings


@contextlib.contextmanager
def _told_as_warning(refused: str) -> Iterator[list[str]]:
    """A role without the right is told of in the list that is given; every other error is an error."""
    warnings: list[str] = []
    try:
        yield warnings
    except psycopg2.Error as error:
        if error.pgcode not in (_INSUFFICIENT_PRIVILEGE, _LOCK_NOT_AVAILABLE):
            words = " ".join(str(error).split())
            raise ResilienceError(f"The fence could not be marked in the database: {words}", stage="fence") from error
        warnings.append(refused)


def _refuse_files(fence: Fence, whose: str, doing: str) -> None:
    if fence.owner != FILES:
        return
    raise FencedError(
        "Cannot %s: the sessions belong to the files since %s (epoch %d, by %s), says %s"
        % (doing, fence.since, fence.epoch, fence.by, whose),
        stage="fence",
        remedy="The service runs on files, which are newer than the database. Bring it back with the playbook "
        "emergency_rollforward, then run this again.",
    )


def _read(path: str) -> dict[str, Fence]:
    try:
        with open(path, "rb") as stream:
            raw = stream.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise explain_os_error(error, path, "read the fence").at_stage("fence") from error
    try:
        return _parse(json.loads(raw.decode("utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ResilienceError) as error:
        raise DamagedFenceError(
            f"The fence {path} is damaged ({type(error).__name__})",
            stage="fence",
            remedy="It says whether the service runs on the database or on files. Find out which, then write it by hand "
            "(docs/standby.md), or remove it if the service runs on the database.",
        ) from error


def _parse(document: Any) -> dict[str, Fence]:
    if document["fence_version"] != FENCE_VERSION:
        raise ValueError("another version of the format")
    fences = {str(name): Fence(**entry) for name, entry in document["sources"].items()}
    for fence in fences.values():
        as_utc(fence.since)
    return fences


def _serialize(fences: dict[str, Fence]) -> bytes:
    document = {
        "fence_version": FENCE_VERSION,
        "sources": {name: dataclasses.asdict(fences[name]) for name in sorted(fences)},
    }
    return (json.dumps(document, indent=2) + "\n").encode("ascii")


def _damaged_mark(layout: SessionLayout, why: str) -> DamagedFenceError:
    return DamagedFenceError(
        f"The mark {layout.schema}.{MARK_TABLE} in the database cannot be understood: {why}",
        stage="fence",
        remedy="It says whether the service runs on the database or on files. Find out which, then drop the table if the "
        "service runs on the database.",
    )
