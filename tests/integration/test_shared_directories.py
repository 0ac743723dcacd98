# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root, by hand or from a controller, and the jobs of a service user share backups and state."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import fresh_database
from tests.support.other_user import AS_NOBODY, NOBODY, PACKAGES, python_for_others
from tests.support.playbooks import MODULES, ROOT, SYSTEM_PATH, run_module

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to leave to others; CI runs as root")

USER = NOBODY


@pytest.fixture(scope="module")
def database(server18):
    with fresh_database(server18) as database:
        database.execute("CREATE TABLE t AS SELECT g AS id, md5(g::text) FROM generate_series(1, 500) g")
        yield database


@pytest.fixture
def options(database, public_directory):
    directories = {"backup_root": public_directory / "backups", "state_directory": public_directory / "state"}
    for path in directories.values():
        path.mkdir(mode=0o700)
        os.chown(path, USER, USER)
    return {
        "source": "app",
        **{name: str(path) for name, path in directories.items()},
        "login_host": "localhost",
        "login_port": database.server.port,
        "login_user": database.user,
        "login_password": database.password,
        "database": database.name,
        "client_directory": str(database.server.bin_directory),
    }


def run_as_user(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [*AS_NOBODY, python_for_others(), "-m", f"{MODULES}.{name}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode(),
        env={"PATH": SYSTEM_PATH, "HOME": os.devnull, "PYTHONPATH": os.pathsep.join(PACKAGES)},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.stdout, done.stderr.decode()
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def of_root(options: dict[str, Any]) -> list[str]:
    roots = (Path(options["backup_root"]), Path(options["state_directory"]))
    return [str(path) for root in roots for path in [root, *root.rglob("*")] if path.lstat().st_uid != USER]


@pytest.mark.parametrize("archive_format", ["custom", "directory"])
def test_what_root_backs_up_the_user_verifies_continues_and_prunes(database, options, archive_format):
    first = run_module("pg_backup", {**options, "format": archive_format, "keep_weekly": 1})
    assert first.get("changed"), first
    assert of_root(options) == []

    verify_options = {name: options[name] for name in ("source", "backup_root", "state_directory", "client_directory")}
    verified = run_as_user("pg_backup_verify", verify_options)
    assert not verified.get("failed"), verified
    database.execute("INSERT INTO t VALUES (0, 'another')")
    second = run_as_user("pg_backup", {**options, "format": archive_format, "keep_daily": 1, "keep_weekly": 0})
    assert second.get("changed"), second
    assert [one["archive"] for one in second["removed"]] != []

    # And root once more, over what the user has left.
    database.execute("INSERT INTO t VALUES (-1, 'a third')")
    third = run_module("pg_backup", {**options, "format": archive_format})
    assert third.get("changed"), third
    assert of_root(options) == []
    assert "warnings" not in third


def test_the_standby_that_root_refreshed_is_refreshed_by_the_user(server18, make_session_store, options):
    store = make_session_store(server18)
    wanted = ("source", "state_directory", "login_host", "login_port", "login_password", "client_directory")
    arguments = {**{name: options[name] for name in wanted}, "login_user": store.user, "database": store.name}
    first = run_module("session_standby", {**arguments, "login_password": store.password})
    assert first.get("changed"), first
    assert of_root(options) == []
    store.execute("UPDATE whatsapp_keys SET value = value", superuser=True)
    store.execute("DELETE FROM whatsapp_keys WHERE key_type = 'device-list'", superuser=True)
    second = run_as_user("session_standby", {**arguments, "login_password": store.password})
    assert second.get("changed"), second
    assert of_root(options) == []
