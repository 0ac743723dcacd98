# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on a host after the role, the playbook backup, and the role again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import testinfra

KEYRING = "/etc/apt/keyrings/pgdg.gpg"
SOURCE = "/etc/apt/sources.list.d/pgdg.sources"
PROGRAMS = "/usr/lib/postgresql/18/bin"


@pytest.fixture(scope="module")
def client() -> Any:
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    return testinfra.get_host("ansible://client1", ansible_inventory=inventory)


def test_the_programs_are_of_version_18(client: Any) -> None:
    for program in ("pg_dump", "pg_restore", "psql", "postgres", "initdb"):
        assert f"{program} (PostgreSQL) 18." in client.check_output(f"{PROGRAMS}/{program} --version")


def test_they_come_from_the_repository_of_this_run(client: Any) -> None:
    policy = client.check_output("apt-cache policy postgresql-client-18")
    assert "http://provider1/pgdg forky-pgdg/main" in policy.partition("***")[2]


def test_the_older_client_is_still_there(client: Any) -> None:
    assert client.check_output("/usr/lib/postgresql/16/bin/pg_dump --version") == "pg_dump (PostgreSQL) 16.14"
    assert client.package("postgresql-client-16").is_installed


def test_there_is_no_server(client: Any) -> None:
    assert client.run("ls -A /etc/postgresql /var/lib/postgresql/18").stdout.split() in (
        ["/etc/postgresql:"],
        [],
    )
    assert client.run("pgrep --exact postgres").rc == 1
    assert not client.socket("tcp://5432").is_listening
    # What kept the package from making one is not left for the next who installs a server.
    assert client.check_output("ls -A /etc/postgresql-common/createcluster.d") == ""


def test_the_source_is_for_everybody_to_read_and_names_its_key(client: Any) -> None:
    for path in (SOURCE, KEYRING):
        found = client.file(path)
        assert (found.user, found.group, found.mode) == ("root", "root", 0o644), path
    fields = dict(
        line.split(": ", 1) for line in client.file(SOURCE).content_string.splitlines() if not line.startswith("#")
    )
    assert fields == {
        "Types": "deb",
        "URIs": "http://provider1/pgdg",
        "Suites": "forky-pgdg",
        "Components": "main",
        "Signed-By": KEYRING,
    }


def test_the_backup_was_made_by_the_right_client(client: Any) -> None:
    (manifest,) = client.check_output("ls /var/backups/postgresql/shop/daily/*.manifest.json").split()
    described = json.loads(client.file(manifest).content_string)
    assert described["client_version"].startswith("18."), described
    assert Path(manifest).parent.name == "daily"


def test_nothing_else_was_left(client: Any) -> None:
    assert client.run("ls -d /tmp/apt-source-*").rc != 0
    assert client.check_output("find /etc/apt -name '*.dpkg-new'") == ""
