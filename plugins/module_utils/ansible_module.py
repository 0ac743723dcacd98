# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The seam between Ansible and the core: shared options, and errors told in Ansible's way.

The only file of module_utils that knows of Ansible.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any, Callable

from .postgres.settings import LIBPQ_VARIABLES, ConnectionSettings, resolve
from .reporting import status
from .reporting.report import Report
from .system.errors import ResilienceError, SettingsError

SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


def connection_options() -> dict[str, dict[str, Any]]:
    """Options of every module that connects; named as in community.postgresql."""
    return {
        "database": {"type": "str", "aliases": ["login_db", "db"]},
        "login_host": {"type": "str"},
        "login_port": {"type": "int"},
        "login_user": {"type": "str"},
        "login_password": {"type": "str", "no_log": True},
        "login_unix_socket": {"type": "path"},
        "ssl_mode": {"type": "str", "choices": SSL_MODES},
        "ca_cert": {"type": "path", "aliases": ["ssl_rootcert"]},
        "ssl_cert": {"type": "path"},
        "ssl_key": {"type": "path"},
        "connect_params": {"type": "dict", "default": {}},
        "env_file": {"type": "path"},
        "client_directory": {"type": "path"},
    }


def retention_options() -> dict[str, dict[str, Any]]:
    """How many periods each tier keeps; the defaults are those of backup/retain.py."""
    return {
        "keep_hourly": {"type": "int", "default": 24},
        "keep_daily": {"type": "int", "default": 7},
        "keep_weekly": {"type": "int", "default": 0},
        "keep_monthly": {"type": "int", "default": 4},
    }


def session_options() -> dict[str, dict[str, Any]]:
    """Where the sessions stand in the database; what the layout may hold is said by sessions/layout.py."""
    return {"source": {"type": "str"}, "layout": {"type": "dict", "default": {}}}


def state_options() -> dict[str, dict[str, Any]]:
    """Where a job keeps its status and metrics."""
    return {"state_directory": {"type": "path"}}


def keep_from(parameters: Mapping[str, Any]) -> dict[str, int]:
    """Periods kept by tier. Raises SettingsError for a negative number."""
    keep = {tier: parameters[f"keep_{tier}"] for tier in ("hourly", "daily", "weekly", "monthly")}
    for tier, number in keep.items():
        if number < 0:
            raise SettingsError(
                "keep_%s is %d" % (tier, number),
                stage="settings",
                remedy="Give the number of periods to keep, 0 for none.",
            )
    return keep


def connection_settings(module: Any, given: Mapping[str, Any] | None = None) -> ConnectionSettings:
    """The connection a module was asked for, by its own options or by those in ``given``. Raises SettingsError.

    A password that comes from a file or the environment is made known to Ansible as a secret too.
    """
    given = module.params if given is None else given
    if given["login_host"] and given["login_unix_socket"]:
        raise SettingsError(
            "Both login_host and login_unix_socket are given", stage="settings", remedy="Leave one of them out."
        )
    options = {
        "dbname": given["database"],
        "host": given["login_unix_socket"] or given["login_host"],
        "port": None if given["login_port"] is None else str(given["login_port"]),
        "user": given["login_user"],
        "password": given["login_password"],
        "sslmode": given["ssl_mode"],
        "sslrootcert": given["ca_cert"],
        "sslcert": given.get("ssl_cert"),
        "sslkey": given.get("ssl_key"),
    }
    for name, value in given.get("connect_params", {}).items():
        if "password" in name:
            # Refused just below, and not to be shown with the arguments.
            module.no_log_values.add(str(value))
        if name not in LIBPQ_VARIABLES or options.get(name) is not None:
            raise SettingsError(
                "connect_params holds {}, which {}".format(
                    name, "is given by its own option too" if name in LIBPQ_VARIABLES else "cannot be passed on"
                ),
                stage="settings",
                remedy="Allowed are: {}.".format(", ".join(sorted(LIBPQ_VARIABLES))),
            )
        options[name] = str(value)
    settings = resolve(options, given["env_file"])
    if settings.password:
        module.no_log_values.add(settings.password)
    return settings


def default_state_directory() -> str:
    """``/var/lib/baileys-resilience`` for root, else below ``$XDG_STATE_HOME`` (``~/.local/state``)."""
    if os.geteuid() == 0:
        return "/var/lib/baileys-resilience"
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "baileys-resilience")


def run_module(
    module: Any,
    work: Callable[[], dict[str, Any]],
    failed: Callable[[ResilienceError, float], Report] | None = None,
) -> None:
    """Run ``work`` and leave by ``exit_json`` with what it returns, or by ``fail_json`` with what it raises.

    ``failed`` makes the report of a job that raised. A report is also kept as the job's status and metrics;
    failing to keep it is a warning, never a failure of the job.
    """
    started = time.monotonic()
    try:
        result = work()
    except ResilienceError as error:
        failure = failure_result(error)
        if failed is not None:
            failure["report"] = keep_report(module, failed(error, time.monotonic() - started))
        module.fail_json(**failure)
        return
    report = result.get("report")
    if isinstance(report, Report):
        result["report"] = keep_report(module, report)
    for warning in result.pop("warnings_", ()):
        module.warn(warning)
    module.exit_json(**result)


@contextlib.contextmanager
def ending_cleanly() -> Iterator[None]:
    """Let whoever asks this process to end (SIGTERM, SIGHUP) wait until what it made is removed.

    It then ends by that very signal, as it would have done at once.
    """
    asked: list[int] = []

    def leave(number: int, _frame: Any) -> None:
        asked.append(number)
        raise SystemExit(128 + number)

    previous = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if asked:
            os.kill(os.getpid(), asked[0])


def keep_report(module: Any, report: Report) -> dict[str, Any]:
    """Keep the report as the job's status unless this is check mode; returns it as plain data."""
    if not module.check_mode:
        try:
            directory = module.params.get("state_directory") or default_state_directory()
            for warning in status.record(directory, report):
                module.warn(warning)
        except ResilienceError as error:
            module.warn(f"The status of this run could not be kept: {error.message}")
    return report.to_dict()


def failure_result(error: ResilienceError) -> dict[str, Any]:
    """An error of the core as arguments of ``fail_json``."""
    result: dict[str, Any] = {"msg": "{}. {}".format(error.message.rstrip("."), error.remedy or "")}
    result["msg"] = result["msg"].strip()
    for name in ("stage", "remedy", "cmd", "rc", "stderr"):
        value = getattr(error, name)
        if value is not None:
            result[name] = value
    return result
