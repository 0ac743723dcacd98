# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs under PM2: its unit, a restart of that as at boot, and no job with systemd besides."""

from __future__ import annotations

import json

testinfra_hosts = ["app1"]
UNITS = "/etc/systemd/system"


def jobs(host) -> dict[str, tuple[str, int]]:
    """What PM2 has of ours: how it is, and how often it was started again."""
    listed = json.loads(host.check_output("pm2 jlist -s"))
    ours = [app["pm2_env"] for app in listed if app["pm2_env"]["namespace"] == "baileys-resilience"]
    return {app["name"]: (app["status"], app["restart_time"]) for app in ours}


def test_pm2_lives_in_its_unit_and_a_restart_of_it_runs_nothing(host) -> None:
    service = host.service("pm2-root")
    assert service.is_enabled
    before = jobs(host)
    assert "backup-postgresql" in before
    host.check_output("systemctl restart pm2-root")
    assert service.is_running
    assert {name: status for name, (status, _restarts) in jobs(host).items()} == dict.fromkeys(before, "stopped")
    daemon = host.check_output("systemctl show --property MainPID --value pm2-root")
    environment = host.check_output("tr '\\0' '\\n' < /proc/%s/environ", daemon)
    assert not [line for line in environment.splitlines() if line.startswith(("SSH_", "POSTGRES_", "SUDO_"))]


def test_what_pm2_has_systemd_has_not(host) -> None:
    assert host.check_output(f"find {UNITS} -name 'baileys-resilience-*'") == ""
    for name in ("dump.pm2", "dump.pm2.bak"):
        assert host.file(f"/root/.pm2/{name}").mode == 0o600
