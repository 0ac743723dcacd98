# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code of a tag in a worktree of its own, from real git repositories."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes.release import Commit, verify_tag
from ansible_collections.baileys.resilience.plugins.module_utils.processes.worktree import (
    prepare_worktree,
    remove_worktree,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.support.git import TAG, git, make_app

OLD, NEW = "// on files\n", "// on PostgreSQL\n"
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root acts for others; CI runs as root")
NOBODY = 65534


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return make_app(tmp_path)


def commit_of(app: Path, tag: str = TAG) -> Commit:
    return verify_tag(str(app), tag)


def state_of(app: Path) -> tuple[bytes, ...]:
    """All that must not change in a checkout: HEAD, index and files."""
    paths = [app / ".git/HEAD", app / ".git/index", *sorted(path for path in app.iterdir() if path.is_file())]
    return tuple(path.read_bytes() + str(path.stat().st_mtime_ns).encode() for path in paths)


def worktrees(app: Path) -> list[str]:
    return re.findall(r"^worktree (.*)$", git(app, "worktree", "list", "--porcelain"), re.MULTILINE)


@pytest.mark.parametrize("kind", ["annotated", "lightweight", "tag of a tag"])
def test_the_commit_behind_a_tag_is_found(app: Path, kind: str) -> None:
    tag = TAG
    if kind == "lightweight":
        git(app, "tag", "light", f"{TAG}^{{commit}}")
        tag = "light"
    elif kind == "tag of a tag":
        git(app, "tag", "--annotate", "outer", TAG, "--message", "again")
        tag = "outer"
    # A branch of that name leads elsewhere; a tag is what was asked for.
    git(app, "branch", tag, "main")
    commit = commit_of(app, tag)
    assert commit.sha == git(app, "rev-parse", "main~1").strip()
    assert commit.subject == "Keep a way to run on files: ünïcødé ✓"
    assert commit.date == git(app, "show", "--no-patch", "--format=%cI", "main~1").strip()
    assert commit.size_bytes == len(OLD) * 2 + len((app / ".gitignore").read_bytes())
    assert commit.warnings == ()


def test_a_missing_tag_is_refused_with_the_command_that_fetches_it(app: Path) -> None:
    # Why nobody should go by this: it ends well.
    assert git(app, "tag", "--list", "emergency-v2") == ""
    with pytest.raises(ResilienceError) as caught:
        commit_of(app, "emergency-v2")
    assert caught.value.message == f"There is no tag emergency-v2 in {app}"
    assert caught.value.remedy == f"Fetch it: git -C {app} fetch --no-tags origin tag emergency-v2"
    assert caught.value.stage == "release"
    git(app, "branch", "emergency-v2")
    with pytest.raises(ResilienceError, match=r"There is no tag emergency-v2 in .*, only a branch of that name"):
        commit_of(app, "emergency-v2")


@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_a_tag_on_something_else_is_refused(app: Path, kind: str) -> None:
    target = {"blob": "HEAD:service.js", "tree": "HEAD^{tree}"}[kind]
    git(app, "tag", "--annotate", "odd", target, "--message", "odd")
    with pytest.raises(ResilienceError, match=f"The tag odd in {app} stands for a {kind}, not for a commit"):
        commit_of(app, "odd")


@pytest.mark.parametrize("name", ["", "-f", f"{TAG}~0", f"{TAG}^{{commit}}", "a b", "a..b", "HEAD@{0}", "a\nb", "*"])
def test_more_than_a_name_is_refused(app: Path, name: str) -> None:
    with pytest.raises(ResilienceError, match="is no name of a tag"):
        commit_of(app, name)


def test_a_shallow_clone_without_the_tag_is_told_to_fetch_it_shallowly(app: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{app}", str(shallow))
    with pytest.raises(
        ResilienceError, match=f"There is no tag {TAG} in {shallow}, which is a shallow clone"
    ) as caught:
        commit_of(shallow)
    # The remedy is one.
    words = str(caught.value.remedy).removeprefix("Fetch it: git ").split()
    git(tmp_path, *words)
    release = tmp_path / "release"
    prepare_worktree(str(shallow), commit_of(shallow), str(release))
    assert (release / "files.js").read_text() == OLD


def test_a_commit_whose_files_are_not_all_there_is_refused(app: Path, tmp_path: Path) -> None:
    git(app, "config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", f"file://{app}", str(partial))
    with pytest.raises(
        ResilienceError, match=rf"{partial} has the tag {TAG}, but 1 of its objects are missing"
    ) as caught:
        commit_of(partial)
    command = re.search(r"git (-C .*?);", str(caught.value.remedy))
    assert command
    git(tmp_path, *command[1].split())
    assert commit_of(partial).sha == commit_of(app).sha


def test_an_object_that_is_gone_is_noticed(app: Path) -> None:
    blob = git(app, "rev-parse", f"{TAG}:files.js").strip()
    (app / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(ResilienceError, match=f"1 of its objects are missing .the first: {blob}"):
        commit_of(app)
    commit = git(app, "rev-parse", f"{TAG}^{{commit}}").strip()
    (app / ".git/objects" / commit[:2] / commit[2:]).unlink()
    with pytest.raises(ResilienceError, match="what it stands for is missing from the repository"):
        commit_of(app)


def test_only_the_top_of_a_checkout_will_do(app: Path, tmp_path: Path) -> None:
    (app / "below").mkdir()
    with pytest.raises(ResilienceError, match=f"below is no git checkout of its own, but lies inside that of {app}"):
        commit_of(app / "below")
    (tmp_path / "plain").mkdir()
    with pytest.raises(ResilienceError, match=r"Cannot use .*/plain as a git checkout: git says: not a git repository"):
        commit_of(tmp_path / "plain")
    with pytest.raises(ResilienceError, match="There is no directory"):
        commit_of(tmp_path / "none")


def test_a_worktree_has_the_code_of_the_tag_and_the_checkout_stays_as_it_is(app: Path, tmp_path: Path) -> None:
    before, release = state_of(app), tmp_path / "app-emergency"
    commit = commit_of(app)
    planned = prepare_worktree(str(app), commit, str(release), dry_run=True)
    assert (planned.how, planned.changed, release.exists()) == ("made", True, False)
    previous = os.umask(0o077)
    try:
        assert prepare_worktree(str(app), commit, str(release)) == planned
    finally:
        os.umask(previous)
    assert (release / "service.js").read_text() == OLD
    assert not (release / "new.js").exists()
    assert git(release, "rev-parse", "HEAD").strip() == commit.sha
    assert git(release, "status", "--porcelain") == ""
    # The service may run as another user than its checkout's owner.
    assert (release / "service.js").stat().st_mode & 0o777 == 0o644
    assert release.stat().st_mode == app.stat().st_mode
    assert state_of(app) == before
    assert worktrees(app) == [str(app), str(release)]
    assert not (tmp_path / "hook-ran").exists()

    again = prepare_worktree(str(app), commit, str(release))
    assert (again.how, again.changed) == ("there", False)

    assert remove_worktree(str(app), str(release))
    assert not release.exists()
    assert worktrees(app) == [str(app)]
    assert list((app / ".git").glob("worktrees/*")) == []
    assert state_of(app) == before
    assert not remove_worktree(str(app), str(release))


def test_an_empty_directory_is_taken_and_a_worktree_at_another_commit_is_moved(app: Path, tmp_path: Path) -> None:
    release = tmp_path / "release"
    release.mkdir()
    git(app, "tag", "newer", "main")
    assert prepare_worktree(str(app), commit_of(app, "newer"), str(release)).how == "made"
    (release / ".env").write_text("A=2\n")
    assert prepare_worktree(str(app), commit_of(app), str(release), dry_run=True).how == "moved"
    assert (release / "service.js").read_text() == NEW
    assert prepare_worktree(str(app), commit_of(app), str(release)).how == "moved"
    assert (release / "service.js").read_text() == OLD
    assert (release / ".env").read_text() == "A=2\n"
    assert not (tmp_path / "hook-ran").exists()


def test_a_worktree_is_not_moved_over_files_of_its_own(app: Path, tmp_path: Path) -> None:
    release = tmp_path / "release"
    git(app, "tag", "newer", "main")
    prepare_worktree(str(app), commit_of(app, "newer"), str(release))
    (release / "files.js").write_text("worth keeping")
    for dry_run in (True, False):
        with pytest.raises(ResilienceError, match=rf"Untracked files of {release} stand where .*: files\.js"):
            prepare_worktree(str(app), commit_of(app), str(release), dry_run=dry_run)
    assert (release / "files.js").read_text() == "worth keeping"
    assert (release / "service.js").read_text() == NEW


@pytest.mark.parametrize("what", ["files", "a file", "a link", "another repository", "another's worktree"])
def test_a_place_that_is_taken_is_refused_and_left(app: Path, tmp_path: Path, what: str) -> None:
    place, other = tmp_path / "place", tmp_path / "other"
    if what == "files":
        place.mkdir()
        (place / "precious").touch()
    elif what == "a file":
        place.touch()
    elif what == "a link":
        prepare_worktree(str(app), commit_of(app), str(tmp_path / "real"))
        place.symlink_to("real")
    elif what == "another repository":
        git(tmp_path, "clone", "--quiet", str(app), str(place))
    else:
        git(tmp_path, "clone", "--quiet", str(app), str(other))
        git(other, "worktree", "add", "--quiet", "--detach", str(place))
    listing = sorted(path.name for path in tmp_path.rglob("*"))
    for dry_run in (True, False):
        with pytest.raises(ResilienceError, match=f"{place} is there and is no worktree of {app}") as caught:
            prepare_worktree(str(app), commit_of(app), str(place), dry_run=dry_run)
        assert "move it away" in str(caught.value.remedy)
    with pytest.raises(ResilienceError, match="is no worktree of"):
        remove_worktree(str(app), str(place))
    assert sorted(path.name for path in tmp_path.rglob("*")) == listing


@pytest.mark.parametrize("place", ["app", "app/emergency", "", "relative"])
def test_a_worktree_inside_or_around_the_checkout_is_refused(app: Path, tmp_path: Path, place: str) -> None:
    directory = place if place == "relative" else str(tmp_path / place)
    for use in (
        lambda: prepare_worktree(str(app), commit_of(app), directory),
        lambda: remove_worktree(str(app), directory),
    ):
        with pytest.raises(ResilienceError, match=f"A worktree of {app} cannot stand at"):
            use()


def test_a_worktree_that_was_worked_in_is_refused_and_left(app: Path, tmp_path: Path) -> None:
    release = tmp_path / "release"
    commit = commit_of(app)
    prepare_worktree(str(app), commit, str(release))
    (release / "service.js").write_text("// by hand\n")
    with pytest.raises(ResilienceError, match=f"{release} has changed files: service.js"):
        prepare_worktree(str(app), commit, str(release), dry_run=True)
    with pytest.raises(ResilienceError, match=r"holds files that are in no commit: service\.js"):
        remove_worktree(str(app), str(release))
    assert (release / "service.js").read_text() == "// by hand\n"


@pytest.mark.parametrize("name", ["sessions/company/creds.json", "app.log", "data/notes.txt"])
def test_a_worktree_that_holds_more_than_code_is_not_removed(app: Path, tmp_path: Path, name: str) -> None:
    release = tmp_path / "release"
    prepare_worktree(str(app), commit_of(app), str(release))
    (release / "node_modules/x").mkdir(parents=True)
    (release / ".env").touch()
    precious = release / name
    precious.parent.mkdir(parents=True, exist_ok=True)
    precious.write_text("worth keeping")
    for dry_run in (True, False):
        with pytest.raises(ResilienceError, match=f"in no commit: {name.split('/', maxsplit=1)[0]}"):
            remove_worktree(str(app), str(release), dry_run=dry_run)
    assert precious.read_text() == "worth keeping"
    precious.unlink()
    shutil.rmtree(release / "sessions", ignore_errors=True)
    assert remove_worktree(str(app), str(release), dry_run=True)
    assert release.exists()
    assert remove_worktree(str(app), str(release))
    assert not release.exists()


@pytest.mark.parametrize(
    "left", ["removed by hand", "emptied by hand", "locked", "partial", "before the repair", "half made by git"]
)
def test_what_a_killed_run_left_is_no_hindrance(app: Path, tmp_path: Path, left: str) -> None:
    release, partial = tmp_path / "release", tmp_path / "release.partial"
    commit, how = commit_of(app), "made"
    if left in ("removed by hand", "emptied by hand", "locked"):
        prepare_worktree(str(app), commit, str(release))
        if left == "locked":
            git(app, "worktree", "lock", "--reason", "initializing", str(release))
        shutil.rmtree(release)
        if left == "emptied by hand":
            release.mkdir()
    elif left == "partial":
        git(app, "worktree", "add", "--quiet", "--detach", str(partial), commit.sha)
        git(app, "worktree", "lock", str(partial))
        (partial / "service.js").write_text("half")
    elif left == "before the repair":
        git(app, "worktree", "add", "--quiet", "--detach", str(partial), commit.sha)
        partial.rename(release)
        how = "there"
    else:
        # As `git worktree add` leaves it when it is killed: registered, and no files yet.
        git(app, "worktree", "add", "--quiet", "--no-checkout", "--detach", str(partial), commit.sha)
        next((app / ".git/worktrees").iterdir()).joinpath("index.lock").touch()
    assert prepare_worktree(str(app), commit, str(release)).how == how
    assert (release / "service.js").read_text() == OLD
    assert worktrees(app) == [str(app), str(release)]
    assert not partial.exists()
    assert remove_worktree(str(app), str(release))
    assert worktrees(app) == [str(app)]


def test_a_removal_that_was_killed_is_finished(app: Path, tmp_path: Path) -> None:
    release = tmp_path / "release"
    prepare_worktree(str(app), commit_of(app), str(release))
    release.rename(tmp_path / "release.partial")
    (tmp_path / "release.partial/.git").unlink()
    assert not remove_worktree(str(app), str(release))
    assert not (tmp_path / "release.partial").exists()
    assert worktrees(app) == [str(app)]


def test_submodules_are_left_empty_and_that_is_said(app: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    git(tmp_path, "clone", "--quiet", str(app), str(library))
    git(app, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(app, "commit", "--quiet", "--message", "A library")
    git(app, "tag", "with-library")
    git(app, "config", "submodule.recurse", "true")
    commit = commit_of(app, "with-library")
    assert commit.warnings == ("with-library has submodules, which a release leaves empty: lib",)
    release = tmp_path / "release"
    prepare_worktree(str(app), commit, str(release))
    assert list((release / "lib").iterdir()) == []
    assert prepare_worktree(str(app), commit, str(release)).how == "there"
    assert remove_worktree(str(app), str(release))


@ROOT_ONLY
@pytest.mark.parametrize("mixed", [False, True])
def test_the_checkout_of_another_user_is_worked_on_as_that_user(app: Path, public_directory: Path, mixed: bool) -> None:
    theirs = public_directory / "app"
    shutil.copytree(app, theirs, symlinks=True)
    for path in [theirs, *theirs.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    if mixed:
        # Somebody has once worked on it with sudo.
        os.chown(theirs / ".git", 0, 0)
    before = state_of(theirs)
    release = public_directory / "opt" / "release"
    release.parent.mkdir()
    commit = verify_tag(str(theirs), TAG)
    prepare_worktree(str(theirs), commit, str(release))
    assert state_of(theirs) == before
    owner = 0 if mixed else NOBODY
    assert {path.stat().st_uid for path in release.rglob("*")} == {owner}
    assert release.stat().st_uid == NOBODY
    made = list((theirs / ".git/worktrees").rglob("*"))
    assert {path.stat().st_uid for path in made} == {owner}
    assert prepare_worktree(str(theirs), commit, str(release)).how == "there"
    assert remove_worktree(str(theirs), str(release))
    assert not release.exists()
    # Nothing was written into anybody's settings for it.
    done = subprocess.run(
        ["git", "config", "--global", "--get-all", "safe.directory"], capture_output=True, text=True, check=False
    )
    assert str(public_directory) not in done.stdout
