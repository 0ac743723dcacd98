# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service is on PostgreSQL again, with all that happened while it was on its files."""

from __future__ import annotations

from datetime import datetime

testinfra_hosts = ["service1"]
STATE = "/var/lib/baileys-resilience"


def test_the_service_is_connected_from_the_database_with_every_key(service) -> None:
    said = service.connected("postgresql")
    noted = service.noted()["companies"]
    assert noted
    assert {company: one["loaded_digest"] for company, one in said["companies"].items()} == {
        company: one["digest"] for company, one in noted.items()
    }
    assert said["code"] == said["cwd"] == "/opt/whatsapp"
    assert service.pids() == [said["pid"]]


def test_rows_that_did_not_change_have_kept_their_age(host, service) -> None:
    before = service.rows(host.file("/root/rows").content_string)
    now = service.rows(host.check_output("session-rows"))
    kept = {key for key, row in now.items() if before.get(key, {}).get("updated_at") == row["updated_at"]}
    unchanged = {key for key, row in now.items() if before.get(key, {}).get("value") == row["value"]}
    assert unchanged <= kept
    assert len(kept) > len(now) * 0.9
    # The others were written by the service on its files, and none is as young as the import that came after that.
    others = [datetime.fromisoformat(row["updated_at"]) for key, row in now.items() if key not in kept]
    assert others
    assert max(others).timestamp() <= float(host.check_output("stat --format %.Y /root/noted.json"))


def test_nothing_of_the_emergency_is_left(host, service) -> None:
    assert service.read(f"{STATE}/fence.json")["sources"]["whatsapp"]["owner"] == "postgresql"
    for path in ("/opt/whatsapp-emergency", "/var/lib/whatsapp/sessions", f"{STATE}/emergency/whatsapp.json"):
        assert not host.file(path).exists, path


def test_the_service_goes_on_writing_to_the_database(host, service) -> None:
    before = host.check_output("session-rows")
    writes = service.connected("postgresql")["writes"]
    host.run_expect([0], "rm -f /var/lib/whatsapp/control/hold-writes")
    service.wait(lambda now: now["writes"] > writes + 1, "it does not write")
    assert host.check_output("session-rows") != before
