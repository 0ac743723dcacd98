# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Telegram: messages through the Bot API (https://core.telegram.org/bots/api#sendmessage)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .channel import MAX_EXCERPT, Outcome, UndeliveredError, new_session, post, wait_as_told
from .message import Message
from .redact import redact_text
from .settings import TelegramSettings

if TYPE_CHECKING:
    from requests import Response, Session

# What to do about the answers that a repetition does not cure.
_REMEDIES = {
    400: "Check telegram_chat_id: a group's id is negative, and a group made a supergroup has a new one.",
    401: "Check telegram_token: the bot may have got a new one.",
    403: "Add the bot to the chat, or start a conversation with it.",
    404: "Check telegram_token and telegram_api_url.",
}


def send(messages: Sequence[Message], settings: TelegramSettings, deadline: float, quiet: bool) -> Outcome:
    """Send the messages in order, up to the first that fails; ``quiet`` ones make no sound.

    Raises MissingDependencyError without requests; every other failure is a warning of the outcome.
    """
    sent = 0
    with new_session() as session:
        for message in messages:
            try:
                _send_one(session, message, settings, deadline, quiet)
            except UndeliveredError as error:
                text = "Telegram: message %d of %d was not delivered" % (sent + 1, len(messages))
                return Outcome(sent, (redact_text(error.told_after(text), settings.secrets),))
            sent += 1
    return Outcome(sent)


def _send_one(session: Session, message: Message, settings: TelegramSettings, deadline: float, quiet: bool) -> None:
    url = "%s/bot%s/sendMessage" % (settings.api_url.rstrip("/"), settings.token)
    body: dict[str, Any] = {
        "chat_id": settings.chat_id,
        "text": message.html,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "disable_notification": quiet,
    }
    while True:
        answer = post(session, url, deadline, json=body)
        content = _content(answer)
        if answer.status_code == 200 and content.get("ok") is True:
            return
        description = str(content.get("description") or "")
        parameters = content.get("parameters")
        hints: Mapping[str, Any] = parameters if isinstance(parameters, Mapping) else {}
        if "parse_mode" in body and "can't parse entities" in description:
            # Better a message without bold type than none.
            del body["parse_mode"]
            body["text"] = message.plain
        elif not (answer.status_code == 429 and wait_as_told(hints.get("retry_after"), deadline)):
            raise _refusal(answer.status_code, description, hints)


def _content(answer: Response) -> Mapping[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, Mapping) else {}


def _refusal(status: int, description: str, hints: Mapping[str, Any]) -> UndeliveredError:
    said = description[:MAX_EXCERPT] or "the answer is not one of the Bot API"
    if hints.get("migrate_to_chat_id"):
        remedy = "The group is a supergroup now: set telegram_chat_id to %s." % hints["migrate_to_chat_id"]
    elif status == 429:
        remedy = "It asks to wait %s s, more than the timeout leaves." % hints.get("retry_after", "some")
    else:
        remedy = _REMEDIES.get(status, "")
    return UndeliveredError("HTTP %d, %s" % (status, said), remedy=remedy or None)
