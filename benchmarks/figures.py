# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured, and what the numbers say: pure arithmetic, no clock and no process.

Both sides of a comparison run in turns (ours, peer, ours, peer, ...) after a warm-up of each. The figure is
the median of the ratios pair by pair: what disturbs the machine for a while disturbs both of a pair.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Ansible's own processes on the controller: shown, but no part of a step's memory.
ANSIBLE = "ansible-playbook"


@dataclass(frozen=True)
class Run:
    """One timed run. Times are in seconds.

    `cpu` is user and system time of the started process and all its descendants, `server_cpu` that of the
    PostgreSQL server meanwhile, `foreign_cpu` what everything else on the machine took. `size` is the number of
    bytes left on disk, None where that is not the question.
    """

    wall: float
    cpu: float
    server_cpu: float
    foreign_cpu: float
    size: int | None = None


@dataclass(frozen=True)
class Spread:
    """Median and extremes of one series."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Target:
    """What design.md's table of speeds demands (`at_most`) and hopes for (`aim`), as a ratio or in bytes."""

    at_most: float
    aim: float

    def verdict(self, figure: float) -> str:
        """`aim met`, `met` or `missed`."""
        if figure <= self.aim:
            return "aim met"
        return "met" if figure <= self.at_most else "missed"


@dataclass(frozen=True)
class Program:
    """What one program of a run took: seconds of CPU and the peak of its resident memory in bytes.

    Programs of the same name are added up in time; of their peaks the highest counts.
    """

    name: str
    user: float
    system: float
    peak: int

    @property
    def cpu(self) -> float:
        """User and system time."""
        return self.user + self.system


@dataclass(frozen=True)
class Profile:
    """One watched run by program; `together` is the highest sum of resident memory at one moment, in bytes.

    `python` is that sum over our own Python processes alone. Ansible's and the server's are in neither.
    """

    programs: tuple[Program, ...]
    together: int
    python: int

    @property
    def largest(self) -> Program:
        """The program with the highest peak, Ansible's own aside."""
        return max((program for program in self.programs if program.name != ANSIBLE), key=lambda program: program.peak)


@dataclass(frozen=True)
class Comparison:
    """Runs of ours and of a peer, in turns. `profiles` (ours, peer) say where the time went."""

    name: str
    work: str
    against: str
    ours: tuple[Run, ...]
    peer: tuple[Run, ...]
    target: Target | None = None
    profiles: tuple[Profile, Profile] | None = None

    @property
    def ratio(self) -> Spread:
        """Ours by peer, in wall time, pair by pair."""
        return spread([mine.wall / theirs.wall for mine, theirs in zip(self.ours, self.peer, strict=True)])

    @property
    def verdict(self) -> str | None:
        """How it stands to its target; None without one."""
        return self.target.verdict(self.ratio.median) if self.target else None


@dataclass(frozen=True)
class Memory:
    """The memory of one step. `figure` decides: the largest process, or all our Python together if that is more."""

    name: str
    work: str
    profile: Profile
    target: Target

    @property
    def figure(self) -> int:
        """Bytes that are held against the target."""
        return max(self.profile.largest.peak, self.profile.python)

    @property
    def verdict(self) -> str:
        """How it stands to its target."""
        return self.target.verdict(self.figure)


@dataclass(frozen=True)
class Codec:
    """One compression: runs of bare pg_dump and of our verified backup with it."""

    name: str
    bare: tuple[Run, ...]
    ours: tuple[Run, ...]


@dataclass(frozen=True)
class Codecs:
    """Every compression on one store."""

    name: str
    store: str
    codecs: tuple[Codec, ...]


@dataclass(frozen=True)
class Outage:
    """How long a service is away while it is moved, in seconds: until PM2 has `started` it, until it is connected.

    `steps` are medians, `peak` is that of our memory in bytes. The target is for `started`: how long the service takes
    from there on is its own affair.
    """

    name: str
    work: str
    started: tuple[float, ...]
    recovered: tuple[float, ...]
    steps: tuple[tuple[str, float], ...]
    peak: int
    target: Target

    @property
    def verdict(self) -> str:
        """How it stands to its target."""
        return self.target.verdict(spread(self.started).median)


Row = Comparison | Memory | Codecs | Outage


def spread(values: Sequence[float]) -> Spread:
    """Median and extremes. Raises ValueError for an empty series."""
    if not values:
        raise ValueError("a series without values has no median")
    return Spread(statistics.median(values), min(values), max(values))


def wall(runs: Sequence[Run]) -> Spread:
    """Of the wall times."""
    return spread([run.wall for run in runs])


def cpu(runs: Sequence[Run]) -> float:
    """Median of the client side's CPU seconds."""
    return spread([run.cpu for run in runs]).median


def server_cpu(runs: Sequence[Run]) -> float:
    """Median of the server's CPU seconds."""
    return spread([run.server_cpu for run in runs]).median


def size(runs: Sequence[Run]) -> int | None:
    """Median of the bytes left on disk, None where they were not asked for."""
    sizes = [run.size for run in runs if run.size is not None]
    return round(statistics.median(sizes)) if sizes else None


def foreign_share(runs: Sequence[Run], processors: int) -> float:
    """What others took of the machine while these ran, from 0 to 1: how far the figures can be trusted."""
    passed = sum(run.wall for run in runs) * processors
    return max(0.0, sum(run.foreign_cpu for run in runs) / passed) if passed else 0.0
