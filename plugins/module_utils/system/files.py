# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private files: 0700 directories, 0600 files, replaced as a whole or not at all.

``AnsibleModule.atomic_move`` is not used for secrets: it gives a new file the mode 0644.

What root makes in a directory of another user is given to that user, who could not read, replace or remove it
otherwise: a backup by hand as root and the jobs of a service user share their directories.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat

from .errors import ResilienceError

PRIVATE_DIRECTORY_MODE = 0o700
PRIVATE_FILE_MODE = 0o600


def explain_os_error(error: OSError, path: str, doing: str) -> ResilienceError:
    """Turn an operating system's error into one that names the path, the cause and what to do."""
    remedy = None
    cause = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        cause = "no space left"
        free = free_bytes(path)
        if free is not None:
            cause = "no space left (%d kB free)" % (free // 1000)
        remedy = f"Free space on the file system that holds {path}, then run again."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"Give the user this runs as write access to {path}, or choose another directory."
    return ResilienceError(f"Cannot {doing} {path}: {cause}", remedy=remedy)


def free_bytes(path: str) -> int | None:
    """Bytes a plain user may still write on the file system of ``path`` or of its nearest parent."""
    current = os.path.abspath(path)
    while True:
        try:
            return shutil.disk_usage(current).free
        except OSError:
            parent = os.path.dirname(current)
            if parent == current:
                return None
            current = parent


def private_directory(path: str) -> bool:
    """Make ``path`` (and missing parents) a 0700 directory; tell whether anything changed.

    Refuses a symbolic link, and a directory of another user, who could swap the archives. Root takes one that only root
    can have put there: a service user's.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        parent = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(parent):
            private_directory(parent)
        try:
            os.mkdir(path, PRIVATE_DIRECTORY_MODE)
            # An umask may have taken even the owner's rights.
            _make_private(path, inherited_owner(path))
        except FileExistsError:
            return private_directory(path)
        except OSError as error:
            raise explain_os_error(error, path, "create the directory") from error
        return True
    except OSError as error:
        raise explain_os_error(error, path, "use the directory") from error
    _refuse_foreign_directory(path, status)
    if stat.S_IMODE(status.st_mode) == PRIVATE_DIRECTORY_MODE:
        return False
    try:
        _make_private(path, None)
    except OSError as error:
        raise explain_os_error(error, path, "make private the directory") from error
    return True


def inherited_owner(path: str) -> tuple[int, int] | None:
    """The user and group that something root makes at ``path`` belongs to: those of its directory.

    None where they are this process's own. Raises OSError.
    """
    if os.geteuid() != 0:
        return None
    status = os.stat(os.path.dirname(os.path.abspath(path)))
    return (status.st_uid, status.st_gid) if status.st_uid != 0 else None


def leave_to_owner(descriptor: int, path: str) -> None:
    """Give a file that was just made at ``path`` to the owner of its directory. Raises OSError."""
    owner = inherited_owner(path)
    if owner is not None:
        os.fchown(descriptor, *owner)


def _make_private(path: str, owner: tuple[int, int] | None) -> None:
    if os.geteuid() != 0:
        os.chmod(path, PRIVATE_DIRECTORY_MODE)
        return
    # By its descriptor: in a directory of another user a name may come to stand for something of root's.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, PRIVATE_DIRECTORY_MODE)
        if owner is not None:
            os.fchown(descriptor, *owner)
    finally:
        os.close(descriptor)


def _refuse_foreign_directory(path: str, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode) or not stat.S_ISDIR(status.st_mode):
        raise ResilienceError(
            "{} is not a directory{}".format(path, " but a symbolic link" if stat.S_ISLNK(status.st_mode) else ""),
            remedy="Name the real directory, or move what is there out of the way.",
        )
    if status.st_uid != os.geteuid() and not _placed_by_root(path, status):
        raise ResilienceError(
            "%s belongs to the user with id %d, and this runs as %d" % (path, status.st_uid, os.geteuid()),
            remedy="Run as the owner of the directory, or change its owner.",
        )
    if status.st_mode & stat.S_ISVTX:
        # /tmp and its like: taken from everybody else, they would stop the host from working.
        raise ResilienceError(
            f"{path} is a directory that everybody shares",
            remedy="Name a directory of its own below it.",
        )


def _placed_by_root(path: str, status: os.stat_result) -> bool:
    if os.geteuid() != 0:
        return False
    parent = os.stat(os.path.dirname(os.path.abspath(path)))
    return parent.st_uid in (0, status.st_uid) and not parent.st_mode & stat.S_IWOTH


def create_private(path: str) -> int:
    """Create ``path`` with mode 0600 from its first byte on; returns the descriptor.

    The file must not exist: a link planted at that name is never followed.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, PRIVATE_FILE_MODE)
    except OSError as error:
        raise explain_os_error(error, path, "create") from error
    try:
        # The umask may have taken even the owner's rights.
        os.fchmod(descriptor, PRIVATE_FILE_MODE)
        leave_to_owner(descriptor, path)
    except OSError as error:
        os.close(descriptor)
        os.unlink(path)
        raise explain_os_error(error, path, "make private") from error
    return descriptor


def write_private(path: str, data: bytes) -> None:
    """Replace ``path`` with ``data`` atomically, mode 0600, durable once this returns."""
    temporary = "%s.%d.partial" % (path, os.getpid())
    try:
        os.unlink(temporary)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise explain_os_error(error, temporary, "remove") from error
    descriptor = create_private(temporary)
    try:
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        fsync_directory(os.path.dirname(path))
    except OSError as error:
        raise explain_os_error(error, path, "write") from error


def fsync_directory(path: str) -> None:
    """Make the names in the directory durable: a rename survives a power cut only after this. Raises OSError."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree_or_file(path: str) -> None:
    """Remove a file, or a directory with all it holds; a missing one is fine."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise explain_os_error(error, path, "remove") from error
