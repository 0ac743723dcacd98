# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes belong together, and which of them live: read in /proc, where PM2's word is not enough."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Member:
    """A process, told from a later one of the same number by when it started."""

    pid: int
    started: int
    command: str


def family_of(pids: Iterable[int]) -> frozenset[Member]:
    """These processes and all that descend from them. Ask before they are stopped: then the orphans are known too."""
    children: dict[int, list[int]] = {}
    members: dict[int, Member] = {}
    for pid in _all_pids():
        found = _read(pid)
        if found is not None:
            member, parent = found
            members[pid] = member
            children.setdefault(parent, []).append(pid)
    family: set[Member] = set()
    waiting = [pid for pid in pids if pid in members]
    while waiting:
        pid = waiting.pop()
        family.add(members[pid])
        waiting += [child for child in children.get(pid, ()) if members[child] not in family]
    return frozenset(family)


def of_app(home: str, name: str) -> frozenset[Member]:
    """Every process that was started as this app of the PM2 in ``home``, or by it: its environment tells.

    Also those that a killed daemon has left behind. Processes of other users cannot be read, and are no part of it.
    """
    signs = {b"PM2_HOME=" + os.fsencode(home), b"name=" + os.fsencode(name)}
    found = set()
    for pid in _all_pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as stream:
                belongs = signs <= set(stream.read().split(b"\0"))
        except OSError:
            continue
        read = _read(pid) if belongs else None
        if read is not None:
            found.add(read[0])
    return frozenset(found)


def living(members: Iterable[Member]) -> list[Member]:
    """Those that still run. A zombie does not: it only waits for its parent to ask how it ended."""
    alive = []
    for member in members:
        found = _read(member.pid)
        if found is not None and found[0].started == member.started:
            alive.append(member)
    return sorted(alive, key=lambda member: member.pid)


def describe(members: Iterable[Member]) -> str:
    """These processes in words."""
    return ", ".join("process %d (%s)" % (member.pid, member.command) for member in members)


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int) -> tuple[Member, int] | None:
    """The process and its parent; None for one that has ended, or has only left its status."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    except OSError:
        return None
    # The name is in brackets, and may hold any character itself.
    command = text[text.index("(") + 1 : text.rindex(")")]
    state, parent, *rest = text[text.rindex(")") + 2 :].split()
    if state in "ZX":
        return None
    return Member(pid, int(rest[17]), command), int(parent)
