# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of this scenario ask of a host: whose jobs it runs, where its backups are, and the newest of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

USER = {"keeper1": "resilience"}
BACKUP_ROOT = {"keeper1": "/var/backups/postgresql/whatsapp"}


@pytest.fixture
def name(host) -> str:
    return str(host.backend.get_hostname())


@pytest.fixture
def user(name) -> str:
    """Who runs the jobs there: root unless it says otherwise."""
    return USER.get(name, "root")


@pytest.fixture
def backup_root(name) -> str:
    return BACKUP_ROOT.get(name, "/var/backups/postgresql")


@pytest.fixture
def newest(host, backup_root) -> Callable[[], dict[str, Any]]:
    """Reads the manifest of the newest daily archive."""

    def read() -> dict[str, Any]:
        names = sorted(entry for entry in host.file(f"{backup_root}/daily").listdir() if entry.endswith(".json"))
        manifest: dict[str, Any] = json.loads(host.file(f"{backup_root}/daily/{names[-1]}").content_string)
        return manifest

    return read
