# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of a test's own, to be killed at the worst moment, and what becomes of their children."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

WAIT_SECONDS = 30.0


@contextlib.contextmanager
def start_parent(program: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run this Python text in a process of its own; gives it, and the pid of the child it prints first.

    Both are killed when the block is left.
    """
    command = [sys.executable, "-c", textwrap.dedent(program) + "\nimport time; time.sleep(600)\n"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as parent:
        child = 0
        try:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            yield parent, child
        finally:
            parent.kill()
            if child:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)


def wait_until_it_is(pid: int, program: str) -> None:
    """Wait until the process has become this program: until then nothing ties it to its parent."""
    deadline = time.monotonic() + WAIT_SECONDS
    while Path("/proc", str(pid), "comm").read_text().strip() != program:
        assert time.monotonic() < deadline, f"process {pid} does not become {program}"
        time.sleep(0.01)


def wait_until_gone(pid: int) -> None:
    """Wait until this process has ended, though nobody may have asked for its status yet."""
    deadline = time.monotonic() + WAIT_SECONDS
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} is still running"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is more than a zombie."""
    try:
        status = Path("/proc", str(pid), "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"
