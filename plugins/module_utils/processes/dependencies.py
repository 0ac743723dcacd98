# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The npm packages of a release: those that are there are used if they are what its lock file asks for."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from ..reporting.redact import redact_text
from ..system.commands import Account, how_it_ended, run
from ..system.errors import ProgramFailedError, ResilienceError
from ..system.files import explain_os_error, remove_tree_or_file
from .git import Checkout, environment_of, open_checkout, readable_files
from .installed import STAGE, Packages, asked_for, installed_packages, module_directories, satisfies
from .modules_aside import find_aside, forget_aside, put_back, remove_modules, set_aside
from .release import Commit

NPM_SECONDS = 300.0
COPY_SECONDS = 120.0
_NPM_OPTIONS = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")


@dataclass(frozen=True)
class Dependencies:
    """``how`` a release gets its packages, and why so.

    ``none``: it has none; ``there``: they are in place; ``reused``: linked from the checkout; ``taken back``: from what
    an earlier change has set aside; ``installed``: by ``npm ci``.
    """

    how: str
    reason: str

    @property
    def changed(self) -> bool:
        """Whether anything has to be done."""
        return self.how not in ("none", "there")


def plan_dependencies(checkout: str, commit: Commit, directory: str) -> Dependencies:
    """How the release of ``commit`` in ``directory`` will get its packages; it need not be there yet.

    Raises ResilienceError when nothing says which packages it needs.
    """
    git = open_checkout(checkout)

    def read(name: str) -> str | None:
        found = git.run("cat-file", "blob", f"{commit.sha}:{name}")
        return found.stdout if found.rc == 0 else None

    return _plan(git, directory, *asked_for(read, commit.tag))


def _plan(git: Checkout, directory: str, lock: str, asked: Packages) -> Dependencies:
    if not asked:
        return Dependencies("none", f"its {lock} asks for none")
    if satisfies(installed_packages(directory), asked):
        return Dependencies("there", f"those in {directory} are what its {lock} asks for")
    if find_aside(git, directory, asked):
        return Dependencies("taken back", f"those set aside earlier are what its {lock} asks for")
    if satisfies(installed_packages(git.directory), asked):
        return Dependencies("reused", f"those of {git.directory} are what its {lock} asks for")
    return Dependencies("installed", f"those of {git.directory} are not what its {lock} asks for")


def provide_dependencies(checkout: str, directory: str, npm: str = "npm", timeout: float = NPM_SECONDS) -> Dependencies:
    """Give the code that stands in ``directory`` its packages; if that fails, those before are there again.

    They are set aside in the repository's own directory and stay there until others are, so that the way back
    needs no registry. Raises ProgramFailedError when ``npm ci`` fails or takes longer than ``timeout`` seconds.
    """
    git = open_checkout(checkout)
    lock, asked = asked_for(lambda name: _read(directory, name), directory)
    plan = _plan(git, directory, lock, asked)
    if not plan.changed:
        return plan
    try:
        wanted = find_aside(git, directory, asked)
        before = set_aside(git, directory)
        try:
            if wanted:
                put_back(wanted, directory)
            elif plan.how == "reused":
                _link(git, directory)
            else:
                _install(git, directory, asked, npm, timeout)
        except BaseException:
            remove_modules(directory)
            if before:
                put_back(before, directory)
            raise
        if before:
            forget_aside(git, directory, but=before)
    except OSError as error:
        raise explain_os_error(error, directory, "provide the packages of").at_stage(STAGE) from error
    return plan


def _read(directory: str, name: str) -> str | None:
    path = os.path.join(directory, name)
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain_os_error(error, path, "read").at_stage(STAGE) from error


def _link(git: Checkout, directory: str) -> None:
    """The packages of the checkout a second time: directories of their own, with hard links to the same files.

    One symbolic link would be quicker, but the next ``npm ci`` in the checkout would take the packages away from under
    the running release, and links to workspaces would lead to the checkout's code. Where a hard link cannot be made
    (another file system, files of another user) the files are copied.
    """
    for place in module_directories(installed_packages(git.directory) or {}):
        target = os.path.join(directory, place)
        partial = target + ".partial"
        _copy(git, os.path.realpath(os.path.join(git.directory, place)), partial)
        os.rename(partial, target)


def _copy(git: Checkout, source: str, target: str) -> None:
    remove_tree_or_file(target)
    command = ["cp", "--archive", "--link", "--", source, target]
    copied = run(command, environment_of(git.account, {}), timeout=COPY_SECONDS, account=git.account)
    if copied.rc != 0:
        remove_tree_or_file(target)
        command[2] = "--reflink=auto"
        copied = run(command, environment_of(git.account, {}), timeout=COPY_SECONDS, account=git.account)
    if copied.rc != 0:
        remove_tree_or_file(target)
        raise ProgramFailedError(
            f"{source} cannot be copied to {target}: cp ended with {how_it_ended(copied.rc)}",
            stage=STAGE,
            remedy="See what cp says under stderr, put it right, then run again.",
            cmd=copied.command,
            rc=copied.rc,
            stderr=copied.stderr,
        )


def _install(git: Checkout, directory: str, asked: Packages, npm: str, timeout: float) -> None:
    # husky would set git hooks for the whole repository.
    extra = {"HUSKY": "0"}
    if os.path.isabs(npm):
        # npm is a script that looks for the node beside it.
        extra["PATH"] = os.pathsep.join([os.path.dirname(npm), environment_of(git.account, {})["PATH"]])
    command = [npm, "ci", "--prefix", directory, *_NPM_OPTIONS]
    try:
        with readable_files(), _home_of(git.account) as home:
            done = run(command, environment_of(git.account, {**extra, **home}), timeout=timeout, account=git.account)
    except ResilienceError as error:
        raise error.at_stage(STAGE) from None
    if done.rc != 0:
        raise ProgramFailedError(
            f"npm ci failed in {directory}: {_npm_says(done.stderr) or how_it_ended(done.rc)}",
            stage=STAGE,
            remedy="See that the registry can be reached from here and that its lock file is right, then run again.",
            cmd=command,
            rc=done.rc,
            stderr=redact_text(done.stderr),
        )
    if not satisfies(installed_packages(directory), asked):
        raise ResilienceError(
            f"npm ci ended well in {directory}, and yet its packages are not what its lock file asks for",
            stage=STAGE,
            remedy="Look for a setting that makes npm leave packages out (omit, in .npmrc), then run again.",
        )


@contextlib.contextmanager
def _home_of(account: Account | None) -> Iterator[dict[str, str]]:
    """A home for npm's cache, for the time of one installation, where the account has none: many of services have none."""
    own = environment_of(account, {}).get("HOME", "/")
    if account is None or (os.path.isdir(own) and os.stat(own).st_uid == account.uid):
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="npm-home-") as home:
        os.chown(home, account.uid, account.gid)
        yield {"HOME": home}


def _npm_says(stderr: str) -> str:
    """The first of npm's own words that say why."""
    lines = [line.partition(" ")[2].strip() for line in redact_text(stderr).splitlines() if line.startswith("npm ")]
    words = [line.partition(" ")[2] for line in lines if line.startswith(("error ", "ERR! "))]
    return "; ".join(word for word in words if word and not word.startswith("A complete log"))[:300]
