# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PM2 in a home of its own, whose daemon and apps are gone when the test ends, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2 import Pm2, find_pm2
from tests.support import node
from tests.support.processes import is_running

MANIFEST_DIRECTORY = Path(__file__).parent / "pm2"
WAIT_SECONDS = 20.0


def program() -> Path:
    """The pinned PM2. Raises node.NodeError."""
    node.node()
    return node.packages(MANIFEST_DIRECTORY) / "node_modules" / ".bin" / "pm2"


@contextlib.contextmanager
def pm2_home(home: Path, user: str | None = None, other_program: Path | None = None) -> Iterator[Pm2]:
    """A PM2 in `home`, of this user or of another; it has no daemon yet."""
    try:
        yield find_pm2(user, str(home), str(other_program or program()))
    finally:
        end_all(home)


def end_all(home: Path) -> None:
    """Kill every process that has this PM2_HOME in its environment, and see that it is gone.

    The daemon first, so that it starts nothing again.
    """
    for only_daemon in (True, False):
        pids = [pid for pid in pids_of(home) if not only_daemon or is_daemon(pid)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda pids=pids: not any(is_running(pid) for pid in pids), f"the processes {pids} are still there")


def pids_of(home: Path) -> list[int]:
    """Processes that live in this PM2_HOME: the daemon, its apps, and what they started."""
    sign = b"PM2_HOME=" + os.fsencode(home)
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if sign in (entry / "environ").read_bytes().split(b"\0") and is_running(int(entry.name)):
                    found.append(int(entry.name))
    return found


def is_daemon(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path("/proc", str(pid), "cmdline").read_bytes().startswith(b"PM2 v")
    return False


def daemon_pid(pm2: Pm2) -> int:
    return int(Path(pm2.home, "pm2.pid").read_text())


def command(pm2: Pm2, *words: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """PM2's own command line, as a person would type it."""
    done = subprocess.run(
        [pm2.program, *words],
        env={**pm2.environment(), **environment},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def listed(pm2: Pm2) -> list[dict[str, Any]]:
    """What `pm2 jlist -s` says."""
    answer: list[dict[str, Any]] = json.loads(command(pm2, "jlist", "-s").stdout)
    return answer


def wait_for(condition: Any, otherwise: str, seconds: float = WAIT_SECONDS) -> Any:
    """Wait until the condition gives something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
    return found


def write_script(path: Path, lines: Sequence[str]) -> str:
    """An executable script; returns its path."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)
