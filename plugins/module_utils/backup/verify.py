# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify archives again: the bytes, the manifest, and what is in them."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from ..postgres.client import ClientTools, find_clients, supports_compression
from ..system.errors import ArchiveError, MissingDependencyError, ResilienceError
from ..system.lock import lock_for
from . import catalogue
from .catalogue import Archive
from .decode import hash_file, hash_file_set, read_archive
from .describe import Manifest, differences

_NEVER = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Verification:
    """The outcome for one archive. ``duration`` is in seconds.

    ``problems`` is what is wrong with it, empty when it holds. ``obstacle`` is why it could not be judged here, which
    says nothing against it: no client new enough, a decoder that was killed, a disk that does not answer.
    """

    archive: Archive
    problems: tuple[str, ...]
    duration: float
    obstacle: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the archive is known to be what its manifest says."""
        return not self.problems and self.obstacle is None

    @property
    def findings(self) -> tuple[str, ...]:
        """What a person should know: the problems, or the obstacle."""
        return self.problems if self.obstacle is None else (f"it could not be verified: {self.obstacle}",)


def verify_archive(archive: Archive, clients: Sequence[ClientTools]) -> Verification:
    """Compare size, SHA-256, every table's rows and digest, sequences and large objects with the manifest."""
    started = time.monotonic()
    problems: tuple[str, ...] = ()
    obstacle = None
    try:
        problems = tuple(_problems(archive, clients))
    except ResilienceError as error:
        obstacle = error.message
    return Verification(archive, problems, time.monotonic() - started, obstacle)


def _problems(archive: Archive, clients: Sequence[ClientTools]) -> list[str]:
    """What is wrong with the archive. Raises ResilienceError for what says nothing against it.

    Only what has the right hash is decoded: pg_restore believes what it reads, and a single flipped bit can make
    it ask for 12 GB of memory.
    """
    manifest = archive.manifest
    if manifest is None:
        return [archive.problem or "it has no manifest"]
    wrong = wrong_bytes(archive, manifest)
    if wrong:
        return wrong
    try:
        decoded = read_archive(archive.path, manifest["format"], manifest["compression"], _reader(manifest, clients))
    except ArchiveError as error:
        raise ResilienceError(f"its bytes are those it was made with, but {error.message}") from error
    return differences(manifest, decoded.contents)


def wrong_bytes(archive: Archive, manifest: Manifest) -> list[str]:
    """How the archive's bytes, all of them read, differ from what its manifest says. Raises ResilienceError."""
    files: dict[str, str] = {}
    if os.path.isdir(archive.path):
        size, sha256, files = hash_file_set(archive.path)
    else:
        size, sha256 = hash_file(archive.path)
    problems = []
    if size != manifest["size_bytes"]:
        problems.append("it has %d bytes, not %d" % (size, manifest["size_bytes"]))
    if sha256 != manifest["sha256"]:
        problems.append("its SHA-256 is not the one it was made with")
        problems += _changed_files(manifest, files)
    return problems


def _changed_files(manifest: Manifest, files: dict[str, str]) -> list[str]:
    claimed = manifest.get("files") or {}
    return [
        "its file {} {}".format(name, "is missing" if name not in files else "was changed or added")
        for name in sorted(set(claimed) | set(files))
        if claimed.get(name) != files.get(name)
    ]


def _reader(manifest: Manifest, clients: Sequence[ClientTools]) -> ClientTools:
    """The oldest client here that can read the archive. One that cannot says nothing against the archive."""
    major = int(str(manifest["client_version"]).split(".", maxsplit=1)[0])
    recent = [tools for tools in sorted(clients, key=lambda tools: tools.version) if tools.version.major >= major]
    if not recent:
        raise MissingDependencyError(
            "The archive was made by pg_dump {}; the newest client here is {}".format(
                manifest["client_version"], clients[0].version
            ),
            stage="version",
            remedy="Install postgresql-client-%d, or verify on a host that has it." % major,
        )
    for tools in recent:
        # A plain script is decompressed by a program of its own.
        if manifest["format"] == "plain" or _can_decompress(tools, str(manifest["compression"])):
            return tools
    raise MissingDependencyError(
        "The archive is compressed with {}; the client {} in {} was built without it".format(
            manifest["compression"], recent[-1].version, recent[-1].directory
        ),
        stage="version",
        remedy="Install a client with {}, as the packages of Debian and of the PostgreSQL project are, or verify on a "
        "host that has one.".format(manifest["compression"]),
    )


@functools.cache
def _can_decompress(tools: ClientTools, compression: str) -> bool:
    return supports_compression(tools, compression)


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

    The lock, with its timeout in seconds, is held for one archive at a time, so that a backup need not wait for all
    of them. An archive linked into several tiers is read once. One that was suspect because of an earlier
    verification, and holds, counts again. With ``dry_run`` nothing is marked. Raises ResilienceError when there is
    nothing to verify: an empty root is a backup disk that is not mounted, or worse.
    """
    chosen = choose_archives(backup_root, only, newest_only)
    clients = find_clients(client_directory)
    results: list[Verification] = []
    seen: dict[Any, Verification] = {}
    for listed in chosen:
        with lock_for(os.path.join(backup_root, catalogue.LOCK_NAME), lock_timeout, dry_run):
            # Between two archives a backup may have run, and retention removed one that was to be read.
            archive = catalogue.read_again(listed)
            if archive is None:
                continue
            key = _identity(archive)
            if key in seen:
                results.append(replace(seen[key], archive=archive, duration=0.0))
                continue
            seen[key] = result = verify_archive(archive, clients)
            results.append(result)
            # At once: what is found must not be lost with a run that ends at a later archive.
            if not dry_run:
                _mark(backup_root, result)
    return tuple(results)


def choose_archives(backup_root: str, only: Sequence[str] | None, newest_only: bool) -> list[Archive]:
    """The archives to look at: all of ours, ``only`` these paths, or that of the latest run.

    Raises ResilienceError when there is none.
    """
    if not os.path.isdir(backup_root):
        raise ResilienceError(
            f"There is no backup root {backup_root}",
            stage="verify",
            remedy="Make a backup first, or correct backup_root.",
        )
    chosen = _chosen(catalogue.read_catalogue(backup_root), only, newest_only)
    if not chosen:
        raise ResilienceError(
            f"There is no archive in {backup_root}",
            stage="verify",
            remedy="See whether the backup disk is mounted, and make a backup.",
        )
    return chosen


def _mark(backup_root: str, result: Verification) -> None:
    archive = result.archive
    if result.problems:
        state, note = "suspect", _note("failed", "; ".join(result.problems[:5]))
    elif result.holds and _suspected_by_verification(archive):
        state, note = "verified", _note("held", None)
    else:
        return
    links = catalogue.links_of(archive, catalogue.read_catalogue(backup_root))
    catalogue.mark([link for link in links if (link.state, link.problem) != (state, note["problem"])], state, note)


def _suspected_by_verification(archive: Archive) -> bool:
    proofs = archive.manifest["proofs"] if archive.manifest else []
    return archive.state == "suspect" and bool(proofs) and proofs[-1].get("kind") == "verify"


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


def _note(outcome: str, problem: str | None) -> dict[str, Any]:
    return {
        "at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "kind": "verify",
        "outcome": outcome,
        "problem": problem,
    }
