# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random stores, in every layout: what must hold of a cleanup whatever they hold."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.batches import Pace
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.policy import Policy
from demo.postgres_server import PostgresServer
from tests.support.databases import fresh_database
from tests.support.key_store import (
    EVERY_TYPE,
    LAYOUTS,
    NEVER_BY_AGE,
    OWN_LID,
    OWN_PHONE,
    Key,
    KeyStore,
    ages_of,
    may_go,
    seconds_ago,
    token,
)

TENANTS = ("acme", "a:b", "x-y", "without creds")
GROUPS = ("1@g.us", "49-17@g.us")
# Half an hour off every limit: the server's clock goes on between the filling and the counting.
AGES = st.integers(-2, 24 * 420).map(lambda hours: timedelta(hours=hours, minutes=30))
NO_AGES = st.sampled_from([None, "infinity", "-infinity"])
TEXTS = st.text(alphabet="abc019._@", min_size=1, max_size=8)


@pytest.fixture(scope="module", params=["server18", "server16"])
def stores(request: pytest.FixtureRequest) -> Iterator[dict[str, KeyStore]]:
    """A store of every layout, on a server of each major."""
    server: PostgresServer = request.getfixturevalue(request.param)
    with fresh_database(server) as database:
        yield {kind: KeyStore(database, kind).create() for kind in LAYOUTS}


@st.composite
def keys(draw: st.DrawFn) -> list[Key]:
    """Keys of every type and age; those of one name only once."""
    found = draw(st.lists(one_key(), max_size=40))
    return list({key.name: key for key in found}.values())


@st.composite
def one_key(draw: st.DrawFn) -> Key:
    key_type = draw(st.sampled_from(sorted(EVERY_TYPE)))
    age = draw(st.one_of(AGES, AGES, AGES, NO_AGES))
    value = draw(st.sampled_from([{"some": "value"}, [1, 2], "text", None, {"timestamp": "1"}]))
    if key_type == "sender-key":
        sender = draw(st.sampled_from([OWN_PHONE, f"{OWN_LID}_1", "4917", "200_1"]))
        key_id = f"{draw(st.sampled_from(GROUPS))}::{sender}::{draw(st.integers(0, 99))}"
    elif key_type == "sender-key-memory":
        key_id = draw(st.sampled_from(GROUPS))
    elif key_type == "tctoken":
        key_id = draw(st.one_of(st.just("__index"), TEXTS))
        value = draw(tokens())
    else:
        key_id = draw(st.one_of(TEXTS, st.just("__index")))
    return Key(key_type, key_id, age, value, draw(st.sampled_from(TENANTS)))


@st.composite
def tokens(draw: st.DrawFn) -> Any:
    """Tokens with times in every spelling; an hour count stands for the time until the store is filled."""
    times = st.one_of(st.none(), AGES)
    return {"ages": (draw(times), draw(times)), "as text": draw(st.booleans())}


def with_times(store: KeyStore, key: Key) -> Key:
    """A token's ages as moments, counted from when the store is filled."""
    if key.key_type != "tctoken":
        return key
    given_at, sent_at = (None if age is None else seconds_ago(store.at, age) for age in key.value["ages"])
    spelling = str if key.value["as text"] else int
    value = token(timestamp=None if given_at is None else spelling(given_at), sender_timestamp=sent_at)
    return Key(key.key_type, key.key_id, key.age, value, key.tenant)


DAYS = st.integers(1, 400)
OPT_IN = st.one_of(st.none(), st.integers(180, 400))
SAFE_POLICIES = st.builds(Policy, st.just("safe"), DAYS, OPT_IN, OPT_IN)
POLICIES = st.one_of(SAFE_POLICIES, st.builds(Policy, st.just("everything_by_age"), DAYS))


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    kind=st.sampled_from(sorted(LAYOUTS)), drawn=keys(), policy=POLICIES, batch=st.integers(1, 20), seed=st.integers(0)
)
def test_a_cleanup_deletes_what_may_go_and_nothing_else(
    stores: dict[str, KeyStore], tmp_path: Path, kind: str, drawn: list[Key], policy: Policy, batch: int, seed: int
) -> None:
    store = stores[kind]
    tenants = [tenant for tenant in TENANTS if tenant != "without creds"]
    random.Random(seed).shuffle(drawn)
    # The moment of the filling is known only afterwards; tokens are written against the one before, moments ago.
    store.fill([], tenants)
    present = [with_times(store, key) for key in drawn]
    store.fill(present, tenants)
    expected = may_go(present, policy, store.at, tenants)

    result = store.clean(tmp_path, policy, pace=Pace(batch_size=batch, pause=0))

    names = {key.name for key in present}
    gone = names - store.names()
    if policy.mode == "safe":
        assert not {key_type for _tenant, key_type, _id in gone} & NEVER_BY_AGE
    assert gone == expected
    assert result.deleted_keys == result.before.deletable == len(expected)
    assert (result.held, result.refreshed, result.kept) == (0, 0, 0)
    # Every bucket of every type, counted independently.
    assert result.before.keys == len(present)
    for key_type, count in result.before.types.items():
        of_type = [key for key in present if key.key_type == key_type]
        assert {bucket: number for bucket, number in count.ages.items() if number} == ages_of(of_type), key_type
        assert count.deletable == len([name for name in expected if name[1] == key_type])
        assert result.deleted.get(key_type, 0) == count.deletable
