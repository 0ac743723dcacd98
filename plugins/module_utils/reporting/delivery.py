# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell everybody who wants to know, in bounded time, whatever their state."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Callable

from ..system.errors import ResilienceError
from . import telegram
from .channel import Outcome
from .message import Message, compose
from .redact import redact_text
from .report import LEVELS, Report, redact_report, worst_level
from .settings import DeliverySettings

# A channel's own clock ends a little earlier than ours, so that it can still say how far it got.
CHANNEL_SHARE = 0.95


@dataclasses.dataclass(frozen=True)
class Delivery:
    """What became of the reports: accepted messages by channel, and what went wrong, ready to be shown."""

    sent: Mapping[str, int]
    warnings: tuple[str, ...]
    seconds: float


def deliver(reports: Sequence[Report], settings: DeliverySettings) -> Delivery:
    """Send the reports to every channel of the settings, side by side, within ``settings.timeout`` seconds.

    Never raises for a channel: refused, silent, limited or not installed, each is a warning.
    """
    started = time.monotonic()
    deadline = started + settings.timeout * CHANNEL_SHARE
    channels: dict[str, Callable[[], Outcome]] = {}
    if reports and settings.telegram is not None:
        channels["telegram"] = lambda: _to_telegram(reports, settings, deadline)
    if reports and settings.sentry is not None:
        channels["sentry"] = lambda: _to_sentry(reports, settings, deadline)
    outcomes = _run_side_by_side(channels, started, settings.timeout)
    warnings = [
        redact_text(warning, settings.all_secrets) for outcome in outcomes.values() for warning in outcome.warnings
    ]
    return Delivery(
        sent={name: outcome.sent for name, outcome in outcomes.items()},
        warnings=tuple(warnings),
        seconds=time.monotonic() - started,
    )


def redacted(reports: Sequence[Report], settings: DeliverySettings) -> tuple[Report, ...]:
    """The reports without any secret of the settings, nor anything that looks like one."""
    return tuple(redact_report(report, settings.all_secrets) for report in reports)


def telegram_messages(reports: Sequence[Report], settings: DeliverySettings) -> tuple[Message, ...]:
    """The messages ``deliver`` would send, of the reports that reach the lowest level asked for."""
    if settings.telegram is None:
        return ()
    lowest = LEVELS.index(settings.telegram.min_level)
    wanted = [report for report in redacted(reports, settings) if LEVELS.index(report.level) >= lowest]
    return compose(wanted, settings.host)


def _to_telegram(reports: Sequence[Report], settings: DeliverySettings, deadline: float) -> Outcome:
    messages = telegram_messages(reports, settings)
    if settings.telegram is None or not messages:
        return Outcome(0)
    return telegram.send(messages, settings.telegram, deadline, quiet=worst_level(reports) == "info")


def _to_sentry(reports: Sequence[Report], settings: DeliverySettings, deadline: float) -> Outcome:
    # Loaded only where it is used: it takes as long as all the rest of the module together.
    from . import sentry

    if settings.sentry is None:
        return Outcome(0)
    return sentry.send(reports, settings.host, settings.sentry, settings.all_secrets, deadline)


def _run_side_by_side(
    channels: Mapping[str, Callable[[], Outcome]], started: float, timeout: float
) -> dict[str, Outcome]:
    finished: dict[str, Outcome] = {}
    threads: list[tuple[str, threading.Thread]] = []
    for name, channel in channels.items():
        # A daemon, because a thread that hangs in the name resolver cannot be ended and must not keep the
        # process from its end.
        thread = threading.Thread(target=_run, args=(name, channel, finished), daemon=True, name=name)
        thread.start()
        threads.append((name, thread))
    for _name, thread in threads:
        thread.join(max(0.0, started + timeout - time.monotonic()))
    return {name: finished.get(name) or _silent(name, timeout) for name, _thread in threads}


def _run(name: str, channel: Callable[[], Outcome], finished: dict[str, Outcome]) -> None:
    try:
        finished[name] = channel()
    except ResilienceError as error:
        text = "%s: nothing was sent: %s. %s" % (name.capitalize(), error.message, error.remedy or "")
        finished[name] = Outcome(0, (text.strip(),))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, a report must not undo the backup it reports
        text = "%s: an unexpected %s: %s" % (name.capitalize(), type(error).__name__, error)
        finished[name] = Outcome(0, (text,))


def _silent(name: str, timeout: float) -> Outcome:
    text = "%s: no answer within %g s; what was sent may or may not have arrived."
    return Outcome(0, (text % (name.capitalize(), timeout),))
