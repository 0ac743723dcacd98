# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two playbooks as a person types them at 03:00: the plan, the confirmation, the page, what the team hears."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.emergencies import PASSWORD, SOURCE, Host, host_with_service
from tests.support.playbooks import Played, Surroundings, Unsafe
from tests.support.service import TAG, WHATSAPP
from tests.support.stub_servers import CHAT_ID, TOKEN, sentry_stub, telegram_stub


class Site:
    """A host of the inventory with the service, and another one without; and a team that listens."""

    def __init__(self, host: Host, directory: Path) -> None:
        self.host = host
        self.surroundings = Surroundings(directory)
        self.messages: list[str] = []
        self.events: list[tuple[str, str]] = []

    def play(self, playbook: str, *arguments: str, hosts: dict[str, Any] | None = None, **variables: Any) -> Played:
        host = self.host
        parameters = host.database.parameters()
        service = {
            "app": WHATSAPP,
            "checkout": str(host.service.checkout),
            "sessions_directory": str(host.service.sessions),
            "sessions_variable": "AUTH_FILES_DIRECTORY",
            "pm2_home": host.pm2.home,
            "pm2_program": host.pm2.program,
            "connected_timeout": 30,
        }
        app1 = {
            "backup_sources": [
                {
                    "name": SOURCE,
                    "backup_root": str(host.backups),
                    "login_host": parameters["host"],
                    "login_port": parameters["port"],
                    "login_user": parameters["user"],
                    "login_password": Unsafe(parameters["password"]),
                    "database": parameters["dbname"],
                    "session_layout": {},
                    "emergency": service,
                },
                {"name": "other", "backup_root": str(host.directory / "other"), "database": "other"},
            ],
            "backup_client_directory": str(host.bin_directory),
            "drill_server_directory": str(host.bin_directory),
            "backup_state_directory": str(host.state),
            **variables,
        }
        keeper = {"backup_sources": [{"name": "archive", "backup_root": str(host.directory / "keeper")}]}
        with telegram_stub() as telegram, sentry_stub() as sentry:
            self.surroundings.write_hosts(
                hosts or {"app1": app1, "keeper1": keeper},
                telegram_token=TOKEN,
                telegram_chat_id=CHAT_ID,
                telegram_api_url=telegram.url,
                sentry_dsn=sentry.dsn,
            )
            played = self.surroundings.play(f"playbooks/{playbook}.yml", *arguments)
            self.messages = [message["text"] for message in telegram.messages]
            self.events = [(event["tags"]["job"], event["level"]) for event in sentry.of_type("event")]
        for secret in (PASSWORD, PASSWORD.replace('"', '\\"'), TOKEN):
            assert secret not in played.output
            assert all(secret not in message for message in self.messages)
        return played


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, bin_full18: Path) -> Iterator[Host]:
    with host_with_service(tmp_path_factory.mktemp("host"), bin_full18, WRITE_MS="600000") as host:
        yield host


@pytest.fixture
def site(host: Host, tmp_path: Path) -> Site:
    return Site(host, tmp_path)


def test_the_plan_the_move_and_the_way_back(site: Site) -> None:
    host = site.host
    held = host.service.digests()

    played = site.play("emergency_rollback", "--check", "--diff")
    assert played.rc == 0, played
    assert "Source of the sessions: live database" in played.output
    assert "also looked at: warm standby: there is none" in played.output
    assert f"Code: {TAG} ({host.service.tagged[:12]}" in played.output
    assert "USE_DATABASE_AUTH_STATE" in played.output
    assert host.side() == "postgresql"
    assert (site.messages, site.events) == ([], [])

    played = site.play("emergency_rollback")
    assert played.rc == 2, played
    assert "was not confirmed" in played.output
    assert "-e emergency_confirm=whatsapp" in played.output
    assert host.side() == "postgresql"
    assert site.events == [("emergency_rollback", "fatal")]

    played = site.play("emergency_rollback", "-e", f"emergency_confirm={WHATSAPP}")
    assert played.rc == 0, played
    assert host.side() == "files"
    assert host.service.digests("loaded_digest") == held
    # The last page, in lines as a person reads them.
    page = played.output[played.output.index("WHAT WAS DONE") :]
    assert re.search(r"^  stop +\d+", page, re.MULTILINE)
    assert re.search(r"^  the service was away for ", page, re.MULTILINE)
    assert re.search(r"^WHAT IS TRUE NOW$", page, re.MULTILINE)
    assert re.search(r"^WHAT TO DO NEXT$", page, re.MULTILINE)
    assert "emergency_rollforward -e emergency_confirm=whatsapp" in page
    assert site.events == [("emergency_rollback", "warning")]
    (message,) = site.messages
    for part in ("whatsapp", "runs from files", "live database", "app=whatsapp", "max_data_age=900 s"):
        assert part in message
    assert host.status("emergency_rollback")["measurements"]["keys_count"] == 1647
    assert host.status("emergency_rollback")["measurements"]["recovery_seconds"] > 0

    played = site.play("emergency_rollback", "-e", f"emergency_confirm={WHATSAPP}")
    assert played.rc == 0, played
    assert "changed=0" in played.output
    assert "runs on files already" in played.output

    # A job that works on the database refuses meanwhile.
    played = site.play("standby")
    assert played.rc == 2, played
    assert "emergency_rollforward" in played.output

    played = site.play("emergency_rollforward", "-e", f"emergency_confirm={WHATSAPP}")
    assert played.rc == 0, played
    assert host.side() == "postgresql"
    assert host.service.digests("loaded_digest") == held
    assert "WHAT IS TRUE NOW" in played.output
    assert ("emergency_rollforward", "info") in site.events
    assert list(host.backups.glob("daily/*.dump")), "no backup was made before the rows were replaced"
    assert site.play("standby").rc == 0
    shutil.rmtree(host.state / "standby")


def test_a_failure_is_told_as_fatal_with_its_options_and_what_is_true(site: Site) -> None:
    host = site.host
    host.service.control("logged-out")
    try:
        played = site.play(
            "emergency_rollback", "-e", f"emergency_confirm={WHATSAPP}", "-e", "emergency_data_source=database"
        )
    finally:
        host.service.control("logged-out", False)
    assert played.rc == 2, played
    assert "The service runs on PostgreSQL as before" in played.output
    assert site.events == [("emergency_rollback", "fatal")]
    (message,) = site.messages
    for part in ("WhatsApp refused", "connect", "runs on PostgreSQL", "data_source=database"):
        assert part in message
    assert host.owner() == "postgresql"


def test_a_way_back_without_its_backup_says_why_and_leaves_the_service_alone(site: Site) -> None:
    host = site.host
    assert site.play("emergency_rollback", "-e", f"emergency_confirm={WHATSAPP}").rc == 0
    shutil.rmtree(host.backups, ignore_errors=True)
    # More rows than the database has: the backup is refused, and so is the way back.
    played = site.play("emergency_rollforward", "-e", f"emergency_confirm={WHATSAPP}", "-e", "backup_min_rows=100000")
    assert played.rc == 2, played
    assert "no verified backup" in played.output
    assert host.side() == "files"
    assert {("backup", "fatal"), ("emergency_rollforward", "fatal")} <= set(site.events)
    played = site.play(
        "emergency_rollforward", "-e", f"emergency_confirm={WHATSAPP}", "-e", "emergency_require_backup=false"
    )
    assert played.rc == 0, played
    assert host.side() == "postgresql"


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ([{"name": "plain"}], "has a service that can be moved"),
        (
            [{"name": name, "emergency": {"app": name}} for name in ("first", "second")],
            "several sources with a service that can be moved",
        ),
    ],
)
def test_which_service_is_meant_must_be_clear(site: Site, sources: list[dict[str, Any]], said: str) -> None:
    played = site.play(
        "emergency_rollback", "-e", f"emergency_confirm={WHATSAPP}", hosts={"app1": {"backup_sources": sources}}
    )
    assert played.rc == 2, played
    assert said in " ".join(played.output.split())
    assert "Nothing was touched" in played.output
