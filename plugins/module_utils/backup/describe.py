# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifest: what an archive claims to be, in a JSON file beside it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from ..postgres.client import ClientTools
from ..postgres.properties import as_dict
from ..postgres.settings import ConnectionSettings
from ..postgres.snapshot import Snapshot
from ..system.errors import ArchiveError
from ..system.files import explain_os_error, write_private
from .contents import Contents, TableContent
from .dump import Dumped, DumpPlan
from .naming import MANIFEST_SUFFIX

MANIFEST_VERSION = 1

Manifest = dict[str, Any]

STATES = ("verified", "proven", "suspect")

# What a reader of any version may rely on; more keys may come with later versions.
_REQUIRED = {
    "manifest_version": int,
    "sequence": int,
    "state": str,
    "database": str,
    "server_version": str,
    "client_version": str,
    "snapshot_at": str,
    "format": str,
    "compression": str,
    "size_bytes": int,
    "sha256": str,
    "tables": list,
    "proofs": list,
}


def manifest_path(archive: str) -> str:
    """Where the manifest of ``archive`` lies."""
    return archive + MANIFEST_SUFFIX


def describe_origin(snapshot: Snapshot, settings: ConnectionSettings, tools: ClientTools) -> dict[str, Any]:
    """The manifest's part on the database, the moment the archive shows, and the client that read it."""
    server = snapshot.server
    return {
        "database": server.database,
        "role": server.user,
        "host": settings.host,
        "port": settings.port,
        "server_version": str(server.version),
        "client_version": str(tools.version),
        "encoding": server.encoding,
        "collation": server.collation,
        "ctype": server.ctype,
        "locale_provider": server.locale_provider,
        "locale": server.locale,
        "icu_rules": server.icu_rules,
        "database_bytes": server.database_bytes,
        "snapshot_at": snapshot.taken_at,
        "lsn": snapshot.lsn,
        "roles": list(snapshot.needs.roles),
        "extensions": list(snapshot.needs.extensions),
        "tablespaces": list(snapshot.needs.tablespaces),
        "properties": as_dict(snapshot.properties) if snapshot.properties else None,
    }


def describe_dump(dumped: Dumped, plan: DumpPlan) -> dict[str, Any]:
    """The manifest's part on how the archive was written."""
    decoded = dumped.decoded
    return {
        "format": plan.format,
        "compression": plan.compression,
        "compression_level": plan.level,
        "encryption": None,
        "arguments": list(dumped.arguments),
        "messages": dumped.messages,
        "size_bytes": decoded.size,
        "content_bytes": decoded.contents.bytes,
        "sha256": decoded.sha256,
        "files": decoded.files or None,
        "rows": decoded.contents.rows,
    }


def describe_contents(contents: Contents) -> dict[str, Any]:
    """The manifest's part on what is in the archive."""
    return {
        "tables": [
            {
                "schema": table.name[0],
                "table": table.name[1],
                "rows": table.rows,
                "bytes": table.bytes,
                "digest": table.digest,
            }
            for table in contents.tables
        ],
        "sequences": [
            {"sequence": name, "value": value, "called": called} for name, (value, called) in contents.sequences.items()
        ],
        "large_objects": {
            "count": contents.large_objects,
            "bytes": contents.large_object_bytes,
            "digest": contents.large_objects_digest,
        },
    }


def contents_of(manifest: Mapping[str, Any]) -> Contents:
    """The contents that a manifest claims."""
    large = manifest.get("large_objects") or {}
    return Contents(
        tables=tuple(
            TableContent((item["schema"], item["table"]), item["rows"], item["bytes"], item["digest"])
            for item in manifest["tables"]
        ),
        sequences={item["sequence"]: (item["value"], item["called"]) for item in manifest.get("sequences", [])},
        large_objects=large.get("count", 0),
        large_object_bytes=large.get("bytes", 0),
        large_objects_digest=large.get("digest"),
    )


def differences(manifest: Mapping[str, Any], contents: Contents) -> list[str]:
    """What an archive's contents are, other than its manifest says; empty when all agrees."""
    found = []
    now = describe_contents(contents)
    claimed = {(item["schema"], item["table"]): item for item in manifest["tables"]}
    present = {(item["schema"], item["table"]): item for item in now["tables"]}
    for name in sorted(set(claimed) | set(present)):
        label = "table {}.{}".format(*name)
        if name not in present:
            found.append(f"{label} is missing")
        elif name not in claimed:
            found.append(f"{label} is not in the manifest")
        elif claimed[name] != present[name]:
            rows = (claimed[name].get("rows"), present[name]["rows"])
            found.append(
                "%s has %d rows, %s expected" % (label, rows[1], rows[0])
                if rows[0] != rows[1]
                else f"{label} has other content than when it was backed up"
            )
    if manifest.get("sequences") != now["sequences"]:
        found.append("the values of sequences differ")
    if manifest.get("large_objects") != now["large_objects"]:
        found.append("the large objects differ")
    return found


def seal(manifest: Manifest) -> Manifest:
    """The manifest with its own checksum, by which a later edit shows."""
    body = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return dict(body, manifest_sha256=_checksum(body))


def write_manifest(archive: str, manifest: Manifest) -> None:
    """Write it beside the archive: sealed, mode 0600, replaced as a whole."""
    text = json.dumps(seal(manifest), indent=2, ensure_ascii=True)
    write_private(manifest_path(archive), (text + "\n").encode("ascii"))


def read_manifest(archive: str) -> Manifest | None:
    """The manifest of ``archive``, None if it has none (a foreign file).

    Raises ArchiveError for one that is broken, was edited, or is of a version this release does not know.
    """
    path = manifest_path(archive)
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain_os_error(error, path, "read the manifest") from error
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _broken(path, "it is not JSON") from error
    if not isinstance(manifest, dict):
        raise _broken(path, "it is not a JSON object")
    if manifest.get("manifest_version") != MANIFEST_VERSION:
        raise _broken(path, "its manifest_version is %r, not %d" % (manifest.get("manifest_version"), MANIFEST_VERSION))
    for key, kind in _REQUIRED.items():
        if not isinstance(manifest.get(key), kind):
            raise _broken(path, f"{key} is missing or of the wrong type")
    if manifest["state"] not in STATES:
        raise _broken(path, "its state is {!r}".format(manifest["state"]))
    body = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    if manifest.get("manifest_sha256") != _checksum(body):
        raise _broken(path, "it was edited: its own checksum does not hold")
    return manifest


def _checksum(body: Mapping[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _broken(path: str, why: str) -> ArchiveError:
    return ArchiveError(
        f"The manifest {os.path.basename(path)} cannot be trusted: {why}",
        stage="verify",
        remedy="Do not restore this archive without a drill; the next newer or older one has its own manifest.",
    )
