# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both channels at once: bounded by one clock, and whatever happens to them a warning at most."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.reporting import delivery, sentry, telegram
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.channel import Outcome
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.delivery import (
    Delivery,
    deliver,
    telegram_messages,
)
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.report import Report
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.settings import (
    DeliverySettings,
    Monitor,
    SentrySettings,
    TelegramSettings,
    delivery_settings,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError
from tests.support.stub_servers import (
    CHAT_ID,
    DRIP,
    HANG,
    OK,
    SENTRY_KEY,
    TOKEN,
    Answer,
    refuse,
    refused_address,
    sentry_stub,
    telegram_stub,
)
from tests.unit.reporting.samples import REPORT

PASSWORD = "s3cr3t<|>'\"%?& ü"


def settings_for(telegram_url: str | None, dsn: str | None, **changes: Any) -> DeliverySettings:
    settings = DeliverySettings(
        host="db1",
        timeout=3.0,
        telegram=TelegramSettings(TOKEN, CHAT_ID, telegram_url) if telegram_url else None,
        sentry=SentrySettings(dsn) if dsn else None,
        secrets=(PASSWORD,),
    )
    return dataclasses.replace(settings, **changes)


def run(settings: DeliverySettings, *reports: Report) -> tuple[Delivery, float]:
    started = time.monotonic()
    result = deliver(reports or (REPORT,), settings)
    taken = time.monotonic() - started
    for secret in (TOKEN, TOKEN.partition(":")[2], SENTRY_KEY, PASSWORD):
        assert secret not in repr(result)
        assert secret not in repr(settings)
    return result, taken


def test_both_channels_get_the_reports() -> None:
    with telegram_stub() as bot, sentry_stub() as ingest:
        result, _ = run(settings_for(bot.url, ingest.dsn))
    assert (dict(result.sent), result.warnings) == ({"telegram": 1, "sentry": 2}, ())
    assert len(bot.messages) == 1
    assert len(ingest.of_type("event")) == 1


@pytest.mark.parametrize("bot_answer", [HANG, DRIP, refuse(429, "Too Many Requests", retry_after=2), Answer(500, "")])
@pytest.mark.parametrize("ingest_answer", [HANG, DRIP, Answer(429, headers=(("Retry-After", "2"),)), Answer(500, "")])
def test_two_bad_endpoints_cost_one_timeout(bot_answer: Answer, ingest_answer: Answer) -> None:
    with telegram_stub(bot_answer) as bot, sentry_stub(ingest_answer) as ingest:
        result, taken = run(settings_for(bot.url, ingest.dsn, timeout=1.5))
    assert dict(result.sent) == {"telegram": 0, "sentry": 0}
    assert [warning.split(":")[0] for warning in result.warnings] == ["Telegram", "Sentry"]
    assert taken < 1.5 + 0.5
    assert result.seconds <= taken


def test_a_dead_channel_does_not_hold_up_the_other() -> None:
    with telegram_stub(HANG) as bot, sentry_stub() as ingest:
        result, taken = run(settings_for(bot.url, ingest.dsn, timeout=1.5))
        assert len(ingest.of_type("event")) == 1
    assert dict(result.sent) == {"telegram": 0, "sentry": 2}
    assert len(result.warnings) == 1
    assert taken < 2.0
    with telegram_stub() as bot:
        result, taken = run(settings_for(bot.url, f"http://{SENTRY_KEY}@{refused_address()}/1"))
    assert dict(result.sent) == {"telegram": 1, "sentry": 0}
    assert taken < 3.0


def test_a_channel_that_cannot_even_be_interrupted_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    # As a name resolver that hangs.
    def stuck(*_arguments: Any, **_options: Any) -> Outcome:
        time.sleep(5)
        return Outcome(1)

    monkeypatch.setattr(telegram, "send", stuck)
    result, taken = run(settings_for("http://127.0.0.1:1", None, timeout=0.5))
    assert taken < 1.5
    assert result.warnings == ("Telegram: no answer within 0.5 s; what was sent may or may not have arrived.",)


STUCK = """
import time
from ansible_collections.baileys.resilience.plugins.module_utils.reporting import delivery, report, settings, telegram
telegram.send = lambda *arguments, **options: time.sleep(60)
bot = settings.TelegramSettings("1:t", "2")
reports = [report.Report(job="backup", subject="app", level="info", title="x")]
print(delivery.deliver(reports, settings.DeliverySettings("db1", timeout=0.3, telegram=bot)).warnings)
"""


def test_a_stuck_channel_does_not_keep_the_process_from_its_end() -> None:
    ended = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=30, check=True)
    assert "no answer within 0.3 s" in ended.stdout


def test_an_error_of_our_own_is_a_warning_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any, **_options: Any) -> Outcome:
        raise KeyError(f"postgresql://u:{PASSWORD}@h with {TOKEN}")

    monkeypatch.setattr(telegram, "send", broken)
    result, _ = run(settings_for("http://127.0.0.1:1", None))
    (warning,) = result.warnings
    assert warning.startswith("Telegram: an unexpected KeyError")


def test_a_missing_library_is_a_warning_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentry, "HAS_SENTRY", False)
    monkeypatch.setattr(
        "ansible_collections.baileys.resilience.plugins.module_utils.reporting.channel.HAS_REQUESTS", False
    )
    result, _ = run(settings_for("http://127.0.0.1:1", f"http://{SENTRY_KEY}@127.0.0.1:1/1"))
    assert [("apt install python3-requests" in w, "sentry-sdk>=2.44" in w) for w in result.warnings] == [
        (True, False),
        (False, True),
    ]


def test_a_malformed_dsn_is_a_warning() -> None:
    result, _ = run(settings_for(None, f"{SENTRY_KEY}@nowhere"))
    assert "malformed" in result.warnings[0]


def test_secrets_are_taken_out_before_anything_leaves() -> None:
    leaky = dataclasses.replace(
        REPORT,
        level="fatal",
        title=f"cannot log in with {PASSWORD}",
        facts=(
            ("Command", f"PGPASSWORD={PASSWORD} pg_dump postgresql://app:s3cr3t%3C%7C%3E%27%22%25%3F%26%20%C3%BC@db"),
        ),
        remedy=f"try {TOKEN} and https://{SENTRY_KEY}@o1.ingest.example/42",
    )
    with telegram_stub() as bot, sentry_stub() as ingest:
        result, _ = run(settings_for(bot.url, ingest.dsn), leaky)
        assert dict(result.sent) == {"telegram": 1, "sentry": 2}
        sent = repr(bot.messages) + repr(ingest.items)
    for secret in ("s3cr3t", TOKEN, TOKEN.partition(":")[2], SENTRY_KEY):
        assert secret not in sent
    assert "cannot log in with ***" in sent


def test_levels_below_the_lowest_asked_for_stay_out_of_telegram() -> None:
    warning = dataclasses.replace(REPORT, level="warning", subject="slow")
    settings = settings_for("http://127.0.0.1:1", None)
    assert settings.telegram is not None
    settings = dataclasses.replace(settings, telegram=dataclasses.replace(settings.telegram, min_level="warning"))
    (only,) = telegram_messages([REPORT, warning], settings)
    assert "slow" in only.plain
    assert "app" not in only.plain
    # Nothing to say is not a failure, and opens no connection.
    quiet, _ = run(settings, REPORT)
    assert (dict(quiet.sent), quiet.warnings) == ({"telegram": 0}, ())


def test_only_good_news_is_silent() -> None:
    failure = dataclasses.replace(REPORT, level="fatal")
    with telegram_stub() as bot:
        run(settings_for(bot.url, None), REPORT)
        run(settings_for(bot.url, None), REPORT, failure)
    assert [body["disable_notification"] for body in bot.messages] == [True, False]


def test_no_report_and_no_channel_send_nothing() -> None:
    with telegram_stub() as bot, sentry_stub() as ingest:
        empty = deliver([], settings_for(bot.url, ingest.dsn))
        assert (dict(empty.sent), empty.warnings) == ({}, ())
        assert dict(run(settings_for(None, None))[0].sent) == {}
        assert bot.received == ingest.received == []


GIVEN: dict[str, Any] = {
    "job": "backup",
    "timeout": 10.0,
    "telegram_token": TOKEN,
    "telegram_chat_id": CHAT_ID,
    "telegram_api_url": "https://api.telegram.org",
    "telegram_min_level": "info",
    "sentry_dsn": "https://k@h/1",
    "sentry_environment": "",
    "monitor_schedule": "0 3 * * *",
    "monitor_margin": 60,
}


def test_settings_from_options() -> None:
    settings, advice = delivery_settings(GIVEN, "db1", ("x",))
    assert advice == ()
    assert settings == DeliverySettings(
        "db1",
        10.0,
        TelegramSettings(TOKEN, CHAT_ID),
        SentrySettings("https://k@h/1", None, Monitor("backup", "0 3 * * *", 60)),
        ("x",),
    )
    nothing = dict(GIVEN, telegram_token="", telegram_chat_id=None, sentry_dsn="", monitor_schedule="")
    assert delivery_settings(nothing, "db1", ()) == (DeliverySettings("db1", 10.0), ())


@pytest.mark.parametrize("missing", ["telegram_token", "telegram_chat_id"])
def test_half_a_configuration_is_advice(missing: str) -> None:
    settings, (advice,) = delivery_settings(dict(GIVEN, **{missing: None}), "db1", ())
    assert settings.telegram is None
    assert missing in advice


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timeout", 0.0),
        ("timeout", -1.0),
        ("timeout", float("inf")),
        ("timeout", float("nan")),
        ("monitor_schedule", "at three"),
        ("monitor_schedule", "@daily"),
        ("monitor_margin", 0),
    ],
)
def test_numbers_and_schedules_that_cannot_be_used_are_refused(option: str, value: object) -> None:
    with pytest.raises(SettingsError, match=option):
        delivery_settings(dict(GIVEN, **{option: value}), "db1", ())


def test_the_defaults_of_the_clock() -> None:
    assert DeliverySettings("db1").timeout == 10.0
    assert delivery.CHANNEL_SHARE < 1
    assert OK.status == 200
