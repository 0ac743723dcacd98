# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private files: their modes whatever the umask, no link followed, whole or not at all, causes named."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.system import files
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError

UMASKS = [0o000, 0o022, 0o027, 0o077, 0o277, 0o777]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    previous = os.umask(mask)
    try:
        yield
    finally:
        os.umask(previous)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def failing(number: int) -> Any:
    """A stand-in for a system call that fails with this errno."""

    def call(*arguments: Any, **options: Any) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("mask", UMASKS, ids=oct)
class TestUnderAnyUmask:
    def test_directories_are_0700_with_their_parents(self, tmp_path: Path, mask: int) -> None:
        with umask(mask):
            assert files.private_directory(str(tmp_path / "a" / "b" / "c"))
        assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o700] * 3

    def test_a_created_file_is_0600(self, tmp_path: Path, mask: int) -> None:
        with umask(mask):
            descriptor = files.create_private(str(tmp_path / "f"))
        os.close(descriptor)
        assert mode(tmp_path / "f") == 0o600

    def test_a_replaced_file_is_0600_though_the_old_one_was_not(self, tmp_path: Path, mask: int) -> None:
        path = tmp_path / "f"
        path.write_bytes(b"old")
        path.chmod(0o644)
        with umask(mask):
            files.write_private(str(path), b"new")
        assert mode(path) == 0o600
        assert path.read_bytes() == b"new"


def test_a_file_is_never_open_to_others_even_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The mode stands in the call that creates it; the fchmod afterwards only gives back what an umask took.
    real, seen = os.fchmod, []

    def look(descriptor: int, wanted: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor, wanted)

    monkeypatch.setattr(os, "fchmod", look)
    with umask(0):
        os.close(files.create_private(str(tmp_path / "f")))
    assert seen == [0o600]


class TestPrivateDirectory:
    def test_one_that_is_right_is_left_alone(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        assert not files.private_directory(str(tmp_path))

    @pytest.mark.parametrize("given_mode", [0o755, 0o770, 0o600, 0o777])
    def test_one_that_is_open_is_closed(self, tmp_path: Path, given_mode: int) -> None:
        tmp_path.chmod(given_mode)
        assert files.private_directory(str(tmp_path))
        assert mode(tmp_path) == 0o700

    def test_one_that_everybody_shares_is_refused(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o1777)
        with pytest.raises(ResilienceError, match=r"that everybody shares$"):
            files.private_directory(str(tmp_path))
        assert mode(tmp_path) == 0o1777

    def test_a_relative_path_will_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert files.private_directory("x/y")
        assert mode(tmp_path / "x" / "y") == 0o700

    def test_a_link_to_a_directory_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir(mode=0o755)
        (tmp_path / "link").symlink_to("real")
        with pytest.raises(ResilienceError, match="link is not a directory but a symbolic link"):
            files.private_directory(str(tmp_path / "link"))
        assert mode(tmp_path / "real") == 0o755

    def test_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ResilienceError, match=r"file is not a directory$") as caught:
            files.private_directory(str(tmp_path / "file"))
        assert caught.value.remedy == "Name the real directory, or move what is there out of the way."

    def test_a_path_below_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ResilienceError, match=r"Cannot use the directory .*/file/d: Not a directory"):
            files.private_directory(str(tmp_path / "file" / "d"))

    def test_one_of_another_user_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        owner = tmp_path.stat().st_uid
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
        with pytest.raises(
            ResilienceError, match="belongs to the user with id %d, and this runs as %d" % (owner, owner + 1)
        ):
            files.private_directory(str(tmp_path))

    def test_one_that_another_process_makes_meanwhile_is_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.mkdir

        def raced(path: str, *arguments: Any) -> None:
            real(path, 0o755)
            raise FileExistsError(errno.EEXIST, "File exists", path)

        monkeypatch.setattr(os, "mkdir", raced)
        assert files.private_directory(str(tmp_path / "d"))
        assert mode(tmp_path / "d") == 0o700

    @pytest.mark.parametrize(
        ("call", "doing"), [("mkdir", "create the directory"), ("chmod", "make private the directory")]
    )
    def test_a_refusal_of_the_system_is_explained(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, doing: str
    ) -> None:
        path = tmp_path / "d"
        if call == "chmod":
            path.mkdir(mode=0o755)
        # Root goes by the descriptor.
        for name in (call, f"f{call}"):
            monkeypatch.setattr(os, name, failing(errno.EACCES), raising=False)
        with pytest.raises(ResilienceError, match=f"Cannot {doing} {path}: Permission denied") as caught:
            files.private_directory(str(path))
        assert caught.value.remedy == f"Give the user this runs as write access to {path}, or choose another directory."


class TestCreatePrivate:
    def test_an_existing_file_is_not_opened(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(b"kept")
        with pytest.raises(ResilienceError, match=r"Cannot create .*/f: File exists"):
            files.create_private(str(tmp_path / "f"))
        assert (tmp_path / "f").read_bytes() == b"kept"

    @pytest.mark.parametrize("target", ["victim", "nowhere"])
    def test_a_planted_link_is_not_followed(self, tmp_path: Path, target: str) -> None:
        (tmp_path / "victim").write_bytes(b"kept")
        (tmp_path / "f").symlink_to(target)
        with pytest.raises(ResilienceError, match="File exists"):
            files.create_private(str(tmp_path / "f"))
        assert (tmp_path / "victim").read_bytes() == b"kept"
        assert not (tmp_path / "nowhere").exists()

    def test_children_do_not_inherit_it(self, tmp_path: Path) -> None:
        descriptor = files.create_private(str(tmp_path / "f"))
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


class TestWritePrivate:
    def test_what_a_killed_writer_left_is_replaced(self, tmp_path: Path) -> None:
        stale = tmp_path / f"f.{os.getpid()}.partial"
        stale.write_bytes(b"half of someth")
        files.write_private(str(tmp_path / "f"), b"whole")
        assert os.listdir(tmp_path) == ["f"]
        assert (tmp_path / "f").read_bytes() == b"whole"

    def test_a_link_at_its_name_is_replaced_and_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "victim").write_bytes(b"kept")
        (tmp_path / "f").symlink_to("victim")
        (tmp_path / f"f.{os.getpid()}.partial").symlink_to("victim")
        files.write_private(str(tmp_path / "f"), b"new")
        assert (tmp_path / "victim").read_bytes() == b"kept"
        assert not (tmp_path / "f").is_symlink()

    def test_a_temporary_that_cannot_be_removed_is_named(self, tmp_path: Path) -> None:
        (tmp_path / f"f.{os.getpid()}.partial").mkdir()
        with pytest.raises(ResilienceError, match=r"Cannot remove .*/f\.\d+\.partial: Is a directory"):
            files.write_private(str(tmp_path / "f"), b"new")

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.__getitem__)
    def test_a_failure_leaves_the_old_file_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
    ) -> None:
        path = tmp_path / "f"
        path.write_bytes(b"old")
        monkeypatch.setattr(os, call, failing(number))
        with pytest.raises(ResilienceError, match=f"Cannot write {path}: "):
            files.write_private(str(path), b"new")
        assert os.listdir(tmp_path) == ["f"]
        assert path.read_bytes() == b"old"

    def test_an_interrupt_leaves_no_temporary(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(descriptor: int) -> NoReturn:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            files.write_private(str(tmp_path / "f"), b"new")
        assert os.listdir(tmp_path) == []

    def test_file_then_name_are_made_durable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[str] = []
        real_fsync, real_replace = os.fsync, os.replace

        def fsync(descriptor: int) -> None:
            calls.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
            real_fsync(descriptor)

        def replace(source: str, target: str) -> None:
            calls.append("replace")
            real_replace(source, target)

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "replace", replace)
        files.write_private(str(tmp_path / "f"), b"new")
        assert calls == ["file", "replace", "directory"]

    def test_a_directory_that_cannot_be_synced_is_explained(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "fsync_directory", failing(errno.EIO))
        with pytest.raises(ResilienceError, match=r"Cannot write .*/f: Input/output error"):
            files.write_private(str(tmp_path / "f"), b"new")

    def test_the_current_directory_needs_no_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        files.write_private("f", b"new")
        assert (tmp_path / "f").read_bytes() == b"new"

    @given(data=st.binary(max_size=3000))
    def test_any_bytes_come_back(self, tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
        path = tmp_path_factory.getbasetemp() / "any-bytes"
        files.write_private(str(path), data)
        assert path.read_bytes() == data


class TestExplaining:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.__getitem__)
    def test_a_full_disk(self, tmp_path: Path, number: int) -> None:
        path = str(tmp_path / "not" / "yet" / "there")
        free = shutil.disk_usage(tmp_path).free // 1000
        error = files.explain_os_error(OSError(number, os.strerror(number)), path, "write")
        start, _, end = error.message.partition("(")
        assert start == f"Cannot write {path}: no space left "
        assert end.endswith(" kB free)")
        # Others write to the same disk.
        assert abs(int(end.split()[0]) - free) < 1_000_000
        assert error.remedy == f"Free space on the file system that holds {path}, then run again."

    def test_a_full_disk_that_cannot_be_measured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "disk_usage", failing(errno.EIO))
        assert files.free_bytes("/a/b") is None
        error = files.explain_os_error(OSError(errno.ENOSPC, "No space left on device"), "/a/b", "write")
        assert error.message == "Cannot write /a/b: no space left"

    @pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS], ids=errno.errorcode.__getitem__)
    def test_a_missing_permission(self, number: int) -> None:
        error = files.explain_os_error(OSError(number, os.strerror(number)), "/d/f", "read the archive")
        assert error.message == f"Cannot read the archive /d/f: {os.strerror(number)}"
        assert error.remedy == "Give the user this runs as write access to /d/f, or choose another directory."

    def test_anything_else(self) -> None:
        error = files.explain_os_error(OSError(errno.EIO, "Input/output error"), "/d/f", "read")
        assert (error.message, error.remedy) == ("Cannot read /d/f: Input/output error", None)
        assert files.explain_os_error(OSError("odd"), "/d/f", "read").message == "Cannot read /d/f: odd"


class TestRemoving:
    def test_files_directories_links_and_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "tree" / "deep").mkdir(parents=True)
        (tmp_path / "tree" / "deep" / "file").touch()
        (tmp_path / "kept").mkdir()
        (tmp_path / "link").symlink_to("kept")
        for name in ("file", "tree", "link", "missing"):
            files.remove_tree_or_file(str(tmp_path / name))
        assert os.listdir(tmp_path) == ["kept"]

    def test_what_cannot_be_removed_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setattr(os, "unlink", failing(errno.EBUSY))
        with pytest.raises(ResilienceError, match=r"Cannot remove .*/file: "):
            files.remove_tree_or_file(str(tmp_path / "file"))
