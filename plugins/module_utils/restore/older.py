# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restore to a server that is older than the client: leave out the one setting that it does not know.

pg_dump and pg_restore write ``SET transaction_timeout = 0`` since version 17, whatever the server
(``_doSetFixedOutputState`` in pg_backup_archiver.c), and a restore that ends at the first error ends there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ..backup.describe import Manifest
from ..postgres.connection import connect
from ..postgres.settings import ConnectionSettings
from ..postgres.version import from_text

_UNKNOWN = b"SET transaction_timeout = 0;\n"
_KNOWN_SINCE = 17
# It follows in every script.
_NEXT = b"SET client_encoding"


def is_older(manifest: Manifest, settings: ConnectionSettings) -> bool:
    """Whether the server may stumble over a script by a newer client. Raises ConnectionFailedError."""
    if from_text(str(manifest["server_version"])).major >= _KNOWN_SINCE:
        # Nothing is restored to a server older than its origin.
        return False
    with contextlib.closing(connect(settings)) as connection:
        return bool(connection.server_version < _KNOWN_SINCE * 10000)


@contextlib.contextmanager
def beginning_without_it(source: int) -> Iterator[int]:
    """Take the beginning of a script from ``source``; a descriptor of a file with it, without that setting.

    What follows is left to be read from ``source`` by whoever restores both in this order.
    """
    kept, line = b"", b""
    while not line.startswith((_UNKNOWN, _NEXT)):
        line = _read_line(source)
        if not line:
            break
        kept += b"" if line == _UNKNOWN else line
    descriptor = os.memfd_create("script")
    try:
        os.write(descriptor, kept)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _read_line(source: int) -> bytes:
    """Byte by byte, so as to take nothing that comes after it; there are a dozen short ones."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(source, 1)
        if not byte:
            break
        line += byte
    return line
