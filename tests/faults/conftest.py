# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup job in good order, with an earlier archive, for each test to break something in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.support.backup_job import BackupJob
from tests.support.client_wrappers import wrap_clients
from tests.support.small_disk import NoMountError, SmallDisk, small_disk

MakeJob = Callable[..., BackupJob]
MakeDisk = Callable[[int], SmallDisk]


@pytest.fixture
def make_job(tmp_path: Path, make_session_store: MakeDatabase) -> MakeJob:
    """Make a job on the *small* session store of a server: `make_job(server, earlier=True, **options of BackupJob)`.

    With `earlier` its root holds an archive of the same database.
    """

    def make(server: PostgresServer, earlier: bool = True, **options: Any) -> BackupJob:
        job = BackupJob(tmp_path, make_session_store(server), **options)
        if earlier:
            job.back_up_here()
        return job

    return make


@pytest.fixture
def job(make_job: MakeJob, server18: PostgresServer) -> BackupJob:
    """A job with an earlier archive, on the server that tests share."""
    return make_job(server18)


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[MakeDisk]:
    """Mount a small file system: `make_disk(size in bytes)`."""
    with ExitStack() as stack:

        def make(size: int) -> SmallDisk:
            try:
                return stack.enter_context(small_disk(tmp_path / "disk", size))
            except NoMountError as error:
                if os.environ.get("CI"):
                    raise
                # Neither root's mount nor a user namespace: there is no disk of its own to fill. CI has one.
                pytest.skip(f"this host lets nobody mount a tmpfs: {error}")

        yield make


@pytest.fixture
def wrappers(tmp_path: Path, bin_full18: Path) -> Callable[..., Path]:
    """Make a directory of client programs some of which misbehave; see `wrap_clients`."""

    def make(scripts: dict[str, str] | None = None, missing: tuple[str, ...] = ()) -> Path:
        directory = tmp_path / "programs"
        shutil.rmtree(directory, ignore_errors=True)
        return wrap_clients(directory, bin_full18, scripts or {}, missing)

    return make
