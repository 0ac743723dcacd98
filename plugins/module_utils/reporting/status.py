# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status file of a job: when each source last went well, when it last failed, and why.

PM2 never reports a failed job, and a message may be lost; this file stays. It is the one truth from which
the Prometheus file is made.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from ..system.errors import ResilienceError
from ..system.files import explain_os_error, private_directory, write_private
from ..system.lock import exclusive_lock
from . import metrics
from .report import LEVELS, MEASUREMENT_NAME, Report, timestamp, utc_now

STATUS_VERSION = 1
# Another writer holds the lock for a few milliseconds; this is for a host that swaps.
LOCK_SECONDS = 5.0


class DamagedStatusError(ResilienceError):
    """A status file that cannot be understood."""


@dataclasses.dataclass(frozen=True)
class SubjectStatus:
    """One source's standing: its last run, its last success and its last failure with the reason.

    Times are as in reports. ``measurements`` are those of the last run that had any. After a success
    ``last_failure`` and ``reason`` stay as history; ``consecutive_failures`` tells whether they still stand.
    """

    level: str
    title: str
    at: str
    duration_seconds: float | None = None
    last_success: str | None = None
    last_failure: str | None = None
    reason: str | None = None
    consecutive_failures: int = 0
    measurements: Mapping[str, float] = dataclasses.field(default_factory=dict)


def record(state_directory: str, *reports: Report) -> tuple[str, ...]:
    """Enter the reports into ``<state_directory>/status/<job>.json`` and ``metrics/<job>.prom``.

    A report that is entered already changes nothing, so a job and whoever passes its report on may both do it.
    Returns warnings (an earlier file was damaged and has been set aside). Raises ResilienceError when the
    files cannot be written.
    """
    warnings: list[str] = []
    directories = [os.path.join(state_directory, name) for name in ("status", "metrics")]
    for directory in directories:
        private_directory(directory)
    for job in sorted({report.job for report in reports}):
        path = status_path(state_directory, job)
        with exclusive_lock(os.path.join(directories[0], ".%s.lock" % job), LOCK_SECONDS):
            subjects, warning = _read_or_set_aside(path)
            warnings.extend(filter(None, (warning,)))
            for report in reports:
                if report.job == job:
                    subjects[report.subject] = merge(subjects.get(report.subject), report)
            write_private(path, _serialize(job, subjects))
            write_private(metrics_path(state_directory, job), metrics.render(job, subjects))
    return tuple(warnings)


def read(state_directory: str, job: str) -> dict[str, SubjectStatus]:
    """The standing of each source; empty before the first report.

    Raises DamagedStatusError for a file that cannot be understood, another ResilienceError for one that
    cannot be read.
    """
    return _read(status_path(state_directory, job))


def status_path(state_directory: str, job: str) -> str:
    """The status file of a job."""
    return os.path.join(state_directory, "status", job + ".json")


def metrics_path(state_directory: str, job: str) -> str:
    """The Prometheus textfile of a job."""
    return os.path.join(state_directory, "metrics", job + ".prom")


def merge(earlier: SubjectStatus | None, report: Report) -> SubjectStatus:
    """The standing after this report; unchanged by one that is entered already.

    One that is older than the last run only fills in what it knows.
    """
    before = earlier or SubjectStatus(level=report.level, title=report.title, at=report.at)
    # The title does not count: whoever passes a report on may have taken a secret out of it.
    if earlier is not None and (report.level, report.at) == (earlier.level, earlier.at):
        return earlier
    if earlier is not None and report.at < earlier.at:
        return dataclasses.replace(
            earlier,
            last_success=earlier.last_success if report.failed else _latest(earlier.last_success, report.at),
            last_failure=_latest(earlier.last_failure, report.at) if report.failed else earlier.last_failure,
            reason=earlier.reason or (report.title if report.failed else None),
        )
    return SubjectStatus(
        level=report.level,
        title=report.title,
        at=report.at,
        duration_seconds=report.duration,
        last_success=before.last_success if report.failed else report.at,
        last_failure=report.at if report.failed else before.last_failure,
        reason=report.title if report.failed else before.reason,
        consecutive_failures=before.consecutive_failures + 1 if report.failed else 0,
        measurements=dict(report.measurements or before.measurements),
    )


def _latest(one: str | None, other: str) -> str:
    return max(one or other, other)


def _serialize(job: str, subjects: Mapping[str, SubjectStatus]) -> bytes:
    document = {
        "status_version": STATUS_VERSION,
        "job": job,
        "updated": utc_now(),
        "subjects": {name: dataclasses.asdict(subjects[name]) for name in sorted(subjects)},
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "replace")


def _read_or_set_aside(path: str) -> tuple[dict[str, SubjectStatus], str | None]:
    try:
        return _read(path), None
    except DamagedStatusError as error:
        aside = "%s.corrupt-%s" % (path, re.sub(r"[:-]", "", utc_now()))
        try:
            os.replace(path, aside)
        except OSError as move_error:
            raise explain_os_error(move_error, path, "set aside") from move_error
        return {}, "%s; it is kept as %s, and a new one has been started" % (error.message, aside)


def _read(path: str) -> dict[str, SubjectStatus]:
    try:
        with open(path, "rb") as stream:
            raw = stream.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise explain_os_error(error, path, "read") from error
    try:
        return _parse(json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedStatusError(
            "The status file %s is damaged (%s)" % (path, type(error).__name__),
            stage="report",
            remedy="Move it away: the next run starts a new one.",
        ) from error


def _refuse_constant(name: str) -> None:
    raise ValueError("%s is no number of JSON" % name)


def _parse(document: Any) -> dict[str, SubjectStatus]:
    if document["status_version"] != STATUS_VERSION:
        raise ValueError("another version of the format")
    return {str(name): _parse_subject(entry) for name, entry in document["subjects"].items()}


def _parse_subject(entry: Any) -> SubjectStatus:
    # The constructor refuses unknown and missing keys with a TypeError; the types are looked at here.
    status = SubjectStatus(**entry)
    if status.level not in LEVELS or not isinstance(status.title, str):
        raise ValueError("no level or title")
    timestamp(status.at)
    for moment in (status.last_success, status.last_failure):
        if moment is not None:
            timestamp(moment)
    if not isinstance(status.reason, (str, type(None))):
        raise ValueError("the reason is no text")
    if not all(MEASUREMENT_NAME.match(key) for key in status.measurements):
        raise ValueError("a measurement has no proper name")
    numbers: tuple[Any, ...] = (
        status.consecutive_failures,
        status.duration_seconds or 0,
        *status.measurements.values(),
    )
    # JSON's true is no number, though Python's is one.
    if not all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers):
        raise ValueError("something that is counted or measured is no number")
    return status
