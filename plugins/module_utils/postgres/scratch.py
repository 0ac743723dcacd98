# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scratch server: a throwaway PostgreSQL on a Unix socket in a private directory, tuned for loading.

It needs no root, keeps nothing and survives nobody: it ends when its block does, the kernel ends it when its
owner is killed, and the next run removes the directory that then stays behind.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..system.commands import Account, minimal_environment, service_account, start
from ..system.errors import ProgramFailedError
from . import scratch_place
from .connection import connect
from .scratch_data import SUPERUSER, copy_template, new_data, template_path
from .scratch_place import DATA_NAME, SOCKET_NAME, choose_base, collect, scratch_directory
from .server_programs import ServerPrograms, copy_installation, find_server, runnable_by_others
from .settings import ConnectionSettings

# What is restored may run code, as functions in constraints and indexes do: better as a user whom nothing else runs as.
# Packages of PostgreSQL bring the last, which may own a real cluster.
ACCOUNTS = ("baileys-resilience", "nobody", "postgres")
PORT = 5432
POLL_SECONDS = 0.003
START_SECONDS = 60.0
STOP_SECONDS = 30.0
# Of a fresh server with 1 MB segments, and of its log and temporary files.
SERVER_BYTES = 100_000_000
CONNECTIONS = 20
LEAST_LOCKS = 128
# A restored table takes locks on itself, its TOAST table and its indexes; all stay until the one transaction ends.
LOCKS_PER_OBJECT = 4
LZ4 = "-c default_toast_compression=lz4"

# Nothing here is worth a wait for the disk, and COPY into a table of the same transaction needs no WAL at all
# ("Disable WAL Archival and Streaming Replication" in "Populating a Database" of PostgreSQL's documentation).
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "max_connections": str(CONNECTIONS),
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "1d",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "bgwriter_lru_maxpages": "0",
    # Measured on 1.1 GB: more of these two saves no time, and the host may be small.
    "shared_buffers": "32MB",
    "maintenance_work_mem": "64MB",
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "event_triggers": "on",
    # Tablespaces of the origin become directories of the scratch server.
    "allow_in_place_tablespaces": "on",
    "logging_collector": "off",
    # Its log is quoted in messages, and a statement may hold a row.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_SINCE_17 = ("event_triggers",)


@dataclass(frozen=True)
class ScratchRequest:
    """What the scratch server must hold: ``needed_bytes`` on its disk, ``objects`` restored in one transaction.

    ``cache`` is a directory where a fresh data directory is kept to be copied from.
    """

    major: int
    needed_bytes: int
    objects: int
    cache: str
    server_directory: str | None = None
    scratch_directory: str | None = None


@dataclass(frozen=True)
class ScratchServer:
    """A running scratch server. ``settings`` connects to it as its superuser; ``lacks`` is what its build cannot do."""

    programs: ServerPrograms
    settings: ConnectionSettings
    directory: str
    lacks: tuple[str, ...]

    def last_words(self) -> str:
        """The end of its log, for an error that it caused."""
        return _tail(os.path.join(self.directory, "log"))


@contextlib.contextmanager
def scratch_server(request: ScratchRequest) -> Iterator[ScratchServer]:
    """Start a scratch server, and end it with the block.

    Raises MissingDependencyError where no server of that version is installed, ResilienceError where there is no
    room or it does not start.
    """
    programs = find_server(request.major, request.server_directory)
    account = service_account(ACCOUNTS)
    bases = [scratch_place.MEMORY_DIRECTORY, scratch_place.DISK_DIRECTORY]
    collect(bases + ([request.scratch_directory] if request.scratch_directory else []))
    base = choose_base(request.needed_bytes + SERVER_BYTES, request.scratch_directory, account)
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(scratch_directory(base, account))
        runnable = stack.enter_context(_runnable(programs, account))
        data = os.path.join(directory, DATA_NAME)
        stack.callback(scratch_place.end_server, data)
        process = _begin(runnable, directory, request, account)
        stack.callback(_stop, process)
        settings = ConnectionSettings(
            {
                "host": os.path.join(directory, SOCKET_NAME),
                "port": str(PORT),
                "user": SUPERUSER,
                "dbname": "postgres",
                "application_name": "baileys.resilience",
            }
        )
        lacks = _ask_build(settings)
        if "lz4" not in lacks:
            # pglz, the default, takes half of the time in which large values are loaded.
            settings = dataclasses.replace(settings, parameters={**settings.parameters, "options": LZ4})
        yield ScratchServer(programs, settings, directory, lacks)


@contextlib.contextmanager
def _runnable(programs: ServerPrograms, account: Account | None) -> Iterator[ServerPrograms]:
    """The programs, or a copy of them where the server's account cannot reach them."""
    if account is None or runnable_by_others(programs.directory):
        yield programs
        return
    # On the disk: memory may be mounted so that nothing in it can be run.
    with scratch_directory(scratch_place.DISK_DIRECTORY, None) as place:
        os.chmod(place, 0o711)  # noqa: S103 - the account must reach the programs, and cannot list them
        copied = copy_installation(programs.directory, os.path.join(place, "programs"))
        yield ServerPrograms(copied, programs.version, programs.origin)


def _begin(
    programs: ServerPrograms, directory: str, request: ScratchRequest, account: Account | None
) -> subprocess.Popen[bytes]:
    """Start the server on a copy of the template, or on new data where there is none that serves."""
    data = os.path.join(directory, DATA_NAME)
    template = template_path(programs, account, request.cache)
    try:
        if copy_template(template, data):
            return _launch(programs, directory, request.objects, account)
    except ProgramFailedError:
        # Damaged, or half removed: it must not stand in the way of every drill to come.
        scratch_place.end_server(data)
    new_data(programs, data, account, template)
    return _launch(programs, directory, request.objects, account)


def _launch(programs: ServerPrograms, directory: str, objects: int, account: Account | None) -> subprocess.Popen[bytes]:
    """Start ``postgres`` itself and wait for its word: pg_ctl asks only every 100 ms."""
    data, log = os.path.join(directory, DATA_NAME), os.path.join(directory, "log")
    settings = dict(_SETTINGS, unix_socket_directories=os.path.join(directory, SOCKET_NAME))
    settings["max_locks_per_transaction"] = str(max(LEAST_LOCKS, LOCKS_PER_OBJECT * objects // CONNECTIONS))
    if programs.version.major < 17:
        settings = {name: value for name, value in settings.items() if name not in _SINCE_17}
    command = [programs.program("postgres"), "-D", data]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        process = start(
            command,
            minimal_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            # The death of its owner ends it at once (SIGQUIT: immediate shutdown, its children with it).
            death_signal="QUIT",
            account=account,
            # A materialised view may look through a foreign table at the very server the backup came from.
            network=False,
        )
    finally:
        os.close(output)
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _says_ready(data, process.pid):
            return process
        time.sleep(POLL_SECONDS)
    _stop(process)
    raise ProgramFailedError(
        f"The scratch server (PostgreSQL {programs.version} in {programs.directory}) did not start: {_tail(log)}",
        stage="start",
        remedy="See the message; another installation can be named in server_directory.",
        cmd=command[:3],
        rc=process.returncode,
    )


def _says_ready(data: str, pid: int) -> bool:
    """Whether line 8 of postmaster.pid says ``ready`` (PM_STATUS_READY in PostgreSQL's pidfile.h)."""
    try:
        with open(os.path.join(data, "postmaster.pid"), encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Its data is worth nothing: it is stopped at once."""
    if process.poll() is None:
        process.send_signal(3)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ask_build(settings: ConnectionSettings) -> tuple[str, ...]:
    """What this build lacks of that which a restored database may need."""
    connection = connect(settings, ())
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 'lz4' = ANY (enumvals) FROM pg_catalog.pg_settings WHERE name = 'default_toast_compression'"
            )
            has_lz4 = cursor.fetchone()[0]
            cursor.execute("SELECT setting FROM pg_catalog.pg_config WHERE name = 'CONFIGURE'")
            configured = (cursor.fetchone() or [""])[0]
            # Every build has the collation "unicode" of that provider.
            cursor.execute("SELECT count(*) > 0 FROM pg_catalog.pg_collation WHERE collname = 'und-x-icu'")
            has_icu = cursor.fetchone()[0]
    finally:
        connection.close()
    has = {"icu": has_icu, "lz4": has_lz4, "libxml": "--with-libxml" in configured}
    return tuple(sorted(name for name, there in has.items() if not there))


def _tail(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return " ".join(stream.read()[-2000:].split())
    except OSError:
        return "it left no log"
