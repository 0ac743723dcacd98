# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished directories put into their place, and what killed runs leave."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions import place
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    LockedError,
    ResilienceError,
    SettingsError,
)

NOBODY = (65534, 65534)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def make(path: Path, content: str) -> None:
    path.mkdir()
    (path / "creds.json").write_text(content)


def content_of(path: Path) -> str:
    return (path / "creds.json").read_text()


class NoExchange:
    """A C library whose file system cannot exchange two names, or that has no such call at all."""

    def __init__(self, number: int | None) -> None:
        self._real = ctypes.CDLL(None, use_errno=True)
        self.syncfs = self._real.syncfs
        if number is not None:
            self.renameat2 = lambda *_arguments: ctypes.set_errno(number) or -1


@pytest.fixture(params=["exchange", errno.EINVAL, errno.ENOSYS, None])
def every_file_system(request, monkeypatch):
    if request.param != "exchange":
        monkeypatch.setattr(place, "_libc", lambda: NoExchange(request.param))


@pytest.mark.usefixtures("every_file_system")
def test_new_ones_take_the_place_of_old_ones(tmp_path):
    root = tmp_path / "sessions"
    with place.place_for_tenants(str(root)):
        make(Path(place.partial_path(str(root), "a")), "first")
        place.publish(str(root), ["a"])
    with place.place_for_tenants(str(root)):
        for name in "ab":
            make(Path(place.partial_path(str(root), name)), "second")
        assert content_of(root / "a") == "first"
        place.publish(str(root), ["a", "b"])
    assert content_of(root / "a") == content_of(root / "b") == "second"
    assert sorted(os.listdir(root)) == [".lock", "a", "b"]
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_another_error_of_the_exchange_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(place, "_libc", lambda: NoExchange(errno.EIO))
    with place.place_for_tenants(str(tmp_path)):
        make(tmp_path / "a", "first")
        make(Path(place.partial_path(str(tmp_path), "a")), "second")
        with pytest.raises(ResilienceError, match="Cannot publish the sessions in"):
            place.publish(str(tmp_path), ["a"])
    assert content_of(tmp_path / "a") == "first"
    assert sorted(os.listdir(tmp_path)) == [".lock", "a"]


def test_what_cannot_be_brought_to_the_disk_is_not_put_into_place(tmp_path, monkeypatch):
    class BadDisk:
        @staticmethod
        def syncfs(_descriptor: int) -> int:
            ctypes.set_errno(errno.EIO)
            return -1

    monkeypatch.setattr(place, "_libc", BadDisk)
    make(tmp_path / "a", "first")
    with place.place_for_tenants(str(tmp_path)):
        make(Path(place.partial_path(str(tmp_path), "a")), "second")
        with pytest.raises(ResilienceError, match="Input/output error"):
            place.publish(str(tmp_path), ["a"])
    assert content_of(tmp_path / "a") == "first"


def test_an_unfinished_run_leaves_nothing(tmp_path):
    make(tmp_path / "a", "first")

    def half() -> None:
        with place.place_for_tenants(str(tmp_path)):
            make(Path(place.partial_path(str(tmp_path), "a")), "half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert content_of(tmp_path / "a") == "first"
    assert sorted(os.listdir(tmp_path)) == [".lock", "a"]


def test_a_killed_run_is_cleared_up_after(tmp_path):
    # Killed while it wrote; after the exchange; between the two renames where there is no exchange.
    make(tmp_path / ".a.partial", "half")
    make(tmp_path / "b", "new")
    make(tmp_path / ".b.partial", "old")
    make(tmp_path / ".c.old", "old")
    make(tmp_path / ".c.partial", "new")
    make(tmp_path / "d", "new")
    make(tmp_path / ".d.old", "old")
    make(tmp_path / ".hidden", "somebody's")
    with place.place_for_tenants(str(tmp_path)):
        assert sorted(os.listdir(tmp_path)) == [".hidden", ".lock", "b", "c", "d"]
    assert [content_of(tmp_path / name) for name in "bcd"] == ["new", "old", "new"]


def test_one_run_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(place, "LOCK_SECONDS", 0.0)
    with place.place_for_tenants(str(tmp_path)):
        make(tmp_path / ".a.partial", "half")
        with pytest.raises(LockedError), place.place_for_tenants(str(tmp_path)):
            pass
        assert content_of(tmp_path / ".a.partial") == "half"


@needs_root
def test_a_directory_for_another_user(tmp_path):
    root = tmp_path / "home" / "sessions"
    for _ in range(2):
        with place.place_for_tenants(str(root), NOBODY):
            pass
        for path in (root, root.parent):
            assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (NOBODY[0], 0o700)


@needs_root
def test_a_directory_of_somebody_else_is_refused(tmp_path):
    os.chown(tmp_path, 1, 1)
    with (
        pytest.raises(ResilienceError, match="is no directory of root's or of the user"),
        place.place_for_tenants(str(tmp_path), NOBODY),
    ):
        pass
    assert tmp_path.stat().st_uid == 1


@needs_root
def test_a_link_is_not_given_away(tmp_path):
    (tmp_path / "link").symlink_to("/etc")
    with (
        pytest.raises(ResilienceError, match="is no directory"),
        place.place_for_tenants(str(tmp_path / "link"), NOBODY),
    ):
        pass
    assert os.stat("/etc").st_uid == 0


def test_only_root_gives_files_away(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SettingsError, match="Only root can give"), place.place_for_tenants(str(tmp_path), NOBODY):
        pass
