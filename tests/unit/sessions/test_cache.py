# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of cached credentials: what it holds, for how long, and what becomes of a damaged one."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cache import (
    CACHE,
    DATABASE,
    NOTHING,
    Cache,
    DamagedCacheError,
    Entry,
    Failure,
    Told,
    after_failed_read,
    after_good_read,
    cache_path,
    iso,
    read_cache,
    ttl_seconds,
    usable,
    without_expired,
    write_cache,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError

NOW = 1_795_000_000.25
TTL = 300.0
CREDS = '{"me":{"id":"49@s.whatsapp.net","name":"M\\u00fcller"},"noiseKey":{"data":"AAAA","type":"Buffer"}}'


def cache_with(**ages: float) -> Cache:
    return Cache(DATABASE, NOW, {tenant: Entry(CREDS, NOW - age) for tenant, age in ages.items()})


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, 300.0), ("", 300.0), ("2000", 2.0), ("1000", 1.0), ("3600000", 3600.0)]
)
def test_the_setting_is_in_milliseconds_and_has_a_default(value: str | None, seconds: float) -> None:
    assert ttl_seconds(value) == seconds


@pytest.mark.parametrize("value", ["5m", "0", "999", "-1", "3600001", "1e6", "2000.5", " 2000", "٣٠٠٠", "true"])
def test_a_value_that_cannot_be_used_is_refused_by_the_name_of_the_setting(value: str) -> None:
    with pytest.raises(SettingsError, match="CREDENTIALS_CACHE_TTL_MS is ") as caught:
        ttl_seconds(value)
    assert value in caught.value.message
    assert "milliseconds" in str(caught.value.remedy)


def test_an_entry_serves_until_its_time_is_over_and_not_a_moment_longer() -> None:
    cache = cache_with(new=0.0, old=TTL - 0.001, expired=TTL)
    assert set(usable(cache, NOW, TTL)) == {"new", "old"}


def test_an_entry_from_the_future_tells_no_age_and_is_not_served() -> None:
    assert usable(cache_with(ahead=-0.5), NOW, TTL) == {}


def test_a_good_read_replaces_all_that_was_there() -> None:
    after = after_good_read(
        cache_with(gone=1.0, kept=1.0, broken=1.0, old=TTL), {"kept": "{}"}, ("broken", "old"), NOW, TTL
    )
    assert after.served_from == DATABASE
    assert {tenant: NOW - entry.read_at for tenant, entry in after.entries.items()} == {"kept": 0.0, "broken": 1.0}


def test_a_failed_read_leaves_the_young_entries_and_remembers_since_when() -> None:
    first = after_failed_read(cache_with(young=10.0, old=TTL), "no", "ECONNREFUSED", NOW, TTL)
    assert (first.served_from, set(first.entries), first.failure) == (
        CACHE,
        {"young"},
        Failure("no", "ECONNREFUSED", NOW),
    )
    second = after_failed_read(first, "still no", "57P03", NOW + 289.0, TTL)
    assert (second.served_from, second.failure) == (CACHE, Failure("still no", "57P03", NOW))
    third = after_failed_read(second, "still no", "57P03", NOW + 290.0, TTL)
    assert (third.served_from, third.entries) == (NOTHING, {})


def test_purging_takes_what_has_expired_and_nothing_else() -> None:
    cache = cache_with(young=10.0, old=TTL)
    assert without_expired(cache_with(young=10.0), NOW, TTL) == cache_with(young=10.0)
    assert set(without_expired(cache, NOW, TTL).entries) == {"young"}
    assert without_expired(cache_with(old=TTL), NOW, TTL).served_from == NOTHING


def test_the_file_holds_what_the_guide_says(tmp_path: Path) -> None:
    cache = Cache(CACHE, NOW, {"acme": Entry(CREDS, NOW - 10)}, Failure("no", "57P03", NOW - 5), Told(NOW - 4, CACHE))
    write_cache(str(tmp_path), "whatsapp", cache, TTL)
    path = Path(cache_path(str(tmp_path)))
    assert path.stat().st_mode & 0o7777 == 0o600
    assert json.loads(path.read_text()) == {
        "cache_version": 1,
        "sources": {
            "whatsapp": {
                "served_from": "cache",
                "checked_at": iso(NOW),
                "error": {"message": "no", "code": "57P03", "since": iso(NOW - 5)},
                "told": {"at": iso(NOW - 4), "served_from": "cache"},
                "tenants": {
                    "acme": {"read_at": iso(NOW - 10), "expires_at": iso(NOW + 290), "creds": json.loads(CREDS)}
                },
            }
        },
    }


def test_what_is_read_again_after_a_restart_is_as_old_as_before(tmp_path: Path) -> None:
    cache = Cache(CACHE, NOW, {"acme": Entry(CREDS, NOW - 10)}, Failure("no", "57P03", NOW - 5), Told(NOW - 4, CACHE))
    write_cache(str(tmp_path), "whatsapp", cache, TTL)
    again = read_cache(str(tmp_path), "whatsapp")
    assert json.loads(again.entries["acme"].creds) == json.loads(CREDS)
    assert again.entries["acme"].read_at == NOW - 10
    assert (again.served_from, again.checked_at, again.failure, again.told) == (CACHE, NOW, cache.failure, cache.told)


@given(st.floats(0, 4e9))
def test_a_moment_survives_the_file_to_the_microsecond(moment: float) -> None:
    with tempfile.TemporaryDirectory() as directory:
        write_cache(directory, "s", Cache(DATABASE, moment, {"t": Entry("{}", moment)}), TTL)
        assert abs(read_cache(directory, "s").entries["t"].read_at - moment) < 2e-6


def test_each_source_has_its_own_part(tmp_path: Path) -> None:
    write_cache(str(tmp_path), "one", cache_with(a=1.0), TTL)
    write_cache(str(tmp_path), "other", cache_with(b=1.0), TTL)
    write_cache(str(tmp_path), "one", cache_with(c=1.0), TTL)
    assert set(read_cache(str(tmp_path), "one").entries) == {"c"}
    assert set(read_cache(str(tmp_path), "other").entries) == {"b"}
    assert read_cache(str(tmp_path), "third") == Cache()


def entry(**changes: Any) -> str:
    given = {"served_from": "database", "checked_at": iso(NOW), "error": None, "told": None, "tenants": {}, **changes}
    return json.dumps({"cache_version": 1, "sources": {"s": given}})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"cache_version": 2, "sources": {}}',
        '{"cache_version": 1}',
        entry(served_from="elsewhere"),
        entry(checked_at="now"),
        entry(tenants={"t": {"creds": {}}}),
        entry(tenants={"t": {"creds": {}, "read_at": 7}}),
        entry(error={"message": "x"}),
    ],
)
def test_a_damaged_file_is_worth_nothing_and_the_next_write_mends_it(tmp_path: Path, content: str) -> None:
    Path(cache_path(str(tmp_path))).write_text(content)
    with pytest.raises(DamagedCacheError, match="damaged"):
        read_cache(str(tmp_path), "s")
    write_cache(str(tmp_path), "s", cache_with(a=1.0), TTL)
    assert set(read_cache(str(tmp_path), "s").entries) == {"a"}


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    (tmp_path / "cache.json.123.partial").write_text("secret")
    (tmp_path / "fence.json.123.partial").write_text("not ours")
    write_cache(str(tmp_path), "s", Cache(), TTL)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".cache.lock", "cache.json", "fence.json.123.partial"]


def test_credentials_do_not_show_in_what_is_printed() -> None:
    assert "noiseKey" not in repr(cache_with(a=1.0))
