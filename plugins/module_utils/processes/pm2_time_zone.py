# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time zone of PM2's daemon, which every schedule follows, whatever ``TZ`` the app itself is given."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_ZONES = "/usr/share/zoneinfo"
_LOCALTIME = "/etc/localtime"
_UTC_NAMES = ("", "UTC", "UTC0", "Etc/UTC", "GMT", "GMT0", "Etc/GMT", "Zulu", "Universal", "UCT")
# The last line of a zone file is its rule for the years to come.
_UTC_RULE = re.compile(rb"<?(UTC|GMT|UCT)>?-?0\Z")


@dataclass(frozen=True)
class TimeZone:
    """A zone by its name, and whether its hours are those of UTC."""

    name: str
    utc: bool


def zone_of(variable: str | None) -> TimeZone:
    """The zone of a process with this ``TZ``; without one that of the host."""
    if variable is None:
        return TimeZone(_host_name(), _is_utc(_LOCALTIME))
    name = variable.lstrip(":")
    if name in _UTC_NAMES:
        return TimeZone(name or "UTC", True)
    return TimeZone(name, _is_utc(name if name.startswith("/") else os.path.join(_ZONES, name), missing=False))


def _host_name() -> str:
    target = os.path.realpath(_LOCALTIME)
    if not os.path.exists(target):
        return "UTC"
    return target.partition("/zoneinfo/")[2] or "the host's own"


def _is_utc(path: str, missing: bool = True) -> bool:
    """Whether the zone file says so; a host without one has UTC, a name without one is left for a person to see."""
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError:
        return missing
    return _UTC_RULE.match(data.rstrip(b"\n").rpartition(b"\n")[2]) is not None
