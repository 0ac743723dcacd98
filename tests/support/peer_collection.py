# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""community.postgresql, the peer: taken out of the PyPI package `ansible`, which is not installed for it."""

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
PINS = REPOSITORY / "requirements" / "peer.txt"
# A directory for ANSIBLE_COLLECTIONS_PATH.
COLLECTIONS = REPOSITORY / ".cache" / "peer"
VERSION = "4.2.0"
_PREFIX = "ansible_collections/community/postgresql/"


class PeerError(RuntimeError):
    """The collection could not be had; the message says why."""


def ensure() -> Path:
    """Return a directory for ANSIBLE_COLLECTIONS_PATH that holds the collection, fetching it first if needed.

    Several processes may call this at once. Raises `PeerError` where it cannot be fetched.
    """
    if _present():
        return COLLECTIONS
    COLLECTIONS.parent.mkdir(parents=True, exist_ok=True)
    with COLLECTIONS.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _present():
            _fetch()
    return COLLECTIONS


def _present() -> bool:
    try:
        manifest = json.loads((COLLECTIONS / _PREFIX / "MANIFEST.json").read_text())
    except (OSError, ValueError):
        return False
    return bool(manifest["collection_info"]["version"] == VERSION)


def _fetch() -> None:
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=COLLECTIONS.parent) as scratch:
        download = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--only-binary", ":all:", "--require-hashes", "--requirement", str(PINS), "--dest", scratch),
        ]
        done = subprocess.run(download, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PeerError(f"pip could not download {PINS.name}: {done.stderr.strip()}")
        (wheel,) = Path(scratch).glob("ansible-*.whl")
        unpacked = Path(scratch) / "unpacked"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked, [name for name in archive.namelist() if name.startswith(_PREFIX)])
        shutil.rmtree(COLLECTIONS, ignore_errors=True)
        unpacked.rename(COLLECTIONS)
    if not _present():
        raise PeerError(f"{PINS.name} does not hold community.postgresql {VERSION}")
