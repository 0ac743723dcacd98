# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check out the code of a tag in the application's own checkout, and the way back."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from ..system.errors import ResilienceError
from .git import STAGE, Checkout, changed_files, open_checkout, readable_files, some_of
from .release import Commit, Release


@dataclass(frozen=True)
class Head:
    """What a checkout has checked out: a commit, and the branch that stands there (None: detached)."""

    sha: str
    branch: str | None


def read_head(checkout: str) -> Head:
    """What is checked out. Raises ResilienceError."""
    return _head(open_checkout(checkout))


def _head(git: Checkout) -> Head:
    sha = git.must("rev-parse", "--verify", "HEAD^{commit}", doing=f"read HEAD of {git.directory}").strip()
    # Not --short: that writes heads/<name> where a tag has the same name.
    reference = git.run("symbolic-ref", "--quiet", "HEAD")
    return Head(sha, reference.stdout.strip()[len("refs/heads/") :] if reference.rc == 0 else None)


def checkout_in_place(checkout: str, commit: Commit, dry_run: bool = False) -> Release:
    """Check out ``commit``. Every app of the checkout gets this code at its next start.

    Read ``read_head`` before, for the way back. Raises ResilienceError before anything is touched when tracked files
    are changed, or untracked ones stand where the commit has its own.
    """
    git = open_checkout(checkout)
    head = _head(git)
    _refuse_dirty(git, commit.sha)
    if head.sha == commit.sha:
        return Release(git.directory, commit, "there")
    if not dry_run:
        _switch(git, head, commit.sha, ["--detach", commit.sha], commit.tag)
    return Release(git.directory, commit, "moved")


def restore_checkout(checkout: str, head: Head, dry_run: bool = False) -> bool:
    """Check out what ``read_head`` had found; tells whether that changed anything. Raises ResilienceError.

    A branch is checked out where it stands today.
    """
    git = open_checkout(checkout)
    current = _head(git)
    if (current.branch, head.branch) == (None, None):
        if current.sha == head.sha:
            return False
    elif current.branch == head.branch:
        return False
    target = f"refs/heads/{head.branch}" if head.branch else head.sha
    _refuse_dirty(git, target)
    if not dry_run:
        words = [head.branch, "--"] if head.branch else ["--detach", head.sha]
        _switch(git, current, target, words, head.branch or head.sha[:12])
    return True


def refuse_changed(git: Checkout, directory: str) -> None:
    """Raise ResilienceError if tracked files of the checkout, or of its worktree ``directory``, are changed."""
    changed = changed_files(git, directory)
    if changed:
        raise ResilienceError(
            f"{directory} has changed files: {some_of(changed)}",
            stage=STAGE,
            remedy=f"Commit them or put them away, then run again: git -C {shlex.quote(directory)} stash",
        )


def _refuse_dirty(git: Checkout, target: str) -> None:
    refuse_changed(git, git.directory)
    in_the_way = [name for name in _new_files(git, target) if os.path.lexists(os.path.join(git.directory, name))]
    if in_the_way:
        # An ignored file among them (.env) would be overwritten without a word.
        raise ResilienceError(
            f"Untracked files of {git.directory} stand where the release has its own: {some_of(in_the_way)}",
            stage=STAGE,
            remedy="Move them away, or use a worktree, which leaves them alone.",
        )


def _new_files(git: Checkout, target: str) -> list[str]:
    listing = git.must(
        "diff-tree",
        "-r",
        "-z",
        "--no-renames",
        "--ignore-submodules=all",
        "--name-only",
        "--diff-filter=A",
        "HEAD",
        target,
        doing=f"compare {target} with what {git.directory} has checked out",
    )
    return [name for name in listing.split("\0") if name]


def _switch(git: Checkout, head: Head, target: str, words: list[str], name: str) -> None:
    new_files = _new_files(git, target)
    try:
        with readable_files():
            git.must(
                "checkout",
                "--quiet",
                "--no-guess",
                "--no-overwrite-ignore",
                *words,
                doing=f"check out {name} in {git.directory}",
                writing_to=git.directory,
            )
    except BaseException:
        _put_back(git, head, new_files)
        raise


def _put_back(git: Checkout, head: Head, new_files: list[str]) -> None:
    """Undo a checkout that stopped half-way: the tree was clean, so nothing of anybody's is lost."""
    for name in new_files:
        # First, because they may be what has filled the disk.
        path = os.path.join(git.directory, name)
        if os.path.lexists(path):
            os.unlink(path)
    words = [head.branch, "--"] if head.branch else ["--detach", head.sha]
    with readable_files():
        git.must(
            "checkout",
            "--quiet",
            "--no-guess",
            "--force",
            *words,
            doing=f"put {git.directory} back to {head.branch or head.sha[:12]} after a checkout that failed half-way",
            remedy="Remove its .git/index.lock if no git runs there, make room on the disk, then: git -C %s checkout "
            "--force %s" % (git.directory, head.branch or head.sha),
        )
