# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules of both ways of an emergency share: their options, and the run of either."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Callable

from .ansible_module import (
    connection_options,
    connection_settings,
    default_state_directory,
    ending_cleanly,
    run_module,
    session_options,
    state_options,
)
from .emergency import tell
from .emergency.ground import Outcome
from .emergency.journal import JOBS
from .emergency.request import FILE_SETTINGS, EmergencyRequest, Service
from .reporting.progress import Progress, watched_progress
from .sessions.layout import layout_from

SERVICE_OPTIONS: dict[str, dict[str, Any]] = {
    "app": {"type": "str", "required": True},
    "checkout": {"type": "path", "required": True},
    "sessions_directory": {"type": "path", "required": True},
    "sessions_variable": {"type": "str"},
    "tag": {"type": "str", "default": "emergency-file-fallback-v1"},
    "release": {"type": "str", "choices": ["worktree", "checkout"], "default": "worktree"},
    "release_directory": {"type": "path"},
    "env_file": {"type": "path"},
    "settings": {"type": "dict", "default": dict(FILE_SETTINGS)},
    "pm2_user": {"type": "str"},
    "pm2_home": {"type": "path"},
    "pm2_program": {"type": "path"},
    "npm_program": {"type": "str", "default": "npm"},
    "npm_timeout": {"type": "float", "default": 300},
    "stop_timeout": {"type": "float", "default": 30},
    "connected_timeout": {"type": "float", "default": 120},
    "connected_patterns": {"type": "list", "elements": "str"},
    "failed_patterns": {"type": "list", "elements": "str"},
    "connections": {"type": "int", "default": 1},
}
COMMON_OPTIONS: dict[str, dict[str, Any]] = {
    **connection_options(),
    **session_options(),
    **state_options(),
    "confirm": {"type": "str"},
    "backup_root": {"type": "path", "default": "/var/backups/postgresql"},
    "lock_timeout": {"type": "float", "default": 0},
    "service": {"type": "dict", "required": True, "options": SERVICE_OPTIONS},
}


def run_emergency(
    module: Any,
    given: Mapping[str, Any],
    direction: str,
    preview: Callable[[EmergencyRequest], Outcome],
    run: Callable[[EmergencyRequest, Progress], Outcome],
) -> None:
    """Run one way, or in check mode only look at it. ``given`` are the options that this way has of its own."""
    options, job = module.params, JOBS[direction]
    source = [options["source"] or options["database"] or "default"]
    asked = [""]

    def work() -> dict[str, Any]:
        started = time.monotonic()
        settings = connection_settings(module)
        source[:] = [options["source"] or settings.parameters.get("dbname", "default")]
        request = EmergencyRequest(
            source=source[0],
            settings=settings,
            layout=layout_from(options["layout"]),
            service=service_from(options["service"]),
            state_directory=options["state_directory"] or default_state_directory(),
            **{name: options[name] for name in ("backup_root", "confirm", "client_directory", "lock_timeout")},
            **given,
        )
        asked[:] = [tell.options(request)]
        if module.check_mode:
            return _answer(module, request, preview(request), direction)
        progress = watched_progress(request.state_directory, job, source[0])
        try:
            with ending_cleanly():
                outcome = run(request, progress)
        finally:
            progress.close()
        answer = _answer(module, request, outcome, direction)
        report = tell.report(request, outcome, direction, time.monotonic() - started)
        if report is not None:
            answer["report"] = report
        return answer

    run_module(module, work, lambda error, took: tell.failure_report(job, source[0], error, took, asked[0]))


def service_from(given: Mapping[str, Any]) -> Service:
    """The service as the core knows it. Raises SettingsError."""
    options = {name: value for name, value in given.items() if value is not None}
    # Templates make numbers and booleans of what a .env only knows as text.
    options["settings"] = {str(name): _as_text(value) for name, value in options["settings"].items()}
    for name in ("connected_patterns", "failed_patterns"):
        if name in options:
            options[name] = tuple(options[name])
    return Service(**options)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _answer(module: Any, request: EmergencyRequest, outcome: Outcome, direction: str) -> dict[str, Any]:
    plan = tell.plan_lines(request, outcome, direction)
    answer = tell.result(request, outcome, direction, plan)
    answer["warnings_"] = outcome.run.warnings if outcome.run else ()
    if module._diff:
        answer["diff"] = {"prepared": "".join(f"{line}\n" for line in plan)}
    return answer
