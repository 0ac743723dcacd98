# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that only answers: for what a run does beside the database, and for answers no real server gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.postgres.snapshot import Server, Snapshot, Table
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.version import Version

TABLE = ("public", "t")


class FakeConnection:
    """What a run asks of its session, and what it did with it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def rollback(self) -> None:
        self.done.append("rollback")

    def cancel(self) -> None:
        self.done.append("cancel")

    def close(self) -> None:
        self.done.append("close")

    def fileno(self) -> int:
        return -1


def fake_server(**changes: Any) -> Server:
    """A server with one table."""
    known: dict[str, Any] = {
        "version": Version(18, 4),
        "database": "store",
        "user": "app",
        "encoding": "UTF8",
        "collation": "C",
        "locale_provider": "libc",
        "in_recovery": False,
        "database_bytes": 7_000_000,
        "ctype": "C",
    }
    return Server(**{**known, **changes})


def fake_snapshot(
    server: Server | None = None, tables: Sequence[Table] = (Table(TABLE, False),), connection: Any = None
) -> Snapshot:
    """A snapshot of it."""
    return Snapshot(
        "00000003-1", "2026-11-21T03:00:00.000000Z", "0/1", server or fake_server(), tuple(tables), 0, connection
    )
