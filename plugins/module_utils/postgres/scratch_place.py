# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a scratch server's directory is made, and who removes one whose owner was killed.

Every scratch directory holds a file that its owner keeps locked. The kernel gives the lock back when the owner
dies, however it dies, so that a directory whose lock can be taken is nobody's any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence

from ..system.commands import Account
from ..system.errors import ResilienceError, SettingsError
from ..system.files import explain_os_error, free_bytes
from ..system.units import human_size

PREFIX = "baileys-scratch-"
LOCK_NAME = "owner.lock"
DATA_NAME = "data"
SOCKET_NAME = "socket"

MEMORY_DIRECTORY = "/dev/shm"  # noqa: S108 - a private directory is made below it
DISK_DIRECTORY = "/var/tmp"  # noqa: S108 - the same
# A restored database in memory must not take the memory the host lives on.
MEMORY_SHARE = 0.25
# The address of a Unix socket is at most 107 bytes, of which its file name takes 15 and ours another 26.
LONGEST_BASE = 60
# Between making a directory and locking its file: nobody takes it for abandoned meanwhile.
SETTLING_SECONDS = 60.0
STOP_SECONDS = 10.0


@contextlib.contextmanager
def scratch_directory(base: str, account: Account | None) -> Iterator[str]:
    """A private directory below ``base`` with a ``socket`` directory in it, gone afterwards.

    It stays the caller's own; ``account`` may only pass through it (0710) to what is given to it, so that nothing that
    runs as that account can put something in the way of the caller. Raises ResilienceError.
    """
    try:
        path = tempfile.mkdtemp(prefix=PREFIX, dir=base)
    except OSError as error:
        raise explain_os_error(error, base, "make a scratch directory in").at_stage("start") from error
    try:
        lock = _locked(path)
        try:
            if account is not None:
                os.chown(path, -1, account.gid)
                os.chmod(path, 0o710)  # noqa: S103 - the account must pass through
            make_own(os.path.join(path, SOCKET_NAME), account)
            yield path
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def make_own(path: str, account: Account | None) -> None:
    """Make a 0700 directory of this account. Raises ResilienceError."""
    try:
        os.mkdir(path, 0o700)
        if account is not None:
            os.chown(path, account.uid, account.gid)
    except OSError as error:
        raise explain_os_error(error, path, "create the directory").at_stage("start") from error


def _locked(path: str) -> int:
    """A descriptor that holds the lock of a scratch directory. The file gets its name only when it is locked."""
    unfinished = os.path.join(path, LOCK_NAME + ".new")
    lock = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(unfinished, os.path.join(path, LOCK_NAME))
    return lock


def choose_base(needed: int, given: str | None, account: Account | None) -> str:
    """The directory below which to make the scratch directory, with room for ``needed`` bytes.

    Memory where it is plentiful (at most a quarter of what is available), else the disk. Raises ResilienceError
    when there is no room, SettingsError for a given directory that cannot serve.
    """
    if given is not None:
        _refuse_unfit(given, account)
    elif needed <= min(free_bytes(MEMORY_DIRECTORY) or 0, MEMORY_SHARE * _available_memory()):
        return MEMORY_DIRECTORY
    base = given or DISK_DIRECTORY
    free = free_bytes(base)
    if free is not None and free < needed:
        raise ResilienceError(
            f"The scratch server needs about {human_size(needed)} in {base}, which has {human_size(free)} free",
            stage="start",
            remedy="Free space there, or name a directory with room in scratch_directory.",
        )
    return base


def collect(bases: Sequence[str]) -> list[str]:
    """End servers and remove directories whose owner was killed; returns the directories."""
    removed = []
    for base in sorted(set(bases)):
        try:
            names = [name for name in os.listdir(base) if name.startswith(PREFIX)]
        except OSError:
            # No such directory, or none of ours: nothing of ours to collect in it.
            continue
        for name in names:
            path = os.path.join(base, name)
            if _is_abandoned(path):
                end_server(os.path.join(path, DATA_NAME))
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path)
    return removed


def end_server(data_directory: str) -> None:
    """Stop at once the server that runs on this directory, if one does."""
    pid = _server_of(data_directory)
    if pid is None:
        return
    deadline = time.monotonic() + STOP_SECONDS
    number = signal.SIGQUIT
    while _server_of(data_directory) == pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        time.sleep(0.02)


def _is_abandoned(path: str) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    # Only what is this user's own: another's directory of such a name is none of ours, and may be a trap.
    if os.geteuid() != status.st_uid or not stat.S_ISDIR(status.st_mode):
        return False
    try:
        lock = os.open(os.path.join(path, LOCK_NAME), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        # Just made, or just being removed; or its owner was killed between the two steps of making it.
        return os.path.isdir(path) and time.time() - status.st_mtime > SETTLING_SECONDS
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _server_of(data_directory: str) -> int | None:
    """The process that serves this directory; None if the number now is another process's."""
    try:
        # Whoever runs the server could put something else at that name.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(os.path.join(data_directory, "postmaster.pid"), flags)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            pid = int(os.read(descriptor, 64).partition(b"\n")[0])
        finally:
            os.close(descriptor)
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            command = os.fsdecode(stream.read())
    except (OSError, ValueError):
        return None
    return pid if data_directory in command.split("\0") else None


def _available_memory() -> int:
    """Bytes that can be used without swapping (``MemAvailable`` of proc(5)); 0 where that is not told."""
    try:
        with open("/proc/meminfo", encoding="ascii") as stream:
            for line in stream:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return 0
    return 0


def _refuse_unfit(base: str, account: Account | None) -> None:
    problem = None
    if not os.path.isdir(base):
        problem = "is no directory"
    elif len(os.fsencode(base)) > LONGEST_BASE:
        problem = f"has a name longer than the {LONGEST_BASE} bytes that a socket's address leaves"
    elif account is not None and not _may_enter(base, account):
        problem = f"cannot be entered by {account.name}, as whom the server runs"
    if problem:
        raise SettingsError(
            f"The scratch_directory {base} {problem}",
            stage="settings",
            remedy=f"Name another one with room, such as {DISK_DIRECTORY}.",
        )


def _may_enter(path: str, account: Account) -> bool:
    current = os.path.realpath(path)
    while True:
        status = os.stat(current)
        mode = status.st_mode
        if status.st_uid == account.uid:
            allowed = mode & 0o100
        elif status.st_gid == account.gid:
            allowed = mode & 0o010
        else:
            allowed = mode & 0o001
        if not allowed:
            return False
        if os.path.dirname(current) == current:
            return True
        current = os.path.dirname(current)
