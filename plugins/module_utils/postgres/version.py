# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions of PostgreSQL as its servers and programs state them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..system.errors import ResilienceError

_TEXT = re.compile(r"\b(\d+)(?:\.(\d+))?(?:(?:beta|rc|devel)\d*)?\b")


@dataclass(frozen=True, order=True)
class Version:
    """Major and minor release, for example 18 and 4. Since PostgreSQL 10 there is no third part."""

    major: int
    minor: int

    def __str__(self) -> str:
        return "%d.%d" % (self.major, self.minor)


def from_number(number: int) -> Version:
    """From ``server_version_num``: 180004 is 18.4."""
    return Version(number // 10000, number % 10000)


def from_text(text: str) -> Version:
    """From the words of ``pg_dump --version``: ``pg_dump (PostgreSQL) 18.4 (Debian 18.4-1)``.

    Raises ResilienceError when there is no version in them.
    """
    match = _TEXT.search(text)
    if not match:
        raise ResilienceError(f"No version in {text.strip()[:80]!r}", stage="version")
    return Version(int(match.group(1)), int(match.group(2) or 0))
