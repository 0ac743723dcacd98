# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put finished directories where they are looked for, each by one rename, and clear up after a run that was killed.

Beside ``<name>`` lies ``.<name>.partial`` while it is written, and afterwards what it has replaced, until that is removed;
on a file system that cannot exchange two names also ``.<name>.old``, for a moment.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence

from ..system.errors import ResilienceError, SettingsError
from ..system.files import (
    PRIVATE_DIRECTORY_MODE,
    explain_os_error,
    fsync_directory,
    private_directory,
    remove_tree_or_file,
)
from ..system.lock import exclusive_lock
from .files import Owner

LOCK_FILE = ".lock"
LOCK_SECONDS = 60.0

_LEFT = re.compile(r"\.(?P<name>.+)\.(?P<kind>partial|old)\Z", re.DOTALL)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# What a file system or kernel says that cannot exchange.
_CANNOT_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)


@contextlib.contextmanager
def place_for_tenants(directory: str, owner: Owner | None = None) -> Iterator[None]:
    """A private directory of which nobody else writes a tenant meanwhile, without what a killed run has left in it.

    It is given to ``owner``, for which it takes root. What this run leaves unfinished is removed at the end.
    """
    _prepare(directory, owner)
    with exclusive_lock(os.path.join(directory, LOCK_FILE), LOCK_SECONDS):
        remove_leftovers(directory)
        try:
            yield
        finally:
            # What cannot be removed now stops the next run, which says so; this one has done what it was asked for, or
            # has more to say itself.
            with contextlib.suppress(ResilienceError):
                remove_leftovers(directory)


def partial_path(directory: str, name: str) -> str:
    """Where the directory ``name`` is written."""
    return os.path.join(directory, f".{name}.partial")


def publish(directory: str, names: Sequence[str]) -> None:
    """Put every partial directory into its place; what was there is gone afterwards. Raises ResilienceError.

    All that was written is on the disk before the first takes its place, by one sync of the file system: one for each
    of a hundred thousand files would take minutes.
    """
    try:
        _sync_file_system(directory)
        for name in names:
            _exchange(partial_path(directory, name), os.path.join(directory, name))
        fsync_directory(directory)
    except OSError as error:
        raise explain_os_error(error, directory, "publish the sessions in").at_stage("publish") from error


def remove_leftovers(directory: str) -> None:
    """Remove what runs have left beside; a directory that only lost its name to a killed run gets it back."""
    try:
        left = [match for match in map(_LEFT.match, os.listdir(directory)) if match]
        for match in left:
            path, final = os.path.join(directory, match[0]), os.path.join(directory, match["name"])
            if match["kind"] == "old" and not os.path.lexists(final):
                os.rename(path, final)
            else:
                remove_tree_or_file(path)
    except OSError as error:
        raise explain_os_error(error, directory, "clear up").at_stage("write") from error


def _prepare(directory: str, owner: Owner | None) -> None:
    if owner is None or owner[0] == os.geteuid():
        private_directory(directory)
        return
    if os.geteuid() != 0:
        raise SettingsError(
            "Only root can give the sessions in %s to another user" % directory,
            stage="settings",
            remedy="Run as root (become), or as that user without owner and group.",
        )
    missing, path = [], os.path.abspath(directory)
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    try:
        for path in reversed(missing):
            os.mkdir(path, PRIVATE_DIRECTORY_MODE)
            os.chown(path, *owner, follow_symlinks=False)
        status = os.lstat(directory)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (0, owner[0]) or status.st_mode & stat.S_ISVTX:
            raise ResilienceError(
                f"{directory} is no directory of root's or of the user the sessions are for",
                stage="write",
                remedy="Name a directory of its own for the sessions.",
            )
        os.chmod(directory, PRIVATE_DIRECTORY_MODE)
        os.chown(directory, *owner)
    except OSError as error:
        raise explain_os_error(error, directory, "prepare the directory").at_stage("write") from error


def _sync_file_system(directory: str) -> None:
    libc = _libc()
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not hasattr(libc, "syncfs"):
            os.sync()
        elif libc.syncfs(descriptor) != 0:
            raise _last_error(directory)
    finally:
        os.close(descriptor)


def _exchange(partial: str, final: str) -> None:
    """Give ``final`` the new content; the old one lies under the name ``partial`` afterwards, to be removed."""
    libc = _libc()
    if not os.path.lexists(final):
        os.rename(partial, final)
        return
    if hasattr(libc, "renameat2"):
        arguments = (_AT_FDCWD, os.fsencode(partial), _AT_FDCWD, os.fsencode(final), _RENAME_EXCHANGE)
        if libc.renameat2(*arguments) == 0:
            return
        error = _last_error(final)
        if error.errno not in _CANNOT_EXCHANGE:
            raise error
    # Killed between the two, the next run gives the old one its name back (remove_leftovers).
    aside = partial[: -len("partial")] + "old"
    os.rename(final, aside)
    os.rename(partial, final)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _last_error(path: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)
