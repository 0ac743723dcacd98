# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: registered without running, run at their hours, brought back by a boot that runs nothing."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_actions import register_app, start_app
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_processes import list_processes
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_spec import AppSpec, spec_of
from tests.integration.processes.conftest import Module
from tests.support.pm2 import command, daemon_pid, end_all, listed, wait_for, write_script
from tests.support.processes import wait_until_gone

NEVER = "0 0 1 1 *"
EVERY_SECOND = "* * * * * *"


class Job:
    """A script that writes down each of its runs, and takes as long as it is told."""

    def __init__(self, directory: Path) -> None:
        self.runs = directory / "runs"
        self.hold = directory / "hold"
        lines = ["#!/bin/sh", f"echo $$ >> {self.runs}", f"while [ -e {self.hold} ]; do sleep 0.05; done"]
        self.script = write_script(directory / "job", lines)

    def count(self) -> int:
        return len(self.runs.read_text().splitlines()) if self.runs.exists() else 0

    def options(self, cron: str = NEVER) -> dict[str, object]:
        return {"name": "job", "script": self.script, "cron_restart": cron, "autorestart": False}


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path)


@pytest.fixture
def module(pm2):
    return Module(pm2)


def test_pm2s_own_start_runs_a_job_at_once_and_again_every_time(pm2, job, tmp_path):
    """What this collection does otherwise. If PM2 learns it, this notices."""
    ecosystem = tmp_path / "job.json"
    ecosystem.write_text(
        '{"apps": [{"name": "job", "script": "%s", "cron_restart": "%s", "autorestart": false, "interpreter": "none"}]}'
        % (job.script, NEVER)
    )
    command(pm2, "start", str(ecosystem))
    wait_for(lambda: job.count() == 1, "PM2 has learnt not to run a job when it is started")
    command(pm2, "start", str(ecosystem))
    wait_for(lambda: job.count() == 2, "PM2 has learnt not to run a job when it is started again")


def test_with_autostart_off_pm2_never_runs_a_job(pm2, job):
    start_app(pm2, AppSpec(**job.options(EVERY_SECOND), other_settings={"autostart": False}), settle=0)
    time.sleep(2.2)  # Two ticks: that nothing happens can only be waited for.
    assert job.count() == 0


def test_a_job_is_registered_without_running_and_runs_at_its_tick(pm2, job):
    (process,) = register_app(pm2, AppSpec(**job.options(EVERY_SECOND)))
    assert (process.status, process.pid, job.count()) == ("stopped", 0, 0)
    wait_for(lambda: job.count() >= 2, "no tick ran the job")


def test_the_module_registers_once_and_runs_nothing(pm2, module, job):
    first = module(state="present", **job.options())
    assert (first["changed"], first["action"], first["saved"]) == (True, "register", True)
    second = module(state="present", **job.options())
    assert (second["changed"], second["action"]) == (False, "nothing")
    assert job.count() == 0
    assert [entry["pm2_env"]["status"] for entry in listed(pm2)] == ["stopped"]


def test_several_jobs_one_after_the_other_are_saved_once(pm2, module, job):
    names = ["job", "another", "third"]
    for changed in (True, False, False):
        results = [module(state="present", **{**job.options(), "name": name}) for name in names]
        assert [(result["changed"], result["saved"]) for result in results] == [(changed, changed)] * 3


def test_a_new_schedule_changes_only_the_schedule(pm2, module, job):
    module(state="present", **job.options())
    before = spec_of(list_processes(pm2))
    changed = module(state="present", **job.options("0 5 * * *"))
    assert changed["differences"] == ["cron_restart"]
    assert changed["diff"] == {
        "before": {"name": "job", "running": False, "cron_restart": NEVER},
        "after": {"name": "job", "running": False, "cron_restart": "0 5 * * *"},
    }
    assert spec_of(list_processes(pm2)) == before.__class__(**{**vars(before), "cron_restart": "0 5 * * *"})
    assert job.count() == 0
    assert module(state="present", **job.options("0 5 * * *"))["changed"] is False


def test_a_job_that_pm2_would_never_run_is_put_right(pm2, module, job):
    start_app(pm2, AppSpec(**job.options(EVERY_SECOND), other_settings={"autostart": False}), settle=0)
    assert module(state="present", **job.options(EVERY_SECOND))["differences"] == ["other_settings"]
    wait_for(job.count, "no tick ran the job")


def test_a_running_job_is_not_ended_for_its_settings(pm2, module, job):
    job.hold.touch()
    module(state="restarted", **job.options())
    wait_for(job.count, "the job does not run")
    refused = module.failing(state="present", job_timeout=0.3, **job.options("0 5 * * *"))
    assert refused["msg"].startswith("The job job is running, and is not ended for the sake of its settings")
    assert list_processes(pm2)[0].status == "online"
    # As it is, it is as asked for, and saved as not running.
    assert module(state="present", **job.options())["changed"] is False
    job.hold.unlink()
    assert module(state="present", **job.options("0 5 * * *"))["action"] == "replace without running it"
    assert job.count() == 1


def test_started_is_refused_for_a_job_and_restarted_runs_it_now(module, job):
    refused = module.failing(state="started", **job.options())
    assert "state: present has it run at its hours. state: restarted runs it now." in refused["msg"]
    module(state="present", **job.options())
    assert module(state="restarted", **job.options())["action"] == "restart"
    wait_for(lambda: job.count() == 1, "the job did not run")


def test_a_job_that_fails_when_it_is_run_is_a_failure(module, tmp_path):
    failing = write_script(tmp_path / "failing", ["#!/bin/sh", "exit 7"])
    options = {"name": "job", "script": failing, "cron_restart": NEVER, "autorestart": False}
    module(state="present", **options)
    refused = module.failing(state="restarted", **options)
    assert "job does not stay up: it is stopped, last exit status 7" in refused["msg"]


def test_at_a_tick_a_running_job_is_ended_and_its_kill_timeout_is_kept(pm2, tmp_path):
    """PM2 gives it `kill_timeout` to end, and starts it anew then, whatever it was doing."""
    log = tmp_path / "log"
    script = write_script(
        tmp_path / "long",
        [
            "#!/usr/bin/env python3",
            "import signal, sys, time",
            f"log = open({str(log)!r}, 'a', buffering=1)",
            "def asked(*_): log.write('asked %f\\n' % time.time())",
            "signal.signal(signal.SIGINT, asked)",
            "log.write('started %f\\n' % time.time())",
            "while True: time.sleep(0.05)",
        ],
    )
    register_app(
        pm2,
        AppSpec("long", script, interpreter="none", cron_restart="*/2 * * * * *", autorestart=False, kill_timeout=700),
    )

    def lines():
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    wait_for(lambda: [word for word, _at in lines()][:3] == ["started", "asked", "started"], "no tick ended the job")
    (_asked, asked_at), (_started, started_at) = lines()[1:3]
    assert 0.65 < float(started_at) - float(asked_at) < 1.6


def test_stopped_leaves_the_schedule(module, pm2, job):
    module(state="present", **job.options(EVERY_SECOND))
    wait_for(job.count, "no tick ran the job")
    module(state="stopped", **job.options(EVERY_SECOND))
    seen = job.count()
    wait_for(lambda: job.count() > seen, "the schedule is gone")
    module(state="absent", name="job")
    seen = job.count()
    time.sleep(1.2)  # More than a tick: that nothing happens can only be waited for.
    assert job.count() == seen


def test_a_boot_brings_schedules_back_and_runs_nothing(own_pm2, tmp_path):
    """Neither a job that was idle when it was saved, nor one that ran."""
    module = Module(own_pm2)
    jobs = {}
    for name, state in (("idle", "present"), ("running", "restarted")):
        (tmp_path / name).mkdir()
        jobs[name] = Job(tmp_path / name)
        jobs[name].hold.touch()
        module(state=state, **{**jobs[name].options(), "name": name})
    wait_for(jobs["running"].count, "the job does not run")
    # The power is cut.
    end_all(Path(own_pm2.home))
    command(own_pm2, "resurrect")
    assert [(job.status, job.cron_restart) for job in list_processes(own_pm2)] == [("stopped", NEVER)] * 2
    assert [job.count() for job in jobs.values()] == [0, 1]
    # And the schedule is one: with another in its place, the same boot has both run.
    saved = Path(own_pm2.home, "dump.pm2")
    saved.write_text(saved.read_text().replace(NEVER, EVERY_SECOND))
    command(own_pm2, "delete", "all")
    command(own_pm2, "resurrect")
    wait_for(lambda: [job.count() >= 1 for job in jobs.values()] == [True, True], "no schedule came back")
    wait_for(lambda: jobs["running"].count() >= 2, "the schedule did not come back")


def test_pm2s_own_save_would_have_the_boot_run_it(own_pm2, job):
    """What this collection does otherwise. If PM2 learns it, this notices."""
    job.hold.touch()
    register_app(own_pm2, AppSpec(**job.options()))
    command(own_pm2, "restart", "job")
    wait_for(job.count, "the job does not run")
    command(own_pm2, "save")
    end_all(Path(own_pm2.home))
    command(own_pm2, "resurrect")
    wait_for(lambda: job.count() == 2, "PM2 has learnt not to run a job at boot")


def test_a_daemon_that_is_asked_to_end_keeps_what_is_saved_closed_to_others(own_pm2, job):
    """It writes dump.pm2 itself then, over the one that is there."""
    Module(own_pm2)(state="present", **job.options())
    daemon = daemon_pid(own_pm2)
    os.kill(daemon, signal.SIGTERM)
    wait_until_gone(daemon)
    for name in ("dump.pm2", "dump.pm2.bak"):
        assert Path(own_pm2.home, name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("zone", "warned"), [("Europe/Berlin", True), ("UTC", False)])
def test_the_schedule_follows_the_daemons_zone_and_a_warning_says_so(own_pm2, job, zone, warned):
    command(own_pm2, "ping", TZ=zone)
    result = Module(own_pm2)(state="present", env={"TZ": "Asia/Tokyo"}, **job.options())
    warnings = json.dumps(result.get("warnings", []))
    assert (f"of job follows the time zone of PM2's daemon, which is {zone} and not UTC" in warnings) == warned


def test_the_hour_is_the_daemons_and_not_the_apps(own_pm2, job):
    """In the daemon's zone it is never the hour of the schedule; in that of the app it is always."""
    command(own_pm2, "ping", TZ="UTC+0")
    hour = (time.gmtime().tm_hour + 6) % 24
    wrong = f"* * {hour} * * *"
    # The app's zone is six hours ahead.
    register_app(own_pm2, AppSpec(**job.options(wrong), env={"TZ": "XXX-6"}))
    time.sleep(1.5)  # More than a tick: that nothing happens can only be waited for.
    assert job.count() == 0
