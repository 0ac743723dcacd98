# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What PM2's daemon is told of an app: what its own command line would send, and what it would have saved."""

from __future__ import annotations

import os
import pwd
import time
from typing import Any

from .pm2 import Pm2
from .pm2_names import OTHER_SETTINGS
from .pm2_processes import STOPPED
from .pm2_spec import LOG_DATE_FORMAT, AppSpec, file_name, numbered_log


def started_settings(pm2: Pm2, wanted: AppSpec) -> dict[str, Any]:
    """What PM2's own command line would send for this app."""
    settings: dict[str, Any] = {
        **{name: value for name, value in OTHER_SETTINGS.items() if value is not None},
        **wanted.other_settings,
        "name": wanted.name,
        "namespace": wanted.namespace,
        "args": list(wanted.args),
        "env": dict(wanted.env),
        "pm_exec_path": wanted.script,
        "pm_cwd": wanted.cwd,
        "exec_interpreter": wanted.interpreter,
        "node_args": list(wanted.interpreter_args),
        "exec_mode": f"{wanted.exec_mode}_mode",
        "instances": wanted.instances,
        "autorestart": wanted.autorestart,
        "merge_logs": wanted.merge_logs,
        "pm_out_log_path": wanted.out_log,
        "pm_err_log_path": wanted.err_log,
        "pm_log_path": wanted.log,
        "pm_pid_path": os.path.join(pm2.home, "pids", file_name(wanted.name) + ".pid"),
        "cron_restart": wanted.cron_restart,
        "max_memory_restart": wanted.max_memory_restart,
        "kill_timeout": wanted.kill_timeout,
        "wait_ready": wanted.wait_ready or None,
        "listen_timeout": wanted.listen_timeout,
        "username": pwd.getpwuid(pm2.uid).pw_name,
        "km_link": False,
    }
    if wanted.time:
        settings.update(time=True, log_date_format=LOG_DATE_FORMAT)
    return {name: value for name, value in settings.items() if value is not None}


def stopped_settings(pm2: Pm2, wanted: AppSpec, number: int) -> dict[str, Any]:
    """The same as PM2 would have saved it while stopped; one instance, which PM2 then does not number itself."""
    settings = started_settings(pm2, wanted)
    now = int(time.time() * 1000)
    del settings["instances"]
    settings.update(
        status=STOPPED,
        restart_time=0,
        unstable_restarts=0,
        created_at=now,
        pm_uptime=now,
        axm_actions=[],
        axm_monitor={},
        axm_options={},
        axm_dynamic={},
        vizion_running=False,
    )
    settings[settings["instance_var"]] = number
    settings["pm_pid_path"] = os.path.join(pm2.home, "pids", "%s-%d.pid" % (file_name(wanted.name), number))
    for name in () if wanted.merge_logs else ("pm_out_log_path", "pm_err_log_path", "pm_log_path"):
        if name in settings:
            settings[name] = numbered_log(settings[name], number)
    return settings
