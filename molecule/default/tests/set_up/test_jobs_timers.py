# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs as timers of systemd: when they run, as whom, and that their services can do their work."""

from __future__ import annotations

import pytest

testinfra_hosts = ["keeper1"]

JOB = "baileys-resilience-verify-backups"


def test_timers_wait_for_their_hour_in_utc(host) -> None:
    timer = host.service(f"{JOB}.timer")
    assert timer.is_enabled
    assert timer.is_running
    calendar = host.check_output(f"systemctl show --property TimersCalendar --value {JOB}.timer")
    assert "*-*-* 04:30:00 UTC" in calendar
    assert host.check_output(f"systemctl show --property User --value {JOB}.service") == "resilience"


@pytest.mark.parametrize("job", ["verify-backups", "drill-backups"])
def test_a_service_of_a_timer_does_its_job(host, job) -> None:
    """A drill starts a server of its own: what restricts the service must not keep it from that."""
    unit = f"baileys-resilience-{job}"
    done = host.run(f"systemctl start {unit}.service")
    said = host.check_output(f"journalctl --unit {unit} --no-pager --output cat")
    assert done.rc == 0, said
    assert "exit status 0" in said
