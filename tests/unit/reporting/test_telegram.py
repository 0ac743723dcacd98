# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telegram: what is sent, and that every refusal ends in time, is told, and tells no token."""

from __future__ import annotations

import dataclasses
import time

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.reporting import channel, telegram
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.channel import Outcome
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.message import Message, compose
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.settings import TelegramSettings
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import MissingDependencyError
from tests.support.stub_servers import (
    CHAT_ID,
    HANG,
    OK,
    TOKEN,
    Answer,
    TelegramStub,
    refuse,
    refused_address,
    telegram_stub,
)
from tests.unit.reporting.samples import REPORT

MESSAGES = compose([REPORT], "db1")
TWO = (Message("<b>one</b>", "one"), Message("two", "two"))


def send(
    url: str, messages: tuple[Message, ...] = MESSAGES, timeout: float = 3.0, quiet: bool = False, **changes: str
) -> tuple[Outcome, float]:
    """Send, check that no outcome holds the token, and return it with the seconds it took."""
    settings = dataclasses.replace(TelegramSettings(TOKEN, CHAT_ID, url), **changes)
    started = time.monotonic()
    outcome = telegram.send(messages, settings, started + timeout, quiet)
    taken = time.monotonic() - started
    assert settings.token not in repr(outcome)
    assert settings.token.partition(":")[2] not in repr(outcome)
    return outcome, taken


def only_warning(outcome: Outcome) -> str:
    (warning,) = outcome.warnings
    return warning


def test_a_message_arrives_as_html() -> None:
    with telegram_stub() as stub:
        outcome, _ = send(stub.url, quiet=True)
    assert outcome == Outcome(sent=1)
    (body,) = stub.messages
    assert body == {
        "chat_id": CHAT_ID,
        "text": MESSAGES[0].html,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "disable_notification": True,
    }


def test_a_base_url_with_a_slash_at_its_end() -> None:
    with telegram_stub() as stub:
        assert send(stub.url + "/")[0] == Outcome(sent=1)


def test_messages_arrive_in_order() -> None:
    with telegram_stub() as stub:
        assert send(stub.url, TWO)[0] == Outcome(sent=2)
    assert [body["text"] for body in stub.messages] == ["<b>one</b>", "two"]


def test_html_that_is_not_understood_is_sent_again_as_plain_text() -> None:
    with telegram_stub() as stub:
        outcome, _ = send(stub.url, (Message("<blink>one</blink>", "one < two"),))
    assert outcome == Outcome(sent=1)
    assert [(body["text"], body.get("parse_mode")) for body in stub.messages] == [
        ("<blink>one</blink>", "HTML"),
        ("one < two", None),
    ]


def test_a_text_that_is_never_understood_is_tried_twice_only() -> None:
    with telegram_stub(refuse(400, "Bad Request: can't parse entities: x")) as stub:
        outcome, _ = send(stub.url)
    assert (outcome.sent, len(stub.received)) == (0, 2)
    assert "can't parse entities" in only_warning(outcome)


def test_a_short_wait_is_waited() -> None:
    with telegram_stub(refuse(429, "Too Many Requests: retry after 1", retry_after=1), OK) as stub:
        outcome, taken = send(stub.url)
    assert (outcome, len(stub.received)) == (Outcome(sent=1), 2)
    assert 1.0 <= taken < 2.5


def test_a_long_wait_is_not_and_is_told() -> None:
    with telegram_stub(refuse(429, "Too Many Requests: retry after 35", retry_after=35)) as stub:
        outcome, taken = send(stub.url, TWO)
    assert (outcome.sent, len(stub.received)) == (0, 1)
    assert taken < 1.5
    assert only_warning(outcome) == (
        "Telegram: message 1 of 2 was not delivered: HTTP 429, Too Many Requests: retry after 35. "
        "It asks to wait 35 s, more than the timeout leaves."
    )


@pytest.mark.parametrize("wait", [0, -5, None, "soon", [1]])
def test_an_odd_wait_neither_hammers_nor_hangs(wait: object) -> None:
    with telegram_stub(refuse(429, "Too Many Requests", retry_after=wait)) as stub:
        outcome, taken = send(stub.url, timeout=1.4)
    assert outcome.sent == 0
    assert len(stub.received) <= 3
    assert taken < 2.5


def test_an_error_of_the_server_that_passes_is_not_seen() -> None:
    with telegram_stub(Answer(502, "<html>Bad Gateway</html>"), Answer(500, ""), OK) as stub:
        assert send(stub.url)[0] == Outcome(sent=1)
    assert len(stub.received) == 3


def test_an_error_of_the_server_that_stays_is_told_after_three_attempts() -> None:
    with telegram_stub(Answer(502, "<html>Bad Gateway</html>")) as stub:
        outcome, taken = send(stub.url)
    assert len(stub.received) == 3
    assert only_warning(outcome) == (
        "Telegram: message 1 of 1 was not delivered: HTTP 502, the answer is not one of the Bot API."
    )
    assert taken < 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refuse(400, "Bad Request: chat not found"), ["chat not found", "telegram_chat_id"]),
        (refuse(401, "Unauthorized"), ["401", "telegram_token"]),
        (refuse(403, "Forbidden: bot was blocked by the user"), ["blocked", "Add the bot"]),
        (refuse(400, "Bad Request: upgraded", migrate_to_chat_id=-100987), ["-100987"]),
        (Answer(302, "", headers=(("Location", "http://127.0.0.1:1/else"),)), ["HTTP 302"]),
        (Answer(200, "<html>Welcome to the hotel's network</html>"), ["HTTP 200", "not one of the Bot API"]),
        (Answer(200, {"ok": False, "description": "no"}), ["HTTP 200, no"]),
        (Answer(200, [1, 2]), ["HTTP 200"]),
        (Answer(400, {"ok": False, "description": f"bad token {TOKEN}" + "x" * 5000}), ["bad token ***"]),
    ],
)
def test_a_refusal_is_told_with_what_to_do_and_not_repeated(answer: Answer, words: list[str]) -> None:
    with telegram_stub(answer) as stub:
        outcome, taken = send(stub.url, TWO)
    assert (outcome.sent, len(stub.received)) == (0, 1)
    assert [word for word in words if word not in only_warning(outcome)] == []
    assert len(only_warning(outcome)) < 600
    assert taken < 1.5


def test_what_was_sent_before_a_failure_counts() -> None:
    with telegram_stub(OK, refuse(403, "Forbidden")) as stub:
        outcome, _ = send(stub.url, TWO)
    assert outcome.sent == 1
    assert "message 2 of 2" in only_warning(outcome)


def test_wrong_token_and_chat_against_a_server_that_checks() -> None:
    with telegram_stub() as stub:
        assert "telegram_token" in only_warning(send(stub.url, token="987654321:" + "B" * 35)[0])
        assert "chat not found" in only_warning(send(stub.url, chat_id="-7")[0])


def test_silence_ends_in_time() -> None:
    with telegram_stub(HANG) as stub:
        outcome, taken = send(stub.url, timeout=1.0)
    assert only_warning(outcome) == (
        "Telegram: message 1 of 1 was not delivered: connected, but no answer within the time allowed."
    )
    # Sent once: it may have arrived.
    assert len(stub.received) == 1
    assert 0.9 <= taken < 2.5


def test_refused_connections() -> None:
    outcome, taken = send("http://" + refused_address())
    assert only_warning(outcome) == "Telegram: message 1 of 1 was not delivered: connection refused."
    assert taken < 3


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://{address}", "TLS"),
        ("http://no-such-host.invalid", "host name not found"),
        ("ftp://{address}", "starts neither"),
        ("http://", "not a URL"),
        ("not a url", "starts neither"),
    ],
)
def test_addresses_that_lead_nowhere(url: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy would look the name up itself.
    monkeypatch.setenv("NO_PROXY", "*")
    with telegram_stub() as stub:
        outcome, _ = send(url.format(address=stub.address), timeout=6.0)
        assert words in only_warning(outcome)
        assert stub.messages == []


def test_no_time_left() -> None:
    with telegram_stub() as stub:
        outcome, _ = send(stub.url, timeout=-1)
        assert "no time was left" in only_warning(outcome)
        assert stub.received == []


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "HAS_REQUESTS", False)
    with pytest.raises(MissingDependencyError, match="requests") as caught:
        send("http://127.0.0.1:1")
    assert "python3-requests" in (caught.value.remedy or "")


def test_settings_do_not_show_their_token() -> None:
    assert TOKEN not in repr(TelegramSettings(TOKEN, CHAT_ID))


def test_the_stub_refuses_what_telegram_refuses() -> None:
    with telegram_stub() as stub:
        assert isinstance(stub, TelegramStub)
        outcome, _ = send(stub.url, (Message("x" * 4097, "x"),))
        assert "message is too long" in only_warning(outcome)
        assert send(stub.url, (Message("😀" * 2048, "x"),))[0] == Outcome(sent=1)
        assert "message is too long" in only_warning(send(stub.url, (Message("😀" * 2048 + ".", "x"),))[0])
