# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that stands still in the middle of its dump, whatever the speed of the machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.support.backup_job import BackupJob, RunningModule
from tests.support.tcp_proxy import TcpProxy

# Bytes from the server on one connection: pg_dump reads 0.7 MB of catalogue first, then rows (for a directory
# archive by another connection).
MID_DUMP = 1_000_000

# Of a table that the session store does not have, and that is dumped first, by name and by size: without it the
# rest of the rows may already stand in the kernel's buffers (4 MB on a server's socket, Linux' tcp_wmem), and a
# dump would end well although its server is gone.
BALLAST_BYTES = 12_000_000
ROW_BYTES = 2_000


@contextlib.contextmanager
def held_in_mid_dump(
    job: BackupJob, freeze_after: int = MID_DUMP, **options: Any
) -> Iterator[tuple[RunningModule, TcpProxy]]:
    """Start pg_backup through a proxy that has frozen when the block begins; it runs on once that thaws."""
    job.database.execute(
        "CREATE TABLE IF NOT EXISTS ballast AS"
        f" SELECT repeat('x', {ROW_BYTES}) AS line FROM generate_series(1, {BALLAST_BYTES // ROW_BYTES})"
    )
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(TcpProxy(job.database.server.port, freeze_after=freeze_after))
        running = stack.enter_context(job.start(login_host="127.0.0.1", login_port=proxy.port, **options))
        assert proxy.frozen.wait(20), "the dump never came so far"
        yield running, proxy
