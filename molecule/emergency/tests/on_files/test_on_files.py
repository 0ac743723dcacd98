# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database is lost, and the service runs from files with every key."""

from __future__ import annotations

import subprocess

from tests.support.git import TAG

testinfra_hosts = ["service1"]
STATE = "/var/lib/baileys-resilience"
# The status of `timeout` where nothing answers at all, neither that the port is closed nor that nobody is there.
SILENT = 124


def test_the_database_is_lost_as_it_was_meant_to_be(host, service) -> None:
    how = service.read("/root/loss.json")["loss"]
    attempt = host.run("timeout 4 bash -c '</dev/tcp/database.example.net/5432'")
    assert attempt.rc == SILENT if how == "cut_off" else attempt.rc != 0, attempt
    assert running("resilience-database1") == {"stopped": "false", "cut_off": "true", "gone": ""}[how]


def running(container: str) -> str:
    """Whether podman says that it runs; nothing if there is none of that name."""
    command = ["podman", "container", "inspect", "--format", "{{.State.Running}}", container]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def test_the_service_is_connected_from_files_with_every_key(service) -> None:
    noted = service.noted()["companies"]
    said = service.connected("files")
    assert noted
    assert {company: one["loaded_digest"] for company, one in said["companies"].items()} == {
        company: one["digest"] for company, one in noted.items()
    }
    assert said["code"] == said["cwd"] == "/opt/whatsapp-emergency"
    assert {name: value for name, value in said["env"].items() if name.startswith("USE_")} == {
        "USE_REPOSITORY_PATTERN": "false",
        "USE_DATABASE_AUTH_STATE": "false",
        "USE_LEGACY_SUPABASE": "false",
    }


def test_it_runs_the_code_at_the_tag_once_and_as_its_own_user(host, service) -> None:
    said = service.connected("files")
    assert service.pids() == [said["pid"]]
    assert host.check_output(f"ps --no-headers --format user --pid {said['pid']}") == "app"
    tagged = host.check_output(
        f"git -c safe.directory=/opt/whatsapp -C /opt/whatsapp rev-parse 'refs/tags/{TAG}^{{commit}}'"
    )
    assert said["commit"] == tagged


def test_the_sessions_came_from_the_only_copy_left(service) -> None:
    journal = service.read(f"{STATE}/emergency/whatsapp.json")
    assert journal["data"]["kind"] == service.read("/root/loss.json")["source"]
    keys = sum(sum(one["keys"].values()) for one in service.noted()["companies"].values())
    assert journal["data"]["keys"] == keys


def test_the_database_counts_no_more(service) -> None:
    assert service.read(f"{STATE}/fence.json")["sources"]["whatsapp"]["owner"] == "files"


def test_nobody_else_reads_the_keys(host) -> None:
    assert host.check_output("find /var/lib/whatsapp/sessions /opt/whatsapp-emergency/.env ! -user app") == ""
    open_to_others = f"find /var/lib/whatsapp/sessions /opt/whatsapp-emergency/.env {STATE} -perm /077"
    assert host.check_output(open_to_others) == ""
