# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run pg_dump, and read what it writes while it writes it.

One pass: every piece of the archive is hashed, written to the file, and handed to the program that decodes
it; the decoded script is counted and digested on its way. What the server sent, what lies on disk and what
can be read back are thus one and the same stream.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..postgres.client import ClientTools, supports_compression
from ..postgres.connection import remedy_for
from ..postgres.settings import ConnectionSettings
from ..postgres.snapshot import Snapshot
from ..system.errors import ProgramFailedError, SettingsError
from .decode import Decoded, decode_file_set, pump
from .pipes import Child

# Measured on realistic session values (benchmarks/): zstd at level 1 is several times as fast as gzip and
# no larger; higher levels take twice the time for the same size.
DEFAULT_LEVELS: dict[str, int | None] = {"zstd": 1, "lz4": None, "gzip": None, "none": None}


@dataclass(frozen=True)
class DumpPlan:
    """How the archive is written. ``level`` None means the algorithm's own default; ``jobs`` is for directory."""

    format: str
    compression: str
    level: int | None
    jobs: int = 1


@dataclass(frozen=True)
class Dumped:
    """What was written and what it holds. ``arguments`` are pg_dump's, without secrets; ``messages`` its stderr."""

    decoded: Decoded
    arguments: tuple[str, ...]
    messages: str


def plan_dump(
    tools: ClientTools, archive_format: str, compression: str, level: int | None, jobs: int
) -> tuple[DumpPlan, tuple[str, ...]]:
    """Settle format and compression against what this client can do; returns the plan and warnings.

    ``compression`` ``auto`` takes zstd, and gzip where the client has no zstd. Raises SettingsError for
    what this client cannot do or what contradicts itself.
    """
    warnings: list[str] = []
    if compression == "auto" and archive_format == "plain":
        # The classic .sql.gz, which every host can read; zstd and lz4 need programs of their own.
        compression = "gzip"
    elif compression == "auto":
        compression = "zstd"
        if not supports_compression(tools, "zstd"):
            compression = "gzip"
            warnings.append(
                f"The client {tools.version} in {tools.directory} was built without zstd; gzip is used, several times slower."
            )
    elif not supports_compression(tools, compression):
        raise SettingsError(
            f"The client {tools.version} in {tools.directory} cannot compress with {compression}",
            stage="version",
            remedy=f"Choose compression=auto, or install a client with {compression}, as the packages of Debian and of the "
            "PostgreSQL project are.",
        )
    if jobs > 1 and archive_format != "directory":
        raise SettingsError(
            "jobs=%d needs format=directory" % jobs,
            stage="settings",
            remedy="Set format=directory, or leave jobs at 1.",
        )
    if level is not None and compression == "none":
        raise SettingsError(
            "A compression_level was given with compression=none", stage="settings", remedy="Leave one of them out."
        )
    return DumpPlan(archive_format, compression, DEFAULT_LEVELS[compression] if level is None else level, jobs), tuple(
        warnings
    )


def dump_arguments(plan: DumpPlan, tools: ClientTools, snapshot: Snapshot, lock_timeout: float) -> list[str]:
    """pg_dump's arguments; they hold no secret and no connection parameter."""
    if tools.version.major >= 16:
        compress = plan.compression if plan.level is None else "%s:%d" % (plan.compression, plan.level)
    elif plan.compression == "none":
        compress = "0"
    else:
        compress = str(6 if plan.level is None else plan.level)
    arguments = [
        f"--format={plan.format}",
        f"--compress={compress}",
        # Not that of the session, which a database or a role may have set to one that cannot carry every value.
        f"--encoding={snapshot.server.encoding}",
        f"--snapshot={snapshot.identifier}",
        "--lock-wait-timeout=%d" % max(1, round(lock_timeout * 1000)),
        "--no-password",
    ]
    if plan.format == "directory":
        arguments.append("--jobs=%d" % plan.jobs)
    return arguments


def run_dump(
    plan: DumpPlan,
    tools: ClientTools,
    settings: ConnectionSettings,
    snapshot: Snapshot,
    target: str,
    *,
    lock_timeout: float,
    stall_timeout: float,
    lock_descriptor: int,
) -> Dumped:
    """Write the archive to ``target`` (which must not exist) and read it back on the way.

    Both timeouts are in seconds: how long to wait for a locked table, and how long pg_dump may be silent.
    The children inherit ``lock_descriptor``. Raises ProgramFailedError when pg_dump or the decoder fails,
    ArchiveError when the archive cannot be decoded, ResilienceError when it cannot be written.
    """
    arguments = dump_arguments(plan, tools, snapshot, lock_timeout)
    with settings.program_environment() as (environment, descriptors):
        command = [tools.program("pg_dump")] + arguments
        keep = descriptors + (lock_descriptor,)
        if plan.format == "directory":
            messages = _dump_directory(command + [f"--file={target}"], environment, keep, stall_timeout)
            decoded = decode_file_set(target, tools, lock_descriptor)
        else:
            # Asked to end, pg_dump first tells the server; on a dead network it would wait for the answer, and
            # hold the lock, long after we were gone. (In a directory it has workers to end before that.)
            with Child(command, environment, pass_fds=keep, death_signal="KILL") as dump:
                decoded = pump(
                    dump.stdout,
                    plan.format,
                    plan.compression,
                    tools,
                    target=target,
                    stall_timeout=stall_timeout,
                    lock_descriptor=lock_descriptor,
                    judge_source=lambda: _judge(dump),
                )
                messages = dump.messages()
    return Dumped(decoded, tuple(arguments), messages)


def _dump_directory(
    command: list[str], environment: dict[str, str], descriptors: tuple[int, ...], stall_timeout: float
) -> str:
    # pg_dump makes the directory itself and gives it and its files the modes the umask leaves.
    previous = os.umask(0o077)
    try:
        with Child(command, environment, pass_fds=descriptors) as dump:
            dump.wait_for_silence(stall_timeout, watch=command[-1].split("=", 1)[1])
            _judge(dump)
            return dump.messages()
    finally:
        os.umask(previous)


def _judge(dump: Child) -> None:
    """Raise what pg_dump's end means, unless it is a good one."""
    rc = dump.wait()
    if rc == 0:
        return
    messages = dump.messages()
    raise ProgramFailedError(
        "pg_dump failed with {}: {}".format(dump.ending(), _gist(messages) or "no message"),
        stage="dump",
        remedy=remedy_for(messages) or _remedy(messages, rc),
        cmd=dump.command,
        rc=rc,
        stderr=messages,
    )


def _gist(messages: str) -> str:
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    errors = [line for line in lines if any(word in line for word in ("error:", "detail:", "FATAL", "ERROR"))]
    return " ".join((errors or lines)[:4])


def _remedy(messages: str, rc: int) -> str | None:
    if "lock timeout" in messages or "LOCK TABLE" in messages:
        return "Something holds a table locked: end it, or raise table_lock_timeout; then run again."
    if "row-level security" in messages:
        return "Back up as the owner of the tables, or as a role with BYPASSRLS."
    if "permission denied" in messages or "lack SELECT privilege" in messages:
        return "Grant the role SELECT on what is named above, or back up as the owner."
    if "server closed the connection" in messages or "terminating connection" in messages:
        return "The server went away during the dump; see its log, then run again."
    if "No space left" in messages:
        return "Free space on the file system of the backup root, then run again."
    if rc < 0:
        return "Something on this host ended pg_dump (out of memory? see the kernel's log); then run again."
    return "Run the same command by hand to see more, then run the backup again."
