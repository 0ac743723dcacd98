# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof: dump the restored database again and compare. ``dump(restore(x)) = x``.

Rows by the digest of every table's ``COPY`` block, definitions entry by entry, sequences by value, large objects
by a digest of their own. What a dump does not hold, or a restore makes anew, is named as not covered.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

from ..backup.contents import Contents, TableName
from ..backup.decode import enlarge
from ..backup.describe import Manifest, contents_of
from ..backup.pipes import Child
from ..backup.script import ScriptReader
from ..postgres.client import ClientTools
from ..postgres.settings import ConnectionSettings
from ..reporting.progress import SILENT, Progress
from ..system.commands import minimal_environment
from ..system.errors import ArchiveError, ProgramFailedError
from .comparison import Comparison, TableComparison, compare_large_objects, compare_sequences, compare_tables
from .entries import Entries, EntryCollector, compare_entries, tell_rewritten
from .load import LoadOptions, archive_script, load_archive, plain_script
from .uncovered import not_covered
from .unlike import explain_unlike

# Lines of pg_restore's list: number, two object identifiers, type, schema, name, owner.
_OF_LARGE_OBJECTS = re.compile(rb"\d+; \d+ \d+ (BLOB METADATA|BLOB|(ACL|COMMENT|SECURITY LABEL) - LARGE OBJECTS?) ")

# Makes another empty database to restore into, for as long as the block lasts.
OneMore = Callable[[], contextlib.AbstractContextManager[ConnectionSettings]]


@dataclass(frozen=True)
class Dumped:
    """What a second dump shows: data, the columns of every table as dumped, and definitions."""

    contents: Contents
    columns: Mapping[TableName, bytes]
    entries: Entries


def compare(
    path: str,
    manifest: Manifest,
    tools: ClientTools,
    settings: ConnectionSettings,
    options: LoadOptions | None = None,
    *,
    one_more: OneMore | None = None,
    progress: Progress = SILENT,
) -> Comparison:
    """Compare the database of ``settings``, restored from the archive with ``options``, with the archive.

    ``one_more`` allows to tell what the server spells differently by itself from what was altered; without it
    both count as a difference. Raises ResilienceError when the comparison cannot be made.
    """
    options = options or LoadOptions()
    expected = _expected(path, manifest, tools, options)
    progress.step("compare", len(manifest["tables"]), int(manifest.get("content_bytes") or 0))
    dumped = dump_again(manifest, tools, settings, options, progress)
    schema = compare_entries(expected.entries, dumped.entries)
    if schema.changed and one_more is not None:
        schema = tell_rewritten(schema, _entries_again(path, manifest, tools, options, one_more), options.owner)
    tables = tuple(
        _without_rows(table, expected.entries) for table in compare_tables(expected.contents, dumped.contents)
    )
    if any(table.outcome == "changed" for table in tables):
        tables = explain_unlike(path, manifest, tools, settings, tables, dumped.columns)
    return Comparison(
        tables=tables,
        schema=schema,
        sequences=len(expected.contents.sequences),
        sequence_problems=tuple(compare_sequences(expected.contents, dumped.contents)),
        large_objects=expected.contents.large_objects,
        large_object_bytes=expected.contents.large_object_bytes,
        large_object_problems=tuple(compare_large_objects(expected.contents, dumped.contents)),
        not_covered=tuple(not_covered(settings, manifest)),
    )


def _without_rows(table: TableComparison, archive: Entries) -> TableComparison:
    """An unlogged table whose rows are not in the archive, because a standby, from which it was made, has none."""
    definition = "".join(archive.get("TABLE {} {}".format(*table.name), ()))
    if table.outcome == "unexpected" and not table.rows and "CREATE UNLOGGED TABLE" in definition:
        return dataclasses.replace(
            table, outcome="equal", rows_expected=0, detail="rows of an unlogged table are not in it"
        )
    return table


def dump_again(
    manifest: Manifest,
    tools: ClientTools,
    settings: ConnectionSettings,
    options: LoadOptions,
    progress: Progress = SILENT,
) -> Dumped:
    """Dump the database of ``settings`` and measure what is in it. Raises ProgramFailedError, ArchiveError."""
    command = [tools.program("pg_dump"), "--format=plain", "--no-password"]
    # As at the backup: not that of the session, which the database may have set.
    command += ["--encoding={}".format(manifest["encoding"])] if manifest.get("encoding") else []
    command += [] if options.owner else ["--no-owner"]
    command += [] if options.privileges else ["--no-privileges"]
    command += [] if options.tablespaces else ["--no-tablespaces"]
    command += [] if options.comments else ["--no-comments"]
    command += ["--schema-only"] if options.schema_only else []
    with settings.program_environment() as (environment, descriptors):
        return _read_script(command, environment, descriptors, progress)


def _read_script(
    command: list[str], environment: Mapping[str, str], descriptors: tuple[int, ...] = (), progress: Progress = SILENT
) -> Dumped:
    collector = EntryCollector()
    reader = ScriptReader(collector.line)
    with Child(command, environment, pass_fds=descriptors, death_signal="KILL") as child:
        enlarge(child.stdout)
        while reader.feed_from(child.stdout):
            if progress is not SILENT:
                progress.advance(*reader.progress)
        rc = child.wait()
        if rc != 0:
            messages = child.messages()
            raise ProgramFailedError(
                f"{command[0].rpartition('/')[2]} failed with {child.ending()}: {messages or 'no message'}",
                stage="compare",
                remedy="See the message, then run again.",
                cmd=command,
                rc=rc,
                stderr=messages,
            )
    return _measured(reader, collector)


def _measured(reader: ScriptReader, collector: EntryCollector) -> Dumped:
    contents = reader.finish()
    if not reader.complete:
        raise ArchiveError('The script lacks its end, the line "PostgreSQL database dump complete"', stage="compare")
    return Dumped(contents, reader.columns(), collector.entries())


@dataclass(frozen=True)
class _Expected:
    contents: Contents
    entries: Entries


def _expected(path: str, manifest: Manifest, tools: ClientTools, options: LoadOptions) -> _Expected:
    """Data as the manifest has it (its archive's hash was just read) and definitions from the archive itself."""
    if options.selects:
        # Which of the tables were taken is pg_restore's to say.
        whole = _read_script(archive_script(path, tools, options), minimal_environment())
        return _Expected(whole.contents, whole.entries)
    return _Expected(contents_of(manifest), archive_entries(path, manifest, tools, options))


def archive_entries(path: str, manifest: Manifest, tools: ClientTools, options: LoadOptions) -> Entries:
    """The definitions in an archive."""
    if manifest["format"] == "plain":
        collector = EntryCollector()
        reader = ScriptReader(collector.line)
        with plain_script(path, manifest, tools) as descriptor:
            while reader.feed_from(descriptor):
                pass
        return _measured(reader, collector).entries
    schema_only = LoadOptions(
        owner=options.owner,
        privileges=options.privileges,
        tablespaces=options.tablespaces,
        comments=options.comments,
        schema_only=True,
    )
    entries = _read_script(archive_script(path, tools, schema_only), minimal_environment()).entries
    if (manifest.get("large_objects") or {}).get("count"):
        # To pg_restore they are data, with owner, privileges and comments.
        return {**entries, **_large_object_entries(path, tools, options)}
    return entries


def _large_object_entries(path: str, tools: ClientTools, options: LoadOptions) -> Entries:
    """The definitions of large objects in an archive, without their content."""
    with Child([tools.program("pg_restore"), "--list", path], minimal_environment(), death_signal="KILL") as child:
        with open(child.stdout, "rb", closefd=False) as stream:
            lines = [line for line in stream if _OF_LARGE_OBJECTS.match(line)]
        child.wait()
    chosen = os.memfd_create("list")
    try:
        os.write(chosen, b"".join(lines))
        command = [*archive_script(path, tools, options), f"--use-list=/proc/self/fd/{chosen}"]
        return _read_script(command, minimal_environment(), (chosen,)).entries
    finally:
        os.close(chosen)


def _entries_again(
    path: str, manifest: Manifest, tools: ClientTools, options: LoadOptions, one_more: OneMore
) -> Entries:
    with one_more() as settings:
        again = LoadOptions(
            owner=options.owner,
            privileges=options.privileges,
            tablespaces=options.tablespaces,
            comments=options.comments,
            role=options.role,
            schemas=options.schemas,
            tables=options.tables,
            schema_only=manifest["format"] != "plain",
        )
        load_archive(path, manifest, tools, settings, again)
        return dump_again(manifest, tools, settings, again).entries
