# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of the tests is what it claims to be; the emergency is tested with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes.dependencies import provide_dependencies
from ansible_collections.baileys.resilience.plugins.module_utils.processes.dotenv import write_env_file
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2 import Pm2
from ansible_collections.baileys.resilience.plugins.module_utils.processes.release import verify_tag
from ansible_collections.baileys.resilience.plugins.module_utils.processes.worktree import prepare_worktree
from demo.postgres_server import PostgresServer
from demo.session_rows import KEYS_BY_TYPE
from tests.conftest import MakeDatabase
from tests.support import node
from tests.support.databases import UGLY_PASSWORD
from tests.support.git import TAG
from tests.support.pm2 import command
from tests.support.service import API, WHATSAPP, WORKER, Service, make_service

PASSWORD = UGLY_PASSWORD.replace("`", "")
FILES = {"USE_REPOSITORY_PATTERN": "false", "USE_DATABASE_AUTH_STATE": "false", "USE_LEGACY_SUPABASE": "false"}


@pytest.fixture
def service(tmp_path: Path, make_session_store: MakeDatabase, embedded18: PostgresServer) -> Service:
    return make_service(tmp_path, make_session_store(embedded18, password=PASSWORD), WRITE_MS="50")


def test_it_reads_every_key_from_postgresql_and_what_it_writes_is_there_again(service: Service, own_pm2: Pm2) -> None:
    service.start(own_pm2)
    said = service.wait_until_connected()
    (summary,) = said["companies"].values()
    assert said["auth"] == "postgresql"
    assert said["commit"] == service.head
    assert summary["keys"] == KEYS_BY_TYPE
    assert summary["me"]
    for app in (WORKER, API):
        assert service.status(app)["commit"] == service.head
        assert service.status(app)["cwd"] == str(service.checkout)
    service.wait_for_writes()
    command(own_pm2, "stop", "whatsapp")
    stopped = service.status()
    command(own_pm2, "restart", "whatsapp")
    again = service.wait_until_connected(other_than=stopped["pid"])
    assert service.digests("loaded_digest") == {name: one["digest"] for name, one in stopped["companies"].items()}
    assert again["companies"] != said["companies"]


def test_the_code_at_the_tag_reads_the_same_from_files(service: Service, own_pm2: Pm2) -> None:
    service.control("hold-writes")
    service.start(own_pm2)
    on_postgresql = service.wait_until_connected()
    release = service.checkout.with_name("app-emergency")
    prepare_worktree(str(service.checkout), verify_tag(str(service.checkout), TAG), str(release))
    assert provide_dependencies(str(service.checkout), str(release)).how == "reused"
    write_env_file(str(release / ".env"), FILES, base=str(service.checkout / ".env"))
    subprocess.run([node.node(), "copy_to_files.mjs"], cwd=release, check=True)
    command(own_pm2, "delete", WHATSAPP)
    command(own_pm2, "start", str(release / "ecosystem.config.cjs"), "--only", WHATSAPP)
    on_files = service.wait_until_connected(other_than=on_postgresql["pid"])
    assert (on_files["auth"], on_files["commit"], on_files["cwd"]) == ("files", service.tagged, str(release))
    assert on_files["env"] == {**FILES, "AUTH_FILES_DIRECTORY": str(service.sessions)}
    assert on_files["companies"] == on_postgresql["companies"]
    service.control("hold-writes", on=False)
    said = service.wait_for_writes()
    assert said["companies"] != on_postgresql["companies"]
    assert service.status(WORKER)["commit"] == service.head
    # One setting that still asks for the database is enough to be on the wrong side.
    write_env_file(str(release / ".env"), {"USE_LEGACY_SUPABASE": "true"})
    command(own_pm2, "restart", WHATSAPP)
    assert service.wait_until_connected(other_than=on_files["pid"])["auth"] == "postgresql"


def test_it_does_what_it_is_told(service: Service, own_pm2: Pm2) -> None:
    service.control("hold-connection")
    service.start(own_pm2, WHATSAPP)
    log = Path(own_pm2.home, "logs", "whatsapp-out.log")
    said = service.wait(lambda said: "connected to WA" in log.read_text(), "it logs nothing")
    assert not said["connected"]
    assert "opened connection" not in log.read_text()
    service.control("hold-connection", on=False)
    connected = service.wait_until_connected()
    assert connected["pid"] == said["pid"]
    assert '"connection":"open"' in log.read_text()
    assert "opened connection to WA" in log.read_text()

    service.control("logged-out")
    command(own_pm2, "restart", WHATSAPP)
    said = service.wait(lambda said: said["pid"] != connected["pid"], "it does not restart")
    service.wait(lambda said: '"statusCode":401' in log.read_text(), "it is not logged out")
    assert not service.status()["connected"]
    service.control("logged-out", on=False)

    service.control("crash")
    command(own_pm2, "restart", WHATSAPP)
    service.wait(lambda now: log.read_text().count("the service ends") > 1, "it does not crash and start again")
