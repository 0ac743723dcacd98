# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an app is resolved to, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2 import Pm2
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_names import (
    OTHER_SETTINGS,
    RESERVED_NAMES,
)
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_settings import started_settings
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_spec import (
    AppSpec,
    differences,
    file_name,
    log_name,
    numbered_log,
    resolve,
    spec_from_dict,
)
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_tell import app_dict
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError

PM2 = Pm2(program="/opt/pm2/bin/pm2", node="/opt/node/bin/node", home="/srv/pm2", user_home="/home/app")


def script(directory, name, mode=0o755):
    path = directory / name
    path.write_text("")
    path.chmod(mode)
    return str(path)


@pytest.fixture(autouse=True)
def interpreters(tmp_path, monkeypatch):
    """Every interpreter is there."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("node", "python3", "bash", "ruby", "php", "perl"):
        script(programs, name)
    monkeypatch.setattr(Pm2, "path", str(programs))


@pytest.mark.parametrize(
    ("name", "interpreter"),
    [
        ("a.js", "node"),
        ("a.mjs", "node"),
        ("a.cjs", "node"),
        ("a.py", "python3"),
        ("a.sh", "bash"),
        ("a.rb", "ruby"),
        ("a.php", "php"),
        ("a.pl", "perl"),
        ("a", "none"),
        ("a.out", "none"),
    ],
)
def test_the_interpreter_goes_by_the_extension(tmp_path, name, interpreter):
    assert resolve(PM2, AppSpec("app", script(tmp_path, name))).interpreter == interpreter


@pytest.mark.parametrize(
    ("given", "mode", "count", "merged"),
    [
        ({}, "fork", 1, True),
        ({"instances": 1}, "cluster", 1, False),
        ({"instances": 3}, "cluster", 3, False),
        ({"instances": 0}, "cluster", os.cpu_count(), False),
        ({"instances": -1000}, "cluster", 1, False),
        ({"instances": 2, "exec_mode": "fork"}, "fork", 2, False),
        ({"exec_mode": "cluster"}, "cluster", 1, False),
        ({"instances": 2, "merge_logs": True}, "cluster", 2, True),
    ],
)
def test_instances_decide_as_with_pm2(tmp_path, given, mode, count, merged):
    found = resolve(PM2, AppSpec("app", script(tmp_path, "a.js"), **given))
    assert (found.exec_mode, found.instances, found.merge_logs) == (mode, count, merged)


def test_paths_are_those_below_the_working_directory(tmp_path):
    script(tmp_path, "a.js")
    found = resolve(
        PM2, AppSpec("my app", "./a.js", cwd=f"{tmp_path}/", out_log="logs/../out.log", log="/var/log/x.log")
    )
    assert (found.script, found.cwd) == (f"{tmp_path}/a.js", str(tmp_path))
    assert found.out_log == f"{tmp_path}/out.log"
    assert found.err_log == "/srv/pm2/logs/my-app-error.log"
    assert found.log == "/var/log/x.log"
    assert resolve(PM2, found) == found


def test_the_environment_is_whole_and_what_is_given_comes_first(tmp_path):
    found = resolve(PM2, AppSpec("app", script(tmp_path, "a.py"), env={"HOME": "/elsewhere", "X": "1"}))
    assert found.env == {
        "HOME": "/elsewhere",
        "PATH": PM2.path,
        "PM2_HOME": "/srv/pm2",
        "X": "1",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES) + ["", "A=B", "A\0"])
def test_a_variable_that_pm2_would_take_for_a_setting_is_refused(tmp_path, name):
    with pytest.raises(SettingsError, match="it cannot have variables named") as caught:
        resolve(PM2, AppSpec("app", script(tmp_path, "a.js"), env={name: "secret-value"}))
    assert "secret-value" not in caught.value.message


def test_every_setting_that_pm2_is_told_is_a_reserved_name(tmp_path):
    full = AppSpec(
        "app",
        script(tmp_path, "a.js"),
        cron_restart="* * * * *",
        max_memory_restart=1,
        kill_timeout=1,
        listen_timeout=1,
        wait_ready=True,
        log="/x.log",
        time=True,
        other_settings=dict.fromkeys(OTHER_SETTINGS, 1),
    )
    assert set(started_settings(PM2, resolve(PM2, full))) <= RESERVED_NAMES


def test_numbers_in_the_names_of_logs():
    assert log_name("/l/a-out-12.log", merged=False) == "/l/a-out.log"
    assert log_name("/l/a-out-12.log", merged=True) == "/l/a-out-12.log"
    assert numbered_log("/l/a-out-12.log", 3) == numbered_log("/l/a-out.log", 3) == "/l/a-out-3.log"
    assert numbered_log("/l/a.txt", 3) == "/l/a.txt"
    assert file_name("a b/c:d.e-f_g") == "a-b-c-d.e-f-g"


def test_an_app_can_be_written_down_and_read_again(tmp_path):
    app = AppSpec("app", "/a.js", args=("a b",), interpreter_args=("-x",), env={"X": "1"}, other_settings={"uid": 5})
    assert spec_from_dict(json.loads(json.dumps(dataclasses.asdict(app)))) == app


def test_differences_are_told_by_name():
    app = AppSpec("app", "/a.js", env={"X": "1"})
    assert differences(app, dataclasses.replace(app, env={"X": "2"}, cwd="/x")) == ["cwd", "env"]


def test_no_value_of_a_variable_is_in_what_is_shown():
    app = AppSpec("app", "/a.js", env={"X": "secret-value"})
    assert "secret-value" not in repr(app)
    assert app_dict(app)["env"] == ["X"]
