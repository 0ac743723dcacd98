# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new user gets who types what the README says, on a machine that has never seen any of it."""

from __future__ import annotations

import re
import time

testinfra_hosts = ["new1"]

TYPING_SECONDS = 300
SCHEDULE_SECONDS = 100


def test_what_the_readme_says_ends_with_a_backup_made_on_schedule(host, newest) -> None:
    deadline = time.monotonic() + TYPING_SECONDS
    while (state := host.check_output("systemctl show --property=SubState --value first-steps")) == "running":
        assert time.monotonic() < deadline, host.file("/root/first_steps.log").content_string
        time.sleep(1)
    typed = host.file("/root/first_steps.log").content_string
    # Exited is done: a script that fails is failed.
    assert state == "exited", typed
    # The check that changes nothing, the run, and the one after it.
    recaps = re.findall(r"^app1 +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0", typed, re.MULTILINE)
    checked, made = int(recaps[0]), int(recaps[1])
    assert checked > 0
    assert made > 0
    assert recaps[-1] == "0"
    assert "a>s|s?w%o" not in typed
    # What was made by hand has been proven by the drill that was typed after it; what comes now, the schedule has made.
    deadline = time.monotonic() + SCHEDULE_SECONDS
    while (manifest := newest())["state"] != "verified":
        assert time.monotonic() < deadline, host.check_output("journalctl --unit 'baileys-resilience-*'")
        time.sleep(1)
    assert sum(table["rows"] for table in manifest["tables"]) == 1648
