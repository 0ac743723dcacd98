# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sentry: an event per report, its numbers as metrics, and a cron check-in, through sentry-sdk 2.

The SDK makes the payloads; the sending is ours. Its own transport works in a background thread and tells
nobody what became of an event, and whether the news of a lost backup arrived is worth knowing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ..system.errors import MissingDependencyError, SettingsError
from .channel import MAX_EXCERPT, Outcome, UndeliveredError, new_session, post, wait_as_told
from .message import LINE_UNITS, shorten
from .redact import redact, redact_text
from .report import LEVELS, Report
from .settings import Monitor, SentrySettings

try:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    HAS_SENTRY = True
except ImportError:
    HAS_SENTRY = False

if TYPE_CHECKING:
    from requests import Response, Session
    from sentry_sdk.envelope import Envelope
    from sentry_sdk.types import Event

# The first version with sentry_sdk.metrics as used here (docs.sentry.io, "Set Up Metrics").
OLDEST_SDK = (2, 44)
# Sentry cuts or refuses what is longer (docs.sentry.io, "Tags"; relay_monitors: SLUG_LENGTH).
MAX_TAG = 200
MAX_SLUG = 50
# Units of Sentry by the ending of a measurement's name.
_UNITS = {"seconds": "second", "bytes": "byte", "ratio": "ratio", "percent": "percent", "count": None}


def send(
    reports: Sequence[Report], host: str, settings: SentrySettings, secrets: Sequence[str], deadline: float
) -> Outcome:
    """Send the check-in, then the events, failures first, then the metrics, up to the first that fails.

    Raises MissingDependencyError without sentry-sdk or requests, SettingsError for a malformed DSN; every
    other failure is a warning of the outcome.
    """
    known = (*secrets, *settings.secrets)
    envelopes, lost = collect(reports, host, settings, known)
    outcome = _post_all(envelopes, settings, known, deadline)
    if not lost:
        return outcome
    text = "Sentry: %d events were not sent: taking the secrets out of them failed." % lost
    return Outcome(outcome.sent, (text, *outcome.warnings))


def collect(
    reports: Sequence[Report], host: str, settings: SentrySettings, secrets: Sequence[str]
) -> tuple[list[Envelope], int]:
    """The envelopes in the order of sending, and the number of events that could not be made."""
    _require_sdk()
    outbox: list[Envelope] = []
    client = _new_client(settings, host, secrets, outbox)
    lost = 0
    # A scope of our own: whatever else runs in this process keeps its own Sentry client, or none.
    with sentry_sdk.isolation_scope(), sentry_sdk.new_scope() as scope:
        scope.set_client(client)
        if settings.monitor is not None:
            lost += _check_in(reports, host, settings.monitor) is None
        for report in sorted(reports, key=lambda report: -LEVELS.index(report.level)):
            lost += sentry_sdk.capture_event(cast("Event", event_of(report, host))) is None
            _measure(report, host)
    # Hands over what the SDK had gathered; no time for a network, since none is involved.
    client.close(timeout=0)
    return outbox, lost


def event_of(report: Report, host: str) -> dict[str, Any]:
    """A report as an event of Sentry."""
    measurements: dict[str, float] = dict(report.measurements)
    if report.duration is not None:
        measurements["duration_seconds"] = report.duration
    return {
        "message": shorten("%s %s: %s" % (report.job, report.subject, report.title), LINE_UNITS),
        "level": report.level,
        "timestamp": report.at,
        "logger": "baileys.resilience",
        "tags": _tags(report, host),
        # The same failure of the same source is one issue, whatever its numbers.
        "fingerprint": ["baileys.resilience", report.job, host, report.subject, report.level],
        "contexts": {
            "report": {**dict(report.facts), **({"Remedy": report.remedy} if report.remedy else {})},
            "measurements": measurements,
        },
    }


def monitor_slug(job: str, host: str) -> str:
    """The name of the monitor: job and host in the letters Sentry takes, made unique again when cut."""
    slug = re.sub(r"[^a-z0-9_-]+", "-", ("%s-%s" % (job, host)).lower()).strip("-")
    if len(slug) <= MAX_SLUG:
        return slug
    return "%s-%s" % (slug[: MAX_SLUG - 9].rstrip("-"), hashlib.sha256(slug.encode()).hexdigest()[:8])


def _require_sdk() -> None:
    remedy = "Install it for the Python that runs this module: pip install 'sentry-sdk>=%d.%d'." % OLDEST_SDK
    if not HAS_SENTRY:
        raise MissingDependencyError("Python's sentry-sdk is not installed", stage="report", remedy=remedy)
    version = tuple(int(part) for part in re.findall(r"\d+", sentry_sdk.VERSION)[:2])
    if version < OLDEST_SDK:
        raise MissingDependencyError(
            "Python's sentry-sdk is version %s, older than %d.%d" % (sentry_sdk.VERSION, *OLDEST_SDK),
            stage="report",
            remedy=remedy,
        )


def _new_client(
    settings: SentrySettings, host: str, secrets: Sequence[str], outbox: list[Envelope]
) -> sentry_sdk.Client:
    class Outbox(Transport):
        """Keeps the envelopes instead of sending them."""

        def capture_envelope(self, envelope: Envelope) -> None:
            outbox.append(envelope)

    def scrub(event: Any, _hint: Any) -> Any:
        # An error in here makes the SDK drop the event: nothing leaves unredacted.
        event.pop("release", None)
        return redact(event, secrets)

    def scrub_metric(metric: Any, _hint: Any) -> Any:
        metric["attributes"].pop("sentry.release", None)
        return redact(metric, secrets)

    try:
        return sentry_sdk.Client(
            dsn=settings.dsn,
            transport=Outbox,
            environment=settings.environment,
            server_name=host,
            # Not None: the SDK would run git and read a dozen variables to guess one.
            release="",
            before_send=scrub,
            before_send_metric=scrub_metric,
            include_local_variables=False,
            include_source_context=False,
            attach_stacktrace=False,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            send_client_reports=False,
            enable_backpressure_handling=False,
            max_breadcrumbs=0,
            # Not left to the environment, which could name a second address to send to.
            spotlight=False,
        )
    except ValueError as error:
        raise SettingsError(
            "The Sentry DSN is malformed",
            stage="report",
            remedy="Copy it from the project's settings: https://<key>@<host>/<project number>.",
        ) from error


def _check_in(reports: Sequence[Report], host: str, monitor: Monitor) -> str | None:
    failed = any(report.failed for report in reports)
    durations = [report.duration for report in reports if report.duration is not None]
    return sentry_sdk.crons.capture_checkin(
        monitor_slug=monitor_slug(monitor.job, host),
        status="error" if failed else "ok",
        # The sources of a host are backed up one after the other.
        duration=sum(durations) if durations else None,
        monitor_config={
            "schedule": {"type": "crontab", "value": monitor.schedule},
            "timezone": "UTC",
            "checkin_margin": monitor.margin_minutes,
            "max_runtime": monitor.margin_minutes,
        },
    )


def _measure(report: Report, host: str) -> None:
    numbers: dict[str, float] = dict(report.measurements)
    if report.duration is not None:
        numbers["duration_seconds"] = report.duration
    for key, number in numbers.items():
        stem, _underscore, ending = key.rpartition("_")
        known = bool(stem) and ending in _UNITS
        # A duration is one of many, of which percentiles are asked; a size is where things stand.
        record = sentry_sdk.metrics.distribution if ending == "seconds" else sentry_sdk.metrics.gauge
        record(
            "baileys_resilience.%s.%s" % (report.job, stem if known else key),
            number,
            unit=_UNITS[ending] if known else None,
            attributes={**_tags(report, host), "level": report.level},
        )


def _tags(report: Report, host: str) -> dict[str, str]:
    tags = {"job": report.job, "source": report.subject, "host": host}
    return {key: shorten(value, MAX_TAG) for key, value in tags.items()}


def _post_all(
    envelopes: Sequence[Envelope], settings: SentrySettings, secrets: Sequence[str], deadline: float
) -> Outcome:
    sent = 0
    with new_session() as session:
        for envelope in envelopes:
            try:
                _post_one(session, envelope, settings, deadline)
            except UndeliveredError as error:
                text = "Sentry: only %d of %d items were delivered" % (sent, len(envelopes))
                return Outcome(sent, (redact_text(error.told_after(text), secrets),))
            sent += 1
    return Outcome(sent)


def _post_one(session: Session, envelope: Envelope, settings: SentrySettings, deadline: float) -> None:
    auth = sentry_sdk.utils.Dsn(settings.dsn).to_auth("baileys.resilience/" + sentry_sdk.VERSION)
    headers = {"Content-Type": "application/x-sentry-envelope", "X-Sentry-Auth": auth.to_header()}
    while True:
        answer = post(session, auth.get_api_url(), deadline, data=envelope.serialize(), headers=headers)
        if 200 <= answer.status_code < 300:
            return
        if not (answer.status_code == 429 and wait_as_told(answer.headers.get("Retry-After"), deadline)):
            raise _refusal(answer)


def _refusal(answer: Response) -> UndeliveredError:
    remedy = None
    if answer.status_code == 429:
        remedy = "Sentry's rate limit: it asks to wait %s s." % answer.headers.get("Retry-After", "some")
    elif answer.status_code in (401, 403, 404):
        remedy = "Check sentry_dsn against the project's client keys."
    excerpt = " ".join(answer.text[:MAX_EXCERPT].split())
    return UndeliveredError(", ".join(filter(None, ("HTTP %d" % answer.status_code, excerpt))), remedy=remedy)
