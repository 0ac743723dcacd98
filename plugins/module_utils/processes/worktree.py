# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The code of a tag for one service, in a git worktree of its own: the checkout of the others stays as it is."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Sequence

from ..system.errors import ResilienceError
from ..system.files import explain_os_error, free_bytes
from .git import STAGE, Checkout, changed_files, open_checkout, readable_files, some_of
from .in_place import checkout_in_place, refuse_changed
from .release import Commit, Release

# What a release needs beside the code and can be made again.
DISPOSABLE = (".env", "node_modules")
LEFT_OVER_SECONDS = 10.0


def prepare_worktree(checkout: str, commit: Commit, directory: str, dry_run: bool = False) -> Release:
    """Have the code of ``commit`` in a worktree at ``directory``; HEAD and index of the checkout stay as they are.

    It belongs to the owner of the checkout. What already stands there is used if it is a worktree of this checkout
    without changes. A new one is made beside, under a name that ends in ``.partial``, and renamed when it is whole.
    Raises ResilienceError when the place is taken by something else.
    """
    git = open_checkout(checkout)
    directory = os.path.normpath(directory)
    _refuse_place(git, directory)
    if _is_free(directory):
        _refuse_full_disk(commit, directory)
        if not dry_run:
            _make(git, commit, directory)
        return Release(directory, commit, "made")
    head = _head_of_own(git, directory)
    refuse_changed(git, directory)
    if not dry_run:
        # A run that was killed after the rename left git believing that it stands at the old place.
        git.must("worktree", "repair", directory, doing=f"tell git of the worktree {directory}")
    if head == commit.sha:
        return Release(directory, commit, "there")
    return checkout_in_place(directory, commit, dry_run)


def _refuse_place(git: Checkout, directory: str) -> None:
    real = os.path.realpath(directory)
    top = os.path.realpath(git.directory)
    if not os.path.isabs(directory) or os.path.commonpath([real, top]) in (real, top):
        raise ResilienceError(
            f"A worktree of {top} cannot stand at {directory}: "
            + ("one lies inside the other" if os.path.isabs(directory) else "that is no absolute path"),
            stage=STAGE,
            remedy=f"Name a directory beside it, such as {top}-emergency.",
        )


def _is_free(directory: str) -> bool:
    return not os.path.lexists(directory) or (
        os.path.isdir(directory) and not os.path.islink(directory) and not os.listdir(directory)
    )


def _refuse_full_disk(commit: Commit, directory: str) -> None:
    free = free_bytes(directory)
    if free is not None and free < commit.size_bytes:
        raise ResilienceError(
            "The files of %s need %d kB, and the file system of %s has %d kB free"
            % (commit.tag, commit.size_bytes // 1000, directory, free // 1000),
            stage=STAGE,
            remedy=f"Free space on the file system that holds {directory}, then run again.",
        )


def _head_of_own(git: Checkout, directory: str) -> str:
    """The commit checked out in ``directory``, if that is a worktree of this checkout."""
    answer = git.run("rev-parse", "--show-toplevel", "--git-common-dir", "HEAD", directory=directory)
    lines = answer.stdout.splitlines()
    if (
        answer.rc == 0
        and not os.path.islink(directory)
        and os.path.realpath(lines[0]) == os.path.realpath(directory)
        and os.path.realpath(os.path.join(directory, lines[1])) == git.repository
    ):
        return lines[2]
    raise ResilienceError(
        f"{directory} is there and is no worktree of {git.directory}",
        stage=STAGE,
        remedy="See what it is and move it away, or name another directory.",
    )


def _make(git: Checkout, commit: Commit, directory: str) -> None:
    partial = _partial(directory)
    # A killed run may have left something there, and git may remember a worktree that was removed by hand.
    _discard(git, partial)
    try:
        if os.path.isdir(directory):
            os.rmdir(directory)
        _forget(git, directory)
        _make_directory(git, partial)
        with readable_files():
            git.must(
                "worktree",
                "add",
                "--quiet",
                "--detach",
                partial,
                commit.sha,
                doing=f"make a worktree of {commit.tag} at {directory}",
                writing_to=partial,
            )
        if changed_files(git, partial):
            raise ResilienceError(f"The worktree {directory} came out incomplete", stage=STAGE)
        os.rename(partial, directory)
    except BaseException as error:
        _discard(git, partial)
        if isinstance(error, OSError):
            raise explain_os_error(error, directory, "make the worktree").at_stage(STAGE) from error
        raise
    git.must("worktree", "repair", directory, doing=f"tell git of the worktree {directory}")


def _partial(directory: str) -> str:
    """Where a worktree stands while it is made or removed. Nothing but git ever writes there."""
    return directory + ".partial"


def _discard(git: Checkout, directory: str) -> None:
    """Remove what is there, also while a git that a killed run has left is still at work in it."""
    deadline = time.monotonic() + LEFT_OVER_SECONDS
    while os.path.lexists(directory):
        try:
            shutil.rmtree(directory)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY) or time.monotonic() > deadline:
                raise explain_os_error(error, directory, "remove").at_stage(STAGE) from error
    _forget(git, directory)


def _forget(git: Checkout, directory: str) -> None:
    """Have git forget a worktree that is gone, if it knows of one; twice forced, also one that is locked."""
    git.run("worktree", "remove", "--force", "--force", directory)


def _make_directory(git: Checkout, path: str) -> None:
    """An empty directory with owner and mode of the checkout, whose owner may have no right to make it himself."""
    like = os.stat(git.directory)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.mkdir(path, 0o700)
    if os.geteuid() == 0:
        os.chown(path, like.st_uid, like.st_gid)
    os.chmod(path, stat.S_IMODE(like.st_mode))


def remove_worktree(
    checkout: str, directory: str, disposable: Sequence[str] = DISPOSABLE, dry_run: bool = False
) -> bool:
    """Remove the worktree at ``directory``; tells whether there was one.

    Raises ResilienceError when it holds anything but the commit's files and what is ``disposable``: sessions, above all.
    """
    git = open_checkout(checkout)
    directory = os.path.normpath(directory)
    _refuse_place(git, directory)
    there = os.path.lexists(directory)
    if there:
        _head_of_own(git, directory)
        kept = [name for name in _not_committed(git, directory) if name.rstrip("/") not in disposable]
        if kept:
            raise ResilienceError(
                f"The worktree {directory} is not removed, because it holds files that are in no commit: {some_of(kept)}",
                stage=STAGE,
                remedy="Move away what is worth keeping and remove the rest, then run again.",
            )
    if not dry_run:
        # Not by git alone: the owner of the checkout may have no right to remove the directory itself.
        if there:
            try:
                os.rename(directory, _partial(directory))
            except OSError as error:
                raise explain_os_error(error, directory, "remove the worktree").at_stage(STAGE) from error
        _discard(git, _partial(directory))
        _forget(git, directory)
    return there


def _not_committed(git: Checkout, directory: str) -> list[str]:
    """Changed, untracked and ignored files; of an untracked directory its name with a slash."""
    listing = git.must(
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
        "--ignored=matching",
        "--untracked-files=normal",
        doing=f"look for files in {directory}",
        directory=directory,
    )
    return [entry[3:] for entry in listing.split("\0") if entry]
