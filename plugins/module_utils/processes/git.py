# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run git on a checkout of the application: as its owner, without hooks, without questions."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass

from ..system.commands import Account, Completed, how_it_ended, minimal_environment, run
from ..system.errors import ProgramFailedError, ResilienceError
from ..system.files import free_bytes

STAGE = "release"
GIT_SECONDS = 120.0
# At most so many file names in a message.
NAMED_FILES = 10

_SETTINGS = (
    # A hook is made for people who work on the code; a release must not run it.
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "submodule.recurse=false",
    # It runs as the owner anyway, as far as there is one owner; this is for a checkout of mixed owners.
    "safe.directory=*",
)
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    # Reading must not write: `git status` would renew the index of the checkout that serves.
    "GIT_OPTIONAL_LOCKS": "0",
}


@dataclass(frozen=True)
class Checkout:
    """A work tree, the repository it belongs to, and the user who may write to both (None: this process's own)."""

    directory: str
    repository: str
    account: Account | None

    def run(self, *words: str, directory: str = "") -> Completed:
        """Run ``git`` in the work tree or in another of its ``directory``; its exit status is for the caller."""
        command = ["git", "-C", directory or self.directory]
        for setting in _SETTINGS:
            command += ["-c", setting]
        environment = environment_of(self.account, _ENVIRONMENT)
        return run([*command, *words], environment, timeout=GIT_SECONDS, account=self.account)

    def must(
        self, *words: str, doing: str, directory: str = "", remedy: str | None = None, writing_to: str = ""
    ) -> str:
        """What git prints. Raises ProgramFailedError, saying what was being done, when it fails."""
        done = self.run(*words, directory=directory)
        if done.rc != 0:
            raise git_failed(done, doing, remedy, writing_to)
        return done.stdout


def open_checkout(directory: str) -> Checkout:
    """The git checkout whose top is ``directory``. Raises ResilienceError when it is none."""
    if not os.path.isdir(directory):
        raise ResilienceError(
            f"There is no directory {directory}", stage=STAGE, remedy="Name the git checkout the application runs from."
        )
    seen = Checkout(directory, "", owner_of(directory))
    answer = seen.run("rev-parse", "--show-toplevel", "--git-common-dir")
    if answer.rc != 0:
        raise git_failed(
            answer, f"use {directory} as a git checkout", "Name the git checkout the application runs from."
        )
    top, repository = answer.stdout.splitlines()
    if not os.path.samefile(top, directory):
        raise ResilienceError(
            f"{directory} is no git checkout of its own, but lies inside that of {top}",
            stage=STAGE,
            remedy="Name the directory at the top of the application's checkout.",
        )
    return Checkout(top, os.path.realpath(os.path.join(directory, repository)), seen.account)


def owner_of(directory: str) -> Account | None:
    """The user to work on this checkout as: its owner, where this is root and the owner is somebody else.

    What root writes into it would stand in its owner's way later, git itself refuses the checkouts of others, and the
    checkout's own programs get no rights but its owner's. With mixed owners root alone may write everywhere.
    """
    if os.geteuid() != 0:
        return None
    inner = os.path.join(directory, ".git")
    status = os.stat(directory)
    owners = {status.st_uid, os.stat(inner).st_uid if os.path.exists(inner) else status.st_uid}
    if len(owners) > 1 or owners == {0}:
        return None
    try:
        entry = pwd.getpwuid(status.st_uid)
    except KeyError:
        return Account(str(status.st_uid), status.st_uid, status.st_gid)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def environment_of(account: Account | None, extra: dict[str, str]) -> dict[str, str]:
    """The environment of a program that is run as ``account``: root's home is closed to it."""
    if account is None:
        return minimal_environment(extra)
    try:
        home = pwd.getpwuid(account.uid).pw_dir
    except KeyError:
        home = "/"
    return minimal_environment({"HOME": home, **extra})


@contextlib.contextmanager
def readable_files() -> Iterator[None]:
    """Let what is written be readable as after a deployment, whatever the umask: the app may run as another user."""
    previous = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(previous)


def changed_files(checkout: Checkout, directory: str = "") -> list[str]:
    """Tracked files that are not as they were committed; submodules, which no release touches, are not looked into."""
    listing = checkout.must(
        "status",
        "--porcelain",
        "-z",
        "--untracked-files=no",
        "--ignore-submodules=all",
        "--no-renames",
        doing="look for changed files in " + (directory or checkout.directory),
        directory=directory,
    )
    return [entry[3:] for entry in listing.split("\0") if entry]


def some_of(names: list[str]) -> str:
    """The names, the first ten of them where there are many."""
    more = len(names) - NAMED_FILES
    return ", ".join(names[:NAMED_FILES]) + (" and %d more" % more if more > 0 else "")


def git_failed(done: Completed, doing: str, remedy: str | None = None, writing_to: str = "") -> ProgramFailedError:
    """The error for a git that did not do it, with its own last words as the cause."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    why = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "")
    cause = why.partition(": ")[2] or why or how_it_ended(done.rc)
    free = free_bytes(writing_to) if writing_to and "unable to write" in done.stderr else None
    if free is not None:
        # git does not say that the disk is full.
        cause += " (%d kB free)" % (free // 1000)
        remedy = f"Free space on the file system that holds {writing_to}, then run again."
    return ProgramFailedError(
        f"Cannot {doing}: git says: {cause}",
        stage=STAGE,
        remedy=remedy or "See what git says under stderr, put it right, then run again.",
        cmd=done.command,
        rc=done.rc,
        stderr=done.stderr,
    )
