# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The credentials the database gave last, kept for a few minutes in ``cache.json``.

They are for reading only: nothing here knows how to write to the database. Credentials go out of date with every
message, so an entry lives CREDENTIALS_CACHE_TTL_MS and not a moment longer; what is older is the standby's business.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from ..system.errors import ResilienceError, SettingsError
from ..system.files import explain_os_error, private_directory, write_private
from ..system.lock import exclusive_lock

CACHE_VERSION = 1

TTL_VARIABLE = "CREDENTIALS_CACHE_TTL_MS"
DEFAULT_TTL_MS = 300_000
# An hour: sessions move on with every message, and credentials that old do more harm than good.
LONGEST_TTL_MS = 3_600_000
SHORTEST_TTL_MS = 1_000

DATABASE = "database"
CACHE = "cache"
NOTHING = "nothing"
SERVED_FROM = (DATABASE, CACHE, NOTHING)
# The code of a Failure that is none of the database.
FENCED = "fenced"

# Another program writes for a few milliseconds; this is for a host that swaps.
LOCK_SECONDS = 5.0

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class DamagedCacheError(ResilienceError):
    """A cache that cannot be understood; it is worth nothing, and the next good read makes a new one."""


@dataclass(frozen=True)
class Entry:
    """The credentials of one tenant as JSON text, and when they were read (seconds since the epoch)."""

    creds: str = field(repr=False)
    read_at: float


@dataclass(frozen=True)
class Failure:
    """Why the database is not read, and since when."""

    message: str
    code: str
    since: float


@dataclass(frozen=True)
class Told:
    """When the team was last told that the database errs, and what served then: it is not told again too soon."""

    at: float
    served_from: str


@dataclass(frozen=True)
class Cache:
    """What is kept of one source.

    ``served_from``: ``database`` (the last read was good), ``cache`` (it was not, these entries are what is left), or
    ``nothing`` (nothing is left, or the sessions belong to the files).
    """

    served_from: str = NOTHING
    checked_at: float = 0.0
    entries: Mapping[str, Entry] = field(default_factory=dict)
    failure: Failure | None = None
    told: Told | None = None


def ttl_seconds(value: str | None) -> float:
    """How long an entry lives, from the value of CREDENTIALS_CACHE_TTL_MS. Raises SettingsError naming it."""
    text = str(DEFAULT_TTL_MS) if value is None or value == "" else value
    if not (text.isascii() and text.isdigit() and SHORTEST_TTL_MS <= int(text) <= LONGEST_TTL_MS):
        raise SettingsError(
            f"{TTL_VARIABLE} is {text!r}",
            stage="settings",
            remedy="Give a whole number of milliseconds from %d to %d." % (SHORTEST_TTL_MS, LONGEST_TTL_MS),
        )
    return int(text) / 1000


def after_good_read(cache: Cache, read: Mapping[str, str], broken: Iterable[str], now: float, ttl: float) -> Cache:
    """What the database holds is all there is: earlier entries go.

    Only where its credentials are ``broken`` does a tenant keep those that were read before, until they expire.
    """
    left = usable(cache, now, ttl)
    kept = {tenant: left[tenant] for tenant in broken if tenant in left}
    return Cache(
        DATABASE, now, {**kept, **{tenant: Entry(creds, now) for tenant, creds in read.items()}}, told=cache.told
    )


def after_failed_read(cache: Cache, message: str, code: str, now: float, ttl: float) -> Cache:
    """The entries that are still young enough serve until the database answers."""
    left = usable(cache, now, ttl)
    failure = Failure(message, code, cache.failure.since if cache.failure else now)
    return Cache(CACHE if left else NOTHING, now, left, failure, cache.told)


def closed(cache: Cache, message: str, now: float) -> Cache:
    """Nothing may be served: the sessions belong to the files, or nobody can tell."""
    return Cache(NOTHING, now, {}, Failure(message, FENCED, cache.failure.since if cache.failure else now), cache.told)


def usable(cache: Cache, now: float, ttl: float) -> dict[str, Entry]:
    """The entries no older than ``ttl`` seconds. One from the future tells no age (the clock was set back): it goes."""
    return {tenant: entry for tenant, entry in cache.entries.items() if 0 <= now - entry.read_at < ttl}


def without_expired(cache: Cache, now: float, ttl: float) -> Cache:
    """The same cache without what has expired."""
    left = usable(cache, now, ttl)
    if len(left) == len(cache.entries):
        return cache
    return replace(cache, entries=left, served_from=cache.served_from if left else NOTHING)


def cache_path(state_directory: str) -> str:
    """The file that survives a restart, and that the application reads."""
    return os.path.join(state_directory, "cache.json")


def read_cache(state_directory: str, source: str) -> Cache:
    """What the file holds of a source; an empty cache for none. Raises DamagedCacheError, ResilienceError."""
    try:
        entry = _read(cache_path(state_directory)).get(source)
        return Cache() if entry is None else _parse(entry)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedCacheError(
            f"The cache {cache_path(state_directory)} is damaged ({type(error).__name__})",
            stage="cache",
            remedy="Nothing need be done: the next good read of the database makes a new one.",
        ) from error


def write_cache(state_directory: str, source: str, cache: Cache, ttl: float) -> None:
    """Replace what the file holds of a source; the other sources stay. Raises ResilienceError."""
    private_directory(state_directory)
    path = cache_path(state_directory)
    with exclusive_lock(os.path.join(state_directory, ".cache.lock"), LOCK_SECONDS):
        _remove_partial(path)
        try:
            sources = _read(path)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            sources = {}
        sources[source] = _document(cache, ttl)
        document = {"cache_version": CACHE_VERSION, "sources": {name: sources[name] for name in sorted(sources)}}
        write_private(path, (json.dumps(document, indent=1) + "\n").encode("ascii"))


def iso(moment: float) -> str:
    """Seconds since the epoch as ``2026-01-31T03:00:00.000000Z``, which JavaScript's Date.parse reads too."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime(_TIME)


def _moment(text: str) -> float:
    return datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc).timestamp()


def _remove_partial(path: str) -> None:
    """Remove what a killed writer left, which holds credentials; the lock is ours, so nobody is writing it."""
    directory, name = os.path.split(path)
    for other in os.listdir(directory):
        if other.startswith(name + ".") and other.endswith(".partial"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, other))


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            document = json.loads(stream.read())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise explain_os_error(error, path, "read the cache").at_stage("cache") from error
    if document["cache_version"] != CACHE_VERSION:
        raise ValueError("another version of the format")
    return dict(document["sources"])


def _parse(entry: Mapping[str, Any]) -> Cache:
    if entry["served_from"] not in SERVED_FROM:
        raise ValueError("served from nowhere we know")
    error, told = entry["error"], entry["told"]
    return Cache(
        served_from=entry["served_from"],
        checked_at=_moment(entry["checked_at"]),
        entries={
            str(tenant): Entry(json.dumps(kept["creds"], separators=(",", ":")), _moment(kept["read_at"]))
            for tenant, kept in entry["tenants"].items()
        },
        failure=error and Failure(str(error["message"]), str(error["code"]), _moment(error["since"])),
        told=told and Told(_moment(told["at"]), str(told["served_from"])),
    )


def _document(cache: Cache, ttl: float) -> dict[str, Any]:
    failure, told = cache.failure, cache.told
    return {
        "served_from": cache.served_from,
        "checked_at": iso(cache.checked_at),
        "error": failure and {"message": failure.message, "code": failure.code, "since": iso(failure.since)},
        "told": told and {"at": iso(told.at), "served_from": told.served_from},
        "tenants": {
            tenant: {
                "read_at": iso(entry.read_at),
                "expires_at": iso(entry.read_at + ttl),
                "creds": json.loads(entry.creds),
            }
            for tenant, entry in sorted(cache.entries.items())
        },
    }
