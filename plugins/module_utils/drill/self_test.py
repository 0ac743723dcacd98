# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The detector is tested too: plant known damage in a copy, and see that the drill catches it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

from ..backup.catalogue import Archive
from ..backup.contents import TableName
from ..postgres.connection import connect
from ..postgres.scratch_place import choose_base, scratch_directory
from ..postgres.settings import ConnectionSettings
from ..reporting.progress import SILENT, Progress
from ..system.commands import minimal_environment, run
from ..system.errors import ResilienceError
from ..system.files import explain_os_error
from .drill import SUSPECT, Between, DrillRequest, drill_archive

try:
    import psycopg2
    from psycopg2 import sql
except ImportError:
    # connect says so by name before any damage is planted.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# How a value of a type is changed into another one of that type.
_CHANGES = {
    "text": "{0} || 'x'",
    "varchar": "{0} || 'x'",
    "bpchar": "'x' || {0}",
    "bool": "NOT {0}",
    "int2": "{0} # 1",
    "int4": "{0} # 1",
    "int8": "{0} # 1",
    "numeric": "{0} + 1",
    "float8": "{0} + 1",
    "bytea": "{0} || '\\x00'::bytea",
    "jsonb": "pg_catalog.jsonb_build_array({0})",
    "json": "pg_catalog.json_build_array({0})",
    "uuid": "pg_catalog.gen_random_uuid()",
    "date": "{0} + 1",
    "timestamp": "{0} + interval '1 second'",
    "timestamptz": "{0} + interval '1 second'",
}


class UnplantedError(ResilienceError):
    """The damage could not be planted in this database, which says nothing about the detector."""


def self_test(
    request: DrillRequest, archive: Archive, progress: Progress = SILENT
) -> tuple[list[dict[str, Any]], list[str]]:
    """Plant each damage in turn; returns whether each was caught, and what could not be planted and why.

    The archive itself is only read; nothing is marked. Raises ResilienceError when no copy can be made.
    """
    outcomes: list[dict[str, Any]] = []
    unplanted: list[str] = []
    for damage, spoil in (("truncated file", _truncate), ("one flipped bit", _flip)):
        with _copy_of(archive, request.scratch_directory) as copy:
            spoil(_largest_file(copy.path))
            outcomes.append(_outcome(damage, drill_archive(request, copy, progress), None))
    for damage, plant in (("missing table", _drop_table), ("one changed value", _change_value)):
        where: list[TableName] = []
        result = drill_archive(request, archive, progress, _planted(plant, archive, where))
        if where:
            outcomes.append(_outcome(damage, result, where[0]))
        else:
            unplanted.append(f"{damage}: {result['obstacle'] or '; '.join(result['problems'])}")
    return outcomes, unplanted


def _outcome(damage: str, result: dict[str, Any], table: TableName | None) -> dict[str, Any]:
    problems = [one for one in result["problems"] if table is None or ".".join(table) in one]
    return {
        "damage": damage if table is None else "{} ({}.{})".format(damage, *table),
        "caught": result["verdict"] == SUSPECT and bool(problems),
        "how": problems[0] if problems else result["obstacle"] or "the drill found nothing wrong",
    }


@contextlib.contextmanager
def _copy_of(archive: Archive, base: str | None) -> Iterator[Archive]:
    with scratch_directory(choose_base(archive.size_bytes, base, None), None) as place:
        path = os.path.join(place, os.path.basename(archive.path))
        done = run(
            ["cp", "--recursive", "--reflink=auto", "--no-dereference", "--", archive.path, path], minimal_environment()
        )
        if done.rc != 0:
            raise ResilienceError(
                f"Cannot copy the archive for the self test: {done.stderr.strip()}",
                stage="self_test",
                remedy=f"See that there is room in {place}.",
            )
        yield dataclasses.replace(archive, path=path)


def _largest_file(path: str) -> str:
    if not os.path.isdir(path):
        return path
    return max((entry.path for entry in os.scandir(path)), key=os.path.getsize)


def _truncate(path: str) -> None:
    try:
        os.truncate(path, os.path.getsize(path) // 2)
    except OSError as error:
        raise explain_os_error(error, path, "truncate the copy") from error


def _flip(path: str) -> None:
    try:
        with open(path, "r+b") as stream:
            stream.seek(os.path.getsize(path) // 2)
            byte = stream.read(1)
            stream.seek(-1, os.SEEK_CUR)
            stream.write(bytes([byte[0] ^ 1]))
    except OSError as error:
        raise explain_os_error(error, path, "flip a bit of the copy") from error


def _planted(plant: Any, archive: Archive, where: list[TableName]) -> Between:
    """What a drill calls between restore and comparison; notes the table that was damaged in ``where``."""
    tables = archive.manifest["tables"] if archive.manifest else []
    names = [
        (item["schema"], item["table"]) for item in sorted(tables, key=lambda one: int(one["bytes"])) if item["rows"]
    ]

    def between(settings: ConnectionSettings) -> None:
        with contextlib.closing(connect(settings)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            with contextlib.suppress(psycopg2.Error):
                # A superuser's: on a staging server triggers may see the change.
                cursor.execute("SET session_replication_role = replica")
            for name in names:
                if plant(cursor, name):
                    where.append(name)
                    return
        raise UnplantedError("no table of this database could be damaged so", stage="self_test")

    return between


def _drop_table(cursor: Any, name: TableName) -> bool:
    try:
        cursor.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(*name)))
    except psycopg2.Error:
        # A table of an extension.
        return False
    return True


def _change_value(cursor: Any, name: TableName) -> bool:
    cursor.execute(
        """
        SELECT a.attname, t.typname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attgenerated = '' AND a.attidentity <> 'a'
        ORDER BY a.attnum DESC
        """,
        (sql.Identifier(*name).as_string(cursor),),
    )
    for column, kind in cursor.fetchall():
        if kind not in _CHANGES:
            continue
        field = sql.Identifier(column)
        statement = sql.SQL(
            "UPDATE {table} SET {field} = {change} WHERE ctid = (SELECT min(ctid) FROM {table} WHERE {field} IS NOT NULL)"
        ).format(
            table=sql.Identifier(*name),
            field=field,
            change=sql.SQL(
                _CHANGES[kind].replace("{0}", field.as_string(cursor).replace("{", "{{").replace("}", "}}"))
            ),
        )
        try:
            cursor.execute(statement)
        except psycopg2.Error:
            # A constraint or a length is in the way; another column may do.
            continue
        if cursor.rowcount == 1:
            return True
    return False
