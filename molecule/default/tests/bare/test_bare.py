# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After `site --check` on bare hosts: it ended, it said what would change, and it changed nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

testinfra_hosts = ["app1", "keeper1"]

# What a second run must not say, and the first one does; the rest of site.yml only looks.
WOULD_CHANGE = (
    "Install the client of PostgreSQL",
    "Have the packages of the system",
    "Have the directories of the settings and the logs",
    "Write the settings and the command",
    "Write what holds secrets",
    "Bring the release into use",
    "Have the directories of backups and state",
    "Make the first backup of a source that has none",
)
# Under PM2 there is nothing yet that could be registered.
JOBS = {
    "app1": "Say which jobs would be registered with PM2",
    "keeper1": "Write a service and a timer for each job",
}


@pytest.fixture(scope="module")
def said() -> str:
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "check.txt").read_text()


def changed(said: str, host: str) -> set[str]:
    """The tasks that the check said would change something on the host."""
    tasks = re.split(r"^TASK \[(?:[\w.]+ : )?(.*?)\] \**$", said, flags=re.MULTILINE)[1:]
    return {name for name, text in zip(tasks[::2], tasks[1::2], strict=True) if f"changed: [{host}]" in text}


def test_the_check_tells_what_would_be_done(host, said) -> None:
    name = host.backend.get_hostname()
    assert set(WOULD_CHANGE) <= changed(said, name)
    assert JOBS[name] in changed(said, name)


def test_the_check_shows_no_secret(said) -> None:
    for secret in ("p<a>s|s", "123456789:AAE", "c0ffee00"):
        assert secret not in said


@pytest.mark.parametrize(
    "path",
    [
        "/opt/baileys-resilience",
        "/etc/baileys-resilience",
        "/usr/local/bin/resilience",
        "/var/log/baileys-resilience",
        "/var/lib/baileys-resilience",
        "/var/backups/postgresql",
        "/usr/lib/postgresql",
        "/etc/logrotate.d/baileys-resilience",
    ],
)
def test_the_check_left_nothing_behind(host, path) -> None:
    assert not host.file(path).exists


def test_the_check_made_no_user_and_no_job(host) -> None:
    assert not host.user("resilience").exists
    assert host.run("systemctl list-unit-files --no-legend 'baileys-*'").stdout == ""
    assert not host.file("/root/.pm2").exists
