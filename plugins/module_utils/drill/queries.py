# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of the user's own on a restored database: a query, and the one value it must give."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..postgres.connection import connect
from ..postgres.settings import ConnectionSettings
from ..restore.load_words import said

try:
    import psycopg2
except ImportError:
    # connect says so by name before any query is run.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Query:
    """``expected`` is compared as text with the first column of the first row."""

    name: str
    query: str
    expected: str


def run_queries(settings: ConnectionSettings, queries: Sequence[Query]) -> list[dict[str, Any]]:
    """The outcome of each, read-only. A query that fails is a check that did not hold."""
    outcomes = []
    with contextlib.closing(connect(settings)) as connection:
        connection.set_session(readonly=True, autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", (f"{TIMEOUT_SECONDS}s",))
            for query in queries:
                outcomes.append(_run(cursor, query))
    return outcomes


def _run(cursor: Any, query: Query) -> dict[str, Any]:
    actual, problem = None, None
    try:
        cursor.execute(query.query)
        row = cursor.fetchone() if cursor.description else None
        actual = None if row is None else _as_text(row[0])
        if actual != query.expected:
            problem = f'the check "{query.name}" gave {actual!r}, {query.expected!r} expected'
    except psycopg2.Error as error:
        # The server's own words may quote a row.
        words = " ".join(said("ERROR:  %s" % (error.diag.message_primary or str(error).partition("\n")[0])))
        problem = f'the check "{query.name}" failed: {words.partition(":")[2].strip()}'
    return {
        "name": query.name,
        "query": query.query,
        "expected": query.expected,
        "actual": actual,
        "held": problem is None,
        "problem": problem,
    }


def _as_text(value: Any) -> str:
    if value is None:
        return "NULL"
    # As psql and YAML write them.
    return str(value).lower() if isinstance(value, bool) else str(value)
