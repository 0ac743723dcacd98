# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private directories, many at once: made, closed, handed over, or all of them left alone with the reasons."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.system.commands import Account
from ansible_collections.baileys.resilience.plugins.module_utils.system.directories import ensure_directories
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError, SettingsError

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories to others; CI runs as root")
NOBODY = Account("nobody", 65534, 65534)


def me() -> Account:
    entry = pwd.getpwuid(os.geteuid())
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def state(path: Path) -> tuple[str, int]:
    status = path.lstat()
    return oct(status.st_mode & 0o7777), status.st_uid


def test_all_are_made_with_their_parents_and_once(tmp_path: Path) -> None:
    wanted = [str(tmp_path / "a" / name) for name in ("daily", "weekly")]
    previous = os.umask(0o277)
    try:
        changes = ensure_directories(wanted, me())
    finally:
        os.umask(previous)
    assert [str(change) for change in changes] == [f"{path}: made" for path in (tmp_path / "a", *wanted)]
    assert {state(path) for path in (tmp_path / "a").rglob("*")} == {("0o700", os.geteuid())}
    assert ensure_directories(wanted, me()) == ()


def test_an_open_one_is_closed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d").chmod(0o755)
    (change,) = ensure_directories([str(tmp_path / "d")], me())
    assert str(change) == f"{tmp_path}/d: closed (was 0755)"
    assert state(tmp_path / "d")[0] == "0o700"


@pytest.mark.parametrize("account", [me(), None], ids=["known", "not yet created"])
def test_a_dry_run_tells_the_same_and_does_nothing(tmp_path: Path, account: Account | None) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    changes = ensure_directories([str(tmp_path / "open"), str(tmp_path / "new" / "d")], account, dry_run=True)
    assert [(change.path, change.made) for change in changes] == [
        (str(tmp_path / "new"), True),
        (str(tmp_path / "new" / "d"), True),
        (str(tmp_path / "open"), False),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["open"]
    assert state(tmp_path / "open")[0] == "0o755"


class TestRefused:
    """Nothing at all is changed then, not even the paths before it."""

    def refuse(self, tmp_path: Path, path: Path, reason: str) -> None:
        good = tmp_path / "a-good-one"
        with pytest.raises(ResilienceError, match=reason) as caught:
            ensure_directories([str(good), str(path)], me())
        assert "Nothing was changed" in caught.value.message
        assert not good.exists()

    def test_a_symbolic_link(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        self.refuse(tmp_path, tmp_path / "link", "link is a symbolic link")

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "f").touch()
        self.refuse(tmp_path, tmp_path / "f", "f is not a directory")

    def test_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "f").touch()
        self.refuse(tmp_path, tmp_path / "f" / "d", "not a directory|Not a directory")

    def test_one_that_everybody_shares(self, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d").chmod(0o1777)
        self.refuse(tmp_path, tmp_path / "d", "everybody shares")

    def test_below_one_that_everybody_may_write_to(self, tmp_path: Path) -> None:
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o777)
        self.refuse(tmp_path, tmp_path / "open" / "d" / "e", r"everybody may write to .*/open \(mode 0777\)")

    def test_not_below_one_in_which_nobody_replaces_what_is_anothers(self, tmp_path: Path) -> None:
        (tmp_path / "shared").mkdir()
        (tmp_path / "shared").chmod(0o1777)
        assert ensure_directories([str(tmp_path / "shared" / "d")], me())

    @ROOT_ONLY
    def test_one_of_another_user(self, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        os.chown(tmp_path / "d", 4711, 4711)
        self.refuse(tmp_path, tmp_path / "d", "d belongs to the user with id 4711")
        self.refuse(tmp_path, tmp_path / "d" / "e", "d belongs to the user with id 4711")

    @ROOT_ONLY
    def test_below_a_link_of_another_user(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        os.lchown(tmp_path / "link", 4711, 4711)
        self.refuse(tmp_path, tmp_path / "link" / "d", "link is a symbolic link of the user with id 4711")

    def test_a_relative_path(self) -> None:
        with pytest.raises(SettingsError, match="a/b is not an absolute path"):
            ensure_directories(["a/b"], me())


@ROOT_ONLY
class TestForAnotherUser:
    def test_new_ones_are_theirs(self, public_directory: Path) -> None:
        assert ensure_directories([str(public_directory / "a" / "b")], NOBODY)
        assert state(public_directory / "a") == state(public_directory / "a" / "b") == ("0o700", 65534)

    def test_what_root_has_is_handed_over_with_what_root_has_in_it(self, public_directory: Path) -> None:
        top = public_directory / "backups"
        (top / "daily").mkdir(parents=True, mode=0o700)
        top.chmod(0o700)
        (top / "daily" / "archive").touch(mode=0o600)
        (top / "of-a-third").touch()
        os.chown(top / "of-a-third", 4711, 4711)
        (top / "link").symlink_to("/etc/passwd")
        (change,) = ensure_directories([str(top)], NOBODY)
        assert str(change).endswith("taken over from the user with id 0, with what is in it")
        assert {path.lstat().st_uid for path in (top, top / "daily", top / "daily" / "archive", top / "link")} == {
            65534
        }
        assert (top / "of-a-third").stat().st_uid == 4711
        assert Path("/etc/passwd").stat().st_uid == 0
        assert ensure_directories([str(top)], NOBODY) == ()

    def test_one_that_they_cannot_reach_is_said(self, public_directory: Path) -> None:
        closed = public_directory / "closed"
        closed.mkdir(mode=0o700)
        with pytest.raises(ResilienceError, match=f"was made, but nobody cannot enter {closed}") as caught:
            ensure_directories([str(closed / "d")], NOBODY)
        assert caught.value.remedy == f"Let others enter it (chmod o+x {closed})."
