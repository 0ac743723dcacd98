# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine a figure belongs to, and whether it is quiet enough to believe one."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

# Of one processor: with more at work beside it, a run is not on a quiet machine.
QUIET_LOAD = 0.3


@dataclass(frozen=True)
class Machine:
    """What must be known to compare a figure with another machine's. `memory` is in bytes."""

    cpu: str
    processors: int
    memory: int
    kernel: str
    system: str
    postgresql: str
    python: str
    ansible: str
    date: str
    load: float


def describe_machine(postgresql: str) -> Machine:
    """This machine, now; `postgresql` is the version of the server and its clients."""
    return Machine(
        cpu=_field("/proc/cpuinfo", "model name") or platform.machine(),
        processors=len(os.sched_getaffinity(0)),
        memory=int((_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) * 1024,
        kernel=platform.release(),
        system=_system(),
        postgresql=postgresql,
        python=platform.python_version(),
        ansible=importlib.metadata.version("ansible-core"),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        load=os.getloadavg()[0],
    )


def load_warning(machine: Machine) -> str | None:
    """What to say when others are at work; None on a quiet machine."""
    if machine.load <= QUIET_LOAD:
        return None
    return (
        f"The load average is {machine.load:.2f}: others are at work on the {machine.processors} processors. "
        "Ratios stay roughly right, times do not; measure again on a quiet machine before quoting either."
    )


def _field(path: str, name: str) -> str | None:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _system() -> str:
    release: Mapping[str, str] = platform.freedesktop_os_release()
    return release.get("PRETTY_NAME", platform.system())
