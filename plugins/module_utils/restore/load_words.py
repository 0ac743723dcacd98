# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pg_restore and psql say when a restore fails: whose fault it is, what a person is told, and what is kept back."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Errors that speak of what is in the archive: it cannot be read, its rows do not fit its tables, or something in it is
# missing. Any other (no room, no such collation, extension or right, a build without something) speaks of the place
# it is restored to, and must not take a backup away.
_AGAINST = re.compile(
    r"could not (read|open) (from )?(input|the) file|unexpected end of|corrupt|(de|un)compress|not a valid archive|"
    r"did not find magic|unsupported version .* in file header|found unexpected|invalid input|\(a value\)|"
    r"out of range|invalid byte sequence|missing data for column|extra data after|malformed|unterminated|"
    r"violate|could not create unique index|syntax error|invalid command|already exists|"
    r"\b(relation|table|column|type|function|operator|schema|constraint|index|sequence|trigger|view)\b[^:]* does not exist"
)
_MISSING_ROLE = re.compile(r'role "[^"]*" does not exist|tablespace "[^"]*" does not exist')
# What PostgreSQL quotes after a colon, or calls a value, may be a row's; what it quotes elsewhere is a name.
_VALUE = re.compile(r'(:\s+)".*|(\bvalue )".*|((?:invalid byte sequence|in range)[^:]*: ).*')


def is_obstacle(gist: str) -> bool:
    """Whether an error speaks of the place that is restored to, and not against the archive."""
    return not _AGAINST.search(gist)


def said(messages: str) -> list[str]:
    """The lines without rows: what PostgreSQL adds to an error may hold a row's values, which are nobody's business."""
    kept, secret = [], False
    for line in messages.splitlines():
        if line.startswith(("DETAIL:", "CONTEXT:", "LINE ", "STATEMENT:")) or "DETAIL:" in line[:40]:
            secret = True
        elif re.match(r"(pg_restore|psql)(:|\.)|HINT:|ERROR:|WARNING:|Command was:", line):
            secret = line.startswith("Command was:")
        if not secret:
            kept.append(_VALUE.sub(_hide, line))
            # A value of several lines goes on in the next ones.
            secret = kept[-1] != line
    return kept


def _hide(found: re.Match[str]) -> str:
    return "".join(part for part in found.groups() if part) + "(a value)"


def gist_of(lines: Sequence[str]) -> list[str]:
    """The errors among them."""
    return [line.strip() for line in lines if "error:" in line or "ERROR:" in line or "HINT:" in line][:3]


def remedy_for_load(gist: str) -> str:
    """What to do about it."""
    if _MISSING_ROLE.search(gist):
        return "Create it on the server, or restore without owners, privileges or tablespaces."
    if "is not available" in gist or "extension control file" in gist:
        return "Install the extension's package on the server that it is restored to."
    if "No space left" in gist or "could not extend file" in gist:
        return "Free space where the server keeps its data, then run again."
    if "out of shared memory" in gist:
        return "Raise max_locks_per_transaction on the server, or restore with jobs: 2 instead of one transaction."
    if "permission denied" in gist or "must be" in gist:
        return "Restore as a role that may do this, or leave owners and privileges out."
    return "See the message; what was restored before it was taken back."
