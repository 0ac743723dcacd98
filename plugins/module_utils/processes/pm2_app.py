# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring one app to a state: look, decide, do, look again. What is decided is one word, and says why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..system.errors import ResilienceError, SettingsError
from .family import Member, describe, family_of, living, of_app
from .pm2 import Pm2, daemon_report, find_daemon, one_at_a_time
from .pm2_actions import (
    SETTLE_SECONDS,
    delete_app,
    refuse_strays,
    register_app,
    reload_app,
    restart_app,
    same_settings,
    settled,
    start_app,
    stop_app,
    wake_app,
)
from .pm2_processes import Process, list_processes
from .pm2_saved import is_private, read_saved, save, saved_processes
from .pm2_spec import AppSpec, differences, resolve, spec_of
from .pm2_time_zone import zone_of

STATES = ("present", "started", "stopped", "restarted", "reloaded", "absent")
NOTHING = "nothing"
_AGAIN = {"restarted": "restart", "reloaded": "reload"}
_RUN_AGAIN = {"wake": wake_app, "restart": restart_app, "reload": reload_app}


@dataclass(frozen=True)
class AppRequest:
    """What an app is to be. Times are in seconds."""

    name: str
    state: str
    spec: AppSpec | None = None  # None only for absent
    save: bool = True
    dry_run: bool = False
    settle: float = SETTLE_SECONDS
    lock_timeout: float = 60.0
    job_timeout: float = 60.0
    stop_timeout: float | None = None


@dataclass(frozen=True)
class Decision:
    """What is to be done, why, and whether the app runs afterwards."""

    action: str
    reason: str
    runs: bool


@dataclass(frozen=True)
class Outcome:
    """What was done, or with ``dry_run`` would be."""

    name: str
    decision: Decision
    before: AppSpec | None
    after: AppSpec | None
    was_running: bool
    differences: tuple[str, ...]
    processes: tuple[Process, ...]
    saved: bool  # whether what is saved was changed
    warnings: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was."""
        return self.decision.action != NOTHING or self.saved


def bring(pm2: Pm2, request: AppRequest) -> Outcome:
    """Bring the app to the state asked for. Raises ResilienceError."""
    with one_at_a_time(pm2, request.lock_timeout, request.dry_run):
        found = list_processes(pm2, request.name)
        wanted = _wanted(pm2, request, found)
        if not found:
            refuse_strays(pm2, request.name)
        differing = differences(wanted, spec_of(found)) if wanted and found else []
        decision = decide(request.state, found, differing)
        warnings = _warnings(pm2, wanted, found)
        if not request.dry_run:
            _do(pm2, request, decision, wanted, found)
        return Outcome(
            name=request.name,
            decision=decision,
            before=spec_of(found) if found else None,
            after=wanted,
            was_running=any(process.running for process in found),
            differences=tuple(differing),
            processes=tuple(list_processes(pm2, request.name)),
            saved=request.save and _save(pm2, request, decision, wanted),
            warnings=tuple(warnings),
        )


def _wanted(pm2: Pm2, request: AppRequest, found: Sequence[Process]) -> AppSpec | None:
    if request.state == "absent" or request.spec is None:
        return None
    spec = same_settings(request.spec, found) if found else request.spec
    wanted = resolve(pm2, spec)
    if wanted.is_job and request.state == "started":
        raise SettingsError(
            f"{wanted.name} is a job (cron_restart, without autorestart): it would run now, and again with every play",
            stage="settings",
            remedy="state: present has it run at its hours. state: restarted runs it now.",
        )
    return wanted


def decide(state: str, found: Sequence[Process], differing: Sequence[str]) -> Decision:
    """What to do with an app that PM2 has as ``found``."""
    running = any(process.running for process in found)
    if state == "absent":
        return Decision("delete", "PM2 has it", False) if found else Decision(NOTHING, "PM2 does not have it", False)
    if not found:
        run = state not in ("present", "stopped")
        return Decision("start" if run else "register", "PM2 does not have it", run)
    if differing:
        # A job that runs is not ended for its settings: it is replaced once it has ended, and then does not run.
        service_runs = running and not any(process.is_job for process in found)
        run = {"present": service_runs, "stopped": False}.get(state, True)
        return Decision(
            "replace" if run else "replace without running it", "it differs in {}".format(", ".join(differing)), run
        )
    if state == "stopped" and running:
        return Decision("stop", "it runs", False)
    asleep = [process for process in found if not process.running]
    if state == "started" and asleep:
        return Decision("wake", "{} of {} do not run".format(len(asleep), len(found)), True)
    if state in _AGAIN:
        return Decision(_AGAIN[state], "asked for", True)
    return Decision(NOTHING, "it is as asked for", running)


def _do(pm2: Pm2, request: AppRequest, decision: Decision, wanted: AppSpec | None, found: Sequence[Process]) -> None:
    action, name, settle = decision.action, request.name, request.settle
    if wanted is None:
        if found:
            delete_app(pm2, name, request.stop_timeout)
    elif action == "register":
        register_app(pm2, wanted)
    elif action == "start":
        start_app(pm2, wanted, settle)
    elif action == "stop":
        stop_app(pm2, name, request.stop_timeout)
    elif action in _RUN_AGAIN:
        _RUN_AGAIN[action](pm2, name, settle)
    elif action != NOTHING:
        _replace(pm2, request, wanted, found, decision.runs)
    elif request.state == "started":
        # It may be one that crashes and is started again, over and over.
        youngest = min(process.uptime_seconds or 0.0 for process in found)
        settled(pm2, name, settle - youngest)


def _replace(pm2: Pm2, request: AppRequest, wanted: AppSpec, found: Sequence[Process], run: bool) -> None:
    """Delete the app and enter it anew: neither a restart nor ``--update-env`` drops a variable that is no longer set.

    If it does not come up as wanted, it is put back as it was.
    """
    strays = _strays(pm2, found)
    if strays:
        raise ResilienceError(
            f"{_more_runs(request.name, strays)}. They would live on beside the new one, so nothing was touched",
            stage="stop",
            remedy="End these processes, then run again.",
        )
    if request.state == "present":
        _wait_for_job(pm2, request.name, request.job_timeout)
    delete_app(pm2, request.name, request.stop_timeout)
    try:
        if run:
            start_app(pm2, wanted, request.settle)
        else:
            register_app(pm2, wanted)
    except ResilienceError as error:
        error.message += _put_back(pm2, request, found)
        raise


def _strays(pm2: Pm2, found: Sequence[Process]) -> list[Member]:
    """Processes of the app that are none of those that PM2 has, nor descend from them."""
    if not found:
        return []
    return living(of_app(pm2.home, found[0].name) - family_of(process.pid for process in found if process.pid))


def _more_runs(name: str, strays: Sequence[Member]) -> str:
    return (
        f"Of {name} there runs more than PM2 has: {describe(strays)}. It was left behind by a daemon that was killed, or "
        "has detached itself"
    )


def _put_back(pm2: Pm2, request: AppRequest, found: Sequence[Process]) -> str:
    """Put the app back as it was; returns in words what came of it."""
    previous = spec_of(found)
    running = any(process.running for process in found) and not previous.is_job
    try:
        if list_processes(pm2, request.name):
            delete_app(pm2, request.name, request.stop_timeout)
        if running:
            start_app(pm2, previous, settle=0)
        else:
            register_app(pm2, previous)
    except ResilienceError as error:
        return f". It could not be put back as it was either: {error.message}"
    return ". It {} as it was before".format("runs again" if running else "is registered again")


def _wait_for_job(pm2: Pm2, name: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while any(process.is_job and process.running for process in list_processes(pm2, name)):
        if time.monotonic() >= deadline:
            raise ResilienceError(
                f"The job {name} is running, and is not ended for the sake of its settings; waited {timeout:g} s",
                stage="wait",
                remedy="Run again once it has ended, or raise job_timeout. state: restarted ends it and runs it anew.",
            )
        time.sleep(0.1)


def _save(pm2: Pm2, request: AppRequest, decision: Decision, wanted: AppSpec | None) -> bool:
    """Save the app, or with ``dry_run`` tell whether that would change what is saved."""
    if not request.dry_run:
        return save(pm2, [request.name])
    saved = saved_processes(pm2, request.name)
    if wanted is None:
        return bool(saved)
    at_boot = decision.runs and not wanted.is_job
    return (
        not saved
        or bool(differences(wanted, spec_of(saved)))
        or any(process.running != at_boot for process in saved)
        or not is_private(pm2)
    )


def _warnings(pm2: Pm2, wanted: AppSpec | None, found: Sequence[Process]) -> list[str]:
    warnings = []
    strays = _strays(pm2, found)
    if strays:
        warnings.append(_more_runs(found[0].name, strays))
    daemon = find_daemon(pm2)
    if wanted is not None and wanted.cron_restart:
        zone = zone_of(daemon_report(pm2)["env"].get("TZ") if daemon else None)
        if not zone.utc:
            warnings.append(
                f'The schedule "{wanted.cron_restart}" of {wanted.name} follows the time zone of PM2\'s daemon, which is '
                f"{zone.name} and not UTC"
            )
    others = {entry["name"] for entry in read_saved(pm2) or [] if wanted is None or entry["name"] != wanted.name}
    if daemon is None and wanted is not None and others:
        warnings.append(
            "PM2 did not run, and its saved list has other apps, which do not run either: {}. "
            "Bring them back with pm2 resurrect".format(", ".join(sorted(others)))
        )
    return warnings
