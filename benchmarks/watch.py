# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch a process and its descendants through /proc: CPU and memory of each program."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks.figures import ANSIBLE, Profile, Program

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
INTERVAL_SECONDS = 0.01
SERVER = "PostgreSQL server"


@dataclass(frozen=True)
class Times:
    """CPU seconds of a process, and of the children it has waited for."""

    user: float
    system: float
    children_user: float
    children_system: float

    @property
    def waited_for(self) -> tuple[float, float]:
        return self.children_user, self.children_system


@dataclass
class _Seen:
    """What is known of one process. Numbers only grow, so the last look is the truth but for a hundredth."""

    name: str
    sightings: int = 0
    user: float = 0.0
    system: float = 0.0
    peak: int = 0
    resident: int = 0


class TreeWatch:
    """Looks a hundred times a second at a process and all that descend from it, while the block runs.

    `python` names the programs whose memory counts as our own Python processes.
    """

    def __init__(self, pid: int, python: tuple[str, ...]) -> None:
        self._pid = pid
        self._python = python
        self._processes: dict[tuple[int, str], _Seen] = {}
        self._together = 0
        self._python_together = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> TreeWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def profile(self, server: tuple[float, float]) -> Profile:
        """What was seen, by program; `server` has the server's user and system seconds, measured otherwise."""
        programs: dict[str, Program] = {}
        for seen in self._processes.values():
            before = programs.get(seen.name, Program(seen.name, 0.0, 0.0, 0))
            programs[seen.name] = Program(
                seen.name, before.user + seen.user, before.system + seen.system, max(before.peak, seen.peak)
            )
        ordered = sorted(programs.values(), key=lambda program: -program.cpu)
        return Profile((Program(SERVER, *server, 0), *ordered), self._together, self._python_together)

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL_SECONDS):
            self._look()

    def _look(self) -> None:
        alive = [seen for seen in map(self._look_at, _tree(self._pid)) if seen is not None]
        # A process between fork and exec still shows its parent's name and memory: it counts from the second look.
        settled = [seen for seen in alive if seen.sightings > 1 and seen.name != ANSIBLE]
        self._together = max(self._together, sum(seen.resident for seen in settled))
        ours = [seen.resident for seen in settled if seen.name in self._python]
        self._python_together = max(self._python_together, sum(ours))

    def _look_at(self, pid: int) -> _Seen | None:
        try:
            name, times = _program_name(pid), read_times(pid)
            peak, resident = _memory(pid)
        except (OSError, IndexError):
            return None
        # Another name is another program in the same process (setpriv, then pg_dump): what the process took so far
        # goes to the last one, and the kernel starts the peak of its memory anew.
        seen = self._processes.setdefault((pid, name), _Seen(name))
        for other in [key for key in self._processes if key[0] == pid and key[1] != name]:
            del self._processes[other]
        seen.sightings += 1
        seen.user, seen.system, seen.resident = times.user, times.system, resident
        seen.peak = max(seen.peak, peak) if seen.sightings > 1 else 0
        return seen


def children_of(pid: int) -> list[int]:
    """Process ids of its living children, whichever of its threads started them."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except OSError:
        # It ended while we looked.
        return found
    return found


def read_times(pid: int) -> Times:
    """CPU seconds so far. Raises OSError when there is no such process."""
    # The name, in brackets, may hold anything; user and system time are the fields 14 to 17 (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Times(*(int(field) / TICKS_PER_SECOND for field in fields[11:15]))


def _tree(pid: int) -> list[int]:
    found = [pid]
    for known in found:
        found += children_of(known)
    return found


def _memory(pid: int) -> tuple[int, int]:
    """Peak and present resident memory in bytes; 0 for a zombie, which has none."""
    values = {"VmHWM": 0, "VmRSS": 0}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in values:
            values[name] = int(value.split()[0]) * 1024
    return values["VmHWM"], values["VmRSS"]


def _program_name(pid: int) -> str:
    """The program, and of a Python process what it runs. Raises OSError or IndexError when that cannot be told."""
    words = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")[:-1]
    program = os.path.basename(words[0])
    if not program.startswith("python"):
        return program
    for word in words[1:]:
        if not word.startswith("-"):
            return os.path.basename(word).removesuffix(".py")
    return program
