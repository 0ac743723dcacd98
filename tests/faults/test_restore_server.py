# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server goes away in the middle of a restore, or its connections do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.restore import restore
from ansible_collections.baileys.resilience.plugins.module_utils.restore.load import load_archive
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.conftest import MakeDatabase, StartServer
from tests.support.restore_job import RestoreJob, restore_job


@pytest.fixture
def job(
    tmp_path: Path, start_server: StartServer, bin_full18: Path, make_database: MakeDatabase
) -> Iterator[RestoreJob]:
    with restore_job(tmp_path, make_database(start_server(bin_full18), role_options="CREATEDB")) as made:
        made.database.execute("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g")
        made.back_up(compression="gzip")
        yield made


def test_server_that_is_restarted(job: RestoreJob, monkeypatch: pytest.MonkeyPatch) -> None:
    before = job.contents()

    def restarted(*_arguments: Any, **_keywords: Any) -> str:
        job.server.stop("immediate")
        raise ResilienceError("pg_restore failed: server closed the connection unexpectedly", stage="restore")

    monkeypatch.setattr(restore, "load_archive", restarted)
    with pytest.raises(ResilienceError) as caught:
        job.restore(replace=True)

    job.server.start()
    assert job.contents() == before
    (half,) = [name for name in job.databases() if name != job.database.name]
    assert f'The half-restored database "{half}" is left; the next restore removes it' in caught.value.message
    monkeypatch.setattr(restore, "load_archive", load_archive)
    job.restore(replace=True)
    assert job.contents() == before
    assert half not in job.databases()


def test_connection_that_was_idle_too_long(job: RestoreJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall forgets it while the rows go over another one: the work of hours is not lost by that."""

    def forgotten(*arguments: Any, **keywords: Any) -> str:
        words = load_archive(*arguments, **keywords)
        job.ask(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{job.database.user}'", "postgres"
        )
        return words

    monkeypatch.setattr(restore, "load_archive", forgotten)

    result = job.restore(replace=True, keep_old=False)

    assert result.comparison is not None
    assert job.databases() == [job.database.name]


def test_server_that_is_gone_at_the_switch(job: RestoreJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "_analyze", lambda *_arguments: job.server.stop("immediate"))
    with pytest.raises(ResilienceError) as caught:
        job.restore(replace=True)

    assert caught.value.stage == "switch"
    assert "See whether it is" in caught.value.message
    job.server.start()
    (half,) = [name for name in job.databases() if name != job.database.name]
    assert f'or still "{half}"' in caught.value.message
    assert job.contents(half) == job.contents()
