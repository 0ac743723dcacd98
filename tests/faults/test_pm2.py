# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PM2 that hangs, dies, was killed, is not there, or has lost its list: what is said then, and that nothing runs twice."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes import pm2 as pm2_code
from ansible_collections.baileys.resilience.plugins.module_utils.processes.family import family_of
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2 import find_pm2, one_at_a_time
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_actions import start_app, stop_app
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_app import STATES, AppRequest, bring
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_info import survey
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_processes import list_processes
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_saved import save
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_settings import started_settings
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_spec import AppSpec
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    LockedError,
    MissingDependencyError,
    ProgramFailedError,
    ResilienceError,
)
from tests.support.pm2 import command, daemon_pid, pids_of, pm2_home, wait_for, write_script
from tests.support.processes import is_running, wait_until_gone


@pytest.fixture
def pm2(tmp_path):
    with pm2_home(tmp_path / "pm2-home") as found:
        yield found


@pytest.fixture
def app(tmp_path):
    """Stays, and does not mind that nobody reads what it says."""
    return AppSpec("app", write_script(tmp_path / "app", ["#!/bin/sh", "exec sleep 600"]), kill_timeout=500)


def request(app, state="started", **options):
    return AppRequest("app", state, None if state == "absent" else app, settle=0, **options)


def kill_daemon(pm2):
    daemon = daemon_pid(pm2)
    os.kill(daemon, signal.SIGKILL)
    wait_until_gone(daemon)
    wait_for(lambda: refuses(pm2.socket), "the dead daemon's socket is still open")


def refuses(path):
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(path) == errno.ECONNREFUSED


def test_a_daemon_that_hangs_is_told_in_time(pm2, app, monkeypatch):
    start_app(pm2, app, settle=0)
    monkeypatch.setattr(pm2_code, "ANSWER_SECONDS", 0.3)
    daemon = daemon_pid(pm2)
    os.kill(daemon, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(ResilienceError, match=r"process %d\) did not do getMonitorData .* within 0\.3 s" % daemon):
            bring(pm2, request(app, "stopped"))
        assert time.monotonic() - begun < 3
    finally:
        os.kill(daemon, signal.SIGCONT)
    assert list_processes(pm2)[0].status == "online"


def test_what_a_killed_daemon_left_behind_is_not_started_a_second_time(pm2, app):
    (process,) = start_app(pm2, app, settle=0)
    kill_daemon(pm2)
    assert is_running(process.pid), "PM2's apps have learnt to end with their daemon"
    for state in STATES:
        for dry_run in (True, False):
            with pytest.raises(
                ResilienceError, match=r"PM2 does not have app, and yet it runs: process %d" % process.pid
            ):
                bring(pm2, request(app, state, dry_run=dry_run))
    os.kill(process.pid, signal.SIGKILL)
    wait_until_gone(process.pid)
    bring(pm2, request(app))
    assert len(pids_of(Path(pm2.home))) == 2


def test_a_second_one_beside_the_first_is_warned_about(pm2, app):
    (stray,) = start_app(pm2, app, settle=0)
    save(pm2)
    kill_daemon(pm2)
    command(pm2, "resurrect")
    outcome = bring(pm2, request(app))
    more = "Of app there runs more than PM2 has: process %d (sleep)" % stray.pid
    assert outcome.warnings[0].startswith(more)
    # To replace the app would not end that one: it is left alone until somebody looks.
    (before,) = list_processes(pm2)
    with pytest.raises(ResilienceError, match="nothing was touched") as caught:
        bring(pm2, request(dataclasses.replace(app, args=("new",))))
    assert caught.value.message.startswith(more)
    assert list_processes(pm2)[0].pid == before.pid


def test_a_daemon_that_dies_while_it_starts_an_app(pm2, app, tmp_path):
    killer = write_script(tmp_path / "killer", ["#!/bin/sh", "kill -9 $PPID", "exit 0"])
    with pytest.raises(ResilienceError) as caught:
        bring(pm2, request(AppSpec("app", killer)))
    assert "kill" not in str(caught.value.remedy)
    # Running again with what works finishes.
    wait_for(lambda: not pids_of(Path(pm2.home)), "the daemon did not die")
    assert bring(pm2, request(app)).decision.action == "start"
    assert [process.status for process in list_processes(pm2)] == ["online"]


def test_apps_that_a_dead_daemon_should_run_are_named(pm2, app, tmp_path):
    (process,) = start_app(pm2, app, settle=0)
    save(pm2)
    kill_daemon(pm2)
    os.kill(process.pid, signal.SIGKILL)
    wait_until_gone(process.pid)
    answer = survey(pm2)
    assert (answer["daemon"], answer["apps"], answer["only_saved"]) == (None, [], ["app"])
    with pytest.raises(ResilienceError, match=r"PM2 does not run in .*, so there is nothing to save"):
        save(pm2)
    other = AppRequest("other", "present", AppSpec("other", app.script), settle=0)
    (warning,) = bring(pm2, other).warnings
    assert warning.startswith("PM2 did not run, and its saved list has other apps, which do not run either: app.")
    # They were not lost by it.
    command(pm2, "resurrect")
    assert {process.name for process in list_processes(pm2)} == {"app", "other"}


def test_a_damaged_list_is_left_as_it_is(pm2, app):
    start_app(pm2, app, settle=0)
    saved = Path(pm2.home, "dump.pm2")
    for content in ("", "[{", "{}", "[1]", '[{"pm_id": 1}]'):
        saved.write_text(content)
        for act in (lambda: save(pm2), lambda: bring(pm2, request(app)), lambda: survey(pm2)):
            with pytest.raises(ResilienceError, match=r"dump\.pm2 does not hold a list of apps"):
                act()
        assert saved.read_text() == content
    assert list_processes(pm2)[0].status == "online"


def test_a_second_run_waits_and_then_says_who_holds_it(pm2, app):
    with one_at_a_time(pm2, 0):
        begun = time.monotonic()
        with pytest.raises(LockedError, match=rf"Another run \(process {os.getpid()}\) holds {pm2.home}"):
            bring(pm2, request(app, lock_timeout=0.3))
        assert 0.3 <= time.monotonic() - begun < 2
        with pytest.raises(LockedError):
            bring(pm2, request(app, lock_timeout=0, dry_run=True))
    assert bring(pm2, request(app, lock_timeout=0)).decision.action == "start"


def test_children_that_pm2_cannot_find_are_not_overlooked(pm2, tmp_path):
    """It asks ps for them, which a small host may not have; and this one's environment does not tell either."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in (pm2.node, "/usr/bin/env", "/bin/sh", "/bin/sleep"):
        (programs / Path(name).name).symlink_to(name)
    command(pm2, "ping", PATH=str(programs))
    parent = write_script(tmp_path / "parent", ["#!/bin/sh", "env -i /bin/sleep 600 &", "exec sleep 601"])
    (process,) = start_app(pm2, AppSpec("parent", parent), settle=0)

    def both_asleep():
        family = family_of([process.pid])
        return family if [member.command for member in family] == ["sleep", "sleep"] else None

    family = wait_for(both_asleep, "the child does not appear")
    (child,) = (member.pid for member in family if member.pid != process.pid)
    with pytest.raises(
        ProgramFailedError, match=r"parent was stopped, but lives on: process %d \(sleep\)" % child
    ) as caught:
        stop_app(pm2, "parent", timeout=0.3)
    assert "ps (package procps)" in str(caught.value.remedy)
    os.kill(child, signal.SIGKILL)


def test_what_pm2_takes_for_something_else_is_told(pm2, app, monkeypatch):
    """As another version of PM2 might."""

    def misunderstood(*words):
        return {**started_settings(*words), "kill_timeout": 1, "env": {"X": "another"}}

    monkeypatch.setattr(f"{start_app.__module__}.started_settings", misunderstood)
    with pytest.raises(ProgramFailedError, match="PM2 took env, kill_timeout of app for something else"):
        start_app(pm2, app, settle=0)


def test_what_is_missing_is_named_with_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr(pm2_code, "DEFAULT_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="pm2 is not on this host") as caught:
        find_pm2()
    assert "npm install --global pm2" in str(caught.value.remedy)
    write_script(tmp_path / "pm2", ["#!/usr/bin/env node"])
    with pytest.raises(MissingDependencyError, match=r"Node\.js \(node\)") as caught:
        find_pm2()
    assert "package nodejs" in str(caught.value.remedy)


def test_a_program_that_is_not_pm2_is_told_with_what_it_says(tmp_path, app):
    broken = write_script(tmp_path / "pm2", ["#!/bin/sh", "echo 'Error: Cannot find module' >&2", "exit 1"])
    with pytest.raises(
        ProgramFailedError, match=r"PM2's daemon did not start in .*: pm2 ping ended with exit status 1"
    ) as caught:
        bring(find_pm2(None, str(tmp_path / "home"), broken), request(app))
    assert caught.value.stderr == "Error: Cannot find module"


def test_a_home_that_cannot_be_made_is_told(tmp_path, app):
    (tmp_path / "file").write_text("")
    pm2 = find_pm2(None, str(tmp_path / "file" / "home"), write_script(tmp_path / "pm2", ["#!/bin/sh"]))
    with pytest.raises(ResilienceError, match=r"Cannot create the PM2_HOME .*: Not a directory"):
        bring(pm2, request(app))


def test_a_run_that_was_killed_between_delete_and_start_is_finished_by_the_next(pm2, app, monkeypatch):
    """The app is gone then; what is saved still has it as it was, for a boot."""
    bring(pm2, request(app))
    changed = dataclasses.replace(app, args=("new",))
    with monkeypatch.context() as patch:
        patch.setattr(f"{bring.__module__}.start_app", lambda *_words: os.kill(os.getpid(), signal.SIGKILL))
        pid = os.fork()
        if pid == 0:
            bring(pm2, request(changed))
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert list_processes(pm2) == []
    assert [entry["status"] for entry in json.loads(Path(pm2.home, "dump.pm2").read_text())] == ["online"]
    assert bring(pm2, request(changed, lock_timeout=0)).decision.action == "start"
    assert list_processes(pm2)[0].args == ("new",)
