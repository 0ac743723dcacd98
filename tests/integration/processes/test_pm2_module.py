# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules pm2_app and pm2_app_info as Ansible runs them: every state from every other, twice, and in check mode."""

from __future__ import annotations

import importlib
import json
import threading
import time
from pathlib import Path

import pytest
import yaml

from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2 import one_at_a_time
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_actions import start_app
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_processes import list_processes
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_spec import AppSpec
from tests.integration.processes.conftest import Module
from tests.support.backups import tree_state
from tests.support.modules_here import run_here
from tests.support.playbooks import MODULES, run_module
from tests.support.pm2 import command, listed, pids_of, wait_for, write_script

SECRETS = {"API_KEY": "k3y-0f-the-application", "DATABASE_PASSWORD": "p<>|?%'\" word", "PIN": "s3cr3t", "DEBUG": "1"}


@pytest.fixture
def module(pm2, sleeper):
    return Module(pm2, name="web", script=sleeper, env=SECRETS, settle_time=0.1)


def info(pm2, **options):
    return run_here("pm2_app_info", {"pm2_home": pm2.home, "program": pm2.program, **options})


def status(pm2):
    return [process.status for process in list_processes(pm2, "web")]


@pytest.mark.parametrize(
    ("before", "after", "action", "statuses"),
    [
        (None, "present", "register", ["stopped"]),
        (None, "started", "start", ["online"]),
        (None, "stopped", "register", ["stopped"]),
        (None, "restarted", "start", ["online"]),
        (None, "reloaded", "start", ["online"]),
        (None, "absent", "nothing", []),
        ("present", "started", "wake", ["online"]),
        ("present", "restarted", "restart", ["online"]),
        ("started", "present", "nothing", ["online"]),
        ("started", "stopped", "stop", ["stopped"]),
        ("started", "restarted", "restart", ["online"]),
        ("started", "reloaded", "reload", ["online"]),
        ("started", "absent", "delete", []),
        ("stopped", "started", "wake", ["online"]),
        ("stopped", "absent", "delete", []),
    ],
)
def test_from_one_state_to_another(pm2, module, before, after, action, statuses):
    if before:
        module(state=before)
    planned = module(state=after, _ansible_check_mode=True)
    done = module(state=after)
    assert done["action"] == action
    assert status(pm2) == statuses
    for name in ("action", "changed", "saved", "differences", "diff", "msg"):
        assert planned[name] == done[name], name
    again = module(state=after)
    always = {"restarted": "restart", "reloaded": "reload"}
    assert again["action"] == always.get(after, "nothing")
    assert again["changed"] == (after in always)
    assert again["saved"] is False


def test_check_mode_starts_no_daemon_and_touches_nothing(own_pm2, sleeper, tmp_path):
    before = tree_state(tmp_path)
    for state in ("started", "present", "absent"):
        Module(own_pm2)(name="web", script=sleeper, state=state, _ansible_check_mode=True)
    answer = info(own_pm2)
    assert (answer["apps"], answer["daemon"], answer["changed"]) == ([], None, False)
    assert tree_state(tmp_path) == before
    assert pids_of(Path(own_pm2.home)) == []


DRIFTS = [
    ({"args": ["x y"]}, "args"),
    ({"kill_timeout": 700}, "kill_timeout"),
    ({"namespace": "team"}, "namespace"),
    ({"cwd": "/tmp"}, "cwd"),
    ({"cron_restart": "0 1 * * *"}, "cron_restart"),
    ({"autorestart": False}, "autorestart"),
    ({"max_memory_restart": "300M"}, "max_memory_restart"),
    ({"out_log": "{tmp}/out.log"}, "out_log"),
    ({"err_log": "{tmp}/err.log"}, "err_log"),
    ({"log": "{tmp}/both.log"}, "log"),
    ({"time": True}, "time"),
    ({"merge_logs": False}, "merge_logs"),
    ({"instances": 2, "exec_mode": "fork", "merge_logs": True}, "instances"),
    ({"interpreter": "sh"}, "interpreter"),
    ({"listen_timeout": 900}, "listen_timeout"),
    ({"env": {**SECRETS, "DEBUG": "0"}}, "env"),
    ({"env": {"PIN": "s3cr3t", "DEBUG": "1"}}, "env"),
]


def test_every_setting_is_compared_by_itself_and_shown_by_itself(pm2, module, tmp_path):
    for given, setting in DRIFTS:
        options = json.loads(json.dumps(given).replace("{tmp}", str(tmp_path)))
        module(state="present", save=False)
        changed = module(state="present", save=False, **options)
        assert changed["differences"] == [setting], given
        assert set(changed["diff"]["after"]) == {"name", "running", setting}
        assert module(state="present", save=False, **options)["changed"] is False, given
    # What was changed in PM2 by hand is found as well.
    module(state="present", save=False)
    start = time.monotonic()
    command(pm2, "restart", "web", "--namespace", "elsewhere", "--kill-timeout", "900")
    assert module(state="started", save=False)["differences"] == ["namespace", "kill_timeout"], time.monotonic() - start


def test_settings_without_an_option_stay_as_they_are(pm2, module, sleeper):
    start_app(pm2, AppSpec("web", sleeper, env=SECRETS, other_settings={"max_restarts": 4}), settle=0)
    assert module(state="started")["action"] == "nothing"
    changed = module(state="started", args=["new"])
    assert (changed["action"], changed["differences"]) == ("replace", ["args"])
    assert list_processes(pm2)[0].raw["max_restarts"] == 4


def test_no_value_of_a_variable_is_to_be_seen_anywhere(pm2, module, tmp_path, telling):
    changed = {**SECRETS, "API_KEY": "another-secret-key"}
    seen = []
    watching = threading.Event()

    def watch():
        while not watching.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        seen.append((entry / "cmdline").read_bytes())
                    except OSError:
                        continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        results = [
            module(script=telling.script, state="started"),
            module(script=telling.script, state="started", env=changed),
            module(script=telling.script, state="restarted", env=changed),
            module.failing(script=str(tmp_path / "not there"), env=changed),
            module.failing(script=telling.script, env={**changed, "status": "x"}),
            info(pm2),
        ]
    finally:
        watching.set()
        watcher.join()
    shown = json.dumps(results) + "".join(words.decode("utf-8", "replace") for words in seen)
    for value in [*SECRETS.values(), *changed.values()]:
        if len(value) > 1:
            assert value not in shown, value
            assert json.dumps(value)[1:-1] not in shown, value
    assert any(b"pm2" in words.lower() for words in seen)
    # What changes is told by name.
    assert results[1]["diff"]["after"]["env"]["API_KEY"] == "******** (changed)"
    assert results[1]["diff"]["after"]["env"]["DEBUG"] == "********"
    # And it does reach the app.
    wait_for(lambda: telling.seen()["env"]["API_KEY"] == "another-secret-key", "the app wrote nothing")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"script": None}, "state is started but all of the following are missing: script"),
        ({"script": "bin/app"}, 'Where "bin/app" of web is cannot be told: its path is not absolute'),
        ({"script": "{tmp}/none/app.js"}, "/none of web is not a directory"),
        ({"script": "{tmp}/none.js"}, "/none.js of web does not exist"),
        ({"script": "{tmp}/plain"}, "/plain is to be executed as it is, but is not executable"),
        ({"interpreter": "no-such-thing"}, "The interpreter no-such-thing of web is not in"),
        ({"name": "all"}, '"all" cannot be the name of an app'),
        ({"name": "7"}, '"7" cannot be the name of an app'),
        ({"env": {"status": "x"}}, "so it cannot have variables named status"),
        ({"env": {"A": ["x"]}}, "The variable A in env is neither a text nor a number"),
        ({"max_memory_restart": "much"}, "max_memory_restart is much"),
        ({"cron_restart": "every day"}, 'PM2 cannot read the cron_restart "every day" of web'),
        ({"cron_restart": "0 3 * * 1-3,5"}, "its day of the week is 1-3,5"),
        ({"user": "no-such-user"}, "This host has no user no-such-user"),
        ({"program": "/nonexistent/pm2"}, "/nonexistent/pm2 is not on this host"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_touched(pm2, module, tmp_path, options, message):
    (tmp_path / "plain").write_text("")
    assert message in module.failing(**json.loads(json.dumps(options).replace("{tmp}", str(tmp_path))))["msg"]
    assert list_processes(pm2) == []


def test_an_app_that_does_not_come_up_with_new_settings_is_put_back(pm2, module, tmp_path):
    module(state="started")
    crashing = write_script(tmp_path / "crashing", ["#!/bin/sh", "exit 3"])
    refused = module.failing(state="started", script=crashing)
    assert "web does not stay up" in refused["msg"]
    assert "It runs again as it was before" in refused["msg"]
    (process,) = list_processes(pm2)
    assert (process.status, process.script) == ("online", module.options["script"])


def test_a_crash_loop_that_is_there_already_is_no_success(pm2, module, tmp_path):
    crashing = write_script(tmp_path / "crashing", ["#!/bin/sh", "sleep 0.2", "exit 3"])
    command(pm2, "start", crashing, "--name", "web", "--interpreter", "none", "--cwd", str(tmp_path))
    refused = module.failing(state="started", script=crashing, env={}, settle_time=2)
    assert "web does not stay up" in refused["msg"]


def test_only_the_app_that_does_not_run_is_woken(pm2, module):
    module(state="started", instances=2, exec_mode="fork")
    first, second = list_processes(pm2)
    command(pm2, "stop", str(second.pm_id))
    result = module(state="started", instances=2, exec_mode="fork")
    assert (result["action"], result["msg"]) == ("wake", "web: wake (1 of 2 do not run)")
    assert list_processes(pm2)[0].pid == first.pid


def test_a_second_run_waits_for_the_first(pm2, module):
    results = []
    options = module.given({"state": "started"})
    second = threading.Thread(target=lambda: results.append(run_module("pm2_app", options)))
    with one_at_a_time(pm2, 0):
        second.start()
        second.join(1.0)
        assert second.is_alive()
        assert list_processes(pm2) == []
    second.join(20)
    assert [result["action"] for result in results] == ["start"]


def test_what_is_saved_is_of_this_app_alone(pm2, module, sleeper):
    start_app(pm2, AppSpec("other", sleeper, env={"X": "1"}), settle=0)
    command(pm2, "save")
    command(pm2, "stop", "other")
    assert module(state="started")["saved"] is True
    saved = {entry["name"]: entry["status"] for entry in json.loads(Path(pm2.home, "dump.pm2").read_text())}
    assert saved == {"other": "online", "web": "online"}
    answer = info(pm2)
    assert [app["app"]["name"] for app in answer["apps"]] == ["other", "web"]
    assert answer["apps"][0]["saved"] == {"runs_at_boot": True, "differences": []}
    assert answer["apps"][0]["running"] is False
    assert answer["saved_private"] is True
    module(state="absent")
    assert [entry["name"] for entry in json.loads(Path(pm2.home, "dump.pm2").read_text())] == ["other"]


def test_a_list_that_others_may_read_is_closed(pm2, module):
    module(state="started")
    dump = Path(pm2.home, "dump.pm2")
    dump.chmod(0o644)
    assert info(pm2)["saved_private"] is False
    assert module(state="started", _ansible_check_mode=True)["saved"] is True
    assert module(state="started")["saved"] is True
    assert dump.stat().st_mode & 0o777 == 0o600
    assert info(pm2)["saved_private"] is True


@pytest.mark.parametrize("name", ["pm2_app", "pm2_app_info"])
def test_return_values_are_the_documented_ones(pm2, module, name):
    documented = yaml.safe_load(importlib.import_module(f"{MODULES}.{name}").RETURN)
    result = module(state="started") if name == "pm2_app" else (module(state="started"), info(pm2))[1]
    expected = {key for key, entry in documented.items() if not entry["returned"].startswith("failure")}
    assert set(result) - {"changed", "invocation", "diff"} == expected - (set() if name == "pm2_app" else {"msg"})
    for key, entry in documented.items():
        for element in result.get(key) or [] if "contains" in entry else []:
            assert set(element) == set(entry["contains"])
    assert len(listed(pm2)) == 1
