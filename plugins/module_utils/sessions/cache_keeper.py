# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the credentials cache of one source: read the database, judge what came of it, write it down, tell."""

from __future__ import annotations

import dataclasses
import threading
import time
from dataclasses import dataclass
from typing import Callable

from ..postgres.connection import answering_within
from ..postgres.settings import ConnectionSettings
from ..reporting.report import Report
from ..system.errors import MissingDependencyError, ResilienceError, SettingsError
from . import cache_report
from .cache import (
    CACHE,
    NOTHING,
    Cache,
    DamagedCacheError,
    Told,
    after_failed_read,
    after_good_read,
    closed,
    read_cache,
    without_expired,
    write_cache,
)
from .creds import BrokenCredsError, check_creds
from .fence import DamagedFenceError, FencedError, require_database, require_unmarked
from .layout import SessionLayout
from .store import open_snapshot
from .values import normalise

DOING = "cache credentials"
# A server that takes the connection and then says nothing is as good as down.
READ_SECONDS = 20.0


@dataclass(frozen=True)
class CacheRequest:
    """One source and how its cache is kept; times in seconds. ``cooldown``: how long the same news is not repeated."""

    source: str
    settings: ConnectionSettings
    layout: SessionLayout
    state_directory: str
    ttl: float
    cooldown: float = 300.0


@dataclass(frozen=True)
class Credentials:
    """What one read gave: the JSON text of each tenant's credentials, and those that nobody could use, with why."""

    good: dict[str, str] = dataclasses.field(repr=False)
    broken: dict[str, str]


def read_credentials(request: CacheRequest) -> Credentials:
    """Read the credentials of all tenants in one snapshot. Raises ResilienceError; FencedError for a marked database."""
    good: dict[str, str] = {}
    broken: dict[str, str] = {}
    with (
        open_snapshot(request.settings, request.layout) as snapshot,
        answering_within(snapshot.connection, READ_SECONDS),
    ):
        require_unmarked(snapshot.connection, request.layout, DOING)
        for tenant in snapshot.tenants():
            text = snapshot.creds(tenant)
            try:
                # Without a phone there is nothing to keep: Baileys makes such credentials by itself.
                if check_creds(text, tenant).paired:
                    good[tenant] = normalise(str(text), double_stringified=True)
            except BrokenCredsError as error:
                broken[tenant] = error.message
    return Credentials(good, broken)


class CacheKeeper:
    """The cache of one source while its program runs; begins with what the file holds.

    ``tell`` takes each report, ``clock`` gives seconds since the epoch. ``read_once`` and ``purge`` may run in two
    threads: a database that hangs must not keep what has expired on the disk.
    """

    def __init__(
        self,
        request: CacheRequest,
        tell: Callable[[Report], None],
        clock: Callable[[], float] = time.time,
        read: Callable[[CacheRequest], Credentials] = read_credentials,
    ) -> None:
        self._request = request
        self._tell = tell
        self._clock = clock
        self._read = read
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}
        try:
            self.cache = read_cache(request.state_directory, request.source)
        except DamagedCacheError as error:
            self.cache = Cache()
            tell(cache_report.unkept_report(request.source, error))

    def read_once(self) -> Cache:
        """Read the database; whatever comes of it is in the file when this returns. Raises SettingsError."""
        request, started = self._request, self._clock()
        try:
            require_database(request.state_directory, request.source, DOING)
            credentials = self._read(request)
        except (SettingsError, MissingDependencyError):
            # No waiting helps.
            raise
        except (FencedError, DamagedFenceError) as error:
            message = error.message
            self._put(lambda cache: closed(cache, message, started))
            if isinstance(error, DamagedFenceError):
                self._tell_now_and_then("fence", cache_report.unkept_report(request.source, error))
        except ResilienceError as error:
            self._failed(error)
        else:
            self._succeeded(credentials, started)
        return self.cache

    def purge(self) -> None:
        """Take what has expired out of the file."""
        if self.cache != without_expired(self.cache, self._clock(), self._request.ttl):
            self._put(lambda cache: without_expired(cache, self._clock(), self._request.ttl))

    def _succeeded(self, credentials: Credentials, started: float) -> None:
        source, ttl = self._request.source, self._request.ttl
        # As old as the question, not as the answer.
        before = self._put(lambda cache: after_good_read(cache, credentials.good, credentials.broken, started, ttl))
        if before.failure is not None and before.told is not None and before.told.at >= before.failure.since:
            self._tell(cache_report.recovered_report(source, self.cache, before, self._clock()))
        if credentials.broken:
            self._tell_now_and_then("broken", cache_report.broken_report(source, credentials.broken))

    def _failed(self, error: ResilienceError) -> None:
        now = self._clock()
        code = cache_report.error_code(error)
        self._put(lambda cache: after_failed_read(cache, error.message, code, now, self._request.ttl))
        told = self.cache.told
        worse = told is not None and told.served_from == CACHE and self.cache.served_from == NOTHING
        if told is None or worse or not 0 <= now - told.at < self._request.cooldown:
            report = cache_report.failing_report(self._request.source, self.cache, now)
            served_from = self.cache.served_from
            # Written down only afterwards: a program that is killed meanwhile had better say it twice than never.
            self._tell(report)
            self._put(lambda cache: dataclasses.replace(cache, told=Told(now, served_from)))

    def _put(self, change: Callable[[Cache], Cache]) -> Cache:
        """Change the cache and the file; returns what it was before."""
        with self._lock:
            before = self.cache
            self.cache = change(before)
            try:
                write_cache(self._request.state_directory, self._request.source, self.cache, self._request.ttl)
                return before
            except ResilienceError as error:
                unkept = error
        # The entries in the file have their end written beside them: nobody takes them for younger than they are.
        self._tell_now_and_then("file", cache_report.unkept_report(self._request.source, unkept))
        return before

    def _tell_now_and_then(self, what: str, report: Report) -> None:
        now = self._clock()
        last = self._told.get(what)
        if last is None or not 0 <= now - last < self._request.cooldown:
            self._told[what] = now
            self._tell(report)
