# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The peer to compare with: community.postgresql at one version, unpacked from PyPI and not installed.

Galaxy's server is not reached everywhere that PyPI is; the package `ansible` holds the collection.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PIN = REPOSITORY / "requirements" / "peer.txt"
PEER_VERSION = "4.2.0"
DIRECTORY = REPOSITORY / ".cache" / "peer"
COLLECTION = Path("ansible_collections", "community", "postgresql")


class PeerError(RuntimeError):
    """The collection could not be had; the message says why."""


def ensure(directory: Path = DIRECTORY) -> Path:
    """Return a directory for ANSIBLE_COLLECTIONS_PATH that holds the peer, fetching it first if needed.

    Several processes may call this at once; one fetches and the others wait. Raises `PeerError`.
    """
    if version(directory) == PEER_VERSION:
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if version(directory) != PEER_VERSION:
            _fetch(directory)
    return directory


def version(directory: Path = DIRECTORY) -> str | None:
    """The version of the collection below `directory` as its own manifest states it; None if there is none."""
    try:
        manifest = json.loads((directory / COLLECTION / "MANIFEST.json").read_text())
    except FileNotFoundError:
        return None
    return str(manifest["collection_info"]["version"])


def _fetch(directory: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=directory.parent) as scratch:
        work = Path(scratch)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(PIN), "--dest", str(work)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PeerError(f"pip could not download what {PIN.name} pins: {done.stderr.strip()}")
        (wheel,) = work.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(
                work / "peer", [name for name in archive.namelist() if name.startswith(f"{COLLECTION}/")]
            )
        found = version(work / "peer")
        if found != PEER_VERSION:
            raise PeerError(f"{wheel.name} holds community.postgresql {found}, not {PEER_VERSION}")
        shutil.rmtree(directory, ignore_errors=True)
        (work / "peer").rename(directory)
