# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time: between real processes, also those that were killed."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.system import lock
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import LockedError, ResilienceError
from ansible_collections.baileys.resilience.plugins.module_utils.system.lock import exclusive_lock, lock_for
from tests.support.processes import start_parent, wait_until_gone

# A process that holds the lock and says so.
HOLDER = f"""
    import os, subprocess, sys
    from {lock.__name__} import exclusive_lock
    held = exclusive_lock({{path!r}}, 0)
    descriptor = held.__enter__()
"""
ALONE = HOLDER + "    print(os.getpid(), flush=True)\n"
WITH_CHILD = (
    HOLDER
    + "    print(subprocess.Popen(['sleep', '600'], pass_fds=[descriptor], stdout=subprocess.DEVNULL).pid, flush=True)\n"
)
WITH_DEAF_CHILD = HOLDER + "    print(subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL).pid, flush=True)\n"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / ".lock")


def is_free(path: str) -> bool:
    try:
        with exclusive_lock(path, 0):
            return True
    except LockedError:
        return False


def test_the_holder_is_named_to_whoever_does_not_wait(path: str) -> None:
    with start_parent(ALONE.format(path=path)) as (holder, _pid):
        with pytest.raises(LockedError) as caught, exclusive_lock(path, 0):
            pass
        assert caught.value.message == f"Another run (process {holder.pid}) holds {path}; waited 0 s"
        assert caught.value.stage == "lock"
        assert "lock_timeout" in (caught.value.remedy or "")


def test_waiting_ends_after_the_time_given(path: str) -> None:
    with start_parent(ALONE.format(path=path)):
        started = time.monotonic()
        with pytest.raises(LockedError, match=r"waited 0\.25 s"), exclusive_lock(path, 0.25):
            pass
        assert 0.25 <= time.monotonic() - started < 10


def test_whoever_waits_gets_it_when_the_holder_ends(path: str) -> None:
    with start_parent(ALONE.format(path=path)) as (holder, _pid):
        threading.Timer(0.3, holder.terminate).start()
        with exclusive_lock(path, 60):
            # The file states the new holder: nothing of a longer number stays behind.
            assert Path(path).read_text() == f"{os.getpid()}\n"


def test_a_killed_holder_blocks_nobody(path: str) -> None:
    with start_parent(ALONE.format(path=path)) as (holder, _pid):
        assert not is_free(path)
        holder.kill()
        holder.wait()
        assert Path(path).read_text() == f"{holder.pid}\n"
        assert is_free(path)


def test_the_child_of_a_killed_holder_keeps_it_until_it_ends(path: str) -> None:
    with start_parent(WITH_CHILD.format(path=path)) as (holder, child):
        holder.kill()
        holder.wait()
        assert not is_free(path)
        os.kill(child, 9)
        wait_until_gone(child)
        assert is_free(path)


def test_a_child_it_was_not_passed_to_does_not_keep_it(path: str) -> None:
    with start_parent(WITH_DEAF_CHILD.format(path=path)) as (holder, child):
        holder.kill()
        holder.wait()
        assert is_free(path)
        assert Path("/proc", str(child)).exists()


def test_it_is_released_when_the_block_fails(path: str) -> None:
    with pytest.raises(KeyError), exclusive_lock(path, 0):
        raise KeyError
    assert is_free(path)


def test_within_one_process_too(path: str) -> None:
    with exclusive_lock(path, 0):
        assert not is_free(path)
    assert is_free(path)


def test_the_file_is_private_and_stays(path: str) -> None:
    previous = os.umask(0)
    try:
        with exclusive_lock(path, 0):
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    finally:
        os.umask(previous)
    assert Path(path).exists()


def test_a_planted_link_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    Path(path).symlink_to("victim")
    with pytest.raises(ResilienceError, match=r"Cannot open the lock .*/\.lock: ") as caught, exclusive_lock(path, 0):
        pass
    assert caught.value.stage == "lock"
    assert (tmp_path / "victim").read_text() == "kept"


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    missing = str(tmp_path / "none" / ".lock")
    with (
        pytest.raises(ResilienceError, match=f"Cannot open the lock {missing}: No such file"),
        exclusive_lock(missing, 0),
    ):
        pass


def test_a_file_system_without_locks(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(descriptor: int, operation: int) -> NoReturn:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    before = set(os.listdir("/proc/self/fd"))
    with (
        pytest.raises(ResilienceError, match=f"Cannot lock {path}: No locks available") as caught,
        exclusive_lock(path, 9),
    ):
        pass
    assert not isinstance(caught.value, LockedError)
    assert caught.value.stage == "lock"
    # The descriptor is not left open: an open one would hold the lock.
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("call", ["ftruncate", "pwrite"])
def test_a_full_disk_does_not_stop_it(path: str, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*arguments: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with exclusive_lock(path, 0):
        assert not is_free(path)


def test_a_holder_that_wrote_nothing_is_unknown(path: str) -> None:
    with exclusive_lock(path, 0):
        os.truncate(path, 0)
        with pytest.raises(LockedError, match="process unknown"), exclusive_lock(path, 0):
            pass


class TestOnlyAsking:
    def test_no_file_is_made_and_nobody_is_held_off(self, path: str) -> None:
        with lock_for(path, 0, dry_run=True):
            assert not Path(path).exists()

    def test_one_that_is_there_is_not_written_to(self, path: str) -> None:
        Path(path).write_text("4711\n")
        with lock_for(path, 0, dry_run=True):
            assert not is_free(path)
            assert Path(path).read_text() == "4711\n"
        with exclusive_lock(path, 0):
            pass

    def test_it_waits_for_the_holder_like_any_other(self, path: str) -> None:
        with (
            exclusive_lock(path, 0),
            pytest.raises(LockedError, match=f"process {os.getpid()}"),
            lock_for(path, 0, True),
        ):
            pass

    def test_otherwise_it_is_the_lock(self, path: str) -> None:
        with lock_for(path, 0, dry_run=False):
            assert Path(path).read_text() == f"{os.getpid()}\n"
            assert not is_free(path)

    def test_a_planted_link_is_refused(self, path: str) -> None:
        Path(path).symlink_to("/dev/null")
        with pytest.raises(ResilienceError, match="Cannot open the lock") as caught, lock_for(path, 0, True):
            pass
        assert caught.value.stage == "lock"
