# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time: an advisory lock that dies with the last process that holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from .errors import LockedError
from .files import PRIVATE_FILE_MODE, explain_os_error, leave_to_owner

POLL_SECONDS = 0.1


@contextlib.contextmanager
def exclusive_lock(path: str, timeout: float) -> Iterator[int]:
    """Hold the lock at ``path`` while the block runs; yields the descriptor.

    The descriptor is inheritable, to be passed on to child processes (``pass_fds``): a child that outlives
    a killed parent keeps the lock until it has ended too. The file itself stays; a lock left by a dead
    process blocks nobody, since the kernel drops it. ``timeout`` is in seconds, 0 for not waiting.

    Raises LockedError when another run still holds the lock after ``timeout`` seconds.
    """
    try:
        descriptor = _open(path)
    except OSError as error:
        raise explain_os_error(error, path, "open the lock").at_stage("lock") from error
    try:
        _acquire(descriptor, path, timeout)
        _sign(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def lock_for(path: str, timeout: float, dry_run: bool) -> Iterator[None]:
    """``exclusive_lock``; with ``dry_run`` the file is not made and not written to: a missing one holds nobody off."""
    if not dry_run:
        with exclusive_lock(path, timeout):
            yield
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield
        return
    except OSError as error:
        raise explain_os_error(error, path, "open the lock").at_stage("lock") from error
    try:
        # Shared: some file systems (NFS) give an exclusive lock only to who may write the file.
        _acquire(descriptor, path, timeout, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, PRIVATE_FILE_MODE)
    except FileExistsError:
        return os.open(path, flags)
    try:
        leave_to_owner(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sign(descriptor: int) -> None:
    # Only for the message of whoever waits: the lock holds on a full disk too.
    with contextlib.suppress(OSError):
        # The umask may have taken even the owner's rights.
        os.fchmod(descriptor, PRIVATE_FILE_MODE)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)


def _acquire(descriptor: int, path: str, timeout: float, kind: int = fcntl.LOCK_EX) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR):
                raise explain_os_error(error, path, "lock").at_stage("lock") from error
        if time.monotonic() >= deadline:
            raise _locked(descriptor, path, timeout)
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))


def _locked(descriptor: int, path: str, timeout: float) -> LockedError:
    holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    if holder.isdigit() and not os.path.isdir(f"/proc/{holder}"):
        return LockedError(
            f"A process that the killed run {holder} left behind holds {path}; waited {timeout:g} s",
            stage="lock",
            remedy="Wait for it to end, or find it (fuser) and end it: it may still be writing.",
        )
    return LockedError(
        f"Another run (process {holder or 'unknown'}) holds {path}; waited {timeout:g} s",
        stage="lock",
        remedy="Wait for that run to end, or raise lock_timeout. A lock of a dead process never blocks.",
    )
