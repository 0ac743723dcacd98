# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code of a tag in the application's own checkout, and the way back, in real git repositories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes.in_place import (
    Head,
    checkout_in_place,
    read_head,
    restore_checkout,
)
from ansible_collections.baileys.resilience.plugins.module_utils.processes.release import Commit, verify_tag
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ProgramFailedError,
    ResilienceError,
)
from tests.support.git import TAG, git, make_app

OLD, NEW = "// on files\n", "// on PostgreSQL\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return make_app(tmp_path)


@pytest.fixture
def commit(app: Path) -> Commit:
    return verify_tag(str(app), TAG)


def test_the_code_is_checked_out_and_the_branch_is_there_again_afterwards(
    app: Path, tmp_path: Path, commit: Commit
) -> None:
    head = read_head(str(app))
    assert head == Head(git(app, "rev-parse", "main").strip(), "main")
    assert checkout_in_place(str(app), commit, dry_run=True).how == "moved"
    assert read_head(str(app)) == head
    assert checkout_in_place(str(app), commit).how == "moved"
    assert (app / "service.js").read_text() == OLD
    assert read_head(str(app)) == Head(commit.sha, None)
    assert git(app, "rev-parse", "main").strip() == head.sha
    assert checkout_in_place(str(app), commit).how == "there"

    assert restore_checkout(str(app), head, dry_run=True)
    assert restore_checkout(str(app), head)
    assert read_head(str(app)) == head
    assert (app / "service.js").read_text() == NEW
    assert git(app, "status", "--porcelain") == ""
    assert (app / ".env").read_text() == "A=1\n"
    assert not restore_checkout(str(app), head)
    assert not (tmp_path / "hook-ran").exists()


def test_a_detached_checkout_goes_back_to_its_commit(app: Path, commit: Commit) -> None:
    git(app, "checkout", "--quiet", "--detach", "main")
    head = read_head(str(app))
    assert head.branch is None
    checkout_in_place(str(app), commit)
    assert restore_checkout(str(app), head)
    assert read_head(str(app)) == head
    assert not restore_checkout(str(app), head)


def test_a_branch_called_like_a_file_and_a_tag_is_found(app: Path, commit: Commit) -> None:
    git(app, "checkout", "--quiet", "-b", "new.js")
    git(app, "tag", "new.js", TAG)
    head = read_head(str(app))
    checkout_in_place(str(app), commit)
    restore_checkout(str(app), head)
    assert read_head(str(app)) == head


@pytest.mark.parametrize("staged", [False, True])
def test_changed_files_are_named_and_nothing_is_touched(app: Path, commit: Commit, staged: bool) -> None:
    (app / "service.js").write_text("// by hand\n")
    for number in range(12):
        (app / f"staged{number:02}.js").touch()
    if staged:
        git(app, "add", ".")
    for dry_run in (True, False):
        with pytest.raises(ResilienceError) as caught:
            checkout_in_place(str(app), commit, dry_run=dry_run)
        files = "service.js"
        if staged:
            files += "".join(f", staged{number:02}.js" for number in range(9)) + " and 3 more"
        assert caught.value.message == f"{app} has changed files: {files}"
        assert str(caught.value.remedy).endswith(f"git -C {app} stash")
    assert (app / "service.js").read_text() == "// by hand\n"
    assert read_head(str(app)).branch == "main"


@pytest.mark.parametrize("ignored", [False, True])
def test_untracked_files_are_never_overwritten(app: Path, commit: Commit, ignored: bool) -> None:
    # files.js is in the commit of the tag and not in that of the branch; git overwrites ignored ones without a word.
    (app / "files.js").write_text("worth keeping")
    if ignored:
        (app / ".git/info/exclude").write_text("files.js\n")
    for dry_run in (True, False):
        with pytest.raises(
            ResilienceError, match=r"Untracked files of .* stand where the release has its own: files\.js"
        ):
            checkout_in_place(str(app), commit, dry_run=dry_run)
    assert (app / "files.js").read_text() == "worth keeping"
    assert read_head(str(app)).branch == "main"


def test_the_way_back_refuses_changed_files_too(app: Path, commit: Commit) -> None:
    head = read_head(str(app))
    checkout_in_place(str(app), commit)
    (app / "service.js").write_text("// by hand\n")
    with pytest.raises(ResilienceError, match=r"has changed files: service\.js"):
        restore_checkout(str(app), head)
    assert (app / "service.js").read_text() == "// by hand\n"


def test_a_branch_that_is_gone_is_said(app: Path, commit: Commit) -> None:
    git(app, "checkout", "--quiet", "-b", "release")
    head = read_head(str(app))
    checkout_in_place(str(app), commit)
    git(app, "branch", "--quiet", "-D", "release")
    with pytest.raises(ProgramFailedError, match=r"Cannot compare refs/heads/release with what .* has checked out"):
        restore_checkout(str(app), head)


def test_submodules_are_left_as_they_are_on_both_ways(app: Path, tmp_path: Path, commit: Commit) -> None:
    library = tmp_path / "library"
    git(tmp_path, "clone", "--quiet", str(app), str(library))
    git(app, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(app, "commit", "--quiet", "--message", "A library")
    git(app, "config", "submodule.recurse", "true")
    (app / "lib/service.js").write_text("// by hand\n")
    head = read_head(str(app))
    assert checkout_in_place(str(app), commit).how == "moved"
    assert (app / "lib/service.js").read_text() == "// by hand\n"
    assert restore_checkout(str(app), head)
    assert read_head(str(app)) == head
    assert (app / "lib/service.js").read_text() == "// by hand\n"


def test_looking_does_not_write(app: Path, commit: Commit) -> None:
    # git would take this for a reason to renew its index.
    for path in app.glob("*.js"):
        os.utime(path, (1, 1))
    before = (app / ".git/index").read_bytes()
    checkout_in_place(str(app), commit, dry_run=True)
    assert (app / ".git/index").read_bytes() == before


def test_another_git_at_work_is_said(app: Path, commit: Commit) -> None:
    (app / ".git/index.lock").touch()
    with pytest.raises(ProgramFailedError) as caught:
        checkout_in_place(str(app), commit)
    assert "index.lock" in caught.value.message
    assert caught.value.rc not in (None, 0)
    (app / ".git/index.lock").unlink()
    assert read_head(str(app)).branch == "main"
    assert git(app, "status", "--porcelain") == ""


def test_a_checkout_that_stops_half_way_is_undone(app: Path) -> None:
    # A filter that fails on one file only, after others were written: as a full disk or a broken git-lfs does.
    git(app, "checkout", "--quiet", "-b", "filtered")
    (app / ".gitattributes").write_text("z.bin filter=broken\n")
    (app / "a.txt").write_text("a\n")
    (app / "z.bin").write_text("z\n")
    (app / "service.js").write_text("// third\n")
    git(app, "add", ".")
    git(app, "commit", "--quiet", "--message", "filtered")
    git(app, "tag", "filtered-v1")
    git(app, "checkout", "--quiet", "main")
    git(app, "config", "filter.broken.smudge", "false")
    git(app, "config", "filter.broken.required", "true")
    head = read_head(str(app))
    names = sorted(os.listdir(app))
    with pytest.raises(ProgramFailedError, match=r"Cannot check out filtered-v1 in .*: git says: "):
        checkout_in_place(str(app), verify_tag(str(app), "filtered-v1"))
    assert read_head(str(app)) == head
    assert (app / "service.js").read_text() == NEW
    assert sorted(os.listdir(app)) == names
    assert git(app, "status", "--porcelain") == ""
