# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command and say what it took: time on the clock, CPU of all its processes, CPU of the server.

Nothing watches a timed run; who takes how much is found out in a run of its own (watch.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Profile, Run
from benchmarks.watch import TreeWatch, children_of, read_times

ROOT = Path(__file__).resolve().parent.parent
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# A backend ends a moment after its client; its last CPU seconds are still to be counted.
BACKENDS_END_SECONDS = 2.0
SHOWN_LINES = 30


class MeasuringError(RuntimeError):
    """A command that was to be measured failed; the message has the end of what it printed."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a command and what it leaves on disk.

    `output` (a file or a directory) is removed before each run and after it, unless `keep` says that the runs
    build on each other. `prepare` is called before each run and is not in its time. `server` is the process id of the PostgreSQL server it works with. `log` gets what it
    prints.
    """

    label: str
    command: Sequence[str]
    environment: Mapping[str, str]
    server: int
    log: Path
    output: Path | None = None
    keep: bool = False
    prepare: Callable[[], None] | None = None
    python: tuple[str, ...] = field(default=())


def measure(side: Side) -> Run:
    """Time one run. Raises MeasuringError when the command fails."""
    _clear(side)
    _prepare(side)
    # What the last run left to be written must not be charged to this one.
    os.sync()
    idle_backends = len(children_of(side.server))
    server_before, machine_before = server_seconds(side.server), machine_seconds()
    started = time.perf_counter()
    process = _start(side)
    _pid, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    machine = machine_seconds() - machine_before
    process.returncode = os.waitstatus_to_exitcode(status)
    _judge(side, process.returncode)
    _wait_for_backends(side.server, idle_backends)
    cpu = usage.ru_utime + usage.ru_stime
    server_cpu = server_seconds(side.server) - server_before
    size = None if side.output is None or side.keep else bytes_below(side.output)
    _clear(side)
    return Run(wall, cpu, server_cpu, max(0.0, machine - cpu - server_cpu), size)


def profile(side: Side) -> Profile:
    """Run once more and watch its processes. Raises MeasuringError when the command fails."""
    _clear(side)
    _prepare(side)
    server_before = server_times(side.server)
    process = _start(side)
    with TreeWatch(process.pid, side.python) as watch:
        # Not reaped before the watch has seen its last numbers.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    _judge(side, process.wait())
    user, system = (after - before for after, before in zip(server_times(side.server), server_before, strict=True))
    _clear(side)
    return watch.profile(server=(user, system))


def in_turns(ours: Side, peer: Side, pairs: int) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """A warm-up of each, then `pairs` times ours and the peer."""
    measure(ours)
    measure(peer)
    mine, theirs = [], []
    for _ in range(pairs):
        mine.append(measure(ours))
        theirs.append(measure(peer))
    return tuple(mine), tuple(theirs)


def server_times(pid: int) -> tuple[float, float]:
    """User and system seconds of the server: its main process, all it has waited for, all that still live."""
    while True:
        own = read_times(pid)
        try:
            living = [read_times(child) for child in children_of(pid)]
        except OSError:
            continue
        # One that ended in between would be missed or counted twice: look again then.
        if read_times(pid).waited_for == own.waited_for:
            user = own.user + own.children_user + sum(times.user for times in living)
            system = own.system + own.children_system + sum(times.system for times in living)
            return user, system


def server_seconds(pid: int) -> float:
    """CPU seconds of the server so far."""
    return sum(server_times(pid))


def machine_seconds() -> float:
    """CPU seconds the whole machine has spent so far on anything but waiting."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    # user nice system idle iowait irq softirq steal (proc(5)); guest times are part of user's.
    busy = [int(word) for index, word in enumerate(words[:8]) if index not in (3, 4)]
    return sum(busy) / TICKS_PER_SECOND


def bytes_below(path: Path) -> int:
    """Bytes of a file, or of all files below a directory; hard links of one file count once."""
    if path.is_file():
        return path.stat().st_size
    files = {(status.st_dev, status.st_ino): status.st_size for status in _files_below(path)}
    return sum(files.values())


def _files_below(path: Path) -> list[os.stat_result]:
    return [found.lstat() for found in path.rglob("*") if found.is_file() and not found.is_symlink()]


def _start(side: Side) -> subprocess.Popen[bytes]:
    with side.log.open("wb") as log:
        return subprocess.Popen(
            list(side.command),
            cwd=ROOT,
            env=dict(side.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _judge(side: Side, status: int) -> None:
    if status == 0:
        return
    lines = side.log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
    raise MeasuringError(f"{side.label} ended with exit status {status}:\n" + "\n".join(lines))


def _wait_for_backends(server: int, idle: int) -> None:
    deadline = time.monotonic() + BACKENDS_END_SECONDS
    while len(children_of(server)) > idle and time.monotonic() < deadline:
        time.sleep(0.01)


def _prepare(side: Side) -> None:
    if side.prepare is not None:
        side.prepare()


def _clear(side: Side) -> None:
    if side.output is None or side.keep:
        return
    if side.output.is_dir():
        shutil.rmtree(side.output)
    else:
        side.output.unlink(missing_ok=True)
