# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes killed at the worst moment: pg_dump, the decoder, a worker, the module itself, all of ansible-playbook."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.postgres_server import PostgresServer
from tests.faults.conftest import MakeJob
from tests.support import run_processes
from tests.support.backup_job import ARCHIVE, MANIFEST, BackupJob, IncompleteWatch, RunningModule
from tests.support.backups import KINDS, strays
from tests.support.mid_dump import MID_DUMP, held_in_mid_dump
from tests.support.playbooks import ANSIBLE_PLAYBOOK, ROOT, Surroundings, Unsafe
from tests.support.tcp_proxy import TcpProxy

MOMENTS = 20
SEED = 20261121
PARTS = ["custom-zstd", "plain-gzip", "directory-zstd"]


@contextlib.contextmanager
def start_playbook(surroundings: Surroundings) -> Iterator[Callable[[], tuple[int, str]]]:
    """Start backup.yml; gives what waits for its end."""
    command = [ANSIBLE_PLAYBOOK, "-i", str(surroundings.inventory), str(ROOT / "playbooks" / "backup.yml")]
    with subprocess.Popen(
        command,
        cwd=surroundings.directory,
        # Else what a killed one cannot clear stays in the home of whoever runs this.
        env=surroundings.environment(ANSIBLE_REMOTE_TMP=str(surroundings.temporary)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:

        def ended() -> tuple[int, str]:
            output, _ = process.communicate(timeout=60)
            return process.returncode, output

        try:
            yield ended
        finally:
            process.kill()


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_pg_dump_killed(job: BackupJob, kind: str, number: signal.Signals) -> None:
    before = job.published()
    with held_in_mid_dump(job, **KINDS[kind]) as (running, proxy):
        os.kill(run_processes.wait_for_program(str(job.home), "pg_dump"), number)
        proxy.thaw()
        run = running.finish()

    job.assert_harmless(run, before)
    assert "pg_dump failed with" in run.message
    if number == signal.SIGKILL:
        assert "killed by SIGKILL" in run.message
        assert "out of memory? see the kernel's log" in run.message
    assert run.result["stage"] == "dump"
    job.assert_heals(**KINDS[kind])


@pytest.mark.parametrize("program", ["pg_restore", "gzip"])
def test_decoder_killed(job: BackupJob, program: str) -> None:
    kind = "plain-gzip" if program == "gzip" else "custom-zstd"
    before = job.published()
    with held_in_mid_dump(job, **KINDS[kind]) as (running, proxy):
        os.kill(run_processes.wait_for_program(str(job.home), program), signal.SIGKILL)
        proxy.thaw()
        run = running.finish()

    job.assert_harmless(run, before)
    assert "cannot be decoded" in run.message
    assert "killed by SIGKILL" in run.message
    job.assert_heals(**KINDS[kind])


def test_one_of_several_dumping_processes_killed(job: BackupJob) -> None:
    before = job.published()
    with held_in_mid_dump(job, **KINDS["directory-zstd"]) as (running, proxy):
        leader = run_processes.wait_for_program(str(job.home), "pg_dump")
        worker = next(pid for pid in run_processes.marked(str(job.home)) if run_processes.parent_of(pid) == leader)
        os.kill(worker, signal.SIGKILL)
        proxy.thaw()
        run = running.finish()

    job.assert_harmless(run, before)
    assert "a worker process died unexpectedly" in run.message
    job.assert_heals()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_module_told_to_stop(job: BackupJob, number: signal.Signals) -> None:
    """What PM2, a terminal and a shutdown send; nobody waits for the network then."""
    before = job.published()
    with held_in_mid_dump(job) as (running, _proxy):
        running.kill(number)
        started = time.monotonic()
        run = running.finish()
        assert time.monotonic() - started < 10

    assert run.failed
    assert job.published() == before
    job.assert_gone()
    job.assert_heals()


@pytest.mark.parametrize("kind", PARTS)
def test_module_killed_in_mid_dump(job: BackupJob, kind: str) -> None:
    """The certain case of those below: half of an archive is written, children are at work."""
    job.back_up_here(**KINDS["plain-none"])
    before = job.published()
    with held_in_mid_dump(job, **KINDS[kind]) as (running, proxy):
        running.kill()
        assert running.finish().rc == -signal.SIGKILL
        if kind == "directory-zstd":
            # Its leader ends its workers and then asks the server to stop, for which it needs the network.
            proxy.thaw()
        run_processes.wait_for_none(str(job.home))

    job.assert_gone()
    assert job.published() == before
    (left,) = traces(job)
    assert left.endswith(".partial")
    assert job.last_run() == "running"
    pruned = job.prune(keep_daily=0, keep_monthly=0)
    assert pruned.result["removed"] == []
    assert any("did not finish" in entry["reason"] for entry in pruned.result["kept"]), pruned.output
    job.assert_next_run_heals(**KINDS[kind])


@pytest.mark.parametrize("kind", PARTS)
def test_module_killed_at_random_moments(job: BackupJob, kind: str) -> None:
    """The whole run long, retention included: each success removes the archive before it."""
    options = {**KINDS[kind], "max_shrink_percent": 100}
    took = max(time_at_work(job, options) for _ in range(3))
    chance = random.Random(f"{SEED} {kind}")
    reached = set()
    with IncompleteWatch(job.root) as watch:
        for number in range(MOMENTS):
            # One in each twentieth of the time at work, from the lock to the end and a little beyond.
            moment = took * 1.05 * (number + chance.random()) / MOMENTS
            before = job.published()
            with job.start(**options) as running:
                wait_for_lock(job, running)
                time.sleep(moment)
                running.kill()
                run = running.finish()
            job.assert_gone()
            reached.add(check_what_is_left(job, before, f"seed {SEED}, {kind}, killed after {moment:.3f} s", run.rc))
            job.assert_heals(**KINDS[kind], keep={"daily": 7, "monthly": 4})
    assert watch.rounds > MOMENTS
    assert watch.incomplete == []
    assert "partial" in reached, "no run was killed while it wrote"
    job.assert_all_verify()


def wait_for_lock(job: BackupJob, running: RunningModule) -> None:
    signature = f"{running.process.pid}\n"
    run_processes.wait_until(lambda: (job.root / ".lock").read_text() == signature, "no lock was taken")


def time_at_work(job: BackupJob, options: dict[str, Any]) -> float:
    """Seconds from the moment a run takes the lock to its end."""
    with job.start(**options) as running:
        wait_for_lock(job, running)
        started = time.monotonic()
        assert not running.finish().failed
        return time.monotonic() - started


def traces(job: BackupJob) -> list[str]:
    """What a run left that is no archive: the names, without what lies below them."""
    left = [Path(path) for path in strays(job.root)]
    return [path.name for path in left if path.parent not in left]


def check_what_is_left(job: BackupJob, before: dict[str, tuple[Any, ...]], when: str, rc: int) -> str:
    """Earlier archives whole or, once a new one stands, removed by retention; of the rest only one run's traces."""
    after = job.published()
    new = {name for name in after if name not in before and not name.endswith(MANIFEST)}
    gone = {name for name in before if name not in after and not name.endswith(MANIFEST)}
    changed = {name for name in before if name in after and before[name] != after[name]}
    assert not changed, when
    assert not gone or new, f"{when}: {gone} vanished without a new archive"
    left = traces(job)
    assert all(name.endswith((".partial", MANIFEST)) for name in left), f"{when}: {left}"
    assert len({found.group() for name in left if (found := ARCHIVE.match(name))}) <= 1, f"{when}: {left}"
    # One unfinished archive; a kill at the very end may leave its manifest, or that one's temporary, beside it.
    unfinished = [name for name in left if name.endswith(".partial") and MANIFEST not in name]
    assert len(unfinished) <= 1, f"{when}: {left}"
    if rc == 0:
        assert not left, f"{when}: {left}"
    return "partial" if any(name.endswith(".partial") for name in left) else "published" if new else "nothing"


def test_ansible_playbook_killed_with_everything(job: BackupJob, tmp_path: Path) -> None:
    """A power cut as far as processes are concerned: ansible-playbook, its module and all children at once."""
    before = job.published()
    directory = tmp_path / "ansible"
    directory.mkdir()
    surroundings = Surroundings(directory)
    source = {
        key: Unsafe(value) if key == "login_password" else value
        for key, value in job.arguments(name="app").items()
        if key not in ("source", "state_directory")
    }
    with TcpProxy(job.database.server.port, freeze_after=MID_DUMP) as proxy:
        source.update(login_host="127.0.0.1", login_port=proxy.port)
        surroundings.write_hosts({"here": {"backup_sources": [source], "backup_state_directory": str(job.state)}})
        with start_playbook(surroundings) as ended:
            assert proxy.frozen.wait(30)
            for pid in run_processes.marked(str(surroundings.home)):
                os.kill(pid, signal.SIGKILL)
            ended()
    run_processes.wait_for_none(str(surroundings.home))
    assert job.published() == before
    assert [Path(name).suffix for name in traces(job)] == [".partial"]

    surroundings.write_hosts({"here": {"backup_sources": [{**source, "login_port": job.database.server.port}]}})
    remote = {"ANSIBLE_REMOTE_TMP": str(surroundings.temporary)}
    played = surroundings.play("playbooks/backup.yml", "-e", f"backup_state_directory={job.state}", **remote)

    assert played.rc == 0, played
    assert strays(job.root) == []
    job.assert_all_verify()


def test_module_killed_below_a_playbook(job: BackupJob, tmp_path: Path) -> None:
    """The kernel out of memory kills the module, and ansible-playbook lives to tell: it must end non-zero."""
    before = job.published()
    directory = tmp_path / "ansible"
    directory.mkdir()
    surroundings = Surroundings(directory)
    source = {**job.arguments(name="app"), "login_password": Unsafe(job.database.password)}
    del source["source"], source["state_directory"]
    with TcpProxy(job.database.server.port, freeze_after=MID_DUMP) as proxy:
        source.update(login_host="127.0.0.1", login_port=proxy.port)
        surroundings.write_hosts({"here": {"backup_sources": [source], "backup_state_directory": str(job.state)}})
        with start_playbook(surroundings) as ended:
            assert proxy.frozen.wait(30)
            dump = run_processes.wait_for_program(str(surroundings.home), "pg_dump")
            os.kill(run_processes.parent_of(dump), signal.SIGKILL)
            rc, output = ended()

    assert rc != 0
    assert "FAILED" in output or "failed" in output
    run_processes.wait_for_none(str(surroundings.home))
    assert job.published() == before
    job.assert_secret_kept(output)
    job.assert_heals()


def test_lock_of_a_dead_process_blocks_nobody(job: BackupJob) -> None:
    with held_in_mid_dump(job) as (running, _proxy):
        assert "holds" in job.run(lock_timeout=0).message
        running.kill()
        running.finish()
        run_processes.wait_for_none(str(job.home))
    assert (job.root / ".lock").read_text() != ""

    job.assert_next_run_heals(lock_timeout=0)


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-zstd"])
def test_children_of_a_killed_parent_hold_the_lock(
    make_job: MakeJob, server18: PostgresServer, wrappers: Callable[..., Path], kind: str
) -> None:
    """As long as something of a run lives, it may still write: nobody else may."""
    job = make_job(server18)
    before = job.published()
    # A process of pg_dump's own, as its workers are: nothing ties it to the module. It lives until told otherwise, or a minute.
    script = f"""
    (trap '' TERM HUP; touch {job.home}/started
     for turn in $(seq 1200); do [ -e {job.home}/go ] && break; sleep 0.05; done) &
    wait
    """
    with job.start(client_directory=str(wrappers({"pg_dump": script})), **KINDS[kind]) as running:
        run_processes.wait_until((job.home / "started").exists, "pg_dump was never started")
        running.kill()
        assert running.finish().rc == -signal.SIGKILL

    assert run_processes.marked(str(job.home))
    refused = job.run(lock_timeout=0)
    assert refused.failed
    assert f"A process that the killed run {running.process.pid} left behind holds" in refused.message
    assert refused.result["stage"] == "lock"
    assert job.published() == before
    waiting = job.start(lock_timeout=30)
    with waiting:
        time.sleep(0.5)
        assert waiting.process.poll() is None
        (job.home / "go").touch()
        waited = waiting.finish()
    assert not waited.failed, waited.output
    assert strays(job.root) == []
    job.assert_gone()
    job.assert_all_verify()
