# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the credentials cache says: that it serves, how old its entries are, why, and that it serves no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..reporting.redact import redact_text
from ..reporting.report import Report
from ..system.errors import ResilienceError
from ..system.units import human_duration
from .cache import CACHE, Cache, Failure

CACHE_JOB = "credentials_cache"

# psycopg2 has no SQLSTATE for a connection that never came about: the words of libpq and the server tell. What is the
# network's is named as Node.js names it, so that the same outage has the same code in the application's log.
_CODES = (
    ("Connection refused", "ECONNREFUSED"),
    ("Connection reset", "ECONNRESET"),
    ("Connection timed out", "ETIMEDOUT"),
    ("timeout expired", "ETIMEDOUT"),
    ("gave no answer", "ETIMEDOUT"),
    ("could not translate host name", "ENOTFOUND"),
    ("No such file or directory", "ENOENT"),
    ("closed the connection unexpectedly", "08006"),
    ("the database system is", "57P03"),
    ("not yet accepting connections", "57P03"),
    ("connection slots", "53300"),
    ("too many", "53300"),
    ("authentication failed", "28P01"),
    ("pg_hba.conf", "28000"),
    ("does not exist", "3D000"),
)
UNKNOWN_CODE = "unknown"


def error_code(error: ResilienceError) -> str:
    """The SQLSTATE of what went wrong, or the network's own code; ``unknown`` where neither can be made out."""
    state = getattr(error.__cause__, "pgcode", None)
    if state:
        return str(state)
    return next((code for words, code in _CODES if words in error.message), UNKNOWN_CODE)


# Who asks for a report of an outage has seen one.
NO_FAILURE = Failure("", UNKNOWN_CODE, 0.0)


def failing_report(source: str, cache: Cache, now: float) -> Report:
    """The database cannot be read: a warning while the cache serves, an error once it has nothing left."""
    failure = cache.failure or NO_FAILURE
    # Labels that name a secret ("Credentials") would have their values masked.
    facts = [("Error", redact_text(failure.message)), ("Code", failure.code)]
    facts.append(("For", human_duration(max(0.0, now - failure.since))))
    measurements = {"entries_count": float(len(cache.entries))}
    if cache.served_from == CACHE:
        ages = [now - entry.read_at for entry in cache.entries.values()]
        facts.insert(0, ("Age", "%s to %s" % (human_duration(min(ages)), human_duration(max(ages)))))
        facts.insert(0, ("Sessions", "%d, from the cache" % len(ages)))
        measurements["oldest_age_seconds"] = round(max(ages), 3)
        return _report(source, "warning", "the database errs: credentials come from the cache", facts, measurements)
    return _report(
        source,
        "error",
        "the database errs, and the cache holds nothing that is young enough",
        facts,
        measurements,
        remedy="See why the database cannot be read. What is left is the standby (session_standby_info).",
    )


def recovered_report(source: str, cache: Cache, before: Cache, now: float) -> Report:
    """The database answers again: what was cached is dropped, what was read takes its place."""
    failure = before.failure or NO_FAILURE
    facts = [
        ("Outage", human_duration(max(0.0, now - failure.since))),
        ("Code", failure.code),
        ("Sessions", "%d, read anew" % len(cache.entries)),
    ]
    measurements = {"entries_count": float(len(cache.entries))}
    return _report(source, "info", "the database answers again, the cache was dropped", facts, measurements)


def broken_report(source: str, broken: Mapping[str, str]) -> Report:
    """Credentials stand in the database that nobody could start a session with."""
    return _report(
        source,
        "error",
        "%d credentials in the database are broken and were not cached" % len(broken),
        sorted(broken.items()),
        {"broken_count": float(len(broken))},
        remedy="Do not restart the service: it would ask for a new pairing. Restore these from a backup or the standby.",
    )


def unkept_report(source: str, error: ResilienceError) -> Report:
    """The file could not be written, or the fence not be read."""
    return _report(source, "error", error.message, [], {}, remedy=error.remedy)


def _report(
    source: str, level: str, title: str, facts: Any, measurements: Mapping[str, float], remedy: str | None = None
) -> Report:
    return Report(
        job=CACHE_JOB,
        subject=source,
        level=level,
        title=title,
        facts=tuple(facts),
        remedy=remedy,
        measurements=measurements,
    )
