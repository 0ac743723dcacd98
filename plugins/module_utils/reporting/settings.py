# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where reports go: plain data, so that no HTTP library is loaded to hold it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..system.errors import SettingsError

TELEGRAM_API_URL = "https://api.telegram.org"
DEFAULT_TIMEOUT_SECONDS = 10.0
CRONTAB_FIELDS = 5


@dataclasses.dataclass(frozen=True)
class TelegramSettings:
    """The bot and its chat. ``min_level`` leaves out reports below it; ``api_url`` is any Bot API server."""

    token: str = dataclasses.field(repr=False)
    chat_id: str
    api_url: str = TELEGRAM_API_URL
    min_level: str = "info"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The token, and its secret half alone."""
        return (self.token, self.token.partition(":")[2])


@dataclasses.dataclass(frozen=True)
class Monitor:
    """A cron monitor of Sentry, made and updated by its check-ins.

    ``schedule`` is a crontab line in UTC. A check-in is sent when the job is over, so ``margin_minutes`` is
    the longest the job may take plus its delay; after that Sentry raises the alarm.
    """

    job: str
    schedule: str
    margin_minutes: int = 60


@dataclasses.dataclass(frozen=True)
class SentrySettings:
    """The project's DSN, the environment (None: Sentry's ``production``) and the job's monitor, if any."""

    dsn: str = dataclasses.field(repr=False)
    environment: str | None = None
    monitor: Monitor | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The DSN and its keys."""
        try:
            parts = urlsplit(self.dsn)
            return tuple(filter(None, (self.dsn, parts.username, parts.password)))
        except ValueError:
            return (self.dsn,)


@dataclasses.dataclass(frozen=True)
class DeliverySettings:
    """Where reports go. ``timeout`` in seconds bounds everything; ``secrets`` are taken out of every text."""

    host: str
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    telegram: TelegramSettings | None = None
    sentry: SentrySettings | None = None
    secrets: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    @property
    def all_secrets(self) -> tuple[str, ...]:
        """The known secrets and those of the channels themselves."""
        channels = (self.telegram, self.sentry)
        return self.secrets + tuple(secret for channel in channels if channel for secret in channel.secrets)


def delivery_settings(
    given: Mapping[str, Any], host: str, secrets: tuple[str, ...]
) -> tuple[DeliverySettings, tuple[str, ...]]:
    """The settings out of the options of ``notify``, and advice on half a configuration.

    Half of one is no reason to fail: it shows only when a job is over. Raises SettingsError for a number or a
    schedule that cannot be used.
    """
    if not 0 < given["timeout"] < math.inf:
        raise _unusable("timeout", given["timeout"], "Give a positive number of seconds.")
    telegram = None
    advice: tuple[str, ...] = ()
    if given["telegram_token"] and given["telegram_chat_id"]:
        telegram = TelegramSettings(
            token=given["telegram_token"],
            chat_id=given["telegram_chat_id"],
            api_url=given["telegram_api_url"],
            min_level=given["telegram_min_level"],
        )
    elif given["telegram_token"] or given["telegram_chat_id"]:
        missing = "telegram_chat_id" if given["telegram_token"] else "telegram_token"
        advice = ("Telegram: nothing was sent: %s is missing." % missing,)
    sentry = None
    if given["sentry_dsn"]:
        sentry = SentrySettings(
            dsn=given["sentry_dsn"], environment=given["sentry_environment"] or None, monitor=_monitor(given)
        )
    return DeliverySettings(host, given["timeout"], telegram, sentry, secrets), advice


def _monitor(given: Mapping[str, Any]) -> Monitor | None:
    schedule = (given["monitor_schedule"] or "").strip()
    if not schedule:
        return None
    # Sentry accepts the check-in of a monitor it cannot understand, and drops it.
    if len(schedule.split()) != CRONTAB_FIELDS:
        raise _unusable("monitor_schedule", schedule, "Give the five fields of a crontab line, as 0 3 * * *.")
    if given["monitor_margin"] < 1:
        raise _unusable("monitor_margin", given["monitor_margin"], "Give a number of minutes, at least 1.")
    return Monitor(given["job"], schedule, given["monitor_margin"])


def _unusable(option: str, value: object, remedy: str) -> SettingsError:
    return SettingsError("%s is %s" % (option, value), stage="settings", remedy=remedy)
