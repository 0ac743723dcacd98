# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes a run has: found by a text that only its environment or arguments hold."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

POLL_S = 0.002


def marked(marker: str) -> dict[int, str]:
    """Process ids and program names of those whose environment or arguments hold `marker`; zombies have neither."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            name = (entry / "comm").read_text().strip()
        except OSError:
            # It ended while we looked, or is somebody else's.
            continue
        if marker.encode() in words:
            found[int(entry.name)] = name
    return found


def parent_of(pid: int) -> int:
    """Process id of the parent; 0 if the process is gone."""
    try:
        # The name, in brackets, may hold anything; what follows the last bracket is state and parent.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
    """Wait, at most `timeout` seconds, until `condition` holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain: {what}"
        time.sleep(POLL_S)


def wait_for_program(marker: str, program: str, timeout: float = 20.0) -> int:
    """The process id of this program of the run, as soon as it is there; of several the one nearest the module."""
    found: list[int] = []

    def there() -> bool:
        processes = marked(marker)
        of_program = [pid for pid, name in processes.items() if name == program]
        found[:] = [pid for pid in of_program if parent_of(pid) not in of_program]
        return bool(found)

    wait_until(there, f"no {program} was started", timeout)
    return found[0]


def wait_for_none(marker: str, timeout: float = 10.0) -> None:
    """Wait until the run has no process any more."""
    wait_until(lambda: not marked(marker), f"processes are left of {marker}", timeout)
