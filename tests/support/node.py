# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node.js and packages of the npm registry, for the tests whose oracle is the application's own library.

What a test needs stands, pinned with its hash, in a package.json and package-lock.json of its own. It is
installed once below `.cache/npm`, without running anything of the packages.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache" / "npm"
# The directory of this interpreter comes first: a Node.js installed there by pip is the pinned one.
SEARCH_PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
INSTALL_SECONDS = 300


class NodeError(RuntimeError):
    """Node.js or a package could not be had; the message says what to do."""


def node() -> str:
    """The path of `node`. Root has it installed where it is missing; raises NodeError for anybody else."""
    return _program("node")


def packages(manifest_directory: Path) -> Path:
    """A directory whose node_modules holds exactly what the lock file in `manifest_directory` pins.

    Raises NodeError. Several processes may ask at the same time.
    """
    lock_file = manifest_directory / "package-lock.json"
    state = hashlib.sha256(lock_file.read_bytes()).hexdigest()
    target = CACHE / f"{manifest_directory.name}-{state[:16]}"
    complete = target / "complete"
    if complete.exists():
        return target
    target.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(manifest_directory / name, target / name)
            _install(target)
            complete.touch()
    return target


def _install(target: Path) -> None:
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(CACHE / "downloads")]
    finished = subprocess.run(
        [_program("npm"), "ci", *options],
        cwd=target,
        env={**os.environ, "PATH": SEARCH_PATH},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if finished.returncode != 0:
        raise NodeError(f"npm ci failed for {target / 'package.json'}: {finished.stdout}{finished.stderr}")


def _program(name: str) -> str:
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        # Debian's npm depends on its nodejs.
        command = ["sh", "scripts/debian_packages.sh", "npm"]
        finished = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        found = shutil.which(name, path=SEARCH_PATH)
        if found is None:
            raise NodeError(f"no {name} on PATH: {finished.stdout}{finished.stderr}")
    return found
