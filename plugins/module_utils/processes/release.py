# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commit behind a tag: what a release is made of."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from ..system.errors import ResilienceError
from .git import STAGE, Checkout, open_checkout, some_of

# What no name of a tag may hold, and what would make it more than a name (tag~3, tag^{tree}).
_NO_TAG = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^[-/.]|[/.]\Z|//|^\Z")


@dataclass(frozen=True)
class Commit:
    """The commit behind a tag. ``submodules`` are paths that git leaves empty, ``size_bytes`` is that of all files."""

    tag: str
    sha: str
    subject: str
    date: str
    size_bytes: int
    submodules: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a release of this commit will be without."""
        if not self.submodules:
            return ()
        return ("%s has submodules, which a release leaves empty: %s" % (self.tag, some_of(list(self.submodules))),)


@dataclass(frozen=True)
class Release:
    """Code of a commit in a directory; ``how`` says what was done: ``made``, ``moved`` to this commit, or ``there``."""

    directory: str
    commit: Commit
    how: str

    @property
    def changed(self) -> bool:
        """Whether anything had to be done."""
        return self.how != "there"


def verify_tag(checkout: str, tag: str) -> Commit:
    """The commit behind ``tag``, all files of which are in the repository.

    ``git tag -l`` ends well whether or not there is such a tag. Raises ResilienceError when there is none, when it
    stands for no commit, or when objects are missing (a partial clone, a damaged repository).
    """
    git = open_checkout(checkout)
    reference = f"refs/tags/{tag}"
    found = None if _NO_TAG.search(tag) else git.run("rev-parse", "--verify", "--quiet", reference + "^{commit}")
    if found is None or found.rc != 0:
        raise _no_commit(git, tag)
    sha = found.stdout.strip()
    missing = git.must(
        "rev-list", "--objects", "--no-walk", "--missing=print", sha, doing=f"read the commit {sha[:12]} of {tag}"
    )
    gone = [line[1:] for line in missing.splitlines() if line.startswith("?")]
    if gone:
        raise ResilienceError(
            f"{checkout} has the tag {tag}, but {len(gone)} of its objects are missing (the first: {gone[0]})",
            stage=STAGE,
            remedy=f"Fetch it whole: {_fetch(git, tag, '--refetch --no-filter')}; then git fsck.",
        )
    shown = git.must(
        "show",
        "--no-patch",
        "--no-show-signature",
        "--encoding=UTF-8",
        "--format=%cI%x00%s",
        sha,
        doing=f"read the commit {sha[:12]} of {tag}",
    )
    date, _zero, subject = shown.strip("\n").partition("\0")
    size, submodules = _contents(git, sha)
    return Commit(tag, sha, subject, date, size, submodules)


def _contents(git: Checkout, sha: str) -> tuple[int, tuple[str, ...]]:
    listing = git.must("ls-tree", "-r", "-l", "-z", "--full-tree", sha, doing=f"list the files of {sha[:12]}")
    entries = [entry.partition("\t") for entry in listing.split("\0") if entry]
    size = sum(int(words.split()[3]) for words, _tab, _path in entries if words.split()[1] == "blob")
    return size, tuple(path for words, _tab, path in entries if words.split()[1] == "commit")


def _no_commit(git: Checkout, tag: str) -> ResilienceError:
    where = git.directory
    if _NO_TAG.search(tag):
        return ResilienceError(f"{tag!r} is no name of a tag", stage=STAGE, remedy="Give the name of a tag alone.")
    kind = git.run("cat-file", "-t", f"refs/tags/{tag}^{{}}")
    if kind.rc == 0:
        return ResilienceError(
            f"The tag {tag} in {where} stands for a {kind.stdout.strip()}, not for a commit",
            stage=STAGE,
            remedy="Tag the commit that holds the code, push the tag, and fetch it here.",
        )
    if git.run("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}").rc == 0:
        return ResilienceError(
            f"The tag {tag} in {where} is there, but what it stands for is missing from the repository",
            stage=STAGE,
            remedy=f"Fetch it again: {_fetch(git, tag, '--force')}; then git fsck.",
        )
    if git.must("rev-parse", "--is-shallow-repository", doing=f"look at {where}").strip() == "true":
        return ResilienceError(
            f"There is no tag {tag} in {where}, which is a shallow clone",
            stage=STAGE,
            remedy=f"Fetch it: {_fetch(git, tag, '--no-tags --depth 1')}",
        )
    branch = git.run("rev-parse", "--verify", "--quiet", f"refs/heads/{tag}").rc == 0
    return ResilienceError(
        f"There is no tag {tag} in {where}" + (", only a branch of that name" if branch else ""),
        stage=STAGE,
        remedy=f"Fetch it: {_fetch(git, tag, '--no-tags')}",
    )


def _fetch(git: Checkout, tag: str, options: str) -> str:
    return f"git -C {shlex.quote(git.directory)} fetch {options} origin tag {shlex.quote(tag)}"
