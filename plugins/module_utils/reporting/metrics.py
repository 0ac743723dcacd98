# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Prometheus textfile of a job (https://prometheus.io/docs/instrumenting/exposition_formats/).

Names follow https://prometheus.io/docs/practices/naming/: a prefix, base units, the unit last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Optional

from .report import FAILURES, LEVELS, timestamp

if TYPE_CHECKING:
    from .status import SubjectStatus

PREFIX = "baileys_resilience"


def render(job: str, subjects: Mapping[str, SubjectStatus]) -> bytes:
    """The content of ``<job>.prom``: every metric of every source, each with HELP and TYPE."""
    lines: list[str] = []
    written: set[str] = set()
    for name, help_text, samples in _families(job, subjects):
        metric = "%s_%s_%s" % (PREFIX, job.replace("-", "_"), name)
        values = [(source, number) for source, number in samples if number is not None]
        # A measurement named as another metric would make the whole file unreadable.
        if not values or metric in written:
            continue
        written.add(metric)
        lines.append("# HELP %s %s" % (metric, help_text))
        lines.append("# TYPE %s gauge" % metric)
        lines.extend('%s{source="%s"} %s' % (metric, _escape(source), _number(number)) for source, number in values)
    return "".join(line + "\n" for line in lines).encode("utf-8", "replace")


Samples = list[tuple[str, Optional[float]]]


def _families(job: str, subjects: Mapping[str, SubjectStatus]) -> Iterator[tuple[str, str, Samples]]:
    ordered = sorted(subjects.items())
    yield (
        "last_run_timestamp_seconds",
        "When the last %s of the source ended, since the epoch." % job,
        [(source, timestamp(status.at)) for source, status in ordered],
    )
    yield (
        "last_success_timestamp_seconds",
        "When the last successful %s of the source ended, since the epoch." % job,
        [(source, _moment(status.last_success)) for source, status in ordered],
    )
    yield (
        "last_failure_timestamp_seconds",
        "When the last failed %s of the source ended, since the epoch." % job,
        [(source, _moment(status.last_failure)) for source, status in ordered],
    )
    yield (
        "last_run_success",
        "1 if the last %s of the source succeeded, 0 if it failed." % job,
        [(source, float(status.level not in FAILURES)) for source, status in ordered],
    )
    yield (
        "last_run_severity",
        "The level of the last %s of the source: 0 info, 1 warning, 2 error, 3 fatal." % job,
        [(source, float(LEVELS.index(status.level))) for source, status in ordered],
    )
    yield (
        "consecutive_failures",
        "How many times in a row the %s of the source has failed up to now." % job,
        [(source, float(status.consecutive_failures)) for source, status in ordered],
    )
    yield (
        "last_run_duration_seconds",
        "How long the last %s of the source took." % job,
        [(source, status.duration_seconds) for source, status in ordered],
    )
    for key in sorted({key for status in subjects.values() for key in status.measurements}):
        # The ending _count belongs to histograms and summaries (promtool refuses it elsewhere).
        yield (
            re.sub(r"_count\Z", "", key),
            "%s of the last %s of the source that measured it." % (key.replace("_", " ").capitalize(), job),
            [(source, status.measurements.get(key)) for source, status in ordered],
        )


def _moment(at: str | None) -> float | None:
    return timestamp(at) if at is not None else None


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(number: float) -> str:
    # Whole numbers as such: an epoch or a size in exponent notation is hard on human eyes.
    return "%d" % number if float(number).is_integer() else repr(float(number))
