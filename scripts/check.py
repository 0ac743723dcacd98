# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run checks: quietly when they hold, in full when they do not, and not again until something changed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from scripts.tree import CACHE, ROOT, fingerprint, project_files

_PASSED = CACHE / "passed"
_LOGS = CACHE / "log"

# The tools and the way they are called are part of the question.
_ALWAYS_LOOKED_AT = ("requirements/test.txt", "scripts/")


@dataclass(frozen=True)
class Check:
    """One command that exits 0 exactly when what it looks at is in order."""

    name: str
    command: Sequence[str]
    cwd: Path = ROOT
    environment: dict[str, str] = field(default_factory=dict)
    # The files that the answer depends on: "x/" a directory, "*x" all that end in x, otherwise one file.
    inputs: tuple[str, ...] = ("*",)
    # What else it depends on.
    circumstances: str = ""
    # Files that a passing run leaves behind.
    products: tuple[Path, ...] = ()
    # A line that starts so makes the check fail in spite of its exit status ...
    forbidden: tuple[str, ...] = ()
    # ... or is shown although the check passes.
    notable: tuple[str, ...] = ()

    def looks_at(self, path: str) -> bool:
        return any(
            path.endswith(wanted[1:])
            if wanted.startswith("*")
            else path == wanted or path.startswith(_directory(wanted))
            for wanted in (*self.inputs, *_ALWAYS_LOOKED_AT)
        )


def _directory(wanted: str) -> tuple[str, ...]:
    return (wanted,) if wanted.endswith("/") else ()


def run(checks: Sequence[Check]) -> bool:
    """Run the checks, as many at a time as there are processors, and tell whether all of them hold."""
    files = project_files()
    _PASSED.mkdir(parents=True, exist_ok=True)
    _LOGS.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return all(list(pool.map(lambda check: _holds(check, files), checks)))


def _holds(check: Check, files: Sequence[str]) -> bool:
    state = fingerprint(filter(check.looks_at, files), check.circumstances, sys.version, *check.command)
    stamp = _PASSED / check.name
    if stamp.exists() and stamp.read_text() == state and all(product.exists() for product in check.products):
        _say(f"{check.name}: unchanged since it passed")
        return True
    stamp.unlink(missing_ok=True)
    started = time.monotonic()
    status, output = _execute(check)
    (_LOGS / f"{check.name}.log").write_text(output)
    lines = output.splitlines()
    if status != 0 or any(line.startswith(check.forbidden) for line in lines):
        _say(f"{output.rstrip()}\n{check.name}: FAILED (exit status {status})")
        return False
    noted = [f"{check.name}: {line}" for line in lines if line.startswith(check.notable)]
    passed = f"{check.name}: passed in {time.monotonic() - started:.1f} s"
    _say("\n".join([*dict.fromkeys(noted), passed]))
    stamp.write_text(state)
    return True


def _say(text: str) -> None:
    # In one piece, so that what checks running side by side have to say does not mix.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _execute(check: Check) -> tuple[int, str]:
    finished = subprocess.run(
        list(check.command),
        cwd=check.cwd,
        env={**os.environ, **check.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return finished.returncode, finished.stdout
