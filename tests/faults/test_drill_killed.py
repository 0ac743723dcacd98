# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills that end in the middle, or meet another run: nothing is left, nobody is marked wrongly."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue
from ansible_collections.baileys.resilience.plugins.module_utils.backup.prune import prune
from tests.support import run_processes
from tests.support.backup_job import MANIFEST, BackupJob, RunningModule
from tests.support.backups import only_archive, strays
from tests.support.drilling import module_options, only_drill, run_drill

MOMENTS = 12
SEED = 20261122


@pytest.fixture
def scratch(public_directory: Path) -> Path:
    """A directory for scratch servers of this test alone, so that what is left in it is this test's."""
    directory = public_directory / "s"
    directory.mkdir(mode=0o711)
    return directory


def start_drill(job: BackupJob, scratch: Path, **options: Any) -> RunningModule:
    return job.start("pg_restore_drill", **module_options(job, scratch_directory=str(scratch), **options))


def settled(job: BackupJob) -> str:
    """The state of the archive, after a look at everything a drill writes: it is whole or not there."""
    archive = only_archive(job.root)
    assert archive.manifest is not None
    drills = [note for note in archive.manifest["proofs"] if note["kind"] == "drill"]
    assert archive.state == ("proven" if drills else "verified")
    assert {note["outcome"] for note in drills} <= {"held"}
    for path in job.state.rglob("*.json"):
        json.loads(path.read_text())
    for path in job.state.rglob("*.html"):
        assert path.read_text().rstrip().endswith("</html>")
    return archive.state


def wait_for_gone(job: BackupJob, scratch: Path) -> None:
    """The server changed its user and so is known by its directory, the programs by the home of the run."""
    run_processes.wait_for_none(str(job.home))
    run_processes.wait_for_none(str(scratch))


def test_killed_at_random_moments(job: BackupJob, scratch: Path) -> None:
    content = Path(only_archive(job.root).path).read_bytes()
    took = 0.0
    # The first makes the template; the second shows how long the others will take.
    for _ in range(2):
        started = time.monotonic()
        with start_drill(job, scratch) as running:
            assert not running.finish().failed
        took = time.monotonic() - started
    chance = random.Random(SEED)
    reached = set()
    killed = 0
    for number in range(MOMENTS):
        moment = took * (number + chance.random()) / MOMENTS
        when = f"seed {SEED}, killed after {moment:.3f} s"
        pages = len(list(job.state.rglob("*.html")))
        with start_drill(job, scratch) as running:
            time.sleep(moment)
            reached.add(len(list(scratch.iterdir())))
            running.kill()
            killed += running.finish().rc == -signal.SIGKILL
        wait_for_gone(job, scratch)
        settled(job)
        assert Path(only_archive(job.root).path).read_bytes() == content, when
        assert len(list(job.state.rglob("*.html"))) - pages <= 1, when
    assert killed >= MOMENTS / 2
    assert reached >= {0, 1}, "no run was killed while it had a server"

    # The next run collects what those could not.
    with start_drill(job, scratch) as running:
        assert not running.finish().failed
    assert list(scratch.iterdir()) == []
    assert strays(job.root) == []
    left = [path for path in job.state.rglob("*") if path.name.startswith("unfinished-") or path.suffix == ".partial"]
    assert len(left) <= 1, left
    history = json.loads((job.state / "history" / "drill-app.json").read_text())
    assert [entry["at"] for entry in history] == sorted(entry["at"] for entry in history)


def test_killed_in_the_middle_of_the_restore(job: BackupJob, scratch: Path) -> None:
    """The certain case of those above."""
    manifest = Path(only_archive(job.root).path + MANIFEST).read_bytes()
    with start_drill(job, scratch) as running:
        run_processes.wait_for_program(str(scratch), "pg_restore")
        (place,) = scratch.iterdir()
        running.kill()
        running.finish()
    wait_for_gone(job, scratch)
    assert Path(only_archive(job.root).path + MANIFEST).read_bytes() == manifest
    assert list(scratch.iterdir()) == [place]
    assert not run_drill(job, scratch_directory=str(scratch)).failed
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_told_to_stop(job: BackupJob, scratch: Path, number: signal.Signals) -> None:
    with start_drill(job, scratch) as running:
        run_processes.wait_for_program(str(scratch), "pg_restore")
        running.kill(number)
        assert running.finish().failed
    wait_for_gone(job, scratch)
    # Not only once another drill comes by: every row lies in there.
    assert list(scratch.iterdir()) == []
    assert only_archive(job.root).state == "verified"


@pytest.mark.parametrize("program", ["postgres", "pg_restore"])
def test_program_killed(job: BackupJob, scratch: Path, program: str) -> None:
    """The kernel out of memory: it says nothing against the archive."""
    with start_drill(job, scratch) as running:
        run_processes.wait_for_program(str(scratch), "pg_restore")
        os.kill(run_processes.wait_for_program(str(scratch), program), signal.SIGKILL)
        run = running.finish()
    result = only_drill(run)
    assert (result["verdict"], result["problems"]) == ("unjudged", []), run.output
    assert only_archive(job.root).state == "verified"
    wait_for_gone(job, scratch)
    assert list(scratch.iterdir()) == []


def test_abandoned_directories_are_collected_and_others_are_not(job: BackupJob, scratch: Path) -> None:
    dead, alive, young, foreign = (scratch / f"baileys-scratch-{name}" for name in ("dead", "alive", "young", "x"))
    for path in (dead, alive, young):
        path.mkdir(mode=0o700)
    for path in (dead, alive):
        (path / "owner.lock").touch()
    (scratch / "somebody").mkdir()
    foreign.write_text("a file of that name")
    with (alive / "owner.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not run_drill(job, scratch_directory=str(scratch)).failed
    # The young one may be about to be locked.
    assert sorted(path.name for path in scratch.iterdir()) == sorted([alive.name, young.name, foreign.name, "somebody"])


def test_two_drills_at_once(job: BackupJob, scratch: Path) -> None:
    with start_drill(job, scratch) as one, start_drill(job, scratch) as other:
        runs = [one.finish(), other.finish()]
    assert [run.failed for run in runs] == [False, False], [run.output for run in runs]
    manifest = only_archive(job.root).manifest
    assert manifest is not None
    assert [note["outcome"] for note in manifest["proofs"] if note["kind"] == "drill"] == ["held"] * 2
    assert list(scratch.iterdir()) == []


def test_drill_while_a_backup_runs(job: BackupJob, scratch: Path) -> None:
    """It drills all the same, and waits with the mark until the root is free."""
    with (job.root / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with start_drill(job, scratch) as running:
            run_processes.wait_until(lambda: any(scratch.iterdir()), "no server was started")
            run_processes.wait_until(lambda: not any(scratch.iterdir()), "the server did not end")
            time.sleep(0.3)
            assert running.process.poll() is None
            assert only_archive(job.root).state == "verified"
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert not running.finish().failed
    assert only_archive(job.root).state == "proven"


def test_drill_that_waits_in_vain(job: BackupJob, scratch: Path) -> None:
    with (job.root / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = run_drill(job, scratch_directory=str(scratch), lock_timeout=0.2)
    assert run.failed
    assert ".lock" in run.message
    assert "lock_timeout" in run.output
    assert only_archive(job.root).state == "verified"


def test_retention_removes_the_archive_during_the_drill(job: BackupJob, scratch: Path) -> None:
    """A file that is open stays readable: the drill ends well or says what was missing, and marks nobody else."""
    old = only_archive(job.root)
    with start_drill(job, scratch, archives=[old.path]) as running:
        run_processes.wait_for_program(str(scratch), "pg_restore")
        time.sleep(1.1 if old.time and time.time() - old.time.timestamp() < 1 else 0)
        job.back_up_here(keep={"daily": 1})
        prune(str(job.root), {"daily": 1, "monthly": 0}, 10)
        run = running.finish()
    assert not os.path.exists(old.path)
    assert only_drill(run)["verdict"] in ("proven", "unjudged"), run.output
    assert [archive.state for archive in catalogue.read_catalogue(str(job.root))] == ["verified"]
