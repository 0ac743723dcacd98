# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs under PM2 at this moment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .pm2 import Pm2, ask_daemon
from .pm2_socket import Call, NotRunningError

ONLINE = "online"
STOPPED = "stopped"
# A process that PM2 runs, or is about to run again.
RUNNING = (ONLINE, "launching", "waiting restart")


@dataclass(frozen=True)
class Process:
    """One process of an app; an app of two instances has two. Durations of settings are in milliseconds, as PM2's."""

    name: str
    namespace: str
    pm_id: int
    pid: int  # 0: none
    status: str
    restarts: int
    uptime_seconds: float | None  # None: it does not run
    exit_code: int | None  # of its last end
    script: str
    args: tuple[str, ...]
    cwd: str
    interpreter: str
    exec_mode: str
    instances: int
    cron_restart: str | None
    autorestart: bool
    max_memory_restart: int | None
    kill_timeout: int | None
    out_log: str
    err_log: str
    merge_logs: bool
    env: Mapping[str, str] = field(repr=False)
    # All that PM2 keeps of it (pm2_env), the environment included.
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def running(self) -> bool:
        """Whether PM2 runs it, or is about to."""
        return self.status in RUNNING

    @property
    def is_job(self) -> bool:
        """Whether it runs at its hours and ends, rather than stays."""
        return self.cron_restart is not None and not self.autorestart


def list_processes(pm2: Pm2, name: str | None = None) -> list[Process]:
    """Every process of PM2's list (or of one app) except its own modules; none when there is no daemon."""
    try:
        (listed,) = ask_daemon(pm2, [Call("getMonitorData", {})])
    except NotRunningError:
        return []
    return processes_from([entry["pm2_env"] for entry in listed], [entry.get("pid") for entry in listed], name)


def processes_from(
    environments: Sequence[Mapping[str, Any]], pids: Sequence[int | None], name: str | None = None
) -> list[Process]:
    """Processes from what PM2 keeps of each: from its list, or from the list it saved."""
    named = [entry for entry in environments if not entry.get("pmx_module")]
    counts: dict[str, int] = {}
    for entry in named:
        counts[entry["name"]] = counts.get(entry["name"], 0) + 1
    return [
        _process(entry, pid or 0, counts[entry["name"]])
        for entry, pid in zip(environments, pids)
        if not entry.get("pmx_module") and name in (None, entry["name"])
    ]


def _process(raw: Mapping[str, Any], pid: int, instances: int) -> Process:
    running = raw.get("status") == ONLINE
    started = raw.get("pm_uptime")
    return Process(
        name=str(raw["name"]),
        namespace=str(raw.get("namespace") or "default"),
        pm_id=int(raw.get("pm_id", -1)),
        pid=pid,
        status=str(raw.get("status")),
        restarts=int(raw.get("restart_time") or 0),
        uptime_seconds=max(0.0, time.time() - started / 1000) if running and started else None,
        exit_code=raw.get("exit_code"),
        script=str(raw.get("pm_exec_path")),
        args=_words(raw.get("args")),
        cwd=str(raw.get("pm_cwd")),
        interpreter=str(raw.get("exec_interpreter")),
        exec_mode=str(raw.get("exec_mode")).replace("_mode", ""),
        instances=instances,
        cron_restart=_cron(raw.get("cron_restart")),
        autorestart=raw.get("autorestart") not in (False, "false"),
        max_memory_restart=raw.get("max_memory_restart"),
        kill_timeout=raw.get("kill_timeout"),
        out_log=str(raw.get("pm_out_log_path")),
        err_log=str(raw.get("pm_err_log_path")),
        merge_logs=bool(raw.get("merge_logs")),
        env={str(key): str(value) for key, value in (raw.get("env") or {}).items()},
        raw=raw,
    )


def _words(given: Any) -> tuple[str, ...]:
    if not given:
        return ()
    return (given,) if isinstance(given, str) else tuple(str(word) for word in given)


def _cron(given: Any) -> str | None:
    # PM2 takes a zero for "none".
    return None if given in (None, "", 0, "0") else str(given)
