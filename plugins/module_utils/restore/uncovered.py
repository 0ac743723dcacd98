# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a proof does not cover, found in the restored database and named in every report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..backup.describe import Manifest
from ..postgres.databases import working_session
from ..postgres.settings import ConnectionSettings

MOST_NAMES = 10


def not_covered(settings: ConnectionSettings, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Pairs of what is not covered and why. Raises ConnectionFailedError."""
    with contextlib.closing(working_session(settings)) as connection, connection.cursor() as cursor:
        yield from _materialised_views(cursor)
        generated = _names(
            cursor,
            """
            SELECT DISTINCT a.attrelid::regclass::text || '.' || a.attname FROM pg_catalog.pg_attribute a
            JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            WHERE a.attgenerated <> '' AND NOT a.attisdropped AND c.relkind IN ('r', 'p') ORDER BY 1
            """,
        )
        if generated:
            yield f"values of generated columns: {generated}", "the server computes them anew"
        foreign = _names(cursor, "SELECT oid::regclass::text FROM pg_catalog.pg_class WHERE relkind = 'f' ORDER BY 1")
        if foreign:
            yield f"rows behind foreign tables: {foreign}", "they are on another server; a dump holds the definition"
        extensions = ", ".join(item["extension"] for item in manifest.get("extensions", []))
        if extensions:
            yield (
                f"what belongs to extensions: {extensions}",
                "a dump holds CREATE EXTENSION, and of their tables the rows that the extension names",
            )
    yield "statistics of the planner", "ANALYZE makes them anew"
    yield (
        "settings, comment, privileges and connection limit of the database itself",
        "a dump of one database does not hold them",
    )
    yield "whether subscriptions are enabled", "a dump holds them disabled"
    yield "roles, passwords, tablespaces and settings of the server", "they are not part of a database"


def _materialised_views(cursor: Any) -> Iterator[tuple[str, str]]:
    cursor.execute("SELECT oid::regclass::text, relispopulated FROM pg_catalog.pg_class WHERE relkind = 'm' ORDER BY 1")
    views = cursor.fetchall()
    for name, populated in views:
        state = "not populated, as in the archive"
        if populated:
            # The name comes quoted from the server.
            cursor.execute(f"SELECT count(*) FROM {name}")  # noqa: S608
            state = "%d rows after its refresh" % cursor.fetchone()[0]
        yield (
            f"contents of the materialised view {name} ({state})",
            "a dump holds its definition; the restore computed the contents anew",
        )


def _names(cursor: Any, query: str) -> str:
    cursor.execute(query)
    names = [name for (name,) in cursor.fetchall()]
    return ", ".join(names[:MOST_NAMES]) + (
        " and %d more" % (len(names) - MOST_NAMES) if len(names) > MOST_NAMES else ""
    )
