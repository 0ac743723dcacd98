# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release or a `.env` on a full disk, and a run that is killed at any moment: all of it is there, or nothing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes import worktree
from ansible_collections.baileys.resilience.plugins.module_utils.processes.dependencies import provide_dependencies
from ansible_collections.baileys.resilience.plugins.module_utils.processes.dotenv import write_env_file
from ansible_collections.baileys.resilience.plugins.module_utils.processes.in_place import checkout_in_place, read_head
from ansible_collections.baileys.resilience.plugins.module_utils.processes.release import verify_tag
from ansible_collections.baileys.resilience.plugins.module_utils.processes.worktree import prepare_worktree
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ProgramFailedError,
    ResilienceError,
)
from tests.support.git import TAG, git, make_app
from tests.support.npm_app import install, make_npm_app, tiny_version
from tests.support.small_disk import SmallDisk

MakeDisk = Callable[[int], SmallDisk]
LARGE = 300_000
DISK = 8_000_000


@pytest.fixture
def disk(make_disk: MakeDisk) -> SmallDisk:
    disk = make_disk(DISK)
    if disk.prefix:
        pytest.skip("only root sees a file system that it mounts in this very process; CI runs as root")
    return disk


def with_large_files(app: Path) -> None:
    """Move the tag to a commit that has more than fits."""
    git(app, "checkout", "--quiet", TAG)
    for number in range(4):
        (app / f"large{number}.bin").write_bytes(os.urandom(LARGE))
    git(app, "add", ".")
    git(app, "commit", "--quiet", "--message", "large")
    git(app, "tag", "--annotate", "--force", TAG, "--message", "large")
    git(app, "checkout", "--quiet", "main")


def kilobytes_free(error: ResilienceError) -> int:
    """What an error says is free, which must be less than what was needed."""
    found = re.search(r"\((\d+) kB free\)", error.message)
    assert found
    assert int(found[1]) < LARGE // 1000
    return int(found[1])


def test_a_worktree_that_does_not_fit_is_refused_beforehand(disk: SmallDisk, tmp_path: Path) -> None:
    app = make_app(tmp_path)
    with_large_files(app)
    disk.fill(leave=LARGE)
    place = disk.here / "release"
    with pytest.raises(
        ResilienceError, match=r"The files of .* need 1200 kB, and the file system of .* has \d+ kB free"
    ):
        prepare_worktree(str(app), verify_tag(str(app), TAG), str(place), dry_run=True)


def test_a_worktree_on_a_disk_that_runs_full_leaves_nothing(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(tmp_path)
    with_large_files(app)
    disk.fill(leave=LARGE)
    # Somebody else has taken the space since it was looked at.
    monkeypatch.setattr(worktree, "free_bytes", lambda path: None)
    place = disk.here / "release"
    with pytest.raises(ProgramFailedError, match="Cannot make a worktree of") as caught:
        prepare_worktree(str(app), verify_tag(str(app), TAG), str(place))
    assert caught.value.message.endswith("unable to write file large0.bin (%d kB free)" % kilobytes_free(caught.value))
    assert str(caught.value.remedy).startswith("Free space on the file system that holds")
    assert sorted(os.listdir(disk.here)) == ["ballast"]
    assert git(app, "worktree", "list").count("\n") == 1
    disk.fill(leave=DISK)
    assert prepare_worktree(str(app), verify_tag(str(app), TAG), str(place)).how == "made"


def test_a_checkout_in_place_on_a_full_disk_is_undone(disk: SmallDisk) -> None:
    app = make_app(disk.here)
    with_large_files(app)
    head, names = read_head(str(app)), sorted(os.listdir(app))
    disk.fill(leave=LARGE * 2)
    with pytest.raises(ProgramFailedError, match="Cannot check out") as caught:
        checkout_in_place(str(app), verify_tag(str(app), TAG))
    kilobytes_free(caught.value)
    assert read_head(str(app)) == head
    assert sorted(os.listdir(app)) == names
    assert git(app, "status", "--porcelain") == ""
    assert (app / "service.js").read_text() == "// on PostgreSQL\n"


def test_an_env_file_on_a_full_disk_stays_as_it_is(disk: SmallDisk) -> None:
    env = disk.here / ".env"
    env.write_text("A=1\n")
    disk.fill(leave=0)
    for value in ("2", "x" * 9000):
        with pytest.raises(ResilienceError, match=f"Cannot (create|write) {env}.*: no space left"):
            write_env_file(str(env), {"A": value})
        assert env.read_text() == "A=1\n"
        assert sorted(os.listdir(disk.here)) == [".env", "ballast"]


def test_packages_on_a_full_disk_leave_what_was_there(disk: SmallDisk, tmp_path: Path) -> None:
    app = make_npm_app(tmp_path)
    git(app, "tag", "newest")
    install(app)
    (app / "node_modules/tiny/large.bin").write_bytes(os.urandom(LARGE))
    place = disk.here / "release"
    prepare_worktree(str(app), verify_tag(str(app), "newest"), str(place))
    disk.fill(leave=LARGE // 2)
    with pytest.raises(ProgramFailedError, match=r"cannot be copied to .*: cp ended with exit status 1"):
        provide_dependencies(str(app), str(place), "/nonexistent/npm")
    assert not [name for name in os.listdir(place) if name.startswith("node_modules")]
    disk.fill(leave=DISK)
    # No link leads from one file system to another: the files are copied.
    assert provide_dependencies(str(app), str(place), "/nonexistent/npm").how == "reused"
    assert tiny_version(place) == "2.0.0"
    assert (app / "node_modules/tiny/index.js").stat().st_nlink == 1


PROGRAM = """
import sys
from {release} import verify_tag
from {worktree} import prepare_worktree
print("ready", flush=True)
sys.stdin.readline()
prepare_worktree(sys.argv[1], verify_tag(sys.argv[1], "{tag}"), sys.argv[2])
"""


def test_a_run_killed_at_any_moment_is_finished_by_the_next(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    git(app, "checkout", "--quiet", TAG)
    for number in range(300):
        (app / f"file{number:03}.js").write_text("x" * 5000)
    git(app, "add", ".")
    git(app, "commit", "--quiet", "--message", "many")
    git(app, "tag", "--annotate", "--force", TAG, "--message", "many")
    git(app, "checkout", "--quiet", "main")
    commit = verify_tag(str(app), TAG)
    place = tmp_path / "release"
    seen = set()
    for number in range(8):
        killed_after(app, place, number * 0.008)
        seen.add("whole" if place.exists() else "nothing yet")
        if place.exists():
            # What stands there under its own name is never half of it.
            assert git(place, "rev-parse", "HEAD").strip() == commit.sha
            assert git(place, "status", "--porcelain") == ""
        expected = "there" if place.exists() else "made"
        assert prepare_worktree(str(app), commit, str(place)).how == expected
        assert git(place, "status", "--porcelain") == ""
        assert git(app, "worktree", "list").count("\n") == 2
        assert not Path(f"{place}.partial").exists()
        assert git(app, "status", "--porcelain") == ""
        shutil.rmtree(place)
    assert "nothing yet" in seen


def killed_after(app: Path, place: Path, seconds: float) -> None:
    """Start making the worktree in a process of its own and kill it after that time, with nothing left running."""
    program = PROGRAM.format(worktree=worktree.__name__, release=verify_tag.__module__, tag=TAG)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(app), str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.stdin.write(b"\n")
        process.stdin.flush()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
