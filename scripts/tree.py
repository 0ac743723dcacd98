# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the project: which they are, their fingerprint, and the copies Ansible's tools work on."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePath

import yaml

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
BIN = ROOT / ".venv" / "bin"
# Two copies of the collection: all of it, and what of it is shipped. ansible-test refuses to work outside a
# path of this form, and ansible-lint and antsibull-docs find the collection by it.
COLLECTIONS = CACHE / "stage"
STAGE = COLLECTIONS / "ansible_collections" / "baileys" / "resilience"
SHIPPED = CACHE / "shipped" / "ansible_collections" / "baileys" / "resilience"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Used only where git cannot be asked, as in an unpacked archive of the sources: what .gitignore names.
_NOT_SOURCES = {".git", ".ansible", ".cache", ".venv", "__pycache__", "build", "dist"}


def project_files() -> list[str]:
    """Paths, relative to the root and sorted, of the files that git tracks or would track."""
    names = _listed_by_git()
    if names is None:
        names = list(_walk())
    # A deleted file stays in git's index until its deletion is staged.
    return sorted({name for name in names if os.path.lexists(ROOT / name)})


def _listed_by_git() -> list[str] | None:
    if not shutil.which("git"):
        return None
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listing.returncode != 0:
        return None
    return [os.fsdecode(name) for name in listing.stdout.split(b"\0") if name]


def _walk() -> Iterator[str]:
    for directory, directories, names in os.walk(ROOT):
        directories[:] = [name for name in directories if name not in _NOT_SOURCES and not name.endswith("_cache")]
        for name in names:
            yield str(Path(directory, name).relative_to(ROOT))


def fingerprint(files: Iterable[str], *extra: str) -> str:
    """SHA-256 over the names and contents of `files` and over `extra`."""
    digest = hashlib.sha256()
    for name in files:
        path = ROOT / name
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        digest.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    for text in extra:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def hold() -> None:
    """Wait until no other run works on .cache, and keep others out until this process ends."""
    CACHE.mkdir(exist_ok=True)
    # Never closed: the lock goes with the process.
    descriptor = os.open(CACHE / "gates.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def shipped_files() -> list[str]:
    """Those of the project's files that `build_ignore` in galaxy.yml lets into the Galaxy artefact."""
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]

    def is_ignored(path: PurePath) -> bool:
        # The path and each directory above it; the last of `parents` is the root itself.
        parts = (path, *path.parents[:-1])
        return any(fnmatch(str(part), pattern) for part in parts for pattern in ignored)

    return [name for name in project_files() if not is_ignored(PurePath(name))]


def stage(target: Path, files: Sequence[str]) -> None:
    """Make `target` a copy of `files` and nothing else.

    Files that did not change are left alone, so that the tools' own caches stay good.
    """
    for name in files:
        _copy_if_changed(ROOT / name, target / name)
    _remove_all_but({target / name for name in files}, target)


def _copy_if_changed(source: Path, target: Path) -> None:
    if os.path.lexists(target) and _state(source) == _state(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def _state(path: Path) -> tuple[int, int, int]:
    status = path.lstat()
    return status.st_mode, status.st_size, status.st_mtime_ns


def _remove_all_but(wanted: set[Path], top: Path) -> None:
    for directory, directories, names in os.walk(top, topdown=False):
        for path in (Path(directory, name) for name in names):
            if path not in wanted:
                path.unlink()
        for path in (Path(directory, name) for name in directories):
            if not path.is_symlink() and not any(path.iterdir()):
                path.rmdir()


def ansible_environment() -> dict[str, str]:
    """Environment in which Ansible's tools see the staged collection and nothing of the user's own."""
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        # ansible-lint would put a copy of the collection below the home directory, and look at that
        # copy, grown stale, ever after.
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "NO_COLOR": "1",
        "PATH": f"{BIN}:{SYSTEM_PATH}",
    }
