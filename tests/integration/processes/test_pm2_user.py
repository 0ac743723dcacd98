# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root manages the PM2 of a service's user: its daemon, its files and its apps are that user's."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import tempfile
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2 import ensure_daemon, find_pm2
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_actions import (
    delete_app,
    register_app,
    start_app,
    stop_app,
)
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_processes import list_processes
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_saved import save
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_spec import AppSpec, spec_of
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError, SettingsError
from tests.conftest import memory_directory
from tests.support.pm2 import daemon_pid, pm2_home, program, write_script

USER = "nobody"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")


@pytest.fixture
def users_directory(public_directory):
    """A directory of that user, with a PM2 that it can reach."""
    entry = pwd.getpwnam(USER)
    os.chown(public_directory, entry.pw_uid, entry.pw_gid)
    return public_directory


@pytest.fixture(scope="module")
def users_program():
    """The pinned PM2 where every user can read it, which the repository need not be."""
    with tempfile.TemporaryDirectory(prefix="resilience-test-", dir=memory_directory()) as directory:
        Path(directory).chmod(0o755)
        copy = Path(directory, "node_modules")
        shutil.copytree(program().parents[1], copy, symlinks=True)
        yield copy / ".bin" / "pm2"


@pytest.fixture
def users_pm2(users_directory, users_program):
    with pm2_home(users_directory / "pm2", USER, users_program) as pm2:
        yield pm2


def owner(path):
    return pwd.getpwuid(os.stat(path).st_uid).pw_name


def test_daemon_files_and_app_are_the_users(users_pm2, users_directory):
    script = write_script(users_directory / "app", ["#!/bin/sh", "exec sleep 600"])
    log = users_directory / "logs of it" / "out.log"
    (process,) = start_app(users_pm2, AppSpec("app", script, out_log=str(log)), settle=0)
    save(users_pm2)
    home = Path(users_pm2.home)
    for path in (home, home / "dump.pm2", home / "dump.pm2.bak", home / "rpc.sock", log, log.parent):
        assert owner(path) == USER, path
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "dump.pm2").stat().st_mode & 0o777 == 0o600
    for pid in (daemon_pid(users_pm2), process.pid):
        assert owner(f"/proc/{pid}") == USER
    assert spec_of([process]).env["HOME"] == pwd.getpwnam(USER).pw_dir
    assert process.raw["username"] == USER
    assert not stop_app(users_pm2, "app")[0].running
    assert os.geteuid() == 0


def test_a_link_planted_by_the_user_does_not_lead_root_elsewhere(users_pm2, users_directory, tmp_path):
    script = write_script(users_directory / "app", ["#!/bin/sh", "exec sleep 600"])
    start_app(users_pm2, AppSpec("app", script), settle=0)
    target = tmp_path / "of root"
    target.write_text("as it was")
    target.chmod(0o600)
    for name in ("dump.pm2", "dump.pm2.bak"):
        Path(users_pm2.home, name).symlink_to(target)
    with pytest.raises(ResilienceError, match="Cannot read"):
        save(users_pm2)
    assert target.read_text() == "as it was"


def as_user(work):
    """What `work` returns, or the message of what it raises, in a process that has become that user."""
    entry = pwd.getpwnam(USER)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            try:
                answer = work()
            except ResilienceError as error:
                answer = error.message
            os.write(writing, json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        answer = stream.read()
    os.waitpid(pid, 0)
    assert answer, "the process ended without an answer"
    return json.loads(answer)


def test_a_plain_user_manages_its_own(users_directory, users_program):
    script = write_script(users_directory / "app", ["#!/bin/sh", "exec sleep 600"])

    def work():
        pm2 = find_pm2(None, str(users_directory / "pm2"), str(users_program))
        (process,) = start_app(pm2, AppSpec("app", script), settle=0)
        saved = save(pm2)
        stopped = stop_app(pm2, "app")
        registered = register_app(pm2, AppSpec("job", script, cron_restart="0 3 * * *", autorestart=False))
        delete_app(pm2, "app")
        return [process.status, saved, stopped[0].status, registered[0].status]

    with pm2_home(users_directory / "pm2", USER, users_program):
        assert as_user(work) == ["online", True, "stopped", "stopped"]


def test_a_plain_user_acts_for_nobody_else(users_program):
    assert as_user(lambda: find_pm2("root", None, str(users_program)).home) == "Only root may act for the user root"


def test_a_plain_user_does_not_reach_the_pm2_of_another(users_directory, users_program):
    with pm2_home(users_directory / "of-root") as pm2:
        ensure_daemon(pm2)
        Path(pm2.home).chmod(0o755)
        answer = as_user(lambda: len(list_processes(find_pm2(None, pm2.home, str(users_program)))))
        assert answer == f"This user may not speak to the PM2 at {pm2.home}/rpc.sock"


def test_somebody_elses_daemon_is_not_taken_for_ones_own(users_pm2, users_directory):
    script = write_script(users_directory / "app", ["#!/bin/sh", "exec sleep 600"])
    start_app(users_pm2, AppSpec("app", script), settle=0)
    with pytest.raises(SettingsError, match=r"runs as the user with id \d+, not 0"):
        start_app(find_pm2(None, users_pm2.home, users_pm2.program), AppSpec("app", script))
