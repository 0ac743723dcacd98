# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The work of the module ``notify``: gather what jobs said, keep it on the host, tell the team."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..system.errors import ResilienceError, SettingsError
from . import status
from .delivery import deliver, redacted, telegram_messages
from .report import LEVELS, Report, check_job, from_dict, worst_level
from .results import flatten, from_result, has_failed, subject_of
from .settings import DeliverySettings


@dataclasses.dataclass(frozen=True)
class Gathered:
    """The reports to send, and those of them that belong into this host's status file."""

    reports: tuple[Report, ...]
    local: tuple[Report, ...]


def gather(job: str, host: str, data: Sequence[Mapping[str, Any]]) -> Gathered:
    """Reports out of plain data: reports, results that carry one, results that failed without.

    Successful and skipped results without a report are left out. A report that is malformed becomes one that
    says so: the message about a failed backup must not fail over a detail of its own.

    Raises SettingsError for a ``job`` that is no name of one.
    """
    check_job(job)
    found = [(_report_of(job, host, item), bool(item.get("unreachable"))) for item in flatten(data)]
    return Gathered(
        reports=tuple(report for report, _unreachable in found if report is not None),
        # A host that could not be reached did not run the job: this is some other host's disk.
        local=tuple(report for report, unreachable in found if report is not None and not unreachable),
    )


def notify(
    gathered: Gathered, settings: DeliverySettings, state_directory: str | None, check_mode: bool
) -> dict[str, Any]:
    """Record and send, or in check mode only tell what would be sent; returns the result of the module.

    ``state_directory`` None records nothing. Never raises for a channel or the status file: see
    ``delivery_warnings`` of the result.
    """
    reports = redacted(gathered.reports, settings)
    result: dict[str, Any] = {
        "changed": False,
        "level": worst_level(reports),
        "reports": [report.to_dict() for report in reports],
        "messages": [message.plain for message in telegram_messages(reports, settings)],
        "sent": {},
        "delivery_warnings": [],
        "seconds": 0.0,
    }
    if check_mode:
        result["msg"] = "Would report: " + _plan(result, settings)
        return result
    warnings = _record(redacted(gathered.local, settings), state_directory)
    delivery = deliver(reports, settings)
    result["sent"] = dict(delivery.sent)
    result["delivery_warnings"] = [*warnings, *delivery.warnings]
    result["seconds"] = round(delivery.seconds, 3)
    result["msg"] = "Reported: " + _plan(result, settings)
    return result


def _report_of(job: str, host: str, item: Mapping[str, Any]) -> Report | None:
    subject = subject_of(item) or host
    try:
        if isinstance(item.get("report"), Mapping):
            return from_dict(item["report"])
        if has_failed(item):
            return from_result(job, subject, item)
        # What a task registered always has the key `changed`; a report never has.
        return None if "changed" in item or "skipped" in item else from_dict(item)
    except SettingsError as error:
        return Report(
            job=job, subject=subject, level="error", title="a malformed report: " + error.message, remedy=error.remedy
        )


def _record(reports: Sequence[Report], state_directory: str | None) -> tuple[str, ...]:
    if state_directory is None or not reports:
        return ()
    try:
        return status.record(state_directory, *reports)
    except ResilienceError as error:
        return ("The status could not be kept: %s" % error.message,)


def _plan(result: Mapping[str, Any], settings: DeliverySettings) -> str:
    reports = result["reports"]
    counts = [(level, sum(report["level"] == level for report in reports)) for level in reversed(LEVELS)]
    text = ", ".join("%d %s" % (count, level) for level, count in counts if count) or "nothing"
    channels = [name for name in ("telegram", "sentry") if getattr(settings, name) is not None]
    return "%s; channels: %s" % (text, ", ".join(channels) or "none")
