# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client older than the server is found out before anything is touched; the right one among several is found."""

from __future__ import annotations

import dataclasses
import os

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import read_catalogue
from ansible_collections.baileys.resilience.plugins.module_utils.backup.make import make_backup, plan_backup
from ansible_collections.baileys.resilience.plugins.module_utils.postgres import client, compatibility
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    IncompatibleVersionError,
    MissingDependencyError,
)
from tests.support.backups import back_up, request_for, settings_from, tree_state
from tests.support.playbooks import run_module


@pytest.fixture
def installed(monkeypatch, tmp_path, bin_full18, bin_embedded16):
    """Clients 18 and 16 where packages put them, with Debian's wrapper first on PATH."""
    for number, directory in (("16", bin_embedded16), ("18", bin_full18)):
        (tmp_path / "installed" / number).mkdir(parents=True)
        (tmp_path / "installed" / number / "bin").symlink_to(directory)
    wrapper = tmp_path / "wrapper"
    wrapper.mkdir()
    (wrapper / "pg_wrapper").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 99.0'\n")
    (wrapper / "pg_wrapper").chmod(0o755)
    (wrapper / "pg_dump").symlink_to("pg_wrapper")
    monkeypatch.setattr(client, "INSTALLED_PATTERNS", (f"{tmp_path}/installed/*/bin",))
    monkeypatch.setenv("PATH", f"{wrapper}:/usr/bin:/bin")


def test_too_old_a_client_stops_before_anything_is_touched(server18, make_session_store, bin_embedded16, tmp_path):
    database = make_session_store(server18)
    root = tmp_path / "root"
    back_up(database, root, keep={"daily": 7, "monthly": 4})
    # What the next run would clear away if it began.
    (root / "daily" / "backup-2026-01-01T000000Z.dump.partial").write_bytes(b"half")
    before = tree_state(root)
    for run in (make_backup, plan_backup):
        with pytest.raises(IncompatibleVersionError) as caught:
            run(request_for(database, root, bin_embedded16, keep={"daily": 1}))
        error = caught.value
        assert f"PostgreSQL {server18.version}" in error.message
        assert "16.14" in error.message
        assert str(bin_embedded16) in error.message
        assert error.stage == "version"
        assert "postgresql-client-18" in str(error.remedy)
        assert tree_state(root) == before


def test_too_old_a_client_makes_no_directory(server18, make_database, bin_embedded16, tmp_path):
    database = make_database(server18)
    with pytest.raises(IncompatibleVersionError):
        back_up(database, tmp_path / "new" / "root", bin_embedded16)
    assert not (tmp_path / "new").exists()


def test_the_modules_say_both_versions_and_the_remedy(server18, make_database, bin_embedded16, tmp_path):
    database = make_database(server18)
    connection = {
        "database": database.name,
        "login_host": "localhost",
        "login_port": server18.port,
        "login_user": database.user,
        "login_password": database.password,
        "client_directory": str(bin_embedded16),
    }
    places = {"backup_root": str(tmp_path / "root"), "state_directory": str(tmp_path / "state")}
    failed = [run_module("pg_version_check", connection), run_module("pg_backup", {**connection, **places})]
    for result in failed:
        assert result["failed"] is True
        assert server18.version in result["msg"]
        assert "16.14" in result["msg"]
        assert "apt-get install -y postgresql-client-18" in result["msg"]
        assert result["stage"] == "version"
    assert not (tmp_path / "root").exists()
    tolerant = run_module("pg_version_check", {**connection, "fail_if_incompatible": False})
    assert tolerant["compatible"] is False
    assert tolerant["server_version"] == server18.version
    assert tolerant["client_version"] == "16.14"
    assert "postgresql-client-18" in tolerant["remedy"]


def test_of_two_clients_the_fitting_one_is_taken(installed, server18, server16, make_session_store, tmp_path):
    for server, expected in ((server18, "18"), (server16, "16")):
        database = make_session_store(server)
        found = compatibility.check_versions(settings_from(database.parameters()))
        assert found.error is None
        assert str(found.chosen.version).split(".")[0] == expected
        assert sorted({tools.version.major for tools in found.clients} & {16, 18}) == [16, 18]
        assert 99 not in {tools.version.major for tools in found.clients}
        root = tmp_path / expected
        request = dataclasses.replace(request_for(database, root), client_directory=None)
        result = make_backup(request)
        assert result.manifest["client_version"].split(".")[0] == expected
        assert read_catalogue(str(root))[0].counted


def test_a_newer_client_serves_where_the_same_major_is_missing(server16, make_session_store, bin_full18, tmp_path):
    database = make_session_store(server16)
    result = back_up(database, tmp_path / "root", bin_full18)
    assert result.manifest["server_version"] == "16.14"
    assert result.manifest["client_version"].startswith("18.")


def test_no_client_at_all_is_said_with_the_remedy(server18, make_database, tmp_path):
    database = make_database(server18)
    with pytest.raises(MissingDependencyError, match="No pg_dump found in") as caught:
        back_up(database, tmp_path / "root", tmp_path)
    assert "postgresql-client-18" in str(caught.value.remedy)
    assert os.listdir(tmp_path) == []
