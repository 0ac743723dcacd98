# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs at once, a clock that was set back, and retention while backups fail."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue, make, place
from ansible_collections.baileys.resilience.plugins.module_utils.system.files import explain_os_error
from demo.postgres_server import PostgresServer
from tests.faults.conftest import MakeJob
from tests.support import run_processes
from tests.support.backup_job import BackupJob, IncompleteWatch
from tests.support.backups import KINDS, strays
from tests.support.mid_dump import held_in_mid_dump

KEEP = {"daily": 7, "monthly": 4}


def test_second_run_fails_clearly(job: BackupJob) -> None:
    before = job.published()
    with held_in_mid_dump(job) as (first, proxy):
        second = job.run(lock_timeout=0)
        assert job.published() == before
        proxy.thaw()
        run = first.finish()

    assert second.failed
    assert f"Another run (process {first.process.pid}) holds {job.root}/.lock" in second.message
    assert "raise lock_timeout" in second.message
    assert second.result["stage"] == "lock"
    assert not run.failed, run.output
    # The one that was refused says nothing of the one that was not.
    assert job.last_run() == "ok"
    assert strays(job.root) == []
    job.assert_gone()
    job.assert_all_verify()


def test_second_run_waits(job: BackupJob) -> None:
    with held_in_mid_dump(job) as (first, proxy), job.start(lock_timeout=60, prune=False) as second:
        time.sleep(1)
        assert second.process.poll() is None
        proxy.thaw()
        runs = [first.finish(), second.finish()]

    assert [run.rc for run in runs] == [0, 0], [run.output for run in runs]
    # The second one's snapshot was taken after it had the lock, not before.
    assert runs[0].result["manifest"]["sequence"] + 1 == runs[1].result["manifest"]["sequence"]
    assert runs[0].result["archive"] != runs[1].result["archive"]
    assert strays(job.root) == []
    job.assert_gone()
    job.assert_all_verify()


def test_second_run_waits_only_so_long(job: BackupJob) -> None:
    with held_in_mid_dump(job) as (first, proxy):
        second = job.run(lock_timeout=1)
        assert "waited 1 s" in second.message
        assert 1 < second.seconds < 20
        proxy.thaw()
        assert not first.finish().failed


def test_prune_and_verify_keep_out_of_a_run(job: BackupJob) -> None:
    with held_in_mid_dump(job) as (first, proxy):
        pruned = job.prune(keep_daily=0, keep_monthly=0)
        verified = job.run(
            "pg_backup_verify", backup_root=str(job.root), lock_timeout=0, state_directory=str(job.state)
        )
        proxy.thaw()
        assert not first.finish().failed

    for run in (pruned, verified):
        assert run.failed
        assert "Another run" in run.message


def test_many_runs_at_once(job: BackupJob) -> None:
    """All wait for each other: each makes its archive, none is corrupted, nobody sees half of one."""
    kinds = ["custom-zstd", "plain-gzip", "directory-lz4", "custom-none"]
    with IncompleteWatch(job.root) as watch:
        running = [job.start(lock_timeout=60, prune=False, max_shrink_percent=100, **KINDS[kind]) for kind in kinds]
        runs = [each.finish() for each in running]

    assert [run.rc for run in runs] == [0, 0, 0, 0], [run.output for run in runs]
    assert sorted(run.result["manifest"]["sequence"] for run in runs) == [2, 3, 4, 5]
    assert watch.incomplete == []
    assert strays(job.root) == []
    job.assert_gone()
    job.assert_all_verify()


def test_two_roots_do_not_wait_for_each_other(make_job: MakeJob, server18: PostgresServer, tmp_path: Path) -> None:
    job = make_job(server18)
    with held_in_mid_dump(job) as (first, proxy):
        other = job.run(backup_root=str(tmp_path / "other"))
        assert not other.failed, other.output
        proxy.thaw()
        assert not first.finish().failed


def test_readers_during_a_run(job: BackupJob) -> None:
    """pg_backup_info takes no lock and sees only what is whole."""
    with held_in_mid_dump(job) as (first, proxy):
        info = job.run("pg_backup_info", backup_root=str(job.root))
        assert [entry["state"] for entry in info.result["archives"]] == ["verified"]
        assert info.result["last_run"]["outcome"] == "running"
        proxy.thaw()
        assert not first.finish().failed


def test_check_mode_during_a_run_writes_nothing(job: BackupJob) -> None:
    with held_in_mid_dump(job) as (first, proxy):
        planned = job.run(_ansible_check_mode=True)
        assert not planned.failed, planned.output
        assert job.last_run() == "running"
        proxy.thaw()
        assert not first.finish().failed
    assert job.last_run() == "ok"


def test_retention_halts_after_a_failed_run(job: BackupJob) -> None:
    job.back_up_here(**KINDS["plain-none"])
    before = job.published()
    failed = job.run(min_size=10**9)
    job.assert_harmless(failed, before)

    pruned = job.prune(keep_daily=1, keep_monthly=0)

    assert not pruned.failed
    assert pruned.result["removed"] == []
    assert job.published() == before
    reasons = [entry["reason"] for entry in pruned.result["kept"]]
    assert any("nothing is removed while backups fail" in reason and "min_size" in reason for reason in reasons)
    # And goes on after the next good one.
    job.back_up_here()
    pruned = job.prune(keep_daily=1, keep_monthly=0)
    assert len(pruned.result["removed"]) == 2


@pytest.mark.parametrize("record", ["missing", "damaged"])
def test_retention_halts_without_a_record_of_the_last_run(job: BackupJob, record: str) -> None:
    job.back_up_here(**KINDS["plain-none"])
    before = job.published()
    if record == "missing":
        (job.root / ".last_run.json").unlink()
    else:
        (job.root / ".last_run.json").write_text('{"outcome": "o')

    pruned = job.prune(keep_daily=1, keep_monthly=0)

    assert pruned.result["removed"] == []
    assert job.published() == before


def test_archive_that_cannot_be_removed_is_a_warning(job: BackupJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backup of today is good, and is said to be, though one of last week will not go."""
    job.back_up_here(**KINDS["plain-none"])

    def refuse(archive: catalogue.Archive) -> None:
        raise explain_os_error(PermissionError(1, "Operation not permitted"), archive.path, "remove")

    monkeypatch.setattr(catalogue, "remove_archive", refuse)
    result = make.make_backup(job.request(keep={"daily": 1}))

    assert "Cannot remove" in " ".join(result.warnings)
    assert [decision for decision in result.decisions if not decision.keep] == []
    assert any(decision.reason == "could not be removed" for decision in result.decisions)
    assert job.last_run() == "ok"
    assert len(catalogue.read_catalogue(str(job.root))) == 3


class Clock(datetime):
    """The wall clock, off by so much."""

    off = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Clock:
        moment = datetime.now(UTC) + cls.off
        return cls(*moment.timetuple()[:6], moment.microsecond, moment.tzinfo)


def test_clock_set_back(job: BackupJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """By weeks, between two runs: the newest backup is the latest run's, whatever its name says."""
    monkeypatch.setattr(place, "datetime", Clock)
    Clock.off = timedelta(days=40)
    ahead = make.make_backup(job.request(keep=KEEP))
    Clock.off = timedelta(0)
    job.database.execute("DELETE FROM whatsapp_keys WHERE key_type = 'tctoken'")

    behind = make.make_backup(job.request(keep={"daily": 1}))

    assert behind.archive < ahead.archive
    assert behind.manifest["sequence"] == ahead.manifest["sequence"] + 1
    # One a day of one day: that of the latest run stays, not the one from the future.
    stays = {decision.archive.path for decision in behind.decisions if decision.keep}
    assert behind.archive in stays
    assert ahead.archive not in stays
    best = catalogue.newest(catalogue.read_catalogue(str(job.root)))
    assert best is not None
    assert best.path == behind.archive
    job.assert_all_verify()


def test_clock_that_stands_still(job: BackupJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs within one second, or a second that comes twice: no archive takes another's name."""
    moment = datetime(2026, 11, 1, 1, 30, tzinfo=UTC)

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Stopped:
            return cls.fromtimestamp(moment.timestamp(), tz)

    monkeypatch.setattr(place, "datetime", Stopped)
    made = [make.make_backup(job.request(keep=None)).archive for _ in range(3)]

    assert len(set(made)) == 3
    assert all(Path(path).is_file() for path in made)
    job.assert_all_verify()


def test_lock_wait_does_not_hold_a_transaction_open(job: BackupJob) -> None:
    """Waiting for hours must not keep the server from cleaning up."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        f" WHERE usename = '{job.database.user}' AND state = 'idle' AND backend_xmin IS NULL AND xact_start IS NULL"
    )
    with held_in_mid_dump(job) as (first, proxy), job.start(lock_timeout=60) as second:
        # The first one's sessions are both in a transaction.
        run_processes.wait_until(lambda: job.database.execute(query, superuser=True) == [(1,)], "no idle session")
        time.sleep(0.5)
        waiting = job.database.execute(query, superuser=True)
        proxy.thaw()
        ended = threading.Thread(target=first.finish)
        ended.start()
        assert not second.finish().failed
        ended.join()
    assert waiting == [(1,)]
