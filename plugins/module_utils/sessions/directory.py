# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sessions in a directory: which there are, and whether each is one that can be opened."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..system.errors import ResilienceError
from ..system.files import explain_os_error
from .creds import REMEDY, BrokenCredsError, CredsIdentity, check_creds
from .files import TenantFiles, file_names, modified_at, open_directory, read_file, read_manifest, read_tenant
from .names import CREDS_FILE, parse_file_name, tenant_of_directory
from .values import BrokenValueError, normalise


@dataclass(frozen=True)
class TenantDirectory:
    """An open directory of one tenant. ``names`` are its files of keys, with type and id.

    ``more_types`` are types of keys that only its manifest knows.
    """

    path: str
    tenant: str
    identity: CredsIdentity
    names: Mapping[str, tuple[str, str]]
    more_types: tuple[str, ...]
    descriptor: int

    def read(self, name: str) -> bytes:
        """The content of a file. Raises ResilienceError."""
        try:
            return read_file(self.descriptor, name)
        except OSError as error:
            raise explain_os_error(error, os.path.join(self.path, name), "read").at_stage("read") from error

    def modified_at(self, name: str) -> datetime:
        """When a file was last written. Raises ResilienceError."""
        try:
            return modified_at(self.descriptor, name)
        except OSError as error:
            raise explain_os_error(error, os.path.join(self.path, name), "read").at_stage("read") from error

    def text(self, name: str, content: bytes) -> str:
        """The content of a file as the one text it has. Raises ResilienceError for one that is no JSON."""
        try:
            return normalise(content.decode("utf-8"))
        except (UnicodeDecodeError, BrokenValueError) as error:
            why = error.message if isinstance(error, BrokenValueError) else "is no UTF-8"
            raise ResilienceError(
                f"{os.path.join(self.path, name)} {why}",
                stage="read",
                remedy="Baileys reads it as missing. Move it away if that is right, or bring back an older copy.",
            ) from None


def find_tenants(directory: str, wanted: Sequence[str] = ()) -> dict[str, str]:
    """Tenant -> its directory, for all of them or those that are wanted. Raises ResilienceError if there are none."""
    try:
        with os.scandir(directory) as entries:
            paths = [entry.path for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise explain_os_error(error, directory, "read").at_stage("read") from error
    found: dict[str, str] = {}
    for path in sorted(paths):
        manifest = read_manifest(path)
        tenant = manifest.tenant if manifest is not None else tenant_of_directory(os.path.basename(path))
        if tenant in found:
            raise ResilienceError(
                f"{found[tenant]} and {path} both hold the session {tenant}",
                stage="read",
                remedy="Move one of them away.",
            )
        found[tenant] = path
    missing = sorted(set(wanted) - set(found))
    if missing or not found:
        raise ResilienceError(
            "There is no session {} in {}".format(", ".join(missing), directory).replace("  ", " "),
            stage="read",
            remedy="Name the directory that holds <session>/creds.json.",
        )
    return {tenant: found[tenant] for tenant in sorted(wanted or found)}


@contextlib.contextmanager
def open_tenant(path: str, tenant: str) -> Iterator[TenantDirectory]:
    """A directory of session files in which everything is understood. Raises ResilienceError, BrokenCredsError."""
    manifest = read_manifest(path)
    more_types = tuple(manifest.content.keys) if manifest is not None else ()
    try:
        descriptor = open_directory(path)
    except OSError as error:
        raise explain_os_error(error, path, "read").at_stage("read") from error
    try:
        parsed = {name: parse_file_name(name, more_types) for name in file_names(descriptor)}
        has_creds = CREDS_FILE in parsed
        parsed.pop(CREDS_FILE, None)
        names = {name: key for name, key in parsed.items() if key is not None}
        _refuse_strangers(path, sorted(parsed.keys() - names.keys()))
        identity = check_creds(_creds(descriptor) if has_creds else None, tenant)
        if not identity.paired and names:
            raise BrokenCredsError(
                f"The credentials of the session {tenant} in {path} are new ones, of no paired phone, beside keys",
                stage="creds",
                remedy=REMEDY,
            )
        yield TenantDirectory(path, tenant, identity, names, more_types, descriptor)
    except OSError as error:
        raise explain_os_error(error, path, "read").at_stage("read") from error
    finally:
        os.close(descriptor)


def read_sessions(directory: str, wanted: Sequence[str] = ()) -> dict[str, TenantFiles]:
    """Every session in a directory, as it is now. Raises ResilienceError for what no import would take."""
    found = {}
    for tenant, path in find_tenants(directory, wanted).items():
        with open_tenant(path, tenant) as opened:
            found[tenant] = read_tenant(path, opened.more_types)
    return found


def _creds(descriptor: int) -> str:
    return read_file(descriptor, CREDS_FILE).decode("utf-8", "replace")


def _refuse_strangers(path: str, strangers: Sequence[str]) -> None:
    if strangers:
        shown = ", ".join(strangers[:5]) + (" and %d more" % (len(strangers) - 5) if len(strangers) > 5 else "")
        raise ResilienceError(
            f"{path} holds what are no files of Baileys' that this collection knows: {shown}",
            stage="read",
            remedy="Move them away if they are none of the session's.",
        )
