# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""With the schedule of the backup at every minute: a tick makes a backup, it is verified, and the team hears of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import testinfra

testinfra_hosts = ["app1", "keeper1"]

TICK_SECONDS = 60
JOB_SECONDS = 40


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s: not {what}"
        time.sleep(1)


def test_a_tick_makes_a_verified_backup(host, newest) -> None:
    # What was there before the schedule has been proven by the drill in tests/set_up.
    wait_for(lambda: newest()["state"] == "verified", TICK_SECONDS + JOB_SECONDS, "a backup that a tick has made")
    made = {table["table"]: table["rows"] for table in newest()["tables"]}
    assert made == {"whatsapp_auth": 1, "whatsapp_keys": 1647}
    verified = host.run("resilience verify")
    assert verified.rc == 0, verified.stdout


def test_the_team_heard_of_it(host, name) -> None:
    team = testinfra.get_host("ansible://db1", ansible_inventory=host.backend.ansible_inventory)
    texts = [json.loads(line) for line in team.file("/srv/telegram.jsonl").content_string.splitlines()]
    made = [text for text in texts if text.startswith(f"<b>backup on {name}") and "backup made and verified" in text]
    assert len(made) > 1
    items = [json.loads(line) for line in team.file("/srv/sentry.jsonl").content_string.splitlines()]
    of_host = [item for item in items if name in json.dumps(item)]
    assert any(header["type"] == "event" for header, _item in of_host)
    check_ins = [item for header, item in items if header["type"] == "check_in"]
    assert any("backup" in item["monitor_slug"] and item["status"] == "ok" for item in check_ins)
