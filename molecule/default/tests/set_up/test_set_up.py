# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After `site`, twice: what the hosts have, who may read it, and that they can use it by themselves."""

from __future__ import annotations

import pytest

testinfra_hosts = ["app1", "keeper1"]

# The password of the database, the bot's token and the key of Sentry, or what nothing else has in common with them.
SECRETS = ("a>s|s?w%o", "AAEhBP0av28bzCjhdTvr4qqGz0mWcxOtZAU", "c0ffee00c0ffee00c0ffee00c0ffee00")


def test_the_client_is_of_the_servers_version_and_no_server_runs(host) -> None:
    version = host.check_output("/usr/lib/postgresql/18/bin/pg_dump --version")
    assert "(PostgreSQL) 18." in version
    assert host.file("/usr/lib/postgresql/18/bin/postgres").exists
    assert not host.file("/etc/postgresql/18").exists
    assert host.run("pgrep -x postgres").rc == 1


@pytest.mark.parametrize(
    "path",
    ["/etc/baileys-resilience", "/var/log/baileys-resilience", "/var/lib/baileys-resilience", "backups"],
)
def test_only_the_user_of_the_jobs_sees_what_is_private(host, user, backup_root, path) -> None:
    path = backup_root if path == "backups" else path
    assert host.file(path).user == user
    assert host.file(path).mode == 0o700
    # PM2 makes its log files itself, for all to read; nobody else gets as far as them.
    files = "" if path.startswith("/var/log") else "-o -type f ! -perm 600"
    loose = host.check_output(f"find {path} '(' -type d ! -perm 700 {files} -o ! -user {user} ')' -print")
    assert loose == ""


def test_no_secret_stands_where_others_can_read_it(host) -> None:
    for secret in SECRETS:
        found = host.run(
            "find / -xdev -type f -perm /044 -size -2M -not -path '/proc/*' -not -path '/opt/baileys-resilience/releases/*' "
            "-print0 | xargs -0 grep --files-with-matches --fixed-strings -e %s",
            secret,
        )
        assert found.stdout == "", secret


def test_what_was_made_first_is_a_verified_backup(host, backup_root, newest) -> None:
    archives = host.file(f"{backup_root}/daily").listdir()
    assert len([entry for entry in archives if entry.endswith(".manifest.json")]) == 1
    manifest = newest()
    assert manifest["state"] in ("verified", "proven")
    assert {table["table"]: table["rows"] for table in manifest["tables"]} == {
        "whatsapp_auth": 1,
        "whatsapp_keys": 1647,
    }


def test_the_host_runs_its_playbooks_itself(host) -> None:
    checked = host.run("resilience --self-check")
    assert checked.rc == 0, checked.stdout + checked.stderr
    drilled = host.run("resilience restore_drill")
    assert drilled.rc == 0, drilled.stdout + drilled.stderr
    assert "ended after" in drilled.stdout


def test_nobody_else_may_run_them(host, user) -> None:
    refused = host.run("setpriv --reuid=nobody --regid=nogroup --clear-groups resilience backup")
    assert refused.rc == 77
    assert f"run as {user}" in refused.stderr


def test_a_failing_job_ends_non_zero_and_leaves_the_backups_alone(host, backup_root) -> None:
    before = host.check_output(f"find {backup_root} -name 'backup-*' | sort")
    failed = host.run("resilience backup -e backup_min_size=1000000000")
    assert failed.rc == 2
    assert "min_size" in failed.stdout
    assert host.check_output(f"find {backup_root} -name 'backup-*' | sort") == before


def test_root_and_the_user_of_the_jobs_share_backups_and_state(host, user, backup_root) -> None:
    """As when the controller's root runs a playbook on them, and the user of the jobs does so afterwards."""
    as_root = "env ANSIBLE_CONFIG=/etc/baileys-resilience/ansible.cfg /opt/baileys-resilience/current/venv/bin/"
    host.run_expect([0], as_root + "ansible-playbook baileys.resilience.verify")
    # The scratch server of a drill refuses to run as root, so its files are those of an account without rights.
    state = "/var/lib/baileys-resilience -path '*/scratch/*' -prune -o"
    owners = host.check_output(f"find {backup_root} {state} -printf '%u\\n' | sort -u")
    assert owners == user
    host.run_expect([0], "resilience verify")
