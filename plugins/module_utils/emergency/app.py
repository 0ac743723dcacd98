# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service as PM2 runs it: stopped and proven gone, started, watched until it is connected."""

from __future__ import annotations

import glob
from collections.abc import Iterable

from ..processes.pm2 import Pm2
from ..processes.pm2_actions import delete_app, register_app, start_app
from ..processes.pm2_processes import list_processes
from ..processes.pm2_spec import AppSpec, spec_of
from ..system.errors import ResilienceError
from .connection_log import LogFile, Signs, wait_for_connection
from .request import Service

# A service that PM2 has had to start again so many times while it should connect is not going to.
MOST_RESTARTS = 3


def current(pm2: Pm2, name: str) -> tuple[AppSpec, bool]:
    """How PM2 starts the app today, and whether it runs. Raises ResilienceError for an app that PM2 does not know."""
    processes = list_processes(pm2, name)
    if not processes:
        known = sorted({process.name for process in list_processes(pm2)})
        raise ResilienceError(
            f'PM2 in {pm2.home} has no app "{name}"; it has {", ".join(known) or "none at all"}',
            stage="preflight",
            remedy="Correct `app`, or say whose PM2 it is (pm2_user, pm2_home).",
        )
    return spec_of(processes), any(process.running for process in processes)


def runs_as(pm2: Pm2, spec: AppSpec, settings: Iterable[str]) -> bool | None:
    """Whether what PM2 runs under this name is this app, by its code and these settings; None if nothing runs."""
    processes = [process for process in list_processes(pm2, spec.name) if process.running]
    if not processes:
        return None
    found = spec_of(processes)
    same_settings = all(found.env.get(name) == spec.env.get(name) for name in settings)
    return (found.script, found.cwd) == (spec.script, spec.cwd) and same_settings


def stop(pm2: Pm2, service: Service) -> None:
    """Stop the app, see that all its processes are gone, and have PM2 forget it, with any schedule that starts it.

    One that PM2 does not have is stopped already.
    """
    if list_processes(pm2, service.app):
        delete_app(pm2, service.app, service.stop_timeout)


def start(pm2: Pm2, service: Service, spec: AppSpec) -> list[LogFile]:
    """Start the app anew, in the place of whatever has its name; returns its logs from where they ended before."""
    stop(pm2, service)
    before = {path: LogFile.at_end(path) for name in (spec.out_log, spec.err_log) if name for path in _log_files(name)}
    # How long it stays up is seen while its connection is waited for.
    processes = start_app(pm2, spec, settle=0.0)
    # The log of an instance has a number in its name, which is new at each start.
    paths = {path for process in processes for path in (process.out_log, process.err_log)} | set(before)
    return [before.get(path) or LogFile(path) for path in sorted(paths)]


def register(pm2: Pm2, service: Service, spec: AppSpec) -> None:
    """Enter the app in PM2's list without running it, as one that was stopped before."""
    stop(pm2, service)
    register_app(pm2, spec)


def _log_files(path: str) -> list[str]:
    """A log, and those of single instances, which have a number before the ending that PM2 may use again."""
    base, ending, rest = path.rpartition(".log")
    return [path, *(glob.glob(glob.escape(base) + "-*.log") if ending and not rest else [])]


def wait_until_connected(pm2: Pm2, service: Service, logs: list[LogFile]) -> str | None:
    """Raises NotConnectedError unless the service connects in time; a warning where only some companies do."""
    signs = Signs(service.connected_patterns, service.failed_patterns, service.connections)

    def trouble() -> str | None:
        processes = list_processes(pm2, service.app)
        if not processes:
            return f'PM2 does not run "{service.app}" any more'
        worst = max(processes, key=lambda process: process.restarts)
        if worst.restarts >= MOST_RESTARTS:
            return '"%s" has ended and been started again %d times' % (service.app, worst.restarts)
        down = [process.status for process in processes if not process.running]
        return f'"{service.app}" is {down[0]}' if down else None

    seen = wait_for_connection(logs, signs, service.connected_timeout, trouble)
    if seen < service.connections:
        return f"Only {seen} of {service.connections} connections were seen: read the log of the others"
    return None
