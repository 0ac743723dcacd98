# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that PM2 gives a meaning: its settings, and what it adds to an environment."""

from __future__ import annotations

from typing import Any

UNUSABLE_APP_NAMES = frozenset({"", "all", "-"})

# Settings without an option of ours, with what PM2 chooses for them (None: nothing).
OTHER_SETTINGS: dict[str, Any] = {
    "autostart": True,
    "vizion": True,
    "pmx": True,
    "automation": True,
    "treekill": True,
    "windowsHide": True,
    "kill_retry_time": 100,
    "instance_var": "NODE_APP_INSTANCE",
    **dict.fromkeys(
        (
            "deep_monitoring",
            "disable_logs",
            "disable_source_map_support",
            "disable_trace",
            "event_loop_inspector",
            "exp_backoff_restart_delay",
            "filter_env",
            "gid",
            "ignore_watch",
            "increment_var",
            "log_date_format",
            "log_type",
            "max_restarts",
            "min_uptime",
            "port",
            "post_update",
            "restart_delay",
            "shutdown_with_message",
            "source_map_support",
            "stop_exit_codes",
            "trace",
            "uid",
            "v8",
            "watch",
            "watch_delay",
            "watch_options",
        )
    ),
}

# What PM2's command line, and its daemon, add to the environment of an app.
OWN_VARIABLES = frozenset(
    {
        "PM2_USAGE",
        "PM2_DISCRETE_MODE",
        "PM2_INTERACTOR_PROCESSING",
        "PM2_JSON_PROCESSING",
        "PM2_PROGRAMMATIC",
        "PM2_SILENT",
        "PM2_STATUS",
        "unique_id",
        "vizion_running",
    }
)

# PM2 copies the environment of an app over its settings: a variable of such a name would be one.
RESERVED_NAMES = (
    OWN_VARIABLES
    | frozenset(OTHER_SETTINGS)
    | frozenset(
        {
            "NODE_APP_INSTANCE",
            "args",
            "autorestart",
            "axm_actions",
            "axm_dynamic",
            "axm_monitor",
            "axm_options",
            "created_at",
            "cron_restart",
            "current_conf",
            "cwd",
            "env",
            "exec_interpreter",
            "exec_mode",
            "exit_code",
            "instances",
            "io",
            "kill_timeout",
            "km_link",
            "listen_timeout",
            "max_memory_restart",
            "merge_logs",
            "name",
            "namespace",
            "node_args",
            "node_version",
            "pm_cwd",
            "pm_err_log_path",
            "pm_exec_path",
            "pm_id",
            "pm_log_path",
            "pm_out_log_path",
            "pm_pid_path",
            "pm_uptime",
            "pmx_module",
            "prev_restart_delay",
            "restart_task",
            "restart_time",
            "status",
            "time",
            "unstable_restarts",
            "username",
            "version",
            "versioning",
            "wait_ready",
        }
    )
)
