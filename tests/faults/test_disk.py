# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that are full, read-only, closed to us, or not where they seem to be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from demo.postgres_server import PostgresServer
from tests.faults.conftest import MakeDisk, MakeJob
from tests.support.backup_job import BackupJob, ModuleRun
from tests.support.backups import KINDS, tree_state
from tests.support.small_disk import PAGE, SmallDisk

DISK_BYTES = 8 << 20
# Root may write anywhere; without these capabilities it is refused as any user is. (`nobody` would not do: it
# cannot reach the checkout where that lies below /root.)
AS_ANYBODY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--") if os.geteuid() == 0 else ()


@pytest.fixture
def disk_job(make_disk: MakeDisk, make_job: MakeJob, server18: PostgresServer) -> tuple[SmallDisk, BackupJob]:
    """A small disk with the backup root on it, in which an earlier archive lies."""
    disk = make_disk(DISK_BYTES)
    job = make_job(
        server18, backup_root=disk.path / "backups", root=disk.here / "backups", prefix=disk.prefix, earlier=True
    )
    return disk, job


def assert_full(job: BackupJob, run: ModuleRun, before: dict[str, tuple[Any, ...]]) -> None:
    job.assert_harmless(run, before)
    assert "o space left" in run.message
    # Where pg_dump itself writes, its words do not say where to; ours do.
    assert str(job.backup_root) in run.message or "file system of the backup root" in run.message
    assert "Free space on the file system" in run.message


@pytest.mark.parametrize("kind", ["custom-zstd", "plain-gzip", "plain-none", "directory-zstd"])
def test_disk_that_fills_up_during_the_dump(disk_job: tuple[SmallDisk, BackupJob], kind: str) -> None:
    disk, job = disk_job
    before = job.published()
    disk.fill(leave=25 * PAGE)

    run = job.run(**KINDS[kind])

    assert_full(job, run, before)
    assert run.result["stage"] == "dump"
    assert job.last_run() == "failed"
    disk.fill(leave=DISK_BYTES // 2)
    job.assert_next_run_heals(**KINDS[kind], max_shrink_percent=100)
    job.assert_all_verify()


def test_disk_that_is_full_from_the_beginning(disk_job: tuple[SmallDisk, BackupJob]) -> None:
    disk, job = disk_job
    job.back_up_here(**KINDS["plain-gzip"])
    before = job.published()
    disk.fill(leave=0)

    run = job.run()

    assert_full(job, run, before)
    # A run that could not even write down that it failed has failed all the same: nothing may go.
    pruned = job.prune(keep_daily=0, keep_monthly=0)
    assert pruned.result["removed"] == []
    assert job.published() == before
    disk.fill(leave=DISK_BYTES // 2)
    job.assert_next_run_heals()


def test_disk_with_any_number_of_pages_left(disk_job: tuple[SmallDisk, BackupJob]) -> None:
    """From nothing to enough, page by page near the end: the disk fills up at each step of a run in turn."""
    disk, job = disk_job
    archive = next(path for path in job.root.rglob("backup-*.dump"))
    needed = archive.stat().st_size // PAGE
    endings = []
    for pages in [0, 1, 3, needed // 2, *range(needed - 1, needed + 8), needed + 20]:
        disk.fill(leave=pages * PAGE)
        before = job.published()
        run = job.run(prune=False)
        endings.append(run.failed)
        if run.failed:
            assert_full(job, run, before)
        else:
            job.assert_gone()
            assert {name: job.published()[name] for name in before} == before
            assert run.result["archive"].removeprefix(f"{job.backup_root}/") in job.published()
    assert endings == sorted(endings, reverse=True), "more space must not make it worse"
    assert not endings[-1], "the last one had enough"
    disk.fill(leave=DISK_BYTES // 2)
    job.assert_next_run_heals()
    job.assert_all_verify()


def test_full_state_directory_is_a_warning(make_disk: MakeDisk, make_job: MakeJob, server18: PostgresServer) -> None:
    disk = make_disk(1 << 20)
    job = make_job(server18, prefix=disk.prefix)
    disk.fill(leave=0)

    run = job.run(state_directory=str(disk.path / "state"))

    assert not run.failed, run.output
    assert "status of this run could not be kept" in run.warnings
    assert "o space left" in run.warnings
    assert [path for path in (disk.here / "state").rglob("*") if path.name.endswith(".partial")] == []
    job.assert_gone()
    job.assert_all_verify()


def test_full_state_directory_does_not_hide_a_failure(
    make_disk: MakeDisk, make_job: MakeJob, server18: PostgresServer
) -> None:
    disk = make_disk(1 << 20)
    job = make_job(server18, prefix=disk.prefix)
    before = job.published()
    disk.fill(leave=0)

    run = job.run(state_directory=str(disk.path / "state"), min_size=10**9)

    job.assert_harmless(run, before)
    assert "min_size" in run.message
    assert "status of this run could not be kept" in run.warnings


def test_limit_on_the_size_of_files(job: BackupJob, tmp_path: Path) -> None:
    """What `ulimit -f` and some container limits do: the write fails with EFBIG."""
    before = job.published()
    limit = ("prlimit", f"--fsize={100_000}", "--")

    run = job.run(prefix=limit)

    job.assert_harmless(run, before)
    assert "File too large" in run.message
    assert run.result["stage"] == "dump"
    job.assert_next_run_heals()


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-zstd"])
def test_read_only_mount(disk_job: tuple[SmallDisk, BackupJob], kind: str) -> None:
    disk, job = disk_job
    before = job.published()
    disk.make_read_only()

    run = job.run(**KINDS[kind])

    job.assert_harmless(run, before)
    assert "Read-only file system" in run.message
    assert str(job.backup_root) in run.message
    disk.make_writable()
    job.assert_next_run_heals()


def test_directory_that_may_not_be_made(make_job: MakeJob, server18: PostgresServer, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    job = make_job(server18, backup_root=closed / "backups", prefix=AS_ANYBODY, earlier=False)

    run = job.run()

    job.assert_harmless(run, {})
    assert f"Cannot create the directory {job.backup_root}: Permission denied" in run.message
    assert "write access" in run.message
    assert list(closed.iterdir()) == []


def test_tier_that_may_not_be_written(make_job: MakeJob, server18: PostgresServer) -> None:
    """A directory of ours is made writable again; one whose files we may not even list is named."""
    job = make_job(server18, prefix=AS_ANYBODY)
    (job.root / "daily").chmod(0o500)

    job.assert_next_run_heals()

    assert (job.root / "daily").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else; CI runs as root")
def test_directory_of_somebody_else(job: BackupJob) -> None:
    """Planted where everybody may write: root goes only where root has put it (test_shared_directories.py)."""
    before = job.published()
    os.chown(job.root, 65534, 65534)
    job.root.parent.chmod(0o1777)

    run = job.run()

    job.assert_harmless(run, before)
    assert f"{job.root} belongs to the user with id 65534" in run.message
    assert "Run as the owner" in run.message
    os.chown(job.root, 0, 0)
    job.assert_next_run_heals()


@pytest.mark.parametrize("part", ["", "daily"])
def test_symbolic_link_is_refused(job: BackupJob, tmp_path: Path, part: str) -> None:
    """Whoever can plant one would otherwise choose where the backups go."""
    directory = job.root / part
    elsewhere = tmp_path / "elsewhere"
    directory.rename(elsewhere)
    directory.symlink_to(elsewhere)
    before = tree_state(elsewhere, without=[".last_run.json", "."])

    run = job.run()

    assert run.failed, run.output
    assert f"{directory} is not a directory but a symbolic link" in run.message
    assert "Name the real directory" in run.message
    assert tree_state(elsewhere, without=[".last_run.json", "."]) == before
    job.assert_gone()
    directory.unlink()
    elsewhere.rename(directory)
    job.assert_next_run_heals()


def test_file_in_the_place_of_the_root(make_job: MakeJob, server18: PostgresServer) -> None:
    job = make_job(server18, earlier=False)
    job.root.write_text("not a directory")

    run = job.run()

    assert run.failed, run.output
    assert f"{job.root} is not a directory" in run.message
    assert job.root.read_text() == "not a directory"


@pytest.mark.parametrize("limit", [9, 11, 13, 15])
def test_limit_on_open_files(job: BackupJob, limit: int) -> None:
    """Every one of these is too low; each is met at another step."""
    before = job.published()

    run = job.run(prefix=("prlimit", f"--nofile={limit}", "--"))

    job.assert_harmless(run, before)
    assert "oo many open files" in run.message
    job.assert_next_run_heals()
