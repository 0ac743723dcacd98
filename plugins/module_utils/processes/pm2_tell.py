# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An app as a person or a playbook is shown it: every setting, and of its environment the names only."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from .pm2_app import NOTHING, Outcome
from .pm2_processes import Process
from .pm2_spec import AppSpec

HIDDEN = "********"


def app_dict(spec: AppSpec) -> dict[str, Any]:
    """The settings of an app, with the names of its variables in the place of the environment."""
    shown = dataclasses.asdict(spec)
    shown["env"] = sorted(spec.env)
    return shown


def process_dict(process: Process) -> dict[str, Any]:
    """One process of it, as it is at this moment."""
    return {
        "pm_id": process.pm_id,
        "pid": process.pid or None,
        "status": process.status,
        "restarts": process.restarts,
        "uptime_seconds": None if process.uptime_seconds is None else round(process.uptime_seconds, 1),
        "exit_code": process.exit_code,
        "out_log": process.out_log,
        "err_log": process.err_log,
    }


def outcome_dict(outcome: Outcome) -> dict[str, Any]:
    """What was done, as the module returns it."""
    action, reason, name = outcome.decision.action, outcome.decision.reason, outcome.name
    answer: dict[str, Any] = {
        "changed": outcome.changed,
        "action": action,
        "msg": f"{name}: {reason}" if action == NOTHING else f"{name}: {action} ({reason})",
        "differences": list(outcome.differences),
        "processes": [process_dict(process) for process in outcome.processes],
        "saved": outcome.saved,
    }
    if outcome.after is not None:
        answer["app"] = app_dict(outcome.after)
    return answer


def outcome_diff(outcome: Outcome) -> dict[str, Any]:
    """What changes, setting by setting; of a variable only that it does."""
    before, after = outcome.before, outcome.after
    only = None if before is None or after is None else outcome.differences
    return {
        "before": _side(before, outcome.was_running, only, {}),
        "after": _side(after, outcome.decision.runs, only, _changed_variables(before, after)),
    }


def _side(
    spec: AppSpec | None, running: bool, only: Collection[str] | None, marks: Mapping[str, str]
) -> dict[str, Any]:
    if spec is None:
        return {}
    settings = dataclasses.asdict(spec)
    settings["env"] = {name: HIDDEN + marks.get(name, "") for name in sorted(spec.env)}
    shown = {name: value for name, value in settings.items() if only is None or name in only}
    return {"name": spec.name, "running": running, **shown}


def _changed_variables(before: AppSpec | None, after: AppSpec | None) -> dict[str, str]:
    if before is None or after is None:
        return {}
    return {name: " (changed)" for name, value in after.env.items() if name in before.env and before.env[name] != value}
