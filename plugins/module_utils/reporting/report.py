# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a job says of one source: the one thing every channel is made from."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ..system.errors import SettingsError
from .redact import redact_text

# From good to bad; those of Sentry.
LEVELS = ("info", "warning", "error", "fatal")
FAILURES = ("error", "fatal")

# A job names a file and a metric.
_JOB = re.compile(r"[a-z][a-z0-9_-]{0,47}\Z")
MEASUREMENT_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)\Z")


def utc_now() -> str:
    """Now, as ``2026-01-31T03:00:00Z``."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclasses.dataclass(frozen=True)
class Report:
    """One job's outcome for one subject (the name of a source).

    ``facts`` are pairs of label and value for people. ``measurements`` are numbers for machines; the end of
    the name is the unit (``_seconds``, ``_bytes``, ``_count``, ``_ratio``, ``_percent``). ``at`` is when the
    job ended, ISO 8601, kept in UTC to the second; ``duration`` is in seconds. Nothing in a report may be a
    secret.

    Raises SettingsError for a value no channel could use.
    """

    job: str
    subject: str
    level: str
    title: str
    facts: tuple[tuple[str, str], ...] = ()
    remedy: str | None = None
    measurements: Mapping[str, float] = dataclasses.field(default_factory=dict)
    at: str = dataclasses.field(default_factory=utc_now)
    duration: float | None = None

    def __post_init__(self) -> None:
        check_job(self.job)
        _require(self.subject, "subject", self.subject, "the name of a source")
        _require(self.level in LEVELS, "level", self.level, "one of " + ", ".join(LEVELS))
        _require(self.title, "title", self.title, "a text")
        object.__setattr__(self, "at", as_utc(self.at))
        for key, number in self.measurements.items():
            _require(MEASUREMENT_NAME.match(key), "measurement", key, "a name as archive_bytes")
            _require(math.isfinite(number), key, number, "a finite number")
        if self.duration is not None:
            _require(math.isfinite(self.duration) and self.duration >= 0, "duration", self.duration, "seconds")

    @property
    def failed(self) -> bool:
        """Whether the job failed; a warning is a success."""
        return self.level in FAILURES

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a module's result; ``from_dict`` reads it back."""
        return {
            "job": self.job,
            "subject": self.subject,
            "level": self.level,
            "title": self.title,
            "facts": [{"label": label, "value": value} for label, value in self.facts],
            "remedy": self.remedy,
            "measurements": dict(self.measurements),
            "at": self.at,
            "duration": self.duration,
        }


def from_dict(data: Mapping[str, Any]) -> Report:
    """The report ``to_dict`` wrote, or one written by hand, for which the first four keys are enough.

    Numbers may come as text, as templates make them. Raises SettingsError naming the key that is wrong.
    """
    fields = {field.name for field in dataclasses.fields(Report)}
    unknown = sorted(str(key) for key in data if key not in fields)
    _require(not unknown, "report", ", ".join(unknown), "no keys but " + ", ".join(sorted(fields)))
    optional: dict[str, Any] = {}
    if data.get("at") is not None:
        optional["at"] = _text(data, "at")
    if data.get("duration") is not None:
        optional["duration"] = _number("duration", data["duration"])
    if data.get("remedy"):
        optional["remedy"] = _text(data, "remedy")
    measurements = data.get("measurements") or {}
    _require(isinstance(measurements, Mapping), "measurements", measurements, "a dictionary of numbers")
    return Report(
        job=_text(data, "job"),
        subject=_text(data, "subject"),
        level=_text(data, "level"),
        title=_text(data, "title"),
        facts=tuple(_fact(item) for item in _facts(data.get("facts"))),
        measurements={str(key): _number(str(key), item) for key, item in measurements.items()},
        **optional,
    )


def check_job(job: str) -> None:
    """Raises SettingsError for a name no file, metric or monitor could be called after."""
    _require(_JOB.match(job), "job", job, "lower-case letters, digits, _ and -, at most 48")


def worst_level(reports: Sequence[Report]) -> str:
    """The worst level among the reports; ``info`` for none."""
    return max((report.level for report in reports), key=LEVELS.index, default="info")


def redact_report(report: Report, secrets: Sequence[str] = ()) -> Report:
    """The report with secrets taken out of all its texts; its identity (job, subject, level, time) stays."""
    return dataclasses.replace(
        report,
        title=redact_text(report.title, secrets),
        facts=tuple((redact_text(label, secrets), redact_text(value, secrets)) for label, value in report.facts),
        remedy=redact_text(report.remedy, secrets) if report.remedy is not None else None,
    )


def as_utc(text: str) -> str:
    """An ISO 8601 time with an offset as the same instant in UTC, to the second: text order is time order.

    Raises SettingsError for anything else.
    """
    _require(_AT.match(text), "at", text, "a time as 2026-01-31T03:00:00Z")
    plain = re.sub(r"\.\d+", "", text)
    if plain.endswith("Z"):
        plain = plain[:-1] + "+0000"
    try:
        # Not fromisoformat: before Python 3.11 it reads neither Z nor +0000.
        moment = datetime.strptime(plain, "%Y-%m-%dT%H:%M:%S%z")
        return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError) as error:
        raise _invalid("at", text, "a time as 2026-01-31T03:00:00Z") from error


def timestamp(at: str) -> float:
    """Seconds since the epoch of a time as ``as_utc`` writes it."""
    return datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()


def _facts(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [{"label": label, "value": item} for label, item in value.items()]
    _require(isinstance(value, (list, tuple)), "facts", value, "a list or a dictionary")
    return list(value)


def _fact(item: Any) -> tuple[str, str]:
    if isinstance(item, Mapping) and set(item) == {"label", "value"}:
        return str(item["label"]), str(item["value"])
    if isinstance(item, (list, tuple)) and len(item) == 2:
        return str(item[0]), str(item[1])
    raise _invalid("fact", item, "a label and a value")


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    _require(isinstance(value, str), key, value, "a text")
    return str(value)


def _number(key: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError("a boolean is no measurement")
        return float(value)
    except (TypeError, ValueError) as error:
        raise _invalid(key, value, "a number") from error


def _require(condition: object, key: str, value: object, expected: str) -> None:
    if not condition:
        raise _invalid(key, value, expected)


def _invalid(key: str, value: object, expected: str) -> SettingsError:
    return SettingsError(
        "A report's %s is %s; expected %s" % (key, redact_text(repr(value))[:200], expected),
        stage="report",
        remedy="Correct the report, or pass the module's result unchanged.",
    )
