# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The warm standby: the last verified export of every session, kept until a newer verified one replaces it.

``<state>/standby/<source>/<tenant>/`` holds Baileys' own files. Beside them ``.standby.json`` remembers up to which moment
each still shows what the database held: where nothing has changed since, the files are not written again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..system.errors import ResilienceError
from ..system.files import explain_os_error, write_private
from .creds import check_creds
from .files import MANIFEST_FILE, Content, Manifest, read_manifest, read_tenant
from .names import CREDS_FILE, tenant_directory

STANDBY_VERSION = 1
INDEX_FILE = ".standby.json"


@dataclass(frozen=True)
class StandbyTenant:
    """One session of the standby. Times are in UTC.

    ``snapshot_at``: the files show what the database held then. ``made_at``: when they were written. ``missing_since``: it
    has not been in the database since then; None while it is.
    """

    tenant: str
    directory: str
    snapshot_at: datetime
    made_at: datetime
    content: Content = field(repr=False)
    missing_since: datetime | None = None


@dataclass(frozen=True)
class StandbyState:
    """The standby of a source; ``problems`` says which directories are of no use, and why."""

    directory: str
    tenants: tuple[StandbyTenant, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def snapshot_at(self) -> datetime | None:
        """What it shows for certain: the oldest moment among the sessions the database still has; None for none.

        A session that was deleted there grows old for ever, and says nothing about the others.
        """
        present = [one.snapshot_at for one in self.tenants if one.missing_since is None]
        return min(present or [one.snapshot_at for one in self.tenants], default=None)


@dataclass(frozen=True)
class Standing:
    """What ``.standby.json`` remembers of a session: the files with this ``digest`` were right at ``snapshot_at``.

    ``fingerprint`` is what the server made of its rows then. ``read_back_at``: when the files were last read in full.
    """

    digest: str
    fingerprint: str
    snapshot_at: datetime
    read_back_at: datetime
    missing_since: datetime | None = None


def standby_directory(state_directory: str, source: str) -> str:
    """The directory of a source's standby."""
    return os.path.join(state_directory, "standby", tenant_directory(source))


def read_standby(state_directory: str, source: str) -> StandbyState:
    """What the standby holds, by its manifests and the number and sizes of the files. Raises ResilienceError."""
    return _judged(state_directory, source, _looks_damaged)


def verify_standby(state_directory: str, source: str) -> StandbyState:
    """As ``read_standby``, after reading every file and the credentials of each session."""
    return _judged(state_directory, source, read_back)


def _judged(state_directory: str, source: str, judge: Any) -> StandbyState:
    directory = standby_directory(state_directory, source)
    standings = read_standings(directory)
    tenants: list[StandbyTenant] = []
    problems: list[str] = []
    for path in _directories(directory):
        try:
            manifest = read_manifest(path)
            problem = _foreign(manifest, source, path) if manifest is None else judge(path, manifest)
        except ResilienceError as error:
            problem, manifest = error.message, None
        if manifest is not None and problem is None:
            problem = _foreign(manifest, source, path)
        if manifest is None or problem is not None:
            problems.append(f"{path}: {problem}")
        else:
            tenants.append(_tenant(path, manifest, standings.get(manifest.tenant)))
    return StandbyState(directory, tuple(tenants), tuple(problems))


def _directories(directory: str) -> list[str]:
    try:
        names = sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise explain_os_error(error, directory, "read the standby").at_stage("read") from error
    return [os.path.join(directory, name) for name in names]


def _foreign(manifest: Manifest | None, source: str, path: str) -> str | None:
    if manifest is None:
        return "it has no manifest, so nobody knows what it shows"
    if manifest.source != source or tenant_directory(manifest.tenant) != os.path.basename(path):
        return f"it holds the session {manifest.tenant} of the source {manifest.source}"
    return None


def _looks_damaged(path: str, manifest: Manifest) -> str | None:
    """What shows without reading any file: some are missing, too many, or of another size."""
    try:
        with os.scandir(path) as entries:
            sizes = [entry.stat(follow_symlinks=False).st_size for entry in entries if entry.name != MANIFEST_FILE]
    except OSError as error:
        raise explain_os_error(error, path, "read the standby").at_stage("read") from error
    content = manifest.content
    # The credentials are a file too.
    files = sum(content.keys.values()) + 1
    if (len(sizes), sum(sizes)) != (files, content.size_bytes):
        return "it holds %d files of %d bytes, its manifest says %d of %d" % (
            len(sizes),
            sum(sizes),
            files,
            content.size_bytes,
        )
    return None


def read_back(path: str, manifest: Manifest) -> str | None:
    """Why the files of a directory are not what its manifest says; None if every one of them is."""
    found = read_tenant(path, manifest.content.keys)
    if found.strangers:
        return "it holds %d files that are no keys, as %s" % (len(found.strangers), found.strangers[0])
    if found.content != manifest.content:
        changed = sorted(
            name
            for name in {*found.content.digests, *manifest.content.digests}
            if found.content.digests.get(name) != manifest.content.digests.get(name)
        )
        return "its files are not those that were verified: {} differ".format(", ".join(changed))
    with open(os.path.join(path, CREDS_FILE), encoding="utf-8") as stream:
        check_creds(stream.read(), manifest.tenant)
    return None


def _tenant(path: str, manifest: Manifest, standing: Standing | None) -> StandbyTenant:
    known = standing is not None and standing.digest == manifest.content.digest
    return StandbyTenant(
        tenant=manifest.tenant,
        directory=path,
        snapshot_at=max(manifest.snapshot_at, standing.snapshot_at) if known and standing else manifest.snapshot_at,
        made_at=manifest.made_at,
        content=manifest.content,
        missing_since=standing.missing_since if standing is not None else None,
    )


def read_standings(directory: str) -> dict[str, Standing]:
    """What is remembered of each session; nothing where the file is missing or damaged.

    Then the manifests alone count, which are older: the next refresh reads everything again.
    """
    try:
        with open(os.path.join(directory, INDEX_FILE), "rb") as stream:
            document = json.loads(stream.read())
        if document["standby_version"] != STANDBY_VERSION:
            return {}
        return {tenant: _standing(entry) for tenant, entry in document["tenants"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    except OSError as error:
        raise explain_os_error(error, directory, "read the standby").at_stage("read") from error


def write_standings(directory: str, standings: Mapping[str, Standing]) -> None:
    """Remember this of each session. Raises ResilienceError."""
    document = {
        "standby_version": STANDBY_VERSION,
        "tenants": {tenant: dict(_plain(asdict(standings[tenant]))) for tenant in sorted(standings)},
    }
    write_private(os.path.join(directory, INDEX_FILE), (json.dumps(document, indent=1) + "\n").encode("ascii"))


def _plain(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in entry.items():
        yield name, value.astimezone(timezone.utc).isoformat() if isinstance(value, datetime) else value


def _standing(entry: Mapping[str, Any]) -> Standing:
    moments = {name: _moment(entry[name]) for name in ("snapshot_at", "read_back_at")}
    missing = entry["missing_since"]
    return Standing(
        digest=str(entry["digest"]),
        fingerprint=str(entry["fingerprint"]),
        missing_since=None if missing is None else _moment(missing),
        **moments,
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.astimezone(timezone.utc)
