# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tick of PM2's schedule comes while a backup runs: PM2 ends it and starts it anew, and nothing is lost by that."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_actions import delete_app, register_app
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_spec import AppSpec
from tests.support.backups import strays, tree_state
from tests.support.databases import fresh_database
from tests.support.playbooks import ANSIBLE_PLAYBOOK, Surroundings, Unsafe
from tests.support.pm2 import wait_for, write_script

# Longer than a whole backup takes, the start of Ansible included.
SECONDS_BETWEEN_TICKS = 10
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def database(server18):
    with fresh_database(server18) as database:
        database.execute("CREATE TABLE t AS SELECT generate_series(1, 7) n")
        yield database


@pytest.fixture
def site(database, bin_full18, tmp_path):
    site = Surroundings(tmp_path)
    source = {
        "name": "app",
        "backup_root": str(tmp_path / "backups"),
        "login_host": "localhost",
        "login_port": database.server.port,
        "login_user": database.user,
        "login_password": Unsafe(database.password),
        "database": database.name,
    }
    site.write_hosts(
        {"alpha": {"backup_sources": [source], "backup_state_directory": str(tmp_path / "state")}},
        backup_client_directory=str(bin_full18),
        backup_min_size=1,
        # A table that is locked is waited for beyond the next tick.
        backup_table_lock_timeout=300,
    )
    return site


def scheduled_backup(site: Surroundings) -> str:
    """What PM2 runs: it writes down that it began, and backs up from a clean environment."""
    words = ["env", "-i", *(f"{name}={value}" for name, value in site.environment().items())]
    words += [ANSIBLE_PLAYBOOK, "-i", str(site.inventory), "baileys.resilience.backup"]
    lines = ["#!/bin/sh", f"echo began >> {site.directory}/runs", "exec " + shlex.join(words)]
    return write_script(site.directory / "backup", lines)


def archives(directory: Path) -> list[Path]:
    return sorted((directory / "backups" / "daily").glob("backup-*.dump"))


def published(root: Path) -> dict[str, tuple[Any, ...]]:
    """Archives and manifests; a directory's time changes with the partial archive of the run in it."""
    return {name: state for name, state in tree_state(root).items() if Path(name).name.startswith("backup-")}


def test_a_tick_during_a_backup_loses_nothing(pm2, site, database, tmp_path):
    assert site.play("baileys.resilience.backup").rc == 0
    root = tmp_path / "backups"
    before = published(root)
    earlier = archives(tmp_path)
    runs = tmp_path / "runs"
    cron = f"*/{SECONDS_BETWEEN_TICKS} * * * * *"
    with psycopg2.connect(**database.parameters()) as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        register_app(
            pm2,
            AppSpec(
                "backup", scheduled_backup(site), interpreter="none", cron_restart=cron, autorestart=False,
                kill_timeout=5000,
            ),
        )  # fmt: skip
        # The second run begins only when the first has been ended by the tick.
        wait_for(
            lambda: runs.exists() and len(runs.read_text().splitlines()) >= 2, "no tick ended the run", PATIENCE_SECONDS
        )
        assert published(root) == before
    holder.close()
    wait_for(lambda: archives(tmp_path) != earlier, "no backup after the tick", PATIENCE_SECONDS)
    delete_app(pm2, "backup")
    assert strays(root) == []
    assert archives(tmp_path)[-1] > earlier[-1]
    assert site.play("baileys.resilience.verify").rc == 0
