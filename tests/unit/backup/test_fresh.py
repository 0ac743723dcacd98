# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup young enough to lean on: which one counts, and waiting for the one that is being made."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue
from ansible_collections.baileys.resilience.plugins.module_utils.backup.fresh import fresh_backup
from ansible_collections.baileys.resilience.plugins.module_utils.system import lock
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from ansible_collections.baileys.resilience.plugins.module_utils.system.lock import exclusive_lock
from tests.support.archives import put_archive, snapshot_of
from tests.support.processes import start_parent

HOUR = 3600.0
LIMIT = 26 * HOUR
HOLDER = f"""
    import os
    from {lock.__name__} import exclusive_lock
    held = exclusive_lock({{path!r}}, 0)
    held.__enter__()
    print(os.getpid(), flush=True)
"""


def put(root: Path, hours: float, sequence: int = 1, **manifest: Any) -> Path:
    """An archive whose snapshot was taken so many hours ago."""
    moment = datetime.now(UTC) - timedelta(hours=hours)
    taken = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return put_archive(root, moment, snapshot_at=taken, sequence=sequence, **manifest)


def refusal(root: Path, wait: float = 0, **options: Any) -> ResilienceError:
    with pytest.raises(ResilienceError) as caught:
        fresh_backup(str(root), LIMIT, wait, **options)
    assert caught.value.stage == "backup"
    assert caught.value.remedy
    return caught.value


class TestWhichCounts:
    @pytest.mark.parametrize("state", ["verified", "proven"])
    def test_the_newest_good_one(self, tmp_path: Path, state: str) -> None:
        put(tmp_path, 25, sequence=1)
        put(tmp_path, 26.1, sequence=3)
        newest = put(tmp_path, 1, sequence=2, state=state)
        assert fresh_backup(str(tmp_path), LIMIT, 0).path == str(newest)

    def test_its_snapshot_counts_not_its_name(self, tmp_path: Path) -> None:
        old = (datetime.now(UTC) - timedelta(hours=27)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        put_archive(tmp_path, datetime.now(UTC), snapshot_at=old)
        assert "is 1 d 3 h old" in refusal(tmp_path).message

    def test_just_within_the_limit(self, tmp_path: Path) -> None:
        path = put(tmp_path, 25.99)
        assert fresh_backup(str(tmp_path), LIMIT, 0).path == str(path)

    def test_an_old_one_is_named_with_age_limit_and_remedy(self, tmp_path: Path) -> None:
        put(tmp_path, 50)
        error = refusal(tmp_path)
        assert error.message == f"The newest verified backup in {tmp_path} is 2 d 2 h old; the limit is 1 d 2 h"
        assert error.remedy == "Make a backup (playbook backup), then run again."

    def test_nothing_there(self, tmp_path: Path) -> None:
        assert refusal(tmp_path / "none").message == f"There is no verified backup in {tmp_path / 'none'}"

    def test_a_suspect_one_does_not_count(self, tmp_path: Path) -> None:
        put(tmp_path, 1, state="suspect")
        assert "no verified backup" in refusal(tmp_path).message

    def test_a_truncated_one_does_not_count(self, tmp_path: Path) -> None:
        put(tmp_path, 1).write_bytes(b"arch")
        assert "no verified backup" in refusal(tmp_path).message

    def test_one_of_another_database_does_not_count(self, tmp_path: Path) -> None:
        path = put(tmp_path, 1, database="other")
        assert fresh_backup(str(tmp_path), LIMIT, 0, database="other").path == str(path)
        assert "no verified backup of the database store" in refusal(tmp_path, database="store").message

    def test_a_clock_a_little_behind_the_servers(self, tmp_path: Path) -> None:
        path = put(tmp_path, -0.05)
        assert fresh_backup(str(tmp_path), LIMIT, 0).path == str(path)

    def test_one_from_the_future_is_not_fresh_for_ever(self, tmp_path: Path) -> None:
        put(tmp_path, -48)
        assert "dated 2 d 0 h in the future" in refusal(tmp_path).message

    def test_why_there_is_none(self, tmp_path: Path) -> None:
        put(tmp_path, 50)
        catalogue.write_last_run(str(tmp_path), "failed", "the disk is full")
        error = refusal(tmp_path)
        assert "failed: the disk is full" in error.message
        assert "Mend" in (error.remedy or "")


class TestWaiting:
    def test_a_fresh_one_is_taken_without_waiting_for_the_run(self, tmp_path: Path) -> None:
        path = put(tmp_path, 1)
        with start_parent(HOLDER.format(path=str(tmp_path / ".lock"))):
            started = time.monotonic()
            assert fresh_backup(str(tmp_path), LIMIT, 30).path == str(path)
        assert time.monotonic() - started < 5

    def test_the_archive_of_the_run_under_way_is_waited_for(self, tmp_path: Path) -> None:
        put(tmp_path, 50)
        found: list[str] = []
        waiting = threading.Thread(target=lambda: found.append(fresh_backup(str(tmp_path), LIMIT, 30).path))
        with exclusive_lock(str(tmp_path / ".lock"), 0):
            waiting.start()
            waiting.join(0.3)
            assert waiting.is_alive()
            path = put(tmp_path, 0, sequence=2)
        waiting.join(10)
        assert found == [str(path)]

    def test_a_run_that_takes_too_long_is_named(self, tmp_path: Path) -> None:
        put(tmp_path, 50)
        with start_parent(HOLDER.format(path=str(tmp_path / ".lock"))) as (holder, _pid):
            error = refusal(tmp_path, wait=0.2)
        assert f"Another run (process {holder.pid})" in error.message
        assert "2 d 2 h old" in error.message

    def test_a_run_that_failed_is_not_waited_for(self, tmp_path: Path) -> None:
        with start_parent(HOLDER.format(path=str(tmp_path / ".lock"))) as (holder, _pid):
            holder.kill()
            holder.wait()
            started = time.monotonic()
            refusal(tmp_path, wait=30)
        assert time.monotonic() - started < 5

    def test_looking_leaves_nothing(self, tmp_path: Path) -> None:
        put(tmp_path, 50)
        before = snapshot_of(tmp_path)
        refusal(tmp_path)
        assert snapshot_of(tmp_path) == before
