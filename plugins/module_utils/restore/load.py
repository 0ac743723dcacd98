# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restore an archive into an empty database, as a whole or not at all, with PostgreSQL's own programs."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

from ..backup.decode import decoder_command, enlarge
from ..backup.describe import Manifest
from ..backup.pipes import Child
from ..postgres.client import ACCEPTING, ClientTools, ping
from ..postgres.settings import DRIVER_KEEPALIVES, ConnectionSettings
from ..reporting.progress import SILENT, Progress
from ..system.commands import minimal_environment
from ..system.errors import ProgramFailedError, SettingsError
from ..system.files import explain_os_error
from .load_words import gist_of, is_obstacle, remedy_for_load, said
from .older import beginning_without_it, is_older

WATCHED_SECONDS = 0.1
# How often it is asked whether the server still answers, and how many times it may not.
ASK_SECONDS = 20.0
MOST_SILENCES = 3
# What a role or a database may be set to and pg_restore does not set itself: nothing could be written, and an array's
# NULL would be read as a text.
_LOAD_PINS = "-c default_transaction_read_only=off -c array_nulls=on"
_TABLE_LINE = b"processing data for table"


class LoadError(ProgramFailedError):
    """The restore failed, and nothing was restored. ``obstacle`` tells that this says nothing against the archive."""

    obstacle = False


@dataclass(frozen=True)
class LoadOptions:
    """What is restored and how. More ``jobs`` than one restore in parallel, not in one transaction.

    Without ``owner``, ``privileges``, ``tablespaces``, ``comments`` these are left out; ``role`` is whom the objects then belong to.
    """

    jobs: int = 1
    owner: bool = True
    privileges: bool = True
    tablespaces: bool = True
    comments: bool = True
    role: str | None = None
    schemas: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    schema_only: bool = False

    @property
    def selects(self) -> bool:
        """Whether only a part of the archive is restored."""
        return bool(self.schemas or self.tables)

    def check(self, archive_format: str) -> None:
        """Raise SettingsError for what this format cannot do."""
        if archive_format != "plain":
            return
        asked = {
            "jobs": self.jobs > 1,
            "owner: false": not self.owner,
            "privileges: false": not self.privileges,
            "tablespaces: false": not self.tablespaces,
            "comments: false": not self.comments,
            "schemas": bool(self.schemas),
            "tables": bool(self.tables),
        }
        impossible = [name for name, wanted in asked.items() if wanted]
        if impossible:
            raise SettingsError(
                "A plain archive is restored as it stands; it cannot be combined with {}".format(", ".join(impossible)),
                stage="settings",
                remedy="Leave these out, or restore an archive of the custom or directory format.",
            )

    def program_options(self) -> list[str]:
        """The options of pg_restore that say what is taken from the archive."""
        words = []
        words += [] if self.owner else ["--no-owner"]
        words += [] if self.privileges else ["--no-privileges"]
        words += [] if self.tablespaces else ["--no-tablespaces"]
        words += [] if self.comments else ["--no-comments"]
        words += [f"--schema={name}" for name in self.schemas]
        for name in self.tables:
            schema, dot, table = name.rpartition(".")
            words += ([f"--schema={schema}"] if dot else []) + [f"--table={table}"]
        words += ["--schema-only"] if self.schema_only else []
        return words


def load_archive(
    path: str,
    manifest: Manifest,
    tools: ClientTools,
    settings: ConnectionSettings,
    options: LoadOptions,
    *,
    progress: Progress = SILENT,
) -> str:
    """Restore the archive into the database of ``settings``, which should be empty; returns the program's warnings.

    The first error ends it. Raises LoadError, SettingsError for what the format cannot do.
    """
    options.check(manifest["format"])
    with settings.program_environment() as (environment, inherited), contextlib.ExitStack() as stack:
        environment["PGOPTIONS"] += f" {_LOAD_PINS}"
        if options.role is not None:
            quoted = re.sub(r"([\\\s])", r"\\\1", options.role)
            environment["PGOPTIONS"] = f"{environment['PGOPTIONS']} -c role={quoted}"
        descriptors = list(inherited)
        target = _target(settings)
        older = is_older(manifest, settings)
        if manifest["format"] == "plain" or older:
            command = [tools.program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--no-password"]
            command += ["--single-transaction", f"--dbname={target}"]
            source = stack.enter_context(_script(path, manifest, tools, options))
            if older:
                beginning = stack.enter_context(beginning_without_it(source))
                command.append(f"--file=/dev/fd/{beginning}")
                descriptors.append(beginning)
            command.append("--file=-")
        else:
            command = [tools.program("pg_restore"), "--exit-on-error", "--no-password", f"--dbname={target}"]
            command += options.program_options()
            command += ["--single-transaction"] if options.jobs == 1 else [f"--jobs={options.jobs}"]
            command += [] if progress is SILENT else ["--verbose"]
            source = stack.enter_context(open_archive(path)) if manifest["format"] == "custom" else -1
            if manifest["format"] == "directory" or options.jobs > 1:
                # Several processes each open it for themselves.
                command.append(path)
        child = stack.enter_context(
            Child(
                command,
                environment,
                stdin=source if source >= 0 else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=tuple(descriptors),
                death_signal="KILL",
            )
        )
        own_source = source if manifest["format"] == "custom" and not older else -1
        _watch(child, own_source, progress, lambda: ping([tools], settings) in (ACCEPTING, None))
        return _judge(child)


def archive_script(path: str, tools: ClientTools, options: LoadOptions) -> list[str]:
    """The command that turns a custom or directory archive into the script of what would be restored."""
    return [tools.program("pg_restore"), "--file=-", *options.program_options(), path]


@contextlib.contextmanager
def _script(path: str, manifest: Manifest, tools: ClientTools, options: LoadOptions) -> Iterator[int]:
    """A descriptor with the script of an archive of any format."""
    if manifest["format"] == "plain":
        with plain_script(path, manifest, tools) as descriptor:
            yield descriptor
        return
    with Child(archive_script(path, tools, options), minimal_environment(), death_signal="KILL") as decoder:
        enlarge(decoder.stdout)
        yield decoder.stdout


@contextlib.contextmanager
def open_archive(path: str) -> Iterator[int]:
    """A descriptor of the archive's file. Raises ResilienceError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise explain_os_error(error, path, "read the archive") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def plain_script(path: str, manifest: Manifest, tools: ClientTools) -> Iterator[int]:
    """A descriptor with the script of a plain archive."""
    with contextlib.ExitStack() as stack:
        descriptor = stack.enter_context(open_archive(path))
        if manifest["compression"] != "none":
            command = decoder_command("plain", manifest["compression"], tools)
            decoder = stack.enter_context(Child(command, minimal_environment(), stdin=descriptor, death_signal="KILL"))
            descriptor = decoder.stdout
            enlarge(descriptor)
        yield descriptor


def _target(settings: ConnectionSettings) -> str:
    """The database as a connection string; a server that vanished is noticed within minutes."""
    words = dict(DRIVER_KEEPALIVES)
    if "dbname" in settings.parameters:
        words["dbname"] = settings.parameters["dbname"]
    return " ".join(
        "{}='{}'".format(name, value.replace("\\", "\\\\").replace("'", "\\'")) for name, value in words.items()
    )


def _watch(child: Child, source: int, progress: Progress, server_answers: Callable[[], bool]) -> None:
    """Wait for its end, telling how far it has come: it reads the very descriptor that we hold.

    Nothing tells a long statement from a server that has stopped answering; so that is asked beside it, now and then.
    """
    read, tables, silent, asked = 0, 0, 0, time.monotonic()
    while not child.ends_within(WATCHED_SECONDS if progress is not SILENT else ASK_SECONDS):
        if progress is not SILENT:
            words = child.words_from(read)
            whole = words[: words.rfind(b"\n") + 1]
            read += len(whole)
            tables += whole.count(_TABLE_LINE)
            # The last one begun is not done.
            progress.advance(max(0, tables - 1), os.lseek(source, 0, os.SEEK_CUR) if source >= 0 else 0)
        if time.monotonic() - asked >= ASK_SECONDS:
            silent = 0 if server_answers() else silent + 1
            asked = time.monotonic()
        if silent == MOST_SILENCES:
            error = LoadError(
                f"The server that is restored to has not answered for {MOST_SILENCES * ASK_SECONDS:g} s",
                stage="restore",
                remedy="See whether it hangs, then run again.",
                cmd=child.command,
            )
            error.obstacle = True
            raise error


def _judge(child: Child) -> str:
    rc = child.wait()
    lines = said(child.messages())
    if rc == 0:
        return "\n".join(line for line in lines if "error:" in line or "warning:" in line or "WARNING" in line)
    gist = " ".join(gist_of(lines)) or "no message"
    error = LoadError(
        f"{os.path.basename(child.command[0])} failed with {child.ending()}: {gist}",
        stage="restore",
        remedy=remedy_for_load(gist),
        cmd=child.command,
        rc=rc,
        stderr="\n".join(lines),
    )
    error.obstacle = rc < 0 or is_obstacle(gist)
    raise error
