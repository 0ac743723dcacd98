# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apps started, stopped and brought back through the daemon's socket: what PM2 then has, and what the app then sees."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.processes.family import family_of, living
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_actions import (
    delete_app,
    register_app,
    reload_app,
    restart_app,
    start_app,
    stop_app,
)
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_processes import list_processes
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_spec import (
    AppSpec,
    differences,
    resolve,
    spec_of,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ProgramFailedError,
    ResilienceError,
)
from tests.support.pm2 import command, listed, wait_for, write_script

# What PM2 adds by itself to what it was told, and what changes with every start.
OF_PM2 = {
    "cwd",
    "unique_id",
    "pm_uptime",
    "created_at",
    "axm_actions",
    "axm_options",
    "axm_monitor",
    "node_version",
    "versioning",
}


def specs(script: str, executable: str) -> dict[str, AppSpec]:
    env = {"SECRET": 'it\'s "quoted" $HOME `x` <ä>\n=end', "EMPTY": "", "N": "1"}
    hard = ("two words", 'quo"te', "it's", "--flag=a b", "", "$HOME")
    return {
        "plain": AppSpec("plain", script, args=hard, env=env),
        "cluster": AppSpec("cluster", script, args=("a b",), env=env, instances=2, kill_timeout=300),
        "forks": AppSpec("forks", script, env=env, instances=2, exec_mode="fork"),
        "job": AppSpec("job", executable, env=env, cron_restart="0 3 * * *", autorestart=False),
        "as it is": AppSpec("as-it-is", executable, args=hard, interpreter="none", env=env),
        "everything": AppSpec(
            "everything",
            script,
            args=("--x",),
            interpreter_args=("--max-old-space-size=64",),
            cwd="/tmp",
            namespace="team",
            env=env,
            cron_restart="0 4 * * *",
            max_memory_restart=300 * 1024 * 1024,
            kill_timeout=900,
            listen_timeout=1500,
            out_log=f"{os.path.dirname(script)}/logs of it/out.log",
            err_log=f"{os.path.dirname(script)}/logs of it/err.log",
            log=f"{os.path.dirname(script)}/logs of it/both.log",
            time=True,
            other_settings={"max_restarts": 3, "min_uptime": 500, "restart_delay": 100, "vizion": False},
        ),
    }


KINDS = list(specs("", ""))


@pytest.fixture
def executable(tmp_path):
    return write_script(tmp_path / "stay", ["#!/bin/sh", "exec sleep 600"])


@pytest.mark.parametrize("kind", KINDS)
def test_what_runs_can_be_started_again_as_the_very_same(pm2, telling, executable, kind):
    spec = specs(telling.script, executable)[kind]
    first = spec_of(start_app(pm2, spec, settle=0))
    assert differences(first, resolve(pm2, spec)) == []
    delete_app(pm2, spec.name)
    again = start_app(pm2, first, settle=0)
    assert spec_of(again) == first
    assert {process.status for process in again} == {"online"}
    delete_app(pm2, spec.name)
    # Registered, it is the same too, but does not run.
    registered = register_app(pm2, first)
    assert spec_of(registered) == first
    assert [process.running for process in registered] == [False] * (first.instances or 1)
    # And what PM2 starts of that is the same once more.
    assert spec_of(restart_app(pm2, spec.name, settle=0)) == first


@pytest.mark.parametrize("kind", ["plain", "cluster", "everything"])
def test_the_app_sees_its_arguments_variables_and_directory(pm2, telling, kind):
    spec = specs(telling.script, "")[kind]
    start_app(pm2, spec, settle=0)
    for instance in range(spec.instances or 1):
        seen = wait_for(lambda instance=instance: telling.seen(instance), "the app wrote nothing")
        assert tuple(seen["args"]) == spec.args
        assert seen["cwd"] == (spec.cwd or str(telling.directory))
        assert {name: seen["env"].get(name) for name in spec.env} == spec.env
        assert list(spec.interpreter_args) == [word for word in seen["execArgv"] if "max-old" in word]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    args=st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])), max_size=4),
    value=st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])),
)
def test_any_text_survives_the_way_to_pm2_and_back(pm2, executable, args, value):
    spec = AppSpec("texts", executable, args=tuple(args), env={"VALUE": value})
    try:
        found = spec_of(register_app(pm2, spec))
    finally:
        delete_app(pm2, "texts")
    assert (found.args, found.env["VALUE"]) == (tuple(args), value)


def test_pm2_is_told_what_its_own_command_line_tells_it(pm2, telling):
    """If a version of PM2 wants to be told more, this notices."""
    start_app(pm2, AppSpec("app", telling.script, args=("a b",), env={"X": "1"}), settle=0)
    (ours,) = (entry["pm2_env"] for entry in listed(pm2))
    delete_app(pm2, "app")
    ecosystem = Path(telling.directory, "app.json")
    ecosystem.write_text(
        '{"apps": [{"name": "app", "script": "%s", "args": ["a b"], "env": {"X": "1"}}]}' % telling.script
    )
    command(pm2, "start", str(ecosystem), "--cwd", str(telling.directory))
    (theirs,) = (entry["pm2_env"] for entry in listed(pm2))
    env = [entry.pop("env") for entry in (ours, theirs)]
    for entry in (ours, theirs):
        for name in OF_PM2 | set(env[1]):
            entry.pop(name, None)
    assert ours == theirs
    # And nothing besides in the environment: PM2's own adds five variables.
    assert {name for name in env[0] if name != "unique_id"} == {"HOME", "PATH", "PM2_HOME", "X"}
    assert set(env[0]) < set(env[1])


def test_nothing_of_the_callers_environment_reaches_pm2(own_pm2, telling, monkeypatch):
    monkeypatch.setenv("LEAKED_PASSWORD", "caller's secret")
    for name in ("PGPASSWORD", "ANSIBLE_VAULT_PASSWORD_FILE", "LC_ALL", "SSH_AUTH_SOCK", "PM2_USAGE"):
        monkeypatch.setenv(name, "caller's secret")
    # A cluster's processes inherit from the daemon, which is started here too.
    start_app(own_pm2, AppSpec("web", telling.script, instances=1, env={"OWN": "1"}), settle=0)
    seen = wait_for(telling.seen, "the app wrote nothing")
    assert "caller's secret" not in str(seen["env"])
    assert "LEAKED_PASSWORD" not in str(seen["env"])
    assert "caller's secret" not in str(listed(own_pm2))
    (process,) = list_processes(own_pm2)
    assert set(spec_of([process]).env) == {"HOME", "PATH", "PM2_HOME", "OWN"}


def test_no_restart_of_pm2_drops_a_variable_and_a_new_start_does(pm2, telling):
    start_app(pm2, AppSpec("web", telling.script, env={"STALE": "1", "KEPT": "1"}), settle=0)
    wait_for(telling.seen, "the app wrote nothing")
    ecosystem = Path(telling.directory, "web.json")
    ecosystem.write_text('{"apps": [{"name": "web", "script": "%s", "env": {"KEPT": "2"}}]}' % telling.script)
    command(pm2, "restart", str(ecosystem), "--update-env")
    wait_for(lambda: telling.seen()["env"]["KEPT"] == "2", "the app was not started again")
    assert telling.seen()["env"]["STALE"] == "1", "PM2 has learnt to drop a variable"
    # It shows, so that the app counts as one that differs.
    assert spec_of(list_processes(pm2)).env["STALE"] == "1"
    delete_app(pm2, "web")
    start_app(pm2, AppSpec("web", telling.script, env={"KEPT": "2"}), settle=0)
    wait_for(lambda: "STALE" not in telling.seen()["env"], "the variable is still there")


def test_stop_ends_everything_that_descends_from_the_app(pm2, tmp_path):
    deep = write_script(
        tmp_path / "deep", ["#!/bin/sh", "(sleep 600 & sleep 600) &", "setsid sleep 601 &", "exec sleep 602"]
    )
    (process,) = start_app(pm2, AppSpec("deep", deep), settle=0)
    family = wait_for(
        lambda: len(found := family_of([process.pid])) >= 4 and found, "the children of the app do not appear"
    )
    (stopped,) = stop_app(pm2, "deep")
    assert not stopped.running
    assert not living(family)


def test_one_that_has_left_the_family_is_not_overlooked(pm2, tmp_path):
    """Its parent is gone, so that PM2 does not find it; its environment still says whose it is."""
    leaver = write_script(tmp_path / "leaver", ["#!/bin/sh", "setsid sh -c 'sleep 603 &'", "exec sleep 604"])
    (process,) = start_app(pm2, AppSpec("leaver", leaver), settle=0)
    wait_for(lambda: len(family_of([process.pid])) == 1, "the other does not leave")
    with pytest.raises(ProgramFailedError, match=r"leaver was stopped, but lives on: process \d+ \(sleep\)") as caught:
        stop_app(pm2, "leaver", timeout=0.3)
    os.kill(int(caught.value.message.split("process ")[1].split()[0]), 9)
    delete_app(pm2, "leaver")


def test_an_unknown_app_is_told_as_such(pm2, sleeper):
    # PM2's command line says so by its exit status only.
    start_app(pm2, AppSpec("other", sleeper), settle=0)
    assert command(pm2, "stop", "nobody", check=False).returncode == 1
    for act in (stop_app, delete_app, restart_app, reload_app):
        with pytest.raises(ResilienceError, match=r"has no app nobody"):
            act(pm2, "nobody")


def test_an_app_that_is_there_is_not_started_twice(pm2, sleeper):
    start_app(pm2, AppSpec("once", sleeper), settle=0)
    with pytest.raises(ResilienceError, match="PM2 has an app once already"):
        start_app(pm2, AppSpec("once", sleeper))
    assert len(list_processes(pm2)) == 1


def test_a_crash_loop_is_not_a_start(pm2, tmp_path):
    crashing = write_script(tmp_path / "crashing", ["#!/bin/sh", "exit 3"])
    # PM2 calls it launched, and ends with 0.
    command(pm2, "start", crashing, "--name", "theirs", "--interpreter", "none")
    with pytest.raises(ProgramFailedError, match=r"crashing does not stay up: it is .*last exit status 3") as caught:
        start_app(pm2, AppSpec("crashing", crashing))
    assert caught.value.remedy == f"See {pm2.home}/logs/crashing-error.log."


def test_an_app_that_is_deleted_while_it_crashes_stays_deleted(pm2, tmp_path):
    """PM2 puts it back when it was in the middle of starting it again."""
    crashing = write_script(tmp_path / "crashing", ["#!/bin/sh", "exit 3"])
    for attempt in range(12):
        with contextlib.suppress(ProgramFailedError):
            start_app(pm2, AppSpec("crashing", crashing), settle=0)
        time.sleep(attempt * 0.015)  # To meet it at every point of its way.
        delete_app(pm2, "crashing")
        assert list_processes(pm2) == []


def test_one_that_never_says_it_is_ready_is_not_started(pm2, tmp_path):
    silent = tmp_path / "silent.js"
    silent.write_text("setInterval(() => {}, 1000)")
    spec = AppSpec("silent", str(silent), wait_ready=True, listen_timeout=300)
    with pytest.raises(ProgramFailedError, match=r"did not say that it is ready within 0\.3 s"):
        start_app(pm2, spec, settle=0)
    assert list_processes(pm2)[0].status == "online", "PM2 has learnt to tell"
    with pytest.raises(ProgramFailedError, match="did not say that it is ready"):
        restart_app(pm2, "silent", settle=0)
    silent.write_text("setTimeout(() => process.send('ready'), 100); setInterval(() => {}, 1000)")
    slow = dataclasses.replace(spec, name="slow", instances=2, listen_timeout=2000)
    # Two that take their time one after the other are not one that never says so.
    assert [process.status for process in start_app(pm2, slow, settle=0)] == ["online"] * 2


@pytest.mark.parametrize(("instances", "names"), [(None, {"logs-out.log"}), (2, {"logs-out-%d.log"})])
def test_only_instances_put_a_number_into_the_names_of_logs(pm2, telling, instances, names):
    processes = start_app(pm2, AppSpec("logs", telling.script, instances=instances), settle=0)
    expected = {f"{pm2.home}/logs/{name % p.pm_id if '%' in name else name}" for p in processes for name in names}
    assert {process.out_log for process in processes} == expected
    assert spec_of(processes).out_log == f"{pm2.home}/logs/logs-out.log"


def test_a_reload_replaces_a_cluster_one_by_one(pm2, tmp_path):
    server = tmp_path / "server.js"
    server.write_text("require('http').createServer((q, a) => a.end()).listen(0)")
    before = start_app(pm2, AppSpec("cluster", str(server), instances=2, kill_timeout=500), settle=0)
    after = reload_app(pm2, "cluster", settle=0)
    assert [process.status for process in after] == ["online", "online"]
    assert not {process.pid for process in before} & {process.pid for process in after}


def test_kill_timeout_is_waited_for_and_then_enforced(pm2, tmp_path):
    stubborn = write_script(tmp_path / "stubborn", ["#!/bin/sh", "trap '' INT TERM", "while :; do sleep 0.1; done"])
    (process,) = start_app(pm2, AppSpec("stubborn", stubborn, kill_timeout=400), settle=0)
    begun = time.monotonic()
    stop_app(pm2, "stubborn")
    assert 0.4 <= time.monotonic() - begun < 3
    assert not living(family_of([process.pid]))
