# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of files as Baileys' ``useMultiFileAuthState`` gives them, and directories of tenants."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote

from .layout import KEY_TYPES

CREDS_FILE = "creds.json"
SUFFIX = ".json"

# What Baileys' spelling lost can be brought back only where an id never holds the replacement itself.
_UNESCAPED = {"app-state-sync-key": ("__", "/"), "sender-key": ("--", "::")}

_PLAIN_DIRECTORY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\Z")


def escape(text: str) -> str:
    """A name as Baileys spells it in a file name."""
    return text.replace("/", "__").replace(":", "-")


def file_name(key_type: str, key_id: str) -> str:
    """``pre-key``, ``7`` -> ``pre-key-7.json``."""
    return escape(f"{key_type}-{key_id}{SUFFIX}")


def parse_file_name(name: str, more_types: Iterable[str] = ()) -> tuple[str, str] | None:
    """Type and id of a file of a key; None for any other file.

    A ``/`` or ``:`` of the id comes back only in the types whose ids are known to hold it. ``more_types`` are types
    beside those that are known; the longest that fits counts.
    """
    found = file_name_pattern(tuple(more_types)).match(name)
    if found is None:
        return None
    key_type, key_id = found[1], name[found.end() : -len(SUFFIX)]
    return key_type, key_id.replace(*_UNESCAPED[key_type]) if key_type in _UNESCAPED else key_id


@lru_cache(maxsize=32)
def file_name_pattern(more_types: tuple[str, ...]) -> re.Pattern[str]:
    """Matches the beginning of the file name of a key, up to its id; its first group is the type."""
    # Of two alternatives that fit the first one counts: longest first.
    types = sorted({*KEY_TYPES, *more_types}, key=lambda key_type: (-len(key_type), key_type))
    return re.compile("({})-(?=.*{}\\Z)".format("|".join(map(re.escape, types)), re.escape(SUFFIX)), re.DOTALL)


def tenant_directory(tenant: str) -> str:
    """Name of the directory of a tenant: itself where it is a plain file name, else percent-encoded."""
    return tenant if _PLAIN_DIRECTORY.match(tenant) else quote(tenant, safe="").replace(".", "%2E")


def tenant_of_directory(name: str) -> str:
    """The tenant a directory is called after."""
    return unquote(name)
