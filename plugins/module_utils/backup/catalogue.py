# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies in a backup root: every archive with its manifest and state, and what a killed run left."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..system.errors import ResilienceError
from ..system.files import explain_os_error, private_directory, remove_tree_or_file, write_private
from . import naming
from .describe import Manifest, read_manifest, write_manifest
from .naming import MANIFEST_SUFFIX, PARTIAL_SUFFIX, TIERS
from .publish import withdraw

LOCK_NAME = ".lock"
LAST_RUN_NAME = ".last_run.json"
FOREIGN = "foreign"


@dataclass(frozen=True)
class Archive:
    """One archive in one tier. ``state`` is verified, proven, suspect or foreign (not ours: no manifest)."""

    path: str
    tier: str
    time: datetime | None
    state: str
    size_bytes: int
    manifest: Manifest | None = None
    problem: str | None = None

    @property
    def counted(self) -> bool:
        """Whether it counts as a backup: verified or proven, and not suspect."""
        return self.state in ("verified", "proven")

    @property
    def sequence(self) -> int:
        """Number of the run that made it; grows by one a run, whatever the clock says. 0 if unknown."""
        return int(self.manifest["sequence"]) if self.manifest else 0

    @property
    def sha256(self) -> str:
        """SHA-256 of the archive as the manifest states it; empty if there is none."""
        return str(self.manifest["sha256"]) if self.manifest else ""


@dataclass(frozen=True)
class LastRun:
    """How the latest run of this backup root went: ``running``, ``ok`` or ``failed``; ``since`` is when the first was."""

    outcome: str
    at: str
    reason: str | None = None
    since: str | None = None


def prepare(backup_root: str, tiers: Iterable[str]) -> bool:
    """Make the root and these tiers 0700 directories; tells whether anything changed."""
    changed = private_directory(backup_root)
    for tier in tiers:
        changed = private_directory(os.path.join(backup_root, tier)) or changed
    return changed


def read_catalogue(backup_root: str) -> tuple[Archive, ...]:
    """Every archive below ``backup_root``, tier by tier, oldest first. A missing root is an empty catalogue."""
    found: list[Archive] = []
    for tier in TIERS:
        directory = os.path.join(backup_root, tier)
        for name in _entries(directory):
            if name.startswith(".") or name.endswith((PARTIAL_SUFFIX, MANIFEST_SUFFIX)):
                continue
            found.append(_read_archive(os.path.join(directory, name), tier))
    return tuple(found)


def counted(archives: Iterable[Archive]) -> list[Archive]:
    """Those that count as backups, newest run first."""
    return sorted((archive for archive in archives if archive.counted), key=lambda a: a.sequence, reverse=True)


def newest(archives: Iterable[Archive], state: str | None = None) -> Archive | None:
    """The archive of the latest run that counts, or of those in ``state``; None if there is none."""
    fitting = [archive for archive in counted(archives) if state in (None, archive.state)]
    return fitting[0] if fitting else None


def next_sequence(archives: Iterable[Archive]) -> int:
    """The number of a run that is to begin."""
    return max((archive.sequence for archive in archives), default=0) + 1


def mark(archives: Iterable[Archive], state: str, note: dict[str, Any]) -> list[str]:
    """Set the state of these archives and add ``note`` to their history; returns their paths.

    Call it under the lock. Those that are one archive under several names (``links_of``) belong together.
    """
    marked = []
    for archive in archives:
        if archive.manifest is not None:
            manifest = dict(archive.manifest, state=state, proofs=[*archive.manifest["proofs"], note])
            write_manifest(archive.path, manifest)
            marked.append(archive.path)
    return marked


def links_of(archive: Archive, archives: Iterable[Archive]) -> list[Archive]:
    """Those of ``archives`` that have the bytes of this one, itself included: hard links in several tiers.

    An equal hash is not enough: of two files that were equal, one may be damaged and the other not.
    """
    return [other for other in archives if other.path == archive.path or _share_bytes(archive.path, other.path)]


def _share_bytes(one: str, other: str) -> bool:
    try:
        if os.path.isdir(one) and os.path.isdir(other):
            names = set(os.listdir(one)) & set(os.listdir(other))
            return any(os.path.samefile(os.path.join(one, name), os.path.join(other, name)) for name in names)
        return os.path.samefile(one, other)
    except OSError:
        # One of them went away.
        return False


def read_again(archive: Archive) -> Archive | None:
    """The archive as it is now, None if it is gone."""
    return _read_archive(archive.path, archive.tier) if os.path.lexists(archive.path) else None


def without_manifest(archives: Iterable[Archive]) -> list[Archive]:
    """Foreign files with a name as ours: archives that somebody put there, or that have lost their manifest."""
    return [archive for archive in archives if archive.state == FOREIGN and archive.time is not None]


def leftovers(backup_root: str) -> list[str]:
    """What a killed run left behind: partial archives, temporary files, manifests without an archive."""
    found = []
    for directory in [backup_root] + [os.path.join(backup_root, tier) for tier in TIERS]:
        for name in _entries(directory):
            path = os.path.join(directory, name)
            if name.endswith(PARTIAL_SUFFIX):
                # Somebody else's file of that ending stays.
                if name.startswith((naming.PREFIX, LAST_RUN_NAME)):
                    found.append(path)
            elif name.endswith(MANIFEST_SUFFIX):
                archive = path[: -len(MANIFEST_SUFFIX)]
                if not os.path.lexists(archive) and naming.parse(os.path.basename(archive)):
                    found.append(path)
    return found


def remove_archive(archive: Archive) -> None:
    """Remove an archive and its manifest. Call it under the lock. Raises ResilienceError."""
    withdraw(archive.path)


def write_last_run(backup_root: str, outcome: str, reason: str | None = None) -> None:
    """Record how the latest run went; retention removes nothing unless it went well."""
    at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    earlier = read_last_run(backup_root)
    record = {"outcome": outcome, "at": at, "reason": reason, "since": (earlier and earlier.since) or at}
    write_private(os.path.join(backup_root, LAST_RUN_NAME), (json.dumps(record) + "\n").encode("ascii"))


def remove_last_run(backup_root: str) -> None:
    """Forget how the latest run went, so that it counts as failed: for a disk too full to say so."""
    remove_tree_or_file(os.path.join(backup_root, LAST_RUN_NAME))


def read_last_run(backup_root: str) -> LastRun | None:
    """The record of the latest run, None if there was none. An unreadable record counts as a failed run."""
    path = os.path.join(backup_root, LAST_RUN_NAME)
    try:
        with open(path, encoding="utf-8") as stream:
            record = json.load(stream)
        return LastRun(str(record["outcome"]), str(record["at"]), record.get("reason"), record.get("since"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return LastRun("failed", "unknown", f"its record {path} cannot be read")


def _read_archive(path: str, tier: str) -> Archive:
    parsed = naming.parse(os.path.basename(path))
    size = _size(path)
    moment = parsed.time if parsed else None
    if parsed is None or os.path.islink(path):
        return Archive(path, tier, moment, FOREIGN, size)
    try:
        manifest = read_manifest(path)
    except ResilienceError as error:
        # One manifest that cannot be read must not keep every other archive from being seen.
        return Archive(path, tier, moment, "suspect", size, problem=error.message)
    if manifest is None:
        return Archive(path, tier, moment, FOREIGN, size)
    problem = None
    if manifest["state"] == "suspect" and manifest["proofs"]:
        problem = manifest["proofs"][-1].get("problem")
    return Archive(path, tier, moment, manifest["state"], size, manifest, problem)


def _size(path: str) -> int:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            return sum(entry.stat(follow_symlinks=False).st_size for entry in os.scandir(path))
        return os.lstat(path).st_size
    except OSError:
        # It went away between the listing and the look.
        return 0


def _entries(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise explain_os_error(error, directory, "read the directory") from error
