# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a scratch server is put, and which of what lies there is nobody's any more."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.postgres import scratch_place
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.scratch_place import (
    choose_base,
    collect,
    end_server,
    scratch_directory,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.commands import Account
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError, SettingsError

GIB = 1 << 30


@pytest.fixture
def base(public_directory: Path) -> Path:
    return public_directory


@pytest.mark.parametrize(
    ("needed", "memory", "shm", "chosen"),
    [
        (GIB, 8 * GIB, 4 * GIB, scratch_place.MEMORY_DIRECTORY),
        (2 * GIB, 8 * GIB, 4 * GIB, scratch_place.MEMORY_DIRECTORY),
        (2 * GIB + 1, 8 * GIB, 4 * GIB, scratch_place.DISK_DIRECTORY),
        (2 * GIB, 80 * GIB, GIB, scratch_place.DISK_DIRECTORY),
        (1, 0, 4 * GIB, scratch_place.DISK_DIRECTORY),
        (1, 8 * GIB, None, scratch_place.DISK_DIRECTORY),
    ],
)
def test_memory_where_it_is_plentiful(
    monkeypatch: pytest.MonkeyPatch, needed: int, memory: int, shm: int | None, chosen: str
) -> None:
    free = {scratch_place.MEMORY_DIRECTORY: shm, scratch_place.DISK_DIRECTORY: 100 * GIB}
    monkeypatch.setattr(scratch_place, "free_bytes", free.get)
    monkeypatch.setattr(scratch_place, "_available_memory", lambda: memory)
    assert choose_base(needed, None, None) == chosen


def test_no_room(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    monkeypatch.setattr(scratch_place, "free_bytes", lambda _path: 5_000_000)
    for given, named in ((None, scratch_place.DISK_DIRECTORY), (str(base), str(base))):
        with pytest.raises(ResilienceError, match=r"about 10\.0 MB in .*, which has 5\.0 MB free") as caught:
            choose_base(10_000_000, given, None)
        assert named in caught.value.message
        assert "scratch_directory" in str(caught.value.remedy)
    # A file system that tells nothing is tried.
    monkeypatch.setattr(scratch_place, "free_bytes", lambda _path: None)
    assert choose_base(10_000_000, str(base), None) == str(base)


@pytest.mark.parametrize(
    ("mode", "account", "fits"),
    [
        (0o711, Account("x", 12345, 12345), True),
        (0o700, Account("x", 12345, 12345), False),
        (0o710, Account("x", 12345, os.getgid()), True),
        (0o701, Account("x", 12345, os.getgid()), False),
        (0o600, Account("me", os.getuid(), os.getgid()), False),
        (0o700, Account("me", os.getuid(), os.getgid()), True),
        (0o700, None, True),
    ],
)
def test_account_that_has_to_enter(base: Path, mode: int, account: Account | None, fits: bool) -> None:
    inside = base / "closed"
    inside.mkdir()
    inside.chmod(mode)
    if fits:
        assert choose_base(1, str(inside), account) == str(inside)
    else:
        with pytest.raises(SettingsError, match="cannot be entered by"):
            choose_base(1, str(inside), account)


def test_directory_is_private_and_gone_afterwards(base: Path) -> None:
    old = os.umask(0)
    try:
        with scratch_directory(str(base), None) as path:
            assert os.stat(path).st_mode & 0o777 == 0o700
            assert os.stat(os.path.join(path, "owner.lock")).st_mode & 0o777 == 0o600
            (Path(path) / "more").mkdir()
            # Whose owner lives is not collected.
            assert collect([str(base)]) == []
            assert os.path.isdir(path)
    finally:
        os.umask(old)
    assert list(base.iterdir()) == []
    with pytest.raises(ZeroDivisionError), scratch_directory(str(base), None):
        raise ZeroDivisionError
    assert list(base.iterdir()) == []


def make(base: Path, name: str, lock: bool, age: float = 0) -> Path:
    path = base / f"baileys-scratch-{name}"
    path.mkdir()
    if lock:
        (path / "owner.lock").touch()
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_what_is_collected(base: Path) -> None:
    dead, old = make(base, "dead", True), make(base, "old", False, 3600)
    young, alive = make(base, "young", False), make(base, "alive", True)
    link = base / "baileys-scratch-link"
    target = base / "precious"
    target.mkdir()
    (target / "owner.lock").touch()
    link.symlink_to(target)
    trap = make(base, "trap", False, 3600)
    (trap / "owner.lock").symlink_to(target / "owner.lock")
    with (alive / "owner.lock").open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert sorted(collect([str(base), str(base), "/not/there"])) == sorted([str(dead), str(old)])
    assert {path.name for path in base.iterdir()} == {young.name, alive.name, link.name, "precious", trap.name}
    assert (target / "owner.lock").exists()


def test_number_of_a_server_that_is_another_process_now(base: Path) -> None:
    """The number in postmaster.pid of a dead server is somebody else's today: ours, here."""
    (base / "postmaster.pid").write_text(f"{os.getpid()}\n")
    end_server(str(base))
    (base / "postmaster.pid").write_text("no number")
    end_server(str(base))
    end_server(str(base / "nowhere"))


def abandon(path: Path) -> None:
    """A directory as a killed run leaves it."""
    (path / "data").mkdir(parents=True, mode=0o700)
    (path / "owner.lock").touch(mode=0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is led into a trap by the directories of others")
def test_anothers_directory_is_left_alone(base: Path) -> None:
    path = base / "baileys-scratch-evil"
    abandon(path)
    os.chown(path, 12345, 12345)
    os.utime(path, (0, 0))
    assert scratch_place.collect([str(base)]) == []
    assert path.is_dir()


@pytest.mark.parametrize("trap", ["fifo", "link"])
def test_what_the_server_left_is_not_followed(base: Path, trap: str) -> None:
    """Whoever runs as the server's account can put anything at the name of its file."""
    path = base / "baileys-scratch-trap"
    abandon(path)
    file = path / "data" / "postmaster.pid"
    if trap == "fifo":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero")
    assert scratch_place.collect([str(base)]) == [str(path)]
    assert not path.exists()
