# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start, register, stop and delete an app, and look whether it is so afterwards: PM2's own answer does not tell."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence

from ..system.errors import ProgramFailedError, ResilienceError
from ..system.files import explain_os_error
from .family import Member, describe, family_of, living, of_app
from .pm2 import Pm2, acting_as, ask_daemon, ensure_daemon
from .pm2_processes import ONLINE, Process, list_processes
from .pm2_settings import started_settings, stopped_settings
from .pm2_socket import Call
from .pm2_spec import AppSpec, differences, resolve, spec_of

# How long an app must stay up before it counts as started: PM2 says "online" of one that ends at once.
SETTLE_SECONDS = 2.0
# PM2's own, where an app does not say.
KILL_MILLISECONDS = 1600
LISTEN_MILLISECONDS = 3000
POLL_SECONDS = 0.01
# Between the decision to start an app again and its process.
RESTART_SECONDS = 0.1
ATTEMPTS = 5


def start_app(pm2: Pm2, spec: AppSpec, settle: float = SETTLE_SECONDS) -> list[Process]:
    """Start an app that PM2 does not have yet, from an environment that holds only what ``spec`` says.

    Raises ProgramFailedError when it is not up, or does not stay up for ``settle`` seconds.
    """
    wanted = _prepare(pm2, spec)
    patience = (wanted.instances or 1) * _listen_seconds(wanted)
    ask_daemon(pm2, [Call("prepare", started_settings(pm2, wanted))], patience)
    answered = time.time()
    _check_settings(pm2, wanted)
    _check_ready(list_processes(pm2, wanted.name), answered)
    return settled(pm2, wanted.name, settle)


def register_app(pm2: Pm2, spec: AppSpec) -> list[Process]:
    """Enter an app in PM2's list, with its schedule, without running it.

    It is what PM2 does at boot with an app that was saved while it was stopped.
    """
    wanted = _prepare(pm2, spec)
    calls = [Call("prepare", stopped_settings(pm2, wanted, number)) for number in range(wanted.instances or 1)]
    ask_daemon(pm2, calls)
    _check_settings(pm2, wanted)
    return list_processes(pm2, wanted.name)


def _prepare(pm2: Pm2, spec: AppSpec) -> AppSpec:
    """All that is looked at before PM2 is told anything."""
    wanted = resolve(pm2, spec)
    if list_processes(pm2, wanted.name):
        raise ResilienceError(f"PM2 has an app {wanted.name} already", stage="start", remedy="Delete it first.")
    refuse_strays(pm2, wanted.name)
    ensure_daemon(pm2)
    with acting_as(pm2.user):
        for path in (wanted.out_log, wanted.err_log, wanted.log):
            if path:
                _make_directory(os.path.dirname(path))
    return wanted


def refuse_strays(pm2: Pm2, name: str) -> None:
    """Raises ResilienceError when the app runs although PM2 does not have it: a second one beside it does harm."""
    left = living(of_app(pm2.home, name))
    if left:
        raise ResilienceError(
            f"PM2 does not have {name}, and yet it runs: {describe(left)}. A daemon that was killed left it behind",
            stage="start",
            remedy="End these processes, then run again.",
        )


def _make_directory(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise explain_os_error(error, path, "create the directory of the log").at_stage("start") from error


def _check_settings(pm2: Pm2, wanted: AppSpec) -> None:
    """PM2 must have exactly what it was told, the environment included; only names are told, never values."""
    processes = list_processes(pm2, wanted.name)
    wrong = differences(wanted, spec_of(processes)) if processes else ["name"]
    if wrong:
        raise ProgramFailedError(
            "PM2 took {} of {} for something else".format(", ".join(wrong), wanted.name),
            stage="start",
            remedy="See pm2 env, and report it with the version of PM2: this is known to work with 7.0.4.",
        )


def _check_ready(processes: Sequence[Process], answered: float) -> None:
    """PM2 says "online" too of an app that never said it is ready; how long PM2 waited for it tells.

    It starts one after the other, and answers after the last, at the time ``answered``.
    """
    starts = [process.raw["pm_uptime"] / 1000 for process in processes]
    for process, start, end in zip(processes, starts, [*starts[1:], answered]):
        patience = _listen_seconds(spec_of([process]))
        if process.raw.get("wait_ready") and end - start >= patience:
            raise ProgramFailedError(
                f"{process.name} did not say that it is ready within {patience:g} s, though PM2 has it as online",
                stage="start",
                remedy=f"See {process.err_log}, or raise listen_timeout.",
            )


def settled(pm2: Pm2, name: str, seconds: float) -> list[Process]:
    """The app's processes after they stayed up for that long; a job may also have ended well.

    Raises ProgramFailedError at the first sign of one that does not stay up.
    """
    deadline = time.monotonic() + seconds
    first = {process.pm_id: process.restarts for process in list_processes(pm2, name)}
    while True:
        processes = list_processes(pm2, name)
        for process in processes:
            _check_up(process, first.get(process.pm_id, 0))
        if time.monotonic() >= deadline or all(process.is_job and not process.running for process in processes):
            return processes
        time.sleep(min(0.1, max(POLL_SECONDS, deadline - time.monotonic())))


def _check_up(process: Process, restarts: int) -> None:
    if process.status == ONLINE and process.restarts <= restarts:
        return
    if process.is_job and not process.running and not process.exit_code:
        return
    again = ", was started again %d times" % (process.restarts - restarts) if process.restarts > restarts else ""
    code = "" if process.exit_code is None else f", last exit status {process.exit_code}"
    raise ProgramFailedError(
        f"{process.name} does not stay up: it is {process.status}{again}{code}",
        stage="start",
        remedy=f"See {process.err_log}.",
    )


def stop_app(pm2: Pm2, name: str, timeout: float | None = None) -> list[Process]:
    """Stop an app and prove that nothing of it lives; returns what stands in PM2's list afterwards.

    PM2 sends SIGINT, and SIGKILL after the app's kill_timeout. A schedule stays: at its next tick it runs.
    ``timeout`` is that of the proof, in seconds.
    """
    _end(pm2, _known(pm2, name), "stopProcessId", timeout)
    return list_processes(pm2, name)


def delete_app(pm2: Pm2, name: str, timeout: float | None = None) -> None:
    """Stop an app, take it and its schedule off PM2's list, and prove that nothing of it lives."""
    left = _known(pm2, name)
    for _attempt in range(ATTEMPTS):
        _end(pm2, left, "deleteProcessId", timeout)
        left = list_processes(pm2, name)
        if not left:
            return
        # PM2 was in the middle of starting it again, and has put it back into its list with that.
    raise ProgramFailedError(
        f"{name} is still in PM2's list", stage="stop", remedy=f"See pm2.log in {pm2.home}, then run again."
    )


def _end(pm2: Pm2, processes: Sequence[Process], method: str, timeout: float | None) -> None:
    name = processes[0].name
    family = family_of(process.pid for process in processes if process.pid) | of_app(pm2.home, name)
    kill_seconds = max((process.kill_timeout or KILL_MILLISECONDS) for process in processes) / 1000
    # Twice: once for the app to end by itself, once more for what SIGKILL leaves.
    patience = 2 * kill_seconds
    ask_daemon(pm2, [Call(method, process.pm_id) for process in processes], patience)
    if any(process.pid and process.status != ONLINE for process in processes):
        # It crashes over and over. PM2 may be in the middle of starting it again, which a stop does not hold up.
        time.sleep(RESTART_SECONDS)
        again = [process for process in list_processes(pm2, name) if process.running]
        ask_daemon(pm2, [Call(method, process.pm_id) for process in again], patience)
    prove_stopped(pm2, name, family, kill_seconds + 1 if timeout is None else timeout)


def prove_stopped(pm2: Pm2, name: str, family: frozenset[Member], timeout: float) -> None:
    """Every process noted in ``family`` before the stop, and every other of the app, is gone.

    Raises ProgramFailedError naming those that live after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        left = living(family | of_app(pm2.home, name))
        running = [process for process in list_processes(pm2, name) if process.running]
        if not left and not running:
            return
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_SECONDS)
    if left:
        raise ProgramFailedError(
            f"{name} was stopped, but lives on: {describe(left)}; waited {timeout:g} s",
            stage="stop",
            remedy="End these processes, then run again. PM2 finds an app's children with ps (package procps).",
        )
    raise ProgramFailedError(
        f"PM2 still has {name} as {running[0].status}; waited {timeout:g} s",
        stage="stop",
        remedy="See whether something else starts it: a schedule, another PM2 command.",
    )


def restart_app(pm2: Pm2, name: str, settle: float = SETTLE_SECONDS) -> list[Process]:
    """End an app and start it with the settings that PM2 has; one that is only registered is started."""
    return _again(pm2, name, "restartProcessId", settle)


def reload_app(pm2: Pm2, name: str, settle: float = SETTLE_SECONDS) -> list[Process]:
    """Replace the instances of a cluster one after the other; in fork mode it is a restart."""
    return _again(pm2, name, "reloadProcessId", settle)


def wake_app(pm2: Pm2, name: str, settle: float = SETTLE_SECONDS) -> list[Process]:
    """Start those processes of an app that do not run, and leave the others alone."""
    return _again(pm2, name, "restartProcessId", settle, only_asleep=True)


def _again(pm2: Pm2, name: str, method: str, settle: float, only_asleep: bool = False) -> list[Process]:
    for process in _known(pm2, name):
        if only_asleep and process.running:
            continue
        spec = spec_of([process])
        kill_seconds = (process.kill_timeout or KILL_MILLISECONDS) / 1000
        patience = 2 * kill_seconds + _listen_seconds(spec)
        ask_daemon(pm2, [Call(method, {"id": process.pm_id, "env": {}})], patience)
        answered = time.time()
        _check_ready([again for again in list_processes(pm2, name) if again.pm_id == process.pm_id], answered)
    return settled(pm2, name, settle)


def _known(pm2: Pm2, name: str) -> list[Process]:
    processes = list_processes(pm2, name)
    if not processes:
        raise ResilienceError(
            f"PM2 in {pm2.home} has no app {name}", stage="pm2", remedy="See pm2 list, as the user that PM2 runs as."
        )
    return processes


def _listen_seconds(spec: AppSpec) -> float:
    return (spec.listen_timeout or LISTEN_MILLISECONDS) / 1000


def same_settings(spec: AppSpec, processes: Sequence[Process]) -> AppSpec:
    """The app with those settings of PM2 that it says nothing about left as they are now.

    Except one: with autostart off nothing ever runs it, its schedule included.
    """
    kept = {name: value for name, value in spec_of(processes).other_settings.items() if name != "autostart"}
    return dataclasses.replace(spec, other_settings={**kept, **spec.other_settings})
