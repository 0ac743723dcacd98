# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""This very collection as one archive for a host, the same whatever way it was installed here."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from ..module_utils.system.errors import ResilienceError

# What is needed to run, and to read about it. A checkout holds more: tests, an environment, backups of the demo.
DIRECTORIES = ("console", "docs", "meta", "playbooks", "plugins", "roles")
FILES = ("CHANGELOG.md", "LICENSE", "README.md")
_COMPILED = "__pycache__"
_VERSION_LINE = re.compile(r"^version: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class PackedCollection:
    """A compressed archive of the collection's files, and the SHA-256 of their names and contents."""

    version: str
    digest: str
    archive: bytes


def collection_directory() -> str:
    """Where the collection that this file belongs to is installed."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def pack_collection(directory: str) -> PackedCollection:
    """The collection below ``directory``. Equal files make an equal archive. Raises ResilienceError."""
    try:
        version = _version(directory)
        contents = {name: _read(directory, name) for name in sorted(_names(directory))}
    except (OSError, KeyError, ValueError) as error:
        raise ResilienceError(f"Cannot read the collection in {directory}: {error}") from error
    # Whether there is a galaxy.yml or a MANIFEST.json, and with what in it, depends on how it was installed here. Ansible
    # wants to know no more than this.
    about = {"namespace": "baileys", "name": "resilience", "version": version}
    contents["MANIFEST.json"] = json.dumps({"collection_info": about, "format": 1}, sort_keys=True).encode()
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        digest.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return PackedCollection(version, digest.hexdigest(), _archive(contents))


def _version(directory: str) -> str:
    manifest = os.path.join(directory, "MANIFEST.json")
    if os.path.exists(manifest):
        with open(manifest, encoding="utf-8") as stream:
            return str(json.load(stream)["collection_info"]["version"])
    with open(os.path.join(directory, "galaxy.yml"), encoding="utf-8") as stream:
        found = _VERSION_LINE.search(stream.read())
    if found is None:
        raise ValueError("galaxy.yml has no version")
    return found[1]


def _names(directory: str) -> Iterator[str]:
    yield from (name for name in FILES if os.path.isfile(os.path.join(directory, name)))
    for top in DIRECTORIES:
        for path, directories, names in os.walk(os.path.join(directory, top)):
            directories[:] = [name for name in directories if name != _COMPILED and not name.startswith(".")]
            for name in names:
                if not name.startswith(".") and not name.endswith(".pyc"):
                    yield os.path.relpath(os.path.join(path, name), directory)


def _read(directory: str, name: str) -> bytes:
    with open(os.path.join(directory, name), "rb") as stream:
        return stream.read()


def _archive(contents: dict[str, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(contents.items()):
            # Owner 0, time 0: nothing of this machine gets into it.
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), compresslevel=6, mtime=0)
