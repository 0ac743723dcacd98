# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an app is to be, and what it is, in the same words; so that the two can be compared, and either started."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..system.errors import MissingDependencyError, SettingsError
from .pm2 import Pm2
from .pm2_cron import check_cron
from .pm2_names import OTHER_SETTINGS, OWN_VARIABLES, RESERVED_NAMES, UNUSABLE_APP_NAMES
from .pm2_processes import Process

# What PM2's option "time" stands for.
LOG_DATE_FORMAT = "YYYY-MM-DDTHH:mm:ss"
_NUMBER_BEFORE_LOG = re.compile(r"-[0-9]+\.log\Z|\.log\Z")
# Its own settings have names in small letters.
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*\Z")
_INTERPRETERS = {
    ".js": "node",
    ".cjs": "node",
    ".mjs": "node",
    ".py": "python3",
    ".sh": "bash",
    ".rb": "ruby",
    ".php": "php",
    ".pl": "perl",
}


@dataclass(frozen=True)
class AppSpec:
    """All that PM2 is told of an app. None stands for what PM2 would choose; `resolve` puts that in its place.

    Durations are in milliseconds and sizes in bytes, as PM2 has them. ``env`` is secret.
    """

    name: str
    script: str
    args: tuple[str, ...] = ()
    interpreter: str | None = None  # "none": the script is executed as it is
    interpreter_args: tuple[str, ...] = ()
    cwd: str | None = None  # None: the directory of the script
    namespace: str = "default"
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cron_restart: str | None = None
    autorestart: bool = True
    instances: int | None = None  # 0: one for each processor
    exec_mode: str | None = None  # fork or cluster
    max_memory_restart: int | None = None
    kill_timeout: int | None = None
    wait_ready: bool = False
    listen_timeout: int | None = None
    out_log: str | None = None
    err_log: str | None = None
    log: str | None = None  # both in one file, besides
    merge_logs: bool | None = None
    time: bool = False
    # What PM2 has besides, by its own names: kept as it is.
    other_settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_job(self) -> bool:
        """Whether it runs at its hours and ends, rather than stays."""
        return self.cron_restart is not None and not self.autorestart


def spec_from_dict(given: Mapping[str, Any]) -> AppSpec:
    """The app that ``dataclasses.asdict`` wrote down, also after a way through JSON."""
    values = dict(given)
    for name in ("args", "interpreter_args"):
        values[name] = tuple(values[name])
    return AppSpec(**values)


def spec_of(processes: Sequence[Process]) -> AppSpec:
    """The app that these processes of PM2's list are: started again, it is the very same."""
    first = processes[0]
    raw = first.raw
    return AppSpec(
        name=first.name,
        script=first.script,
        args=first.args,
        interpreter=first.interpreter,
        interpreter_args=tuple(raw.get("node_args") or ()),
        cwd=first.cwd,
        namespace=first.namespace,
        env=_variables(first),
        cron_restart=first.cron_restart,
        autorestart=first.autorestart,
        instances=first.instances,
        exec_mode=first.exec_mode,
        max_memory_restart=first.max_memory_restart,
        kill_timeout=first.kill_timeout,
        wait_ready=bool(raw.get("wait_ready")),
        listen_timeout=raw.get("listen_timeout"),
        out_log=log_name(first.out_log, first.merge_logs),
        err_log=log_name(first.err_log, first.merge_logs),
        log=log_name(raw["pm_log_path"], first.merge_logs) if raw.get("pm_log_path") else None,
        merge_logs=first.merge_logs,
        time=raw.get("log_date_format") == LOG_DATE_FORMAT,
        other_settings=_other_settings(raw),
    )


def _other_settings(raw: Mapping[str, Any]) -> dict[str, Any]:
    others = {}
    for name, usual in OTHER_SETTINGS.items():
        value = raw.get(name, usual)
        by_option = name == "log_date_format" and value == LOG_DATE_FORMAT
        # PM2 puts in `watch: false` by itself when it stops an app: false is no other than nothing.
        if value != usual and (value or usual) and not by_option:
            others[name] = value
    return others


def _variables(process: Process) -> dict[str, str]:
    """The variables that the app is started with, those too that PM2 only keeps among its settings.

    There it puts them all, never takes one away, and starts the app with what is there.
    """
    stale = {name: value for name, value in process.raw.items() if _VARIABLE.match(name) and isinstance(value, str)}
    variables = {**stale, **process.env}
    return {name: value for name, value in variables.items() if not _is_own(name, value, process.name)}


def _is_own(name: str, value: str, app: str) -> bool:
    # PM2 puts the configuration of a module named like the app into a variable of that name: always "{}".
    return name in OWN_VARIABLES or (name == app and value == "{}")


def log_name(path: str, merged: bool) -> str:
    """The path without the number that PM2 puts before `.log` when instances do not share a file."""
    return path if merged else _NUMBER_BEFORE_LOG.sub(".log", path)


def numbered_log(path: str, number: int) -> str:
    """The path with such a number, as PM2 makes it; a file that is not called .log gets none, there either."""
    return _NUMBER_BEFORE_LOG.sub("-%d.log" % number, path)


def resolve(pm2: Pm2, spec: AppSpec) -> AppSpec:
    """The same app with everything that PM2 would choose put in its place, and its whole environment.

    Raises SettingsError for what PM2 would take for something else, MissingDependencyError for no interpreter.
    """
    _check_names(spec)
    if spec.cron_restart is not None:
        check_cron(spec.name, spec.cron_restart)
    directory = os.path.abspath(spec.cwd or os.path.dirname(spec.script))
    script = os.path.normpath(os.path.join(directory, spec.script))
    interpreter = spec.interpreter or _INTERPRETERS.get(os.path.splitext(script)[1], "none")
    node = os.path.basename(interpreter) == "node"
    exec_mode = spec.exec_mode or ("cluster" if node and spec.instances is not None else "fork")
    merged = spec.merge_logs if spec.merge_logs is not None else exec_mode == "fork" and not spec.instances
    logs = os.path.join(pm2.home, "logs", file_name(spec.name))
    environment = {**pm2.environment(), **spec.env}
    if "python" in interpreter:
        # As PM2 has it: what a job prints is in its log at once.
        environment.setdefault("PYTHONUNBUFFERED", "1")
    _check_files(spec, script, directory, interpreter, environment["PATH"])
    return dataclasses.replace(
        spec,
        script=script,
        cwd=directory,
        interpreter=interpreter,
        exec_mode=exec_mode,
        instances=_count(spec.instances),
        merge_logs=merged,
        out_log=_log_path(spec.out_log or logs + "-out.log", directory, merged),
        err_log=_log_path(spec.err_log or logs + "-error.log", directory, merged),
        log=_log_path(spec.log, directory, merged) if spec.log else None,
        env=environment,
    )


def _check_names(spec: AppSpec) -> None:
    if spec.name in UNUSABLE_APP_NAMES or spec.name.isdigit():
        raise SettingsError(
            f'"{spec.name}" cannot be the name of an app: PM2 takes it for something else',
            stage="settings",
            remedy="Choose a name with a letter in it, other than all.",
        )
    if not os.path.isabs(spec.cwd or spec.script):
        raise SettingsError(
            f'Where "{spec.cwd or spec.script}" of {spec.name} is cannot be told: its path is not absolute',
            stage="settings",
            remedy="Give the whole path of the cwd, or of the script.",
        )
    wrong = sorted(name for name in spec.env if name in RESERVED_NAMES or not name or "=" in name or "\0" in name)
    if wrong:
        raise SettingsError(
            "PM2 keeps an app's variables and its settings in one place, so it cannot have variables named {}".format(
                ", ".join(wrong)
            ),
            stage="settings",
            remedy="Rename them.",
        )


def _check_files(spec: AppSpec, script: str, directory: str, interpreter: str, path: str) -> None:
    if not os.path.isdir(directory):
        raise SettingsError(f"The cwd {directory} of {spec.name} is not a directory", stage="settings")
    if not os.path.isfile(script):
        raise SettingsError(f"The script {script} of {spec.name} does not exist", stage="settings")
    if interpreter == "none":
        if not os.access(script, os.X_OK):
            raise SettingsError(
                f"{script} is to be executed as it is, but is not executable",
                stage="settings",
                remedy="Set its mode (chmod +x), or name its interpreter.",
            )
    elif shutil.which(interpreter, path=path) is None:
        raise MissingDependencyError(
            f"The interpreter {interpreter} of {spec.name} is not in {path}",
            stage="settings",
            remedy="Install the package that provides it, or give its path.",
        )


def _count(instances: int | None) -> int:
    if instances is None:
        return 1
    processors = os.cpu_count() or 1
    return max(1, instances if instances > 0 else instances + processors)


def _log_path(path: str, directory: str, merged: bool) -> str:
    return log_name(os.path.normpath(os.path.join(directory, path)), merged)


def file_name(name: str) -> str:
    """The app's name as PM2 has it in the names of files."""
    return re.sub(r"[^a-zA-Z0-9\\.-]", "-", name)


def differences(wanted: AppSpec, found: AppSpec) -> list[str]:
    """Names of the settings in which two resolved apps differ."""
    names = [item.name for item in dataclasses.fields(AppSpec)]
    return [name for name in names if getattr(wanted, name) != getattr(found, name)]
