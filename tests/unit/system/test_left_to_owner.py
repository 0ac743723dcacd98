# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What root makes in a directory of another user belongs to that user; nowhere else is anything given away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.system import files, lock
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others; CI runs as root")

USER, GROUP = 65534, 65533


def owner(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_uid, status.st_gid


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A directory of another user, which only root can have put where it is."""
    directory = tmp_path / "theirs"
    directory.mkdir(mode=0o700)
    os.chown(directory, USER, GROUP)
    return directory


class TestInADirectoryOfAnotherUser:
    def test_directories(self, theirs: Path) -> None:
        assert files.private_directory(str(theirs / "a" / "b"))
        assert owner(theirs / "a") == owner(theirs / "a" / "b") == (USER, GROUP)
        assert not files.private_directory(str(theirs / "a" / "b"))

    def test_files(self, theirs: Path) -> None:
        os.close(files.create_private(str(theirs / "f")))
        assert owner(theirs / "f") == (USER, GROUP)

    def test_replaced_files_also_of_root(self, theirs: Path) -> None:
        (theirs / "f").write_bytes(b"of root")
        files.write_private(str(theirs / "f"), b"new")
        assert owner(theirs / "f") == (USER, GROUP)

    def test_locks(self, theirs: Path) -> None:
        with lock.exclusive_lock(str(theirs / "l"), 0):
            pass
        assert owner(theirs / "l") == (USER, GROUP)
        assert (theirs / "l").stat().st_mode & 0o777 == 0o600

    def test_a_lock_that_is_there_keeps_its_owner(self, theirs: Path) -> None:
        (theirs / "l").touch()
        os.chown(theirs / "l", 4711, 4711)
        with lock.exclusive_lock(str(theirs / "l"), 0):
            pass
        assert owner(theirs / "l") == (4711, 4711)

    def test_the_directory_itself_is_closed_and_stays_theirs(self, theirs: Path) -> None:
        theirs.chmod(0o755)
        assert files.private_directory(str(theirs))
        assert owner(theirs) == (USER, GROUP)
        assert theirs.stat().st_mode & 0o777 == 0o700


def test_nothing_of_root_is_given_away(tmp_path: Path) -> None:
    mine = owner(tmp_path)
    files.private_directory(str(tmp_path / "d"))
    files.write_private(str(tmp_path / "d" / "f"), b"")
    with lock.exclusive_lock(str(tmp_path / "d" / "l"), 0):
        pass
    assert {owner(tmp_path / "d"), owner(tmp_path / "d" / "f"), owner(tmp_path / "d" / "l")} == {mine}


@pytest.mark.parametrize("mode", [0o1777, 0o777])
def test_a_directory_that_another_user_may_have_planted_is_refused(tmp_path: Path, theirs: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(ResilienceError, match=f"belongs to the user with id {USER}"):
        files.private_directory(str(theirs))


def test_one_in_a_directory_of_a_third_user_is_refused(tmp_path: Path, theirs: Path) -> None:
    os.chown(tmp_path, 4711, 4711)
    with pytest.raises(ResilienceError, match=f"belongs to the user with id {USER}"):
        files.private_directory(str(theirs))


def test_a_name_that_is_turned_elsewhere_meanwhile_harms_nothing(
    tmp_path: Path, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    real = os.mkdir

    def swapped(path: str, *arguments: int) -> None:
        real(path, *arguments)
        os.rmdir(path)
        os.symlink(victim, path)

    monkeypatch.setattr(os, "mkdir", swapped)
    with pytest.raises(ResilienceError, match="Cannot create the directory"):
        files.private_directory(str(theirs / "d"))
    assert victim.stat().st_mode & 0o777 == 0o755
    assert owner(victim) == (0, 0)
