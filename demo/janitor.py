# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clean up after the owner of a throwaway server, however the owner ended.

Run as a program of its own in its own session. It reads its standard input until the owner closes
it, which the kernel does even for an owner killed with SIGKILL. (PR_SET_PDEATHSIG would follow the
thread that started the server, not the process, and could not remove the directory.)

Lines: `pid N` is the server's process (the last one counts), `remove PATH` a directory to remove.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time

WAIT_FOR_SERVER_S = 10.0


def runs_server(pid: int, data_directory: str) -> bool:
    """Tell whether `pid` is still the server (and not a later process of that number)."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as handle:
            command = os.fsdecode(handle.read())
    except OSError:
        return False
    return data_directory in command


def end_server(pid: int, data_directory: str) -> None:
    """Stop the server at once; its children end with it and its shared memory is released."""
    deadline = time.monotonic() + WAIT_FOR_SERVER_S
    os.kill(pid, signal.SIGQUIT)
    while runs_server(pid, data_directory):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.01)


def main() -> None:
    pid = None
    data_directory = sys.argv[1]
    removals: list[str] = []
    for line in sys.stdin:
        word, _, argument = line.rstrip("\n").partition(" ")
        if word == "pid":
            pid = int(argument)
        elif word == "remove":
            removals.append(argument)
    if pid is not None and runs_server(pid, data_directory):
        end_server(pid, data_directory)
    for path in removals:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
