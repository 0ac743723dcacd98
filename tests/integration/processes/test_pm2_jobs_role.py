# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role pm2_jobs with a real PM2: what it registers, what it leaves alone, and what it says when it cannot.

Timers of systemd, and a boot, are shown on hosts of their own: molecule/default/tests.
"""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2 import Pm2
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_info import survey
from tests.integration.processes.conftest import Module
from tests.support.playbooks import Played, Surroundings
from tests.support.pm2 import command, daemon_pid, listed, wait_for, write_script
from tests.support.processes import wait_until_gone

SECRET = "hunter2-of-the-shell"
JOBS: list[dict[str, Any]] = [
    {"name": "backup-postgresql", "playbook": "backup", "schedule": "0 3 * * *"},
    {"name": "verify-backups", "playbook": "verify", "schedule": "30 4 * * *", "arguments": ["-e", "a='b c' $d %e"]},
    {"name": "standby-sessions", "playbook": "standby", "schedule": "*/5 * * * *", "sessions": True},
]


class Role:
    """The role, played on this machine with a PM2 of the test's own."""

    def __init__(self, directory: Path, pm2: Pm2) -> None:
        self.pm2 = pm2
        self.logs = directory / "logs"
        self.runs = directory / "runs"
        self.command = directory / "resilience"
        write_script(self.command, ["#!/bin/sh", f'echo "$*" >> {self.runs}', "echo it ran"])
        self.surroundings = Surroundings(directory / "surroundings")
        self.surroundings.write_hosts({"here": {}})
        self.playbook = directory / "play.yml"
        roles = [{"role": "baileys.resilience.pm2_jobs"}]
        self.playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": roles}]))

    def play(self, jobs: list[dict[str, Any]], *arguments: str, **variables: Any) -> Played:
        given = {
            "pm2_jobs_list": jobs,
            "pm2_jobs_command": str(self.command),
            "pm2_jobs_log_directory": str(self.logs),
            "pm2_jobs_pm2_home": self.pm2.home,
            "pm2_jobs_pm2_program": self.pm2.program,
            **variables,
        }
        words = ["--extra-vars", json.dumps(given), "--diff", *arguments]
        return self.surroundings.play(str(self.playbook), *words, POSTGRES_PASSWORD=SECRET)

    def apply(self, jobs: list[dict[str, Any]], *arguments: str, **variables: Any) -> tuple[int, str]:
        """How many tasks changed something, and all it printed."""
        played = self.play(jobs, *arguments, **variables)
        assert played.rc == 0, played
        found = re.search(r"changed=(\d+)", played.output)
        assert found
        return int(found.group(1)), played.output

    def schedules(self) -> dict[str, str]:
        return {app["app"]["name"]: app["app"]["cron_restart"] for app in survey(self.pm2)["apps"]}


@pytest.fixture
def role(tmp_path: Path, own_pm2: Pm2) -> Role:
    (tmp_path / "surroundings").mkdir()
    return Role(tmp_path, own_pm2)


def test_the_jobs_are_registered_run_nothing_and_keep_no_secret(role, own_pm2, tmp_path):
    assert role.apply(JOBS, "--check")[0] == 1
    assert not Path(own_pm2.home).exists()
    assert role.apply(JOBS)[0] == 1
    # Without sessions there is nothing to keep ready.
    assert role.schedules() == {"backup-postgresql": "0 3 * * *", "verify-backups": "30 4 * * *"}
    assert role.apply(JOBS)[0] == 0
    assert role.apply(JOBS, "--check")[0] == 0
    assert {app["pm2_env"]["status"] for app in listed(own_pm2)} == {"stopped"}
    assert not role.runs.exists()
    assert SECRET.encode() not in Path("/proc", str(daemon_pid(own_pm2)), "environ").read_bytes()
    holding = [path for path in Path(own_pm2.home).rglob("*") if path.is_file() and SECRET in path.read_text()]
    assert holding == []
    # Run by hand, as at a tick: each argument arrives as it is, and what is said is in one file.
    command(own_pm2, "restart", "verify-backups")
    wait_for(role.runs.exists, "the job did not run")
    assert role.runs.read_text() == "--job verify-backups verify -e a='b c' $d %e\n"
    log = role.logs / "verify-backups.log"
    wait_for(lambda: log.read_text() == "it ran\n", "the log has not what the job said")


def test_a_new_schedule_changes_only_that_and_what_is_not_in_the_list_is_removed(role, own_pm2, tmp_path):
    mine = {"name": "mine", "script": write_script(tmp_path / "mine", ["#!/bin/sh"]), "cron_restart": "0 0 1 1 *"}
    Module(own_pm2)(state="present", autorestart=False, **mine)
    sources = [{"name": "whatsapp", "session_layout": "columns"}]
    role.apply(JOBS, backup_sources=sources)
    everything = {job["name"]: job["schedule"] for job in JOBS}
    assert role.schedules() == {"mine": "0 0 1 1 *", **everything}
    later = [{**JOBS[0], "schedule": "0 4 * * *"}, *JOBS[1:]]
    changed, output = role.apply(later, backup_sources=sources)
    assert changed == 1
    assert re.findall(r'^[-+] +"(\w+)":', output, flags=re.MULTILINE) == ["cron_restart", "cron_restart"]
    assert role.schedules() == {"mine": "0 0 1 1 *", **everything, "backup-postgresql": "0 4 * * *"}
    # Left out, or said to be absent.
    changed, _output = role.apply([later[0], {**JOBS[1], "state": "absent"}], backup_sources=sources)
    assert changed == 1
    assert role.schedules() == {"mine": "0 0 1 1 *", "backup-postgresql": "0 4 * * *"}
    assert survey(own_pm2)["only_saved"] == []
    assert not role.runs.exists()


def test_a_daemon_that_died_is_back_with_the_jobs(role, own_pm2):
    role.apply(JOBS)
    daemon = daemon_pid(own_pm2)
    os.kill(daemon, signal.SIGKILL)
    wait_until_gone(daemon)
    changed, output = role.apply(JOBS)
    assert changed == 1
    assert "PM2 did not run, and its saved list has other apps" in output
    assert role.schedules() == {"backup-postgresql": "0 3 * * *", "verify-backups": "30 4 * * *"}
    assert not role.runs.exists()


@pytest.mark.parametrize(
    ("changes", "variables", "said"),
    [
        (
            {"schedule": "0 25 * * *"},
            {},
            'The schedule "0 25 * * *" cannot be used: its hour is 25. A field is *, a number',
        ),
        ({"playbook": "bakcup"}, {}, "pm2_jobs_list has the playbook bakcup, which there is not. There are backup, "),
        ({"name": "all"}, {}, "pm2_jobs_list has the name all. A name begins with a letter"),
        (
            {"name": "verify-backups"},
            {},
            "Two jobs of pm2_jobs_list have the same name: verify-backups, verify-backups.",
        ),
        (
            {},
            {"pm2_jobs_command": "/nowhere/resilience"},
            "The jobs run /nowhere/resilience, which this host does not have",
        ),
        (
            {},
            {"pm2_jobs_scheduler": "pm2", "pm2_jobs_pm2_program": "/nowhere/pm2"},
            "/nowhere/pm2 is not on this host. Install the npm package pm2",
        ),
        (
            {},
            {"pm2_jobs_scheduler": "systemd"},
            "No job is scheduled: the timers need systemd, and this host has no fact service_mgr",
        ),
    ],
)
def test_what_cannot_be_scheduled_is_said_and_nothing_is_changed(role, own_pm2, changes, variables, said):
    played = role.play([{**JOBS[0], **changes}, JOBS[1]], **variables)
    assert played.rc != 0
    assert said in played.output.replace('\\"', '"')
    assert not Path(own_pm2.home).exists()
