# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service as PM2 runs it: stopped and proven gone, started, watched until it is connected."""

from __future__ import annotations

from ..processes.pm2 import Pm2
from ..processes.pm2_actions import delete_app, start_app, stop_app
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


def stop(pm2: Pm2, service: Service) -> None:
    """Stop the app and see that all its processes are gone. One that PM2 does not have is stopped already."""
    if list_processes(pm2, service.app):
        stop_app(pm2, service.app, service.stop_timeout)


def remove(pm2: Pm2, service: Service) -> None:
    """Stop the app, see that it is gone, and have PM2 forget it."""
    if list_processes(pm2, service.app):
        delete_app(pm2, service.app, service.stop_timeout)


def start(pm2: Pm2, service: Service, spec: AppSpec) -> list[LogFile]:
    """Start the app anew, in the place of whatever has its name; returns its logs from where they ended before."""
    remove(pm2, service)
    before = {path: LogFile.at_end(path) for path in (spec.out_log, spec.err_log, spec.log) if path}
    # How long it stays up is seen while its connection is waited for.
    processes = start_app(pm2, spec, settle=0.0)
    # The log of an instance has a number in its name, which is new at each start.
    paths = {path for process in processes for path in (process.out_log, process.err_log)} | set(before)
    return [before.get(path) or LogFile(path) for path in sorted(paths)]


def wait_until_connected(pm2: Pm2, service: Service, logs: list[LogFile]) -> None:
    """Raises NotConnectedError unless the service connects in time."""
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

    wait_for_connection(logs, signs, service.connected_timeout, trouble)
