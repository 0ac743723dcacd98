# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private directories of one user, many at once: made, closed, handed over, or refused with the reason."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .commands import Account, minimal_environment
from .errors import ResilienceError, SettingsError
from .files import PRIVATE_DIRECTORY_MODE, explain_os_error

# util-linux's or coreutils': asked as the user, so that groups and access lists count as they do for it.
_TEST = "/usr/bin/test"


@dataclass(frozen=True)
class DirectoryChange:
    """What was done to one path, or would be: ``made``, or ``closed`` and ``taken over`` with what was before."""

    path: str
    made: bool
    mode: int | None = None
    owner: int | None = None

    def __str__(self) -> str:
        if self.made:
            return f"{self.path}: made"
        what = [] if self.mode is None else [f"closed (was {self.mode:04o})"]
        what += [] if self.owner is None else ["taken over from the user with id %d, with what is in it" % self.owner]
        return f"{self.path}: {', '.join(what)}"


def ensure_directories(
    paths: Sequence[str], account: Account | None, *, dry_run: bool = False
) -> tuple[DirectoryChange, ...]:
    """Make each path, with missing parents, a 0700 directory of ``account``; tells what changed.

    ``account`` may be None in a dry run for a user that is yet to be created. All paths are looked at before any is
    touched. Raises ResilienceError with every path that cannot be had and the reason.
    """
    wanted = _with_missing_parents(paths)
    problems = [problem for path in wanted for problem in _problems(path, account, wanted)]
    if problems:
        raise ResilienceError(
            "{}. Nothing was changed".format("; ".join(dict.fromkeys(problems))),
            stage="directories",
            remedy="Name another directory, or put right what is there.",
        )
    changes = [change for path in wanted for change in _ensure(path, account, dry_run)]
    if not dry_run and account is not None:
        _require_access(paths, account)
    return tuple(changes)


def _with_missing_parents(paths: Iterable[str]) -> list[str]:
    """The paths and such parents as do not exist, each once, parents first."""
    found: dict[str, None] = {}
    for path in paths:
        if not os.path.isabs(path):
            raise SettingsError(f"{path} is not an absolute path", stage="directories")
        missing = [os.path.normpath(path)]
        while not os.path.lexists(os.path.dirname(missing[0])):
            missing.insert(0, os.path.dirname(missing[0]))
        found.update(dict.fromkeys(missing))
    return sorted(found)


def _problems(path: str, account: Account | None, wanted: Sequence[str]) -> Iterable[str]:
    """Why the path cannot be a private directory; nothing where it can."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        status = None
    except OSError as error:
        yield f"{path} cannot be looked at: {error.strerror}"
        return
    if status is not None:
        yield from _own_problems(path, status, account)
    for parent in _parents(path):
        if parent not in wanted:
            yield from _parent_problems(parent, account)


def _own_problems(path: str, status: os.stat_result, account: Account | None) -> Iterable[str]:
    if stat.S_ISLNK(status.st_mode):
        yield f"{path} is a symbolic link, which whoever may replace it could turn elsewhere"
    elif not stat.S_ISDIR(status.st_mode):
        yield f"{path} is not a directory"
    elif status.st_mode & stat.S_ISVTX:
        yield f"{path} is a directory that everybody shares"
    elif status.st_uid not in _trusted(account):
        owner = account.name if account else "<owner>"
        yield (
            f"{path} belongs to the user with id {status.st_uid}, who could swap what is in it; "
            f"to hand it over: chown -R {owner}: {path}"
        )


def _parent_problems(parent: str, account: Account | None) -> Iterable[str]:
    try:
        status = os.lstat(parent)
        if stat.S_ISLNK(status.st_mode):
            # Root's own links, such as /var/run, are part of the system; where they lead is looked at below.
            if status.st_uid not in _trusted(account):
                yield f"{parent} is a symbolic link of the user with id {status.st_uid}"
            status = os.stat(parent)
    except FileNotFoundError:
        return
    except OSError as error:
        yield f"{parent} cannot be looked at: {error.strerror}"
        return
    if not stat.S_ISDIR(status.st_mode):
        yield f"{parent} is not a directory"
    elif status.st_uid not in _trusted(account):
        yield f"{parent} belongs to the user with id {status.st_uid}, who could replace what is in it"
    elif status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        yield f"everybody may write to {parent} (mode {stat.S_IMODE(status.st_mode):04o}) and so replace what is in it"


def _parents(path: str) -> list[str]:
    parents = [os.path.dirname(path)]
    while parents[-1] != os.path.dirname(parents[-1]):
        parents.append(os.path.dirname(parents[-1]))
    return parents


def _trusted(account: Account | None) -> set[int]:
    return {0} if account is None else {0, account.uid}


def _ensure(path: str, account: Account | None, dry_run: bool) -> Iterable[DirectoryChange]:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if not dry_run:
            _make(path, account)
        yield DirectoryChange(path, made=True)
        return
    mode = stat.S_IMODE(status.st_mode)
    closes = mode != PRIVATE_DIRECTORY_MODE
    hands_over = account is None or status.st_uid != account.uid
    if not closes and not hands_over:
        return
    if not dry_run and account is not None:
        try:
            # Closed first: nobody looks on.
            os.chmod(path, PRIVATE_DIRECTORY_MODE, follow_symlinks=os.chmod not in os.supports_follow_symlinks)
            if hands_over:
                _hand_over(path, status.st_uid, account)
        except OSError as error:
            raise explain_os_error(error, path, "take over the directory") from error
    yield DirectoryChange(path, False, mode if closes else None, status.st_uid if hands_over else None)


def _make(path: str, account: Account | None) -> None:
    try:
        os.mkdir(path, PRIVATE_DIRECTORY_MODE)
        # Open for as long as it takes: a name may be turned elsewhere, a descriptor may not.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.fchmod(descriptor, PRIVATE_DIRECTORY_MODE)
            if account is not None and account.uid != os.geteuid():
                os.fchown(descriptor, account.uid, account.gid)
        finally:
            os.close(descriptor)
    except FileExistsError:
        # Another run made it meanwhile.
        return
    except OSError as error:
        raise explain_os_error(error, path, "create the directory") from error


def _hand_over(path: str, former: int, account: Account) -> None:
    """Give the tree to the account: what in it belongs to the former owner, the directory itself last.

    A run that is killed meanwhile is so finished by the next one.
    """
    for directory, directories, names in os.walk(path, topdown=False):
        for name in (*directories, *names):
            below = os.path.join(directory, name)
            if os.lstat(below).st_uid == former:
                os.lchown(below, account.uid, account.gid)
    os.lchown(path, account.uid, account.gid)


def _require_access(paths: Sequence[str], account: Account) -> None:
    """Raises ResilienceError where a directory above keeps the account out of its own."""
    for path in paths:
        if _may_enter(path, account):
            continue
        closed = [parent for parent in _parents(path) if not _may_enter(parent, account)]
        raise ResilienceError(
            "{} was made, but {} cannot enter {}".format(path, account.name, closed[-1] if closed else path),
            stage="directories",
            remedy=f"Let others enter it (chmod o+x {closed[-1]})." if closed else None,
        )


def _may_enter(path: str, account: Account) -> bool:
    # Without a program for each of two hundred directories where nobody else has to be asked.
    if account.uid == os.geteuid():
        return os.access(path, os.X_OK)
    asked = subprocess.run(
        [_TEST, "-x", path],
        env=minimal_environment(),
        user=account.uid,
        group=account.gid,
        extra_groups=os.getgrouplist(account.name, account.gid),
        cwd="/",
        check=False,
    )
    return asked.returncode == 0
