# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a throwaway server's programs are run, and who cleans up after its owner."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo.installations import Account, ServerError

JANITOR = Path(__file__).with_name("janitor.py")


def server_environment() -> dict[str, str]:
    """Return the environment the server's programs get: nothing of the caller's but the path."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def process_options(account: Account | None, directory: Path) -> dict[str, Any]:
    """Return subprocess's options for a program of the server, run in `directory`."""
    options: dict[str, Any] = {
        "env": server_environment(),
        "stdin": subprocess.DEVNULL,
        "cwd": directory,
        # Ctrl-C in the owner's terminal is for the owner, who stops the server in order.
        "start_new_session": True,
    }
    if account is not None:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return options


def program_version(bin_directory: Path, program: str = "postgres") -> str:
    """Return the version a program states, such as `18.4`. Raises `ServerError` if it does not run."""
    command = [str(bin_directory / program), "--version"]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=server_environment())
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServerError(f"There is no usable PostgreSQL in {bin_directory}: {error}") from error
    # Debian puts its own version after the third word.
    return done.stdout.split()[2]


def free_port() -> int:
    """Return a TCP port nobody uses now. Another process may still take it before the server."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def says_ready(pid_file: Path, pid: int) -> bool:
    """Tell whether the server says in line 8 of postmaster.pid that it accepts connections.

    pg_ctl waits for the same word (PM_STATUS_READY in PostgreSQL's pidfile.h), in steps of 100 ms.
    """
    try:
        lines = pid_file.read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def start_janitor(data_directory: Path, removals: Sequence[Path]) -> subprocess.Popen[bytes]:
    """Start the process that ends the server and removes `removals` once this process is gone."""
    janitor = subprocess.Popen(
        [sys.executable, "-IS", str(JANITOR), str(data_directory)],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env=server_environment(),
        cwd="/",
    )
    tell_janitor(janitor, *(f"remove {path}" for path in removals))
    return janitor


def tell_janitor(janitor: subprocess.Popen[bytes], *lines: str) -> None:
    """Send lines that janitor.py describes."""
    assert janitor.stdin is not None
    janitor.stdin.write(b"".join(os.fsencode(line) + b"\n" for line in lines))
    janitor.stdin.flush()


def dismiss_janitor(janitor: subprocess.Popen[bytes]) -> None:
    """Let the janitor go (it finds nothing left to do) and wait for its end."""
    assert janitor.stdin is not None
    janitor.stdin.close()
    janitor.wait()
