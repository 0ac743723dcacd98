# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The true sign that WhatsApp has accepted the service, read from its logs from the moment it was started.

PM2 says "online" of anything that has a process.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from ..system.errors import ResilienceError

POLL_SECONDS = 0.05
# How often it is asked whether the service still lives.
ALIVE_SECONDS = 0.5
# A service that logs without an end must not fill the memory.
PIECE_BYTES = 1 << 20
LINE_CHARACTERS = 20_000


class NotConnectedError(ResilienceError):
    """The service did not come to a connection with WhatsApp."""


@dataclass
class LogFile:
    """A log, read from where it ended when we looked first."""

    path: str
    inode: int = 0
    offset: int = 0
    rest: bytes = b""

    @classmethod
    def at_end(cls, path: str) -> LogFile:
        """The log as it stands now; a missing one begins at its first byte."""
        try:
            status = os.stat(path)
        except OSError:
            return cls(path)
        return cls(path, status.st_ino, status.st_size)

    def new_lines(self) -> list[str]:
        """Whole lines that have come since; after a rotation those of the new file."""
        try:
            with open(self.path, "rb") as stream:
                status = os.fstat(stream.fileno())
                if status.st_ino != self.inode or status.st_size < self.offset:
                    self.inode, self.offset, self.rest = status.st_ino, 0, b""
                stream.seek(self.offset)
                piece = stream.read(PIECE_BYTES)
        except OSError:
            return []
        self.offset += len(piece)
        *lines, self.rest = (self.rest + piece).split(b"\n")
        self.rest = self.rest[-PIECE_BYTES:]
        return [line.decode("utf-8", "replace") for line in lines]


@dataclass(frozen=True)
class Signs:
    """What to look for: regular expressions, and how many connections are expected."""

    connected: Sequence[str]
    failed: Sequence[str]
    connections: int = 1


def wait_for_connection(
    logs: Sequence[LogFile], signs: Signs, timeout: float, trouble: Callable[[], str | None]
) -> int:
    """Wait until the logs show all connections, or the time is over; returns how many they show, at least one.

    Of several companies one that WhatsApp refuses does not bring down the others. ``trouble`` tells what is wrong with
    the service itself, if anything; it is asked now and then. Raises NotConnectedError with the reason.
    """
    # A connection may be told in several ways, each of them once.
    connected = {re.compile(pattern): 0 for pattern in signs.connected}
    failed = [re.compile(pattern) for pattern in signs.failed]
    started, asked, seen, refused, last = time.monotonic(), time.monotonic(), 0, 0, ""
    while True:
        # An endless line must not keep an expression busy.
        for line in (line[:LINE_CHARACTERS] for log in logs for line in log.new_lines()):
            last = line if line.strip() else last
            for pattern in connected:
                connected[pattern] += bool(pattern.search(line))
            refused += any(pattern.search(line) for pattern in failed)
        seen = max(connected.values(), default=0)
        if seen >= signs.connections or (seen and seen + refused >= signs.connections):
            return seen
        if refused >= signs.connections:
            raise _not_connected("WhatsApp refused the service's credentials, or asks to pair a phone", last)
        if time.monotonic() - asked >= ALIVE_SECONDS:
            wrong = trouble()
            if wrong is not None:
                raise _not_connected(wrong, last)
            asked = time.monotonic()
        if time.monotonic() - started >= timeout:
            if seen:
                return seen
            raise _not_connected(f"After {timeout:g} s the logs show no sign of a connection", last)
        time.sleep(POLL_SECONDS)


def _not_connected(why: str, line: str) -> NotConnectedError:
    # A log line may hold anything, keys included; only its length is told.
    return NotConnectedError(
        why,
        stage="connect",
        remedy="Read the service's log (pm2 logs)." if line else "The service has logged nothing since it was started.",
    )
