# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All that can be told of one PM2, without starting it and without a single value of an environment."""

from __future__ import annotations

from typing import Any

from .pm2 import Pm2, daemon_report, find_daemon
from .pm2_processes import Process, list_processes
from .pm2_saved import is_private, read_saved, saved_processes
from .pm2_spec import differences, spec_of
from .pm2_tell import app_dict, process_dict
from .pm2_time_zone import zone_of


def survey(pm2: Pm2, name: str | None = None) -> dict[str, Any]:
    """Apps, what is saved of them, and the daemon, as the module returns them."""
    processes = list_processes(pm2, name)
    names = sorted({process.name for process in processes})
    saved = {str(entry["name"]) for entry in read_saved(pm2) or []}
    return {
        "apps": [_app(pm2, [process for process in processes if process.name == app]) for app in names],
        "only_saved": sorted(app for app in saved - set(names) if name in (None, app)),
        "saved_private": is_private(pm2),
        "daemon": _daemon(pm2),
        "pm2_home": pm2.home,
        "program": pm2.program,
        "path": pm2.path,
    }


def _app(pm2: Pm2, processes: list[Process]) -> dict[str, Any]:
    spec = spec_of(processes)
    return {
        "app": app_dict(spec),
        "job": spec.is_job,
        "running": any(process.running for process in processes),
        "processes": [process_dict(process) for process in processes],
        "saved": _saved(pm2, processes),
    }


def _saved(pm2: Pm2, processes: list[Process]) -> dict[str, Any] | None:
    saved = saved_processes(pm2, processes[0].name)
    if not saved:
        return None
    return {
        "runs_at_boot": any(process.running for process in saved),
        "differences": differences(spec_of(processes), spec_of(saved)),
    }


def _daemon(pm2: Pm2) -> dict[str, Any] | None:
    peer = find_daemon(pm2)
    if peer is None:
        return None
    report = daemon_report(pm2)
    zone = zone_of(report["env"].get("TZ"))
    return {
        "pid": peer.pid,
        "pm2_version": report.get("pm2_version"),
        "node_version": report.get("node_version"),
        "time_zone": zone.name,
        "utc": zone.utc,
    }
