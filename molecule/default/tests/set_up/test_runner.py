# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role `runner` has made: who may read it, one release, a lock for each job, logs that are rotated."""

from __future__ import annotations

testinfra_hosts = ["app1", "keeper1"]

LOGS = "/var/log/baileys-resilience"


def test_the_settings_are_for_the_user_of_the_jobs_alone(host, user) -> None:
    for name in ("inventory/hosts.yml", "runner.json", "ansible.cfg"):
        file = host.file(f"/etc/baileys-resilience/{name}")
        assert (file.user, file.mode) == (user, 0o600), name


def test_one_release_is_there_and_its_user_cannot_change_it(host) -> None:
    releases = host.file("/opt/baileys-resilience/releases").listdir()
    assert len(releases) == 1
    assert host.file("/opt/baileys-resilience/current").linked_to == f"/opt/baileys-resilience/releases/{releases[0]}"
    release = f"/opt/baileys-resilience/releases/{releases[0]}"
    assert host.check_output("find %s ! -type l '(' ! -user root -o -perm /022 ')'", release) == ""


def test_a_job_that_runs_already_is_not_started(host) -> None:
    host.run_expect([0], "resilience backup --list-tasks")
    held = host.run("flock /var/lib/baileys-resilience/locks/backup.lock resilience backup --list-tasks")
    assert held.rc == 75, held.stdout + held.stderr
    assert "backup runs already" in held.stderr
    host.run_expect([0], "resilience backup --list-tasks")


def test_logs_are_rotated(host, user) -> None:
    log = f"{LOGS}/of-a-test.log"
    host.run_expect([0], "setpriv --reuid=%s --regid=%s --clear-groups sh -c 'echo line > %s'", user, user, log)
    rotated = host.run("logrotate --force /etc/logrotate.d/baileys-resilience")
    assert (rotated.rc, rotated.stderr) == (0, "")
    assert host.file(log).size == 0
    assert host.check_output("zcat %s", f"{log}.1.gz") == "line"
    host.run_expect([0], "rm %s %s", log, f"{log}.1.gz")
