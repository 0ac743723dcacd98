# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify archives again: the bytes, the manifest, and what is in them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..postgres.client import ClientTools, find_clients
from ..system.errors import ArchiveError, MissingDependencyError, ResilienceError
from ..system.lock import lock_for
from . import catalogue
from .catalogue import Archive
from .decode import hash_file, hash_file_set, read_archive
from .describe import Manifest, differences

_NEVER = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Verification:
    """The outcome for one archive; ``problems`` is empty when it holds. ``duration`` is in seconds."""

    archive: Archive
    problems: tuple[str, ...]
    duration: float

    @property
    def holds(self) -> bool:
        """Whether the archive is what its manifest says."""
        return not self.problems


def verify_archive(archive: Archive, clients: Sequence[ClientTools]) -> Verification:
    """Compare size, SHA-256, every table's rows and digest, sequences and large objects with the manifest.

    Raises MissingDependencyError when this host has no client new enough to read the archive: that says
    nothing against the archive.
    """
    started = time.monotonic()
    problems = tuple(_problems(archive, clients))
    return Verification(archive, problems, time.monotonic() - started)


def _problems(archive: Archive, clients: Sequence[ClientTools]) -> list[str]:
    manifest = archive.manifest
    if manifest is None:
        return [archive.problem or "it has no manifest"]
    try:
        decoded = read_archive(archive.path, manifest["format"], manifest["compression"], _reader(manifest, clients))
    except MissingDependencyError:
        raise
    except ArchiveError as error:
        # The bytes are judged below as well: a wrong hash is the plainer message.
        return _wrong_bytes(archive, manifest) + [error.message]
    except ResilienceError as error:
        return [error.message]
    problems = []
    if decoded.size != manifest["size_bytes"]:
        problems.append("it has %d bytes, not %d" % (decoded.size, manifest["size_bytes"]))
    if decoded.sha256 != manifest["sha256"]:
        problems.append("its SHA-256 is not the one it was made with")
        problems += _changed_files(manifest, decoded.files)
    return problems + differences(manifest, decoded.contents)


def _wrong_bytes(archive: Archive, manifest: Manifest) -> list[str]:
    if os.path.isdir(archive.path):
        _size, sha256, files = hash_file_set(archive.path)
        return [] if sha256 == manifest["sha256"] else _changed_files(manifest, files)
    return [] if hash_file(archive.path)[1] == manifest["sha256"] else ["its SHA-256 is not the one it was made with"]


def _changed_files(manifest: Manifest, files: dict[str, str]) -> list[str]:
    claimed = manifest.get("files") or {}
    return [
        "its file {} {}".format(name, "is missing" if name not in files else "was changed or added")
        for name in sorted(set(claimed) | set(files))
        if claimed.get(name) != files.get(name)
    ]


def _reader(manifest: Manifest, clients: Sequence[ClientTools]) -> ClientTools:
    major = int(str(manifest["client_version"]).split(".", maxsplit=1)[0])
    for tools in sorted(clients, key=lambda tools: tools.version.major):
        if tools.version.major >= major:
            return tools
    raise MissingDependencyError(
        "The archive was made by pg_dump {}; the newest client here is {}".format(
            manifest["client_version"], clients[0].version
        ),
        stage="version",
        remedy="Install postgresql-client-%d, or verify on a host that has it." % major,
    )


def verify_all(
    backup_root: str,
    *,
    only: Sequence[str] | None = None,
    newest_only: bool = False,
    client_directory: str | None = None,
    lock_timeout: float = 0.0,
    dry_run: bool = False,
) -> tuple[Verification, ...]:
    """Verify the archives of a root (or ``only`` these paths, or the newest) and mark the bad ones suspect.

    Takes the lock, in seconds, so that no run removes what is being read. An archive linked into several
    tiers is read once. With ``dry_run`` nothing is marked.
    """
    if not os.path.isdir(backup_root):
        raise ResilienceError(
            f"There is no backup root {backup_root}",
            stage="verify",
            remedy="Make a backup first, or correct backup_root.",
        )
    clients = find_clients(client_directory)
    results: list[Verification] = []
    with lock_for(os.path.join(backup_root, catalogue.LOCK_NAME), lock_timeout, dry_run):
        seen: dict[Any, Verification] = {}
        archives = catalogue.read_catalogue(backup_root)
        for archive in _chosen(archives, only, newest_only):
            key = _identity(archive)
            if key in seen:
                results.append(Verification(archive, seen[key].problems, 0.0))
                continue
            seen[key] = result = verify_archive(archive, clients)
            results.append(result)
            # At once: what is found must not be lost with a run that ends at a later archive.
            if not dry_run and not result.holds:
                note = _note(result)
                unknown = [link for link in catalogue.links_of(archive, archives) if link.problem != note["problem"]]
                catalogue.mark(unknown, "suspect", note)
    return tuple(results)


def _chosen(archives: Sequence[Archive], only: Sequence[str] | None, newest_only: bool) -> list[Archive]:
    ours = [archive for archive in archives if archive.state != catalogue.FOREIGN]
    if only is not None:
        wanted = {os.path.realpath(path) for path in only}
        chosen = [archive for archive in archives if os.path.realpath(archive.path) in wanted]
        missing = wanted - {os.path.realpath(archive.path) for archive in chosen}
        if missing:
            raise ResilienceError(
                "There is no archive {} in this backup root".format(", ".join(sorted(missing))),
                stage="verify",
                remedy="List what there is with pg_backup_info.",
            )
        return chosen
    if newest_only:
        best = max(ours, key=lambda archive: archive.sequence, default=None)
        return [archive for archive in ours if archive is best or _may_be_newer(archive, best)]
    return ours


def _may_be_newer(archive: Archive, best: Archive | None) -> bool:
    # A broken manifest no longer tells its run; what is left is the name.
    return archive.manifest is None and best is not None and (archive.time or _NEVER) > (best.time or _NEVER)


def _identity(archive: Archive) -> Any:
    # The same inode with the same manifest is the same question; a copy is another one.
    status = os.lstat(archive.path)
    inode = archive.path if os.path.isdir(archive.path) else (status.st_dev, status.st_ino)
    return inode, archive.manifest["manifest_sha256"] if archive.manifest else archive.path


def _note(result: Verification) -> dict[str, Any]:
    return {
        "at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "kind": "verify",
        "outcome": "failed",
        "problem": "; ".join(result.problems[:5]),
    }
