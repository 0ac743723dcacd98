# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time zones by name, and whether they are UTC; and which processes belong together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes import pm2_time_zone
from ansible_collections.baileys.resilience.plugins.module_utils.processes.family import (
    Member,
    describe,
    family_of,
    living,
    of_app,
)
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_time_zone import TimeZone, zone_of
from tests.support.processes import wait_until_gone, wait_until_it_is

BERLIN = b"TZif2" + b"\0" * 40 + b"\nCET-1CEST,M3.5.0,M10.5.0/3\n"
UTC = b"TZif2" + b"\0" * 40 + b"\nUTC0\n"


@pytest.fixture
def zones(tmp_path, monkeypatch):
    directory = tmp_path / "zoneinfo"
    (directory / "Europe").mkdir(parents=True)
    (directory / "Europe" / "Berlin").write_bytes(BERLIN)
    (directory / "Etc").mkdir()
    (directory / "Etc" / "UCT").write_bytes(UTC)
    monkeypatch.setattr(pm2_time_zone, "_ZONES", str(directory))
    monkeypatch.setattr(pm2_time_zone, "_LOCALTIME", str(tmp_path / "localtime"))
    return directory


@pytest.mark.parametrize(
    ("variable", "zone"),
    [
        ("Europe/Berlin", TimeZone("Europe/Berlin", False)),
        (":Europe/Berlin", TimeZone("Europe/Berlin", False)),
        ("Etc/UCT", TimeZone("Etc/UCT", True)),
        ("UTC", TimeZone("UTC", True)),
        ("", TimeZone("UTC", True)),
        ("XXX-6", TimeZone("XXX-6", False)),
        ("No/Such", TimeZone("No/Such", False)),
    ],
)
def test_a_zone_of_the_environment(zones, variable, zone):
    assert zone_of(variable) == zone


def test_the_zone_of_the_host(zones, tmp_path):
    assert zone_of(None) == TimeZone("UTC", True), "a host without the file has UTC"
    local = tmp_path / "localtime"
    local.symlink_to(zones / "Europe" / "Berlin")
    assert zone_of(None) == TimeZone("Europe/Berlin", False)
    local.unlink()
    local.write_bytes(BERLIN)
    assert zone_of(None) == TimeZone("the host's own", False)
    local.write_bytes(UTC)
    assert zone_of(None).utc


def test_a_zombie_does_not_live():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        family = family_of([child.pid])
        wait_until_gone(child.pid)
        # Nobody has asked for its status yet.
        assert Path("/proc", str(child.pid)).exists()
        assert living(family) == []


def test_a_later_process_of_the_same_number_is_another():
    (me,) = (member for member in family_of([os.getpid()]) if member.pid == os.getpid())
    assert living([me]) == [me]
    assert living([Member(me.pid, me.started - 1, me.command)]) == []


def test_descendants_are_found_and_named():
    shell = ["sh", "-c", "sleep 600 & echo $!; exec sleep 601"]
    with subprocess.Popen(shell, stdout=subprocess.PIPE, start_new_session=True) as parent:
        try:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            wait_until_it_is(child, "sleep")
            family = family_of([parent.pid])
            assert {member.pid for member in family} == {parent.pid, child}
            assert f"process {child} (sleep)" in describe(family)
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


def test_an_app_is_known_by_its_environment():
    env = {"PM2_HOME": "/srv/this pm2", "name": "web"}
    with subprocess.Popen(["sleep", "600"], env={**env, "PATH": os.defpath}) as process:
        try:
            assert [member.pid for member in of_app("/srv/this pm2", "web")] == [process.pid]
            assert not of_app("/srv/this pm2", "we")
            assert not of_app("/srv/this", "web")
        finally:
            process.kill()
