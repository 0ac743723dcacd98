# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentry: events, metrics and check-ins as its ingest gets them; every refusal in time and told."""

from __future__ import annotations

import dataclasses
import subprocess
import time
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope

from ansible_collections.baileys.resilience.plugins.module_utils.reporting import sentry
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.channel import Outcome
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.report import Report
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.sentry import monitor_slug
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.settings import Monitor, SentrySettings
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    MissingDependencyError,
    SettingsError,
)
from tests.support.stub_servers import (
    HANG,
    OK,
    SENTRY_KEY,
    Answer,
    SentryStub,
    refused_address,
    sentry_stub,
)
from tests.unit.reporting.samples import REPORT

MONITOR = Monitor("backup", "0 3 * * *", margin_minutes=45)
SECRET = "p<a|s?s'w\"o%rd"


def recent(**changes: Any) -> Report:
    return dataclasses.replace(REPORT, **changes)


def send(
    dsn: str,
    *reports: Report,
    timeout: float = 4.0,
    secrets: tuple[str, ...] = (),
    monitor: Monitor | None = None,
    environment: str | None = "test",
) -> tuple[Outcome, float]:
    settings = SentrySettings(dsn, environment, monitor)
    started = time.monotonic()
    outcome = sentry.send(reports or (recent(),), "db1", settings, secrets, started + timeout)
    taken = time.monotonic() - started
    assert SENTRY_KEY not in repr(outcome)
    return outcome, taken


def only_warning(outcome: Outcome) -> str:
    (warning,) = outcome.warnings
    return warning


def test_a_report_is_an_event_with_level_tags_and_numbers() -> None:
    report = recent(level="fatal", remedy="Install it.")
    with sentry_stub() as stub:
        outcome, _ = send(stub.dsn, report)
    assert outcome == Outcome(sent=2)
    (event,) = stub.of_type("event")
    assert event["message"] == "backup app: backup made and verified"
    assert event["level"] == "fatal"
    assert event["timestamp"] == REPORT.at
    assert event["environment"] == "test"
    assert event["server_name"] == "db1"
    assert event["tags"] == {"job": "backup", "source": "app", "host": "db1"}
    assert event["fingerprint"] == ["baileys.resilience", "backup", "db1", "app", "fatal"]
    assert event["contexts"]["report"] == {"Size": "353.2 kB", "Remedy": "Install it."}
    assert event["contexts"]["measurements"] == {"archive_bytes": 353187.0, "duration_seconds": 1.1}
    assert not {"release", "modules", "user", "threads", "exception"} & set(event)
    assert event["breadcrumbs"] == {"values": []}
    assert event["sdk"]["integrations"] == []


@pytest.mark.parametrize("level", ["info", "warning", "error", "fatal"])
def test_every_level_is_kept(level: str) -> None:
    with sentry_stub() as stub:
        send(stub.dsn, recent(level=level))
    assert [event["level"] for event in stub.of_type("event")] == [level]


def test_numbers_are_metrics_with_units() -> None:
    report = recent(measurements={"archive_bytes": 353187.0, "rows_count": 1647.0, "dump_seconds": 0.5, "lag": 2.0})
    with sentry_stub() as stub:
        send(stub.dsn, report)
    (batch,) = stub.of_type("trace_metric")
    found = {item["name"]: (item["type"], item["value"], item.get("unit")) for item in batch["items"]}
    assert found == {
        "baileys_resilience.backup.archive": ("gauge", 353187.0, "byte"),
        "baileys_resilience.backup.rows": ("gauge", 1647.0, None),
        "baileys_resilience.backup.dump": ("distribution", 0.5, "second"),
        "baileys_resilience.backup.lag": ("gauge", 2.0, None),
        "baileys_resilience.backup.duration": ("distribution", 1.1, "second"),
    }
    attributes = batch["items"][0]["attributes"]
    told = {key: attributes[key]["value"] for key in ("job", "source", "host", "level", "sentry.environment")}
    assert told == {"job": "backup", "source": "app", "host": "db1", "level": "info", "sentry.environment": "test"}
    assert "sentry.release" not in attributes


@pytest.mark.parametrize(
    ("levels", "status"),
    [(["info"], "ok"), (["info", "warning"], "ok"), (["info", "error"], "error"), (["fatal"], "error")],
)
def test_the_check_in_makes_a_monitor_and_tells_how_the_job_ended(levels: list[str], status: str) -> None:
    with sentry_stub() as stub:
        send(stub.dsn, *(recent(level=level) for level in levels), monitor=MONITOR)
    (check_in,) = stub.of_type("check_in")
    assert check_in["monitor_slug"] == "backup-db1"
    assert check_in["status"] == status
    assert check_in["duration"] == pytest.approx(1.1 * len(levels))
    assert check_in["environment"] == "test"
    assert check_in["monitor_config"] == {
        "schedule": {"type": "crontab", "value": "0 3 * * *"},
        "timezone": "UTC",
        "checkin_margin": 45,
        "max_runtime": 45,
    }


def test_no_check_in_without_a_monitor_and_no_duration_without_one() -> None:
    with sentry_stub() as stub:
        send(stub.dsn)
        assert stub.of_type("check_in") == []
        send(stub.dsn, recent(duration=None, measurements={}), monitor=MONITOR)
        assert [check_in.get("duration") for check_in in stub.of_type("check_in")] == [None]


def test_slugs_of_monitors() -> None:
    assert monitor_slug("backup", "DB1.example.org") == "backup-db1-example-org"
    long = [monitor_slug("backup", "db%d." % number + "very-long-domain." * 5) for number in (1, 2)]
    assert [len(slug) <= 50 for slug in long] == [True, True]
    assert len({monitor_slug("backup", "x" * 60 + str(number)) for number in range(5)}) == 5


def test_the_most_urgent_is_sent_first() -> None:
    reports = [recent(subject=level, level=level) for level in ("info", "fatal", "warning", "error")]
    with sentry_stub() as stub:
        outcome, _ = send(stub.dsn, *reports, monitor=MONITOR)
    kinds = [header["type"] for header, _payload in stub.items]
    assert kinds == ["check_in", "event", "event", "event", "event", "trace_metric"]
    assert [event["tags"]["source"] for event in stub.of_type("event")] == ["fatal", "error", "warning", "info"]
    assert outcome == Outcome(sent=6)


def test_forty_sources_in_time() -> None:
    reports = [recent(subject="s%d" % number) for number in range(40)]
    with sentry_stub() as stub:
        outcome, taken = send(stub.dsn, *reports)
    assert outcome == Outcome(sent=41)
    assert taken < 4


def test_no_secret_reaches_sentry_in_any_part_of_an_event() -> None:
    report = recent(
        title=f"cannot reach postgresql://app:{SECRET.replace('%', '%25')}@db/app, PGPASSWORD={SECRET}",
        facts=((SECRET, f"login with {SECRET} failed"),),
        remedy=f"curl -H 'Authorization: Bearer {SECRET}'",
        subject=f"source {SECRET}",
    )
    with sentry_stub() as stub:
        send(stub.dsn, report, secrets=(SECRET,), monitor=MONITOR)
    assert len(stub.of_type("event")) == 1
    everything = b"".join(received.body for received in stub.received).decode()
    assert SECRET not in everything.replace('\\"', '"')
    assert "p<a|s" not in everything


def test_exceptions_breadcrumbs_and_extras_are_redacted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever an SDK or an integration may add to an event one day.
    added = {
        "exception": {"values": [{"type": "Error", "value": "postgresql://u:hunter2hunter2@h", "stacktrace": {
            "frames": [{"vars": {"password": "hunter2hunter2"}, "context_line": "PGPASSWORD=hunter2hunter2"}]}}]},
        "breadcrumbs": {"values": [{"message": "GET /bot1:hunter2hunter2/x", "data": {"token": "hunter2hunter2"}}]},
        "extra": {"env": {"PGPASSWORD": "hunter2hunter2"}},
        "request": {"headers": {"Authorization": "Basic hunter2hunter2"}},
    }  # fmt: skip
    monkeypatch.setattr(sentry, "event_of", lambda report, host: dict(added, message="x", level="error"))
    with sentry_stub() as stub:
        send(stub.dsn)
    (event,) = stub.of_type("event")
    assert event["exception"]["values"][0]["type"] == "Error"
    assert "hunter2" not in repr(stub.items)


def test_an_event_that_cannot_be_redacted_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentry, "redact", lambda value, secrets: 1 / 0)
    with sentry_stub() as stub:
        outcome, _ = send(stub.dsn, recent(title=SECRET))
    assert stub.received == []
    assert only_warning(outcome) == "Sentry: 1 events were not sent: taking the secrets out of them failed."


def test_nothing_of_this_process_is_touched_or_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_programs(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("the SDK ran a program")

    monkeypatch.setattr(subprocess, "Popen", no_programs)
    monkeypatch.delenv("SENTRY_RELEASE", raising=False)
    with sentry_stub() as stub:
        monkeypatch.setenv("SENTRY_DSN", f"http://another@{stub.address}/7")
        monkeypatch.setenv("SENTRY_SPOTLIGHT", f"http://{stub.address}/stream")
        assert send(stub.dsn)[0] == Outcome(sent=2)
    assert {received.path for received in stub.received} == {"/api/42/envelope/"}
    assert not sentry_sdk.get_client().is_active()


def test_the_environment_is_production_unless_told() -> None:
    with sentry_stub() as stub:
        send(stub.dsn, environment=None)
    assert [event["environment"] for event in stub.of_type("event")] == ["production"]


def test_a_short_wait_is_waited_and_a_long_one_told() -> None:
    limited = Answer(429, {"detail": "slow down"}, headers=(("Retry-After", "1"),))
    with sentry_stub(limited, OK) as stub:
        outcome, taken = send(stub.dsn)
    assert outcome == Outcome(sent=2)
    assert 1.0 <= taken < 3
    with sentry_stub(OK, Answer(429, {"detail": "slow down"}, headers=(("Retry-After", "60"),))) as stub:
        outcome, taken = send(stub.dsn, recent(), recent())
    assert outcome.sent == 1
    assert "only 1 of 3 items were delivered: HTTP 429" in only_warning(outcome)
    assert "wait 60 s" in only_warning(outcome)
    assert taken < 1.5


@pytest.mark.parametrize(
    ("answer", "words", "requests"),
    [
        (Answer(400, {"detail": "bad envelope"}), ["HTTP 400", "bad envelope"], 1),
        (Answer(403, {"detail": f"bad key {SENTRY_KEY}"}), ["HTTP 403", "bad key ***", "sentry_dsn"], 1),
        (Answer(413, "x" * 10000), ["HTTP 413"], 1),
        (Answer(500, ""), ["HTTP 500."], 3),
        (Answer(301, "", headers=(("Location", "http://127.0.0.1:1/"),)), ["HTTP 301"], 1),
    ],
)
def test_a_refusal_is_told(answer: Answer, words: list[str], requests: int) -> None:
    with sentry_stub(answer) as stub:
        outcome, taken = send(stub.dsn)
    assert (outcome.sent, len(stub.received)) == (0, requests)
    assert [word for word in words if word not in only_warning(outcome)] == []
    assert len(only_warning(outcome)) < 600
    assert taken < 2.5


def test_a_wrong_key_is_refused_by_a_server_that_checks() -> None:
    with sentry_stub() as stub:
        assert isinstance(stub, SentryStub)
        outcome, _ = send(stub.dsn.replace(SENTRY_KEY, "0" * 32))
    assert "HTTP 403" in only_warning(outcome)


def test_silence_ends_in_time() -> None:
    with sentry_stub(HANG) as stub:
        outcome, taken = send(stub.dsn, timeout=1.0)
    assert only_warning(outcome) == (
        "Sentry: only 0 of 2 items were delivered: connected, but no answer within the time allowed."
    )
    assert 0.9 <= taken < 2.5


def test_refused_connections() -> None:
    outcome, taken = send(f"http://{SENTRY_KEY}@{refused_address()}/42")
    assert only_warning(outcome) == "Sentry: only 0 of 2 items were delivered: connection refused."
    assert taken < 3


@pytest.mark.parametrize(
    "dsn", ["nonsense", "ftp://key@host/1", "https://host/1", f"https://{SENTRY_KEY}@host/x", "https://[::1"]
)
def test_a_malformed_dsn_is_named_without_being_shown(dsn: str) -> None:
    with pytest.raises(SettingsError, match="malformed") as caught:
        send(dsn)
    assert SENTRY_KEY not in str(caught.value)


def test_a_missing_or_old_sdk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentry_sdk, "VERSION", "2.43.0")
    with pytest.raises(MissingDependencyError, match=r"2\.43\.0, older than 2\.44"):
        send("http://key@127.0.0.1:1/1")
    monkeypatch.setattr(sentry, "HAS_SENTRY", False)
    with pytest.raises(MissingDependencyError, match="not installed") as caught:
        send("http://key@127.0.0.1:1/1")
    assert "pip install 'sentry-sdk>=2.44'" in (caught.value.remedy or "")


def test_the_envelopes_are_what_the_sdk_itself_reads() -> None:
    with sentry_stub() as stub:
        send(stub.dsn, monitor=MONITOR)
    kinds = [item.type for received in stub.received for item in Envelope.deserialize(received.body).items]
    assert kinds == ["check_in", "event", "trace_metric"]


def test_settings_do_not_show_their_dsn() -> None:
    assert SENTRY_KEY not in repr(SentrySettings(f"https://{SENTRY_KEY}@o1.ingest.example/42"))
