# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the last credentials of every session at hand, for the minutes in which the database cannot be read.

    resilience-credentials-cache --source whatsapp --env-file /opt/app/.env      # runs until it is stopped
    resilience-credentials-cache --source whatsapp --list                        # what it holds, without secrets
    resilience-credentials-cache --source whatsapp --print acme                  # the credentials of one tenant

docs/standby.md tells the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    SSL_MODES,
    default_state_directory,
)
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import resolve
from ansible_collections.baileys.resilience.plugins.module_utils.reporting import status
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.delivery import deliver
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.report import Report, utc_now
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.settings import (
    DEFAULT_TIMEOUT_SECONDS,
    TELEGRAM_API_URL,
    DeliverySettings,
    delivery_settings,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions import cache
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cache_keeper import CacheKeeper, CacheRequest
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cache_report import CACHE_JOB
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.fence import require_database
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import layout_from
from ansible_collections.baileys.resilience.plugins.module_utils.system.env_file import read_env_file
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError, SettingsError
from ansible_collections.baileys.resilience.plugins.module_utils.system.files import private_directory
from ansible_collections.baileys.resilience.plugins.module_utils.system.lock import exclusive_lock
from ansible_collections.baileys.resilience.plugins.module_utils.system.units import human_duration

DEFAULT_INTERVAL_SECONDS = 30.0
PURGE_SECONDS = 60.0
# PM2 starts a program again as soon as the old one has ended; one that is about to end needs no longer.
LOCK_SECONDS = 2.0
# PM2 kills what has not ended 1.6 s after it was asked to.
LAST_SECONDS = 1.0

DONE, FAILED = 0, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _main(options)
    except ResilienceError as error:
        print("{}. {}".format(error.message.rstrip("."), error.remedy or "").strip(), file=sys.stderr, flush=True)
        return FAILED


def _main(options: argparse.Namespace) -> int:
    directory = options.state_directory or default_state_directory()
    ttl = cache.ttl_seconds(_ttl_text(options))
    if options.list:
        return _list(directory, options.source, ttl)
    if options.print is not None:
        return _print(directory, options.source, options.print, ttl)
    if not 0 < options.interval < ttl:
        raise SettingsError(
            f"--interval is {options.interval:g} s, and an entry lives {ttl:g} s",
            remedy=f"Read more often than entries expire: give a shorter --interval, or a longer {cache.TTL_VARIABLE}.",
        )
    settings = resolve({"sslmode": options.ssl_mode, "sslrootcert": options.ca_cert}, options.env_file)
    request = CacheRequest(
        source=options.source,
        settings=settings,
        layout=layout_from(_layout(options.layout)),
        state_directory=directory,
        ttl=ttl,
        cooldown=options.cooldown,
    )
    delivery = _delivery((settings.password,) if settings.password else ())
    private_directory(directory)
    lock = os.path.join(directory, ".cache-%s.lock" % quote(options.source, safe=""))
    with exclusive_lock(lock, LOCK_SECONDS):
        keeper = CacheKeeper(request, lambda report: _tell(report, delivery, directory))
        if options.once:
            keeper.purge()
            return DONE if keeper.read_once().served_from == cache.DATABASE else FAILED
        return _run(keeper, options.interval)


def _run(keeper: CacheKeeper, interval: float) -> int:
    """Read again and again until a signal comes. The reading has a thread of its own: a connection that hangs must
    neither keep what has expired on the disk nor the program from its end."""
    ending = threading.Event()
    asked: list[int] = []
    failures: list[ResilienceError] = []

    def end(number: int, _frame: object) -> None:
        asked.append(number)
        ending.set()

    def read_on() -> None:
        try:
            served_from = ""
            while not ending.is_set():
                now = keeper.read_once()
                if now.served_from != served_from:
                    served_from = now.served_from
                    # The team is told of the other failures, and so is the log.
                    fenced = now.failure is not None and now.failure.code == cache.FENCED
                    why = f": {now.failure.message}" if fenced and now.failure else ""
                    _say(f"{len(now.entries)} credentials, served from {served_from}{why}")
                ending.wait(interval)
        except ResilienceError as error:
            failures.append(error)
        finally:
            ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    reader = threading.Thread(target=read_on, daemon=True)
    reader.start()
    while not ending.wait(PURGE_SECONDS):
        keeper.purge()
    reader.join(LAST_SECONDS)
    if failures:
        raise failures[0]
    _say("ended")
    # Whatever else ended the reading has left its trace above.
    return DONE if asked else FAILED


def _list(directory: str, source: str, ttl: float) -> int:
    """One line for each tenant, without anything secret."""
    kept, now = cache.read_cache(directory, source), time.time()
    print(f"{source}: served from {kept.served_from}, checked {cache.iso(kept.checked_at)}")
    if kept.failure is not None:
        print(f"  {kept.failure.code} since {cache.iso(kept.failure.since)}: {kept.failure.message}")
    usable = cache.usable(kept, now, ttl)
    for tenant, entry in sorted(kept.entries.items()):
        words = "" if tenant in usable else ", expired"
        print(f"  {tenant}: {human_duration(now - entry.read_at)} old{words}")
    return DONE if usable else FAILED


def _print(directory: str, source: str, tenant: str, ttl: float) -> int:
    """The credentials of one tenant with their age, as one line of JSON."""
    require_database(directory, source, "serve cached credentials")
    kept, now = cache.read_cache(directory, source), time.time()
    entry = cache.usable(kept, now, ttl).get(tenant)
    if entry is None:
        raise ResilienceError(
            f"The cache of {source} holds no credentials of {tenant} that are younger than {human_duration(ttl)}",
            remedy="What is older is in the standby (session_standby_info).",
        )
    answer = {
        "served_from": kept.served_from,
        "read_at": cache.iso(entry.read_at),
        "age_seconds": round(now - entry.read_at, 3),
        "creds": json.loads(entry.creds),
    }
    print(json.dumps(answer))
    return DONE


def _tell(report: Report, delivery: DeliverySettings, directory: str) -> None:
    """Into the status file, to the team, and into the log; failing to do so disturbs nothing."""
    _say("{}: {}{}".format(report.level, report.title, "".join(f"; {label}: {value}" for label, value in report.facts)))
    try:
        warnings = list(status.record(directory, report))
    except ResilienceError as error:
        warnings = [f"The status could not be kept: {error.message}"]
    for warning in [*warnings, *deliver([report], delivery).warnings]:
        _say(warning)


def _say(words: str) -> None:
    print(f"{utc_now()} {words}", flush=True)


def _delivery(secrets: tuple[str, ...]) -> DeliverySettings:
    """Where reports go, from the environment: what is secret must not stand in an argument."""
    given: dict[str, Any] = {
        "job": CACHE_JOB,
        "timeout": DEFAULT_TIMEOUT_SECONDS,
        "telegram_token": os.environ.get("TELEGRAM_BOT_TOKEN"),
        "telegram_chat_id": os.environ.get("TELEGRAM_CHAT_ID"),
        "telegram_api_url": os.environ.get("TELEGRAM_API_URL", TELEGRAM_API_URL),
        "telegram_min_level": "info",
        "sentry_dsn": os.environ.get("SENTRY_DSN"),
        "sentry_environment": os.environ.get("SENTRY_ENVIRONMENT"),
        "monitor_schedule": None,
    }
    settings, advice = delivery_settings(given, socket.gethostname(), secrets)
    for words in advice:
        _say(words)
    return settings


def _ttl_text(options: argparse.Namespace) -> str | None:
    """The option comes before the env_file, and that before the environment."""
    if options.ttl_ms is not None:
        return str(options.ttl_ms)
    variables = read_env_file(options.env_file) if options.env_file else {}
    return variables.get(cache.TTL_VARIABLE) or os.environ.get(cache.TTL_VARIABLE)


def _layout(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
        if not isinstance(given, dict):
            raise TypeError("no object")
        return given
    except (TypeError, ValueError) as error:
        raise SettingsError(
            "--layout is no JSON object", remedy='Give it as the inventory has it: \'{"schema": "app"}\'.'
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="resilience-credentials-cache",
        description="Keep the last credentials of every session for the minutes in which the database cannot be read.",
        epilog="The connection is that of --env-file and of the PG* environment; SENTRY_DSN and TELEGRAM_BOT_TOKEN with "
        "TELEGRAM_CHAT_ID in the environment say whom to tell.",
    )
    parser.add_argument("--source", required=True, help="name of the source, as in backup_sources")
    parser.add_argument("--env-file", help="the application's .env with POSTGRES_*")
    parser.add_argument("--ssl-mode", choices=SSL_MODES)
    parser.add_argument("--ca-cert", help="file with the root certificate")
    parser.add_argument("--layout", default="{}", help="the source's session_layout, as JSON")
    parser.add_argument("--state-directory", help="where cache.json and fence.json are")
    parser.add_argument(
        "--ttl-ms", help=f"milliseconds an entry lives (default: {cache.TTL_VARIABLE}, {cache.DEFAULT_TTL_MS})"
    )
    parser.add_argument("--interval", type=float, default=DEFAULT_INTERVAL_SECONDS, help="seconds between two reads")
    parser.add_argument("--cooldown", type=float, default=300.0, help="seconds before the same news is told again")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--once", action="store_true", help="read once, and say by the exit status how it went")
    mode.add_argument("--list", action="store_true", help="show what the cache holds, without secrets")
    mode.add_argument("--print", metavar="TENANT", help="print the credentials of one tenant (a secret) as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
