# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Delete rows in batches that hold nobody up.

The table is walked once, page by page, in the order in which it lies on the disk. That is a keyset that every table has,
whatever its indexes, and each page is looked at once. Batches that ask for "the next 1,000 old rows" find the rows that
they have just deleted again, for as long as some other transaction may still see them: measured at 20 times the time.

A row that the application holds is left for the next run. Nearly always there is none in a batch, so the batch first
tries without looking, and gives up after a few milliseconds of waiting; only then does it lock the free rows first, which
costs as much again as deleting them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from ..postgres.connection import translate
from ..system.errors import ResilienceError, SettingsError
from .deletable import Deletable
from .keys_table import LOCK_SECONDS, KeysTable
from .layout import SessionLayout
from .taken_apart import over_parts

try:
    import psycopg2
    from psycopg2 import sql
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# At most so many pages (512 kB) in one batch. The first change of a page after a checkpoint writes all of it to the log,
# and a commit of the application waits for what is being written there: beside batches of 256 pages its 99th percentile
# was 4.7 times the undisturbed one, beside 64 it was 1.8 times. No batch takes longer than some 15 ms for it either.
MOST_PAGES = 64
# How long a batch waits for a row that the application holds, in milliseconds.
ROW_WAIT_MS = 10
# By place is the only way that looks at each page once; the server would take an index for the first batches.
_WAY = {"enable_seqscan": "off", "enable_indexscan": "off", "enable_indexonlyscan": "off", "enable_bitmapscan": "off"}
# SQLSTATE of a lock that was waited for too long.
_LOCK_NOT_AVAILABLE = "55P03"
_QUERY_CANCELED = "57014"


@dataclass(frozen=True)
class Pace:
    """About how many rows go in a batch; seconds to pause after each; seconds after which a batch is given up."""

    batch_size: int = 1000
    pause: float = 0.0001
    statement_timeout: float = 30.0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("batch_size", self.batch_size, 1),
            ("pause", self.pause, 0),
            ("statement_timeout", self.statement_timeout, 0.1),
        ):
            if value < least:
                raise SettingsError(f"{name} is {value:g}", stage="settings", remedy=f"Give at least {least:g}.")


@dataclass
class Done:
    """What has been deleted so far: rows by type, in how many batches."""

    deleted: dict[str, int] = field(default_factory=dict)
    batches: int = 0

    @property
    def keys(self) -> int:
        """How many rows."""
        return sum(self.deleted.values())


def delete_in_batches(
    table: KeysTable, deletable: Deletable, expected: int, pace: Pace, permit: Callable[[], None]
) -> Done:
    """Delete what may go; ``permit`` is asked before every batch and raises where the rest must stay.

    Raises ResilienceError that says how far it came.
    """
    done = Done()
    try:
        with table.connection.cursor() as cursor:
            _set(cursor, dict(_WAY, statement_timeout="%dms" % round(pace.statement_timeout * 1000)))
            _prepare(cursor, table, deletable)
            for first, last in _ranges(table.pages(), expected, pace.batch_size, done):
                permit()
                rows = _delete(cursor, first, last)
                done.batches += 1
                for key_type, keys in rows:
                    done.deleted[key_type] = done.deleted.get(key_type, 0) + keys
                if rows:
                    time.sleep(pace.pause)
            _set(cursor, dict.fromkeys(_WAY, "on"))
            _set(cursor, {"statement_timeout": "0"})
    except psycopg2.Error as error:
        raise _stopped(table, error, done, expected) from error
    return done


def _ranges(pages: int, expected: int, batch_size: int, done: Done) -> Iterator[tuple[int, int]]:
    """Ranges of pages, each as long as the one before it says that it should be to hold a batch."""
    first, length = 0, batch_size * pages // expected
    while first < pages:
        last = min(pages, first + max(1, min(length, MOST_PAGES)))
        before = done.keys
        yield first, last
        found = done.keys - before
        length = (last - first) * 2 if 2 * found <= batch_size else (last - first) * batch_size // found
        first = last


def _prepare(cursor: Any, table: KeysTable, deletable: Deletable) -> None:
    parts = {
        "keys": table.layout.keys_relation(),
        "condition": deletable.condition(),
        "type": over_parts(table.layout, SessionLayout.type_expression),
    }
    # The condition once more in the deletion itself: a row that is written while the deletion waits for it is judged anew.
    place = sql.SQL("ctid >= $1 AND ctid < $2 AND ({condition})").format(**parts)
    free = sql.SQL("SELECT ctid AS place FROM ONLY {keys} WHERE {} FOR UPDATE SKIP LOCKED").format(place, **parts)
    ways = {
        "quick": (sql.SQL(""), place),
        "careful": (
            sql.SQL("free AS MATERIALIZED ({}),").format(free),
            sql.SQL("ctid = ANY (ARRAY(SELECT place FROM free))"),
        ),
    }
    for name, (before, which) in ways.items():
        cursor.execute(
            sql.SQL(
                "PREPARE {}(tid, tid) AS WITH {} gone AS ("
                "DELETE FROM ONLY {keys} WHERE {} RETURNING {type} AS key_type)"
                " SELECT key_type, count(*) FROM gone GROUP BY 1"
            ).format(sql.Identifier(f"delete_{name}"), before, which, **parts)
        )
    # Planned once: by place is the plan, whichever pages.
    _set(cursor, {"lock_timeout": "%dms" % ROW_WAIT_MS, "plan_cache_mode": "force_generic_plan"})


def _delete(cursor: Any, first: int, last: int) -> list[tuple[str, int]]:
    """Delete what may go on the pages from ``first`` to before ``last``; rows are (type, keys)."""
    places = ("(%d,0)" % first, "(%d,0)" % last)
    try:
        cursor.execute("EXECUTE delete_quick(%s, %s)", places)
    except psycopg2.Error as error:
        if error.pgcode != _LOCK_NOT_AVAILABLE:
            raise
        # Now it is only the table itself that is waited for.
        _set(cursor, {"lock_timeout": "%dms" % (LOCK_SECONDS * 1000)})
        cursor.execute("EXECUTE delete_careful(%s, %s)", places)
        rows = list(cursor.fetchall())
        _set(cursor, {"lock_timeout": "%dms" % ROW_WAIT_MS})
        return rows
    return list(cursor.fetchall())


def _set(cursor: Any, settings: Mapping[str, str]) -> None:
    for name, value in settings.items():
        cursor.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))


def _stopped(table: KeysTable, error: Exception, done: Done, expected: int) -> ResilienceError:
    told = translate(error, table.settings, f"delete keys of {table.name()}")
    remedies = {
        _LOCK_NOT_AVAILABLE: "Something holds the whole table locked (ALTER TABLE, VACUUM FULL, a restore): see what.",
        _QUERY_CANCELED: "Lower batch_size, or raise statement_timeout.",
    }
    remedy = remedies.get(getattr(error, "pgcode", None) or "", told.remedy or "See the server's log.")
    told.message += ". %d of %d keys were deleted before" % (done.keys, expected)
    told.args = (told.message,)
    told.remedy = f"{remedy} What was deleted is complete; the next run goes on."
    return told.at_stage("delete")
