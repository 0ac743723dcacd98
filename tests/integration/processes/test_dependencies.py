# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release gets just the packages its lock file asks for: those that are there, or by the real npm."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes.dependencies import (
    Dependencies,
    plan_dependencies,
    provide_dependencies,
)
from ansible_collections.baileys.resilience.plugins.module_utils.processes.in_place import (
    checkout_in_place,
    read_head,
    restore_checkout,
)
from ansible_collections.baileys.resilience.plugins.module_utils.processes.release import verify_tag
from ansible_collections.baileys.resilience.plugins.module_utils.processes.worktree import (
    prepare_worktree,
    remove_worktree,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    MissingDependencyError,
    ProgramFailedError,
    ResilienceError,
)
from tests.support.git import TAG, git
from tests.support.npm_app import commit_packages, install, make_npm_app, npm, tiny_version
from tests.support.pm2 import wait_for, write_script
from tests.support.processes import is_running

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root acts for others; CI runs as root")
NOBODY = 65534
# Where nothing has to be installed, no npm is asked for.
NO_NPM = "/nonexistent/npm"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """npm's cache is not that of whoever runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return make_npm_app(tmp_path)


@pytest.fixture
def release(app: Path, tmp_path: Path) -> Path:
    """The worktree of the tag, which asks for tiny 1.0.0; the checkout asks for 2.0.0."""
    release = tmp_path / "app-emergency"
    prepare_worktree(str(app), verify_tag(str(app), TAG), str(release))
    return release


def plan(app: Path, release: Path, tag: str = TAG) -> Dependencies:
    return plan_dependencies(str(app), verify_tag(str(app), tag), str(release))


def test_another_lock_file_is_installed_from_and_an_equal_one_is_not(app: Path, release: Path) -> None:
    install(app)
    before = (app / "node_modules/tiny/index.js").stat()
    assert plan(app, release) == Dependencies(
        "installed", f"those of {app} are not what its package-lock.json asks for"
    )
    previous = os.umask(0o077)
    try:
        assert provide_dependencies(str(app), str(release), npm()).how == "installed"
    finally:
        os.umask(previous)
    assert (tiny_version(release), tiny_version(app)) == ("1.0.0", "2.0.0")
    assert (app / "node_modules/tiny/index.js").stat().st_ctime_ns == before.st_ctime_ns
    assert (release / "node_modules/tiny").stat().st_mode & 0o777 == 0o755
    # What is there is right: no npm is needed.
    assert plan(app, release).how == "there"
    assert provide_dependencies(str(app), str(release), NO_NPM).how == "there"
    assert git(release, "status", "--porcelain") == ""
    assert remove_worktree(str(app), str(release))
    assert tiny_version(app) == "2.0.0"


@pytest.mark.parametrize("linked", [False, True])
def test_packages_that_fit_are_used_again_without_npm(app: Path, tmp_path: Path, linked: bool) -> None:
    git(app, "tag", "newest")
    install(app)
    if linked:
        (app / "node_modules").rename(tmp_path / "shared")
        (app / "node_modules").symlink_to(tmp_path / "shared")
    (app / "node_modules/mine").symlink_to("../vendor")
    release = tmp_path / "release"
    prepare_worktree(str(app), verify_tag(str(app), "newest"), str(release))
    assert plan(app, release, "newest") == Dependencies(
        "reused", f"those of {app} are what its package-lock.json asks for"
    )
    assert provide_dependencies(str(app), str(release), NO_NPM).how == "reused"
    assert os.path.samefile(app / "node_modules/tiny/index.js", release / "node_modules/tiny/index.js")
    # A link to a package of the application itself leads to the release's own.
    assert (release / "node_modules/mine").resolve() == release / "vendor"
    # The next `npm ci` in the checkout takes nothing away from the release.
    shutil.rmtree(tmp_path / "shared" if linked else app / "node_modules")
    assert tiny_version(release) == "2.0.0"
    assert sorted(path.name for path in release.iterdir() if path.name.startswith("node")) == ["node_modules"]


@pytest.mark.parametrize("damage", ["no list", "no package", "another version", "one too many", "not by npm"])
def test_an_installation_that_is_not_what_it_should_be_is_not_used(app: Path, tmp_path: Path, damage: str) -> None:
    git(app, "tag", "newest")
    install(app)
    listing = app / "node_modules/.package-lock.json"
    if damage in ("no list", "not by npm"):
        # npm writes it at the end: an installation that was killed has none.
        listing.unlink() if damage == "no list" else listing.write_text("{}")
    elif damage == "no package":
        shutil.rmtree(app / "node_modules/tiny")
    else:
        written = json.loads(listing.read_text())
        if damage == "another version":
            written["packages"]["node_modules/tiny"]["version"] = "2.0.1"
        else:
            written["packages"]["node_modules/more"] = {"version": "1.0.0"}
            (app / "node_modules/more").mkdir()
        listing.write_text(json.dumps(written))
    release = tmp_path / "release"
    prepare_worktree(str(app), verify_tag(str(app), "newest"), str(release))
    assert plan(app, release, "newest").how == "installed"


def test_what_npm_may_leave_out_is_not_missed(app: Path, tmp_path: Path) -> None:
    install(app)
    listing = (app / "node_modules/.package-lock.json").read_text()
    commit_packages(
        app,
        "2.0.0",
        **{
            "node_modules/eslint": {"version": "9.0.0", "dev": True},
            "node_modules/for-windows": {"version": "1.0.0", "optional": True, "os": ["win32"]},
        },
    )
    (app / "node_modules/.package-lock.json").write_text(listing)
    git(app, "tag", "newest")
    assert plan(app, app, "newest").how == "there"
    commit_packages(app, "2.0.0", **{"node_modules/needed": {"version": "1.0.0"}})
    git(app, "tag", "newer")
    assert plan(app, app, "newer").how == "installed"


def test_in_place_the_old_packages_are_kept_for_the_way_back(app: Path) -> None:
    install(app)
    head, commit = read_head(str(app)), verify_tag(str(app), TAG)
    checkout_in_place(str(app), commit)
    assert provide_dependencies(str(app), str(app), npm()).how == "installed"
    assert tiny_version(app) == "1.0.0"
    assert git(app, "status", "--porcelain") == ""
    restore_checkout(str(app), head)
    assert provide_dependencies(str(app), str(app), NO_NPM).how == "taken back"
    assert tiny_version(app) == "2.0.0"
    # And forth again, as often as need be.
    checkout_in_place(str(app), commit)
    assert plan(app, app).how == "taken back"
    assert provide_dependencies(str(app), str(app), NO_NPM).how == "taken back"
    assert tiny_version(app) == "1.0.0"
    assert len(list((app / ".git/modules-aside").iterdir())) == 1


def test_packages_of_workspaces_move_with_the_others(app: Path) -> None:
    install(app)
    nested = app / "apps/web/node_modules/tiny"
    nested.parent.mkdir(parents=True)
    shutil.copytree(app / "node_modules/tiny", nested)
    listing = app / "node_modules/.package-lock.json"
    written = json.loads(listing.read_text())
    written["packages"]["apps/web/node_modules/tiny"] = written["packages"]["node_modules/tiny"]
    listing.write_text(json.dumps(written))
    lock = json.loads((app / "package-lock.json").read_text())
    lock["packages"].update(written["packages"])
    (app / "package-lock.json").write_text(json.dumps(lock))
    git(app, "commit", "--quiet", "--all", "--message", "A workspace")
    git(app, "tag", "workspaces")
    release = app.with_name("release")
    prepare_worktree(str(app), verify_tag(str(app), "workspaces"), str(release))
    (release / "apps/web").mkdir(parents=True, exist_ok=True)
    assert provide_dependencies(str(app), str(release), NO_NPM).how == "reused"
    assert (release / "apps/web/node_modules/tiny/index.js").exists()
    head = read_head(str(app))
    checkout_in_place(str(app), verify_tag(str(app), TAG))
    provide_dependencies(str(app), str(app), npm())
    assert not nested.exists()
    restore_checkout(str(app), head)
    assert provide_dependencies(str(app), str(app), NO_NPM).how == "taken back"
    assert nested.exists()


@pytest.mark.parametrize("in_place", [False, True])
def test_a_failing_npm_leaves_what_was_there(app: Path, release: Path, in_place: bool) -> None:
    install(app)
    code = app if in_place else release
    if in_place:
        checkout_in_place(str(app), verify_tag(str(app), TAG))
    (code / "vendor/tiny-1.0.0.tgz").unlink()
    with pytest.raises(ProgramFailedError) as caught:
        provide_dependencies(str(app), str(code), npm())
    assert caught.value.message.startswith(f"npm ci failed in {code}: code ENOENT")
    assert "tiny-1.0.0.tgz" in caught.value.message
    assert (caught.value.stage, caught.value.rc != 0) == ("dependencies", True)
    assert tiny_version(app) == "2.0.0"
    assert (code / "node_modules").exists() == in_place
    assert list((app / ".git").glob("**/modules-aside/*")) == []


def test_an_npm_that_hangs_is_ended_with_all_it_started(app: Path, release: Path, tmp_path: Path) -> None:
    install(app)
    checkout_in_place(str(app), verify_tag(str(app), TAG))
    hanging = write_script(
        tmp_path / "npm",
        [
            "#!/bin/sh",
            f"mkdir -p {app}/node_modules/half",
            f"sleep 60 & echo $! > {tmp_path}/child.partial && mv {tmp_path}/child.partial {tmp_path}/child",
            "wait",
        ],
    )
    started = time.monotonic()
    with pytest.raises(ProgramFailedError, match=r"npm did not end within 1 s and was stopped") as caught:
        provide_dependencies(str(app), str(app), hanging, timeout=1)
    assert caught.value.stage == "dependencies"
    assert time.monotonic() - started < 20
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: not is_running(child), "what npm started is still running")
    assert tiny_version(app) == "2.0.0"
    assert not (app / "node_modules/half").exists()


def test_a_missing_npm_is_named_and_leaves_what_was_there(app: Path) -> None:
    install(app)
    checkout_in_place(str(app), verify_tag(str(app), TAG))
    with pytest.raises(MissingDependencyError, match=f"Cannot run {NO_NPM}") as caught:
        provide_dependencies(str(app), str(app), NO_NPM)
    assert caught.value.stage == "dependencies"
    assert tiny_version(app) == "2.0.0"


def test_an_npm_that_does_nothing_and_ends_well_is_not_believed(app: Path, release: Path, tmp_path: Path) -> None:
    idle = write_script(tmp_path / "npm", ["#!/bin/sh", "exit 0"])
    with pytest.raises(ResilienceError, match=r"npm ci ended well .*, and yet its packages are not what"):
        provide_dependencies(str(app), str(release), idle)


@pytest.mark.parametrize("back", [False, True])
def test_a_run_that_was_killed_in_the_middle_is_taken_up(app: Path, back: bool) -> None:
    install(app)
    head, commit = read_head(str(app)), verify_tag(str(app), TAG)
    checkout_in_place(str(app), commit)
    provide_dependencies(str(app), str(app), npm())
    # npm was killed: the old packages are aside, the new ones half there.
    (app / "node_modules/.package-lock.json").unlink()
    if back:
        restore_checkout(str(app), head)
        assert provide_dependencies(str(app), str(app), NO_NPM).how == "taken back"
        assert tiny_version(app) == "2.0.0"
    else:
        assert provide_dependencies(str(app), str(app), npm()).how == "installed"
        assert tiny_version(app) == "1.0.0"
        restore_checkout(str(app), head)
        assert provide_dependencies(str(app), str(app), NO_NPM).how == "taken back"


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ({}, "none"),
        ({"package.json": "{}"}, "none"),
        ({"package.json": '{"dependencies": {}}'}, "none"),
        ({"package.json": '{"dependencies": {"pg": "8"}}'}, "has a package.json and no package-lock.json"),
        (
            {"package-lock.json": '{"lockfileVersion": 1, "dependencies": {}}'},
            "is no lock file that npm 7 or newer wrote",
        ),
        ({"package-lock.json": "<<<<<<< HEAD"}, "is no lock file that npm 7 or newer wrote"),
        ({"package-lock.json": '{"packages": {"": {}}}'}, "none"),
    ],
)
def test_code_that_needs_nothing_or_does_not_say_what(app: Path, files: dict[str, str], answer: str) -> None:
    for name in ("package.json", "package-lock.json"):
        (app / name).unlink()
    for name, text in files.items():
        (app / name).write_text(text)
    git(app, "add", "--all")
    git(app, "commit", "--quiet", "--message", "odd")
    git(app, "tag", "odd")
    if answer == "none":
        assert plan(app, app, "odd").how == "none"
        assert provide_dependencies(str(app), str(app), NO_NPM).how == "none"
    else:
        with pytest.raises(ResilienceError, match=answer) as caught:
            plan(app, app, "odd")
        assert caught.value.stage == "dependencies"


@ROOT_ONLY
def test_packages_belong_to_the_owner_of_the_checkout(app: Path, public_directory: Path) -> None:
    theirs, release = public_directory / "app", public_directory / "release"
    shutil.copytree(app, theirs, symlinks=True)
    for path in [theirs, *theirs.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    prepare_worktree(str(theirs), verify_tag(str(theirs), TAG), str(release))
    assert provide_dependencies(str(theirs), str(release), npm()).how == "installed"
    assert {path.lstat().st_uid for path in (release / "node_modules").rglob("*")} == {NOBODY}
    assert provide_dependencies(str(theirs), str(release), NO_NPM).how == "there"
    git(theirs, "-c", "safe.directory=*", "tag", "newest", "main")
    prepare_worktree(str(theirs), verify_tag(str(theirs), "newest"), str(release))
    provide_dependencies(str(theirs), str(release), npm())
    assert tiny_version(release) == "2.0.0"
    assert {path.lstat().st_uid for path in (theirs / ".git/worktrees").rglob("*")} == {NOBODY}
    assert remove_worktree(str(theirs), str(release))
    assert not (theirs / ".git/worktrees").exists()
