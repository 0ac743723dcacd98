# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory of one tenant, as Baileys' ``useMultiFileAuthState`` reads it: written whole, and read back.

``.manifest.json`` lies among the files, so that one rename swaps both; Baileys reads only the files it asks for.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from ..system.errors import ResilienceError
from ..system.files import PRIVATE_DIRECTORY_MODE, PRIVATE_FILE_MODE, explain_os_error, inherited_owner
from .layout import CREDS
from .names import CREDS_FILE, file_name_pattern
from .reuse import earlier_files

MANIFEST_FILE = ".manifest.json"
MANIFEST_VERSION = 1

# Never through a link, never over what is there.
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_BLOCK = 1 << 18

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)

Owner = tuple[int, int]


class SessionFile(NamedTuple):
    """A file to be written. ``modified_ns`` is in nanoseconds since 1970, None for now."""

    key_type: str
    name: str
    content: bytes
    modified_ns: int | None


@dataclass(frozen=True)
class Content:
    """What a directory holds: keys by type, a digest of each type and of all, bytes in all.

    The credentials have a digest too, of the type ``creds``, and are not counted.
    """

    keys: Mapping[str, int]
    digests: Mapping[str, str]
    digest: str
    size_bytes: int


@dataclass(frozen=True)
class TenantFiles:
    """A directory as it is: ``strangers`` are files that are neither a key nor the credentials."""

    content: Content
    has_creds: bool
    strangers: tuple[str, ...]

    @property
    def keys(self) -> Mapping[str, int]:
        """Keys by type."""
        return self.content.keys


class Tally:
    """Counts and digests files, in whatever order they come."""

    def __init__(self) -> None:
        self._hashes: dict[str, list[tuple[str, bytes]]] = {}
        self._size = 0

    def add(self, key_type: str, name: str, content: bytes) -> None:
        """Take in a file."""
        digest = hashlib.sha256(b"%s\0%s" % (_encoded(name), content)).digest()
        self._hashes.setdefault(key_type, []).append((name, digest))
        self._size += len(content)

    def content(self) -> Content:
        """All that was taken in."""
        digests = {}
        for key_type in sorted(self._hashes):
            every = sorted(self._hashes[key_type])
            digests[key_type] = hashlib.sha256(b"".join(digest for _name, digest in every)).hexdigest()
        whole = "".join("%s %s\n" % item for item in digests.items())
        return Content(
            keys={key_type: len(self._hashes[key_type]) for key_type in digests if key_type != CREDS},
            digests=digests,
            digest=hashlib.sha256(whole.encode()).hexdigest(),
            size_bytes=self._size,
        )


@dataclass(frozen=True)
class Manifest:
    """What the writer of a directory says of it. Times are in UTC."""

    source: str
    tenant: str
    snapshot_at: datetime
    made_at: datetime
    content: Content = field(repr=False)


def write_files(
    path: str, files: Iterable[SessionFile], owner: Owner | None = None, replaces: str | None = None
) -> Content:
    """Make the directory and write the files into it, 0700 and 0600 from the first byte; returns what was written.

    ``replaces`` is the directory whose place it is to take: files that are the same there are linked. Nothing is synced:
    that is done once for all directories. Raises ResilienceError.
    """
    tally = Tally()
    # For all of them at once: it is a call less for each of a hundred thousand files.
    umask = os.umask(0o077)
    try:
        owner = owner or inherited_owner(path)
        os.mkdir(path, PRIVATE_DIRECTORY_MODE)
        directory = open_directory(path)
        try:
            with earlier_files(replaces, owner) as earlier:
                for key_type, name, content, modified_ns in files:
                    if earlier is None or not earlier.give(_encoded(name), content, modified_ns, directory):
                        _write_file(directory, name, content, modified_ns, owner)
                    tally.add(key_type, name, content)
            if owner is not None:
                os.fchown(directory, *owner)
        finally:
            os.close(directory)
    except OSError as error:
        raise explain_os_error(error, path, "write").at_stage("write") from error
    finally:
        os.umask(umask)
    return tally.content()


def _write_file(directory: int, name: str, content: bytes, modified_ns: int | None, owner: Owner | None) -> None:
    try:
        descriptor = os.open(_encoded(name), _CREATE, PRIVATE_FILE_MODE, dir_fd=directory)
    except FileExistsError as error:
        raise ResilienceError(
            f"Two keys would have the same file {name}: their ids differ only in what Baileys spells alike",
            stage="write",
            remedy="Delete the one that is none of the application's; Baileys itself could not keep both in files.",
        ) from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ResilienceError(
                f"The name of the file {name} is too long for a file system; Baileys itself could not write it",
                stage="write",
                remedy="Delete that key from the database.",
            ) from error
        raise
    try:
        if owner is not None:
            os.fchown(descriptor, *owner)
        view = content
        while view:
            view = view[os.write(descriptor, view) :]
        if modified_ns is not None:
            os.utime(descriptor, ns=(modified_ns, modified_ns))
    finally:
        os.close(descriptor)


def read_tenant(path: str, more_types: Iterable[str] = ()) -> TenantFiles:
    """Read every file of a directory, and count and digest what is there. Raises ResilienceError.

    ``more_types`` are types of keys that this collection does not know, as a manifest may name them.
    """
    tally, strangers, has_creds = Tally(), [], False
    of_key = file_name_pattern(tuple(more_types)).match
    try:
        directory = open_directory(path)
        try:
            for name in file_names(directory):
                found = of_key(name)
                if found is not None:
                    tally.add(found[1], name, read_file(directory, name))
                elif name == CREDS_FILE:
                    has_creds = True
                    tally.add(CREDS, name, read_file(directory, name))
                else:
                    strangers.append(name)
        finally:
            os.close(directory)
    except OSError as error:
        raise explain_os_error(error, path, "read").at_stage("read") from error
    return TenantFiles(tally.content(), has_creds, tuple(sorted(strangers)))


def open_directory(path: str) -> int:
    """A descriptor of a directory, which is not reached by a link. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)


def file_names(directory: int) -> list[str]:
    """Names of the files in an open directory, but for the manifest. Raises OSError."""
    names = [os.fsencode(name).decode("utf-8", "surrogateescape") for name in os.listdir(directory)]
    return [name for name in names if name != MANIFEST_FILE]


def _encoded(name: str) -> bytes:
    """As Node.js spells it, whatever the locale of this process."""
    return name.encode("utf-8", "surrogateescape")


def nanoseconds(moment: datetime) -> int:
    """A moment as the time of a file, in nanoseconds since 1970; one without a zone is in UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return (moment - _EPOCH) // _MICROSECOND * 1000


def modified_at(directory: int, name: str) -> datetime:
    """When a file in an open directory was last written. Raises OSError."""
    status = os.stat(_encoded(name), dir_fd=directory, follow_symlinks=False)
    return _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)


def read_file(directory: int, name: str) -> bytes:
    """The content of a file in an open directory. Raises OSError."""
    descriptor = os.open(_encoded(name), _READ, dir_fd=directory)
    try:
        content = os.read(descriptor, _BLOCK)
        if len(content) == _BLOCK:
            rest = iter(lambda: os.read(descriptor, _BLOCK), b"")
            content += b"".join(rest)
        return content
    finally:
        os.close(descriptor)


def write_manifest(path: str, manifest: Manifest, owner: Owner | None = None) -> None:
    """Put the manifest into the directory it is of; there must be none yet. Raises ResilienceError."""
    text = json.dumps(_as_dict(manifest), indent=1, sort_keys=True) + "\n"
    umask = os.umask(0o077)
    try:
        directory = open_directory(path)
        try:
            left_to = owner or inherited_owner(os.path.join(path, MANIFEST_FILE))
            _write_file(directory, MANIFEST_FILE, text.encode(), None, left_to)
        finally:
            os.close(directory)
    except OSError as error:
        raise explain_os_error(error, path, "write").at_stage("write") from error
    finally:
        os.umask(umask)


def read_manifest(path: str) -> Manifest | None:
    """The manifest in a directory; None where there is none. Raises ResilienceError for a damaged one."""
    file = os.path.join(path, MANIFEST_FILE)
    try:
        with open(file, encoding="utf-8") as stream:
            return _from_dict(json.load(stream))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise explain_os_error(error, file, "read").at_stage("read") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResilienceError(
            f"The manifest {file} is damaged",
            stage="read",
            remedy="Without it nobody knows which moment these files show: export again, or move the directory away.",
        ) from error


def _as_dict(manifest: Manifest) -> dict[str, Any]:
    content = manifest.content
    return {
        "manifest_version": MANIFEST_VERSION,
        "source": manifest.source,
        "tenant": manifest.tenant,
        "snapshot_at": manifest.snapshot_at.astimezone(timezone.utc).isoformat(),
        "made_at": manifest.made_at.astimezone(timezone.utc).isoformat(),
        "keys": dict(content.keys),
        "digests": dict(content.digests),
        "digest": content.digest,
        "size_bytes": content.size_bytes,
    }


def _from_dict(data: Any) -> Manifest:
    if data["manifest_version"] != MANIFEST_VERSION:
        raise ValueError("of another version")
    content = Content(
        keys={str(name): int(count) for name, count in data["keys"].items()},
        digests={str(name): str(digest) for name, digest in data["digests"].items()},
        digest=str(data["digest"]),
        size_bytes=int(data["size_bytes"]),
    )
    return Manifest(
        source=str(data["source"]),
        tenant=str(data["tenant"]),
        snapshot_at=datetime.fromisoformat(data["snapshot_at"]).astimezone(timezone.utc),
        made_at=datetime.fromisoformat(data["made_at"]).astimezone(timezone.utc),
        content=content,
    )
