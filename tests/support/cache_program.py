# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credentials cache as PM2 would run it: a process of its own, told what to do by arguments and environment."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.databases import TestDatabase
from tests.support.playbooks import SYSTEM_PATH

MODULE = "ansible_collections.baileys.resilience.console.credentials_cache"
SOURCE = "whatsapp"
WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class CacheProgram:
    """How the program is started; `variables` are added to its environment."""

    database: TestDatabase
    state_directory: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def env_file(self) -> Path:
        """The application's .env, made anew for each start."""
        path = self.state_directory.parent / "app.env"
        parameters = self.database.parameters()
        password = self.database.password.replace("`", "")
        lines = {
            "POSTGRES_HOST": parameters["host"],
            "POSTGRES_PORT": parameters["port"],
            "POSTGRES_DATABASE": parameters["dbname"],
            "POSTGRES_USER": parameters["user"],
            "POSTGRES_PASSWORD": f"`{password}`",
        }
        path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        return path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self._command(*arguments),
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Let it run while the block does; killed at its end if it still is."""
        with subprocess.Popen(
            self._command(*arguments),
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def file(self) -> dict[str, Any]:
        """What cache.json says of the source; empty before there is any."""
        try:
            document = json.loads((self.state_directory / "cache.json").read_text())
        except FileNotFoundError:
            return {}
        found: dict[str, Any] = document["sources"].get(SOURCE, {})
        return found

    def wait(
        self, condition: Callable[[dict[str, Any]], bool], what: str, timeout: float = WAIT_SECONDS
    ) -> dict[str, Any]:
        """Wait until the file is as the condition wants it; returns it."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.file()
            if found and condition(found):
                return found
            assert time.monotonic() < deadline, f"waited {timeout:g} s in vain: {what}; the file says {found}"
            time.sleep(0.02)

    def wait_for(self, served_from: str, timeout: float = WAIT_SECONDS) -> dict[str, Any]:
        """Wait until the credentials are served from there."""
        return self.wait(lambda found: found["served_from"] == served_from, f"served from {served_from}", timeout)

    def _command(self, *arguments: str) -> list[str]:
        own = ["--source", SOURCE, "--state-directory", str(self.state_directory), "--env-file", str(self.env_file)]
        return [sys.executable, "-m", MODULE, *own, *arguments]

    def _environment(self) -> dict[str, str]:
        return {"PATH": SYSTEM_PATH, "HOME": os.devnull, "LANG": "C.UTF-8", **self.variables}


def rows_digest(database: TestDatabase) -> str:
    """A digest of every byte of both tables, ages and row versions included."""
    found = hashlib.sha256()
    for table in ("whatsapp_auth", "whatsapp_keys"):
        for row in database.execute(f"SELECT ctid, xmin, t::text FROM {table} t ORDER BY ctid", superuser=True):
            found.update(repr(row).encode())
    return found.hexdigest()


def resident_kilobytes(pid: int) -> int:
    """Memory that a process takes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
