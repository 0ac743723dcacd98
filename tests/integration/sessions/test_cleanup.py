# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys a cleanup deletes and which it leaves, on real servers and in every layout."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cleanup import survey
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.policy import Policy
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from demo import session_store
from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.support.backups import settings_from
from tests.support.databases import fresh_database
from tests.support.key_store import (
    DAY,
    LAYOUTS,
    NEVER_BY_AGE,
    OWN_LID,
    OWN_PHONE,
    Key,
    KeyStore,
    may_go,
    seconds_ago,
    token,
)

SERVERS = ("server18", "server16")
MAXIMUM = Policy(session_days=180, sender_key_days=180)
EVERYTHING = Policy("everything_by_age")


@pytest.fixture(scope="module", params=SERVERS)
def any_server(request: pytest.FixtureRequest) -> PostgresServer:
    """A server of each major."""
    server: PostgresServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="module")
def stores(any_server: PostgresServer) -> Iterator[dict[str, KeyStore]]:
    """A store of every layout, in one database."""
    with fresh_database(any_server) as database:
        yield {kind: KeyStore(database, kind).create() for kind in LAYOUTS}


@pytest.fixture(params=list(LAYOUTS))
def store(request: pytest.FixtureRequest, stores: dict[str, KeyStore]) -> KeyStore:
    """A store of each layout, with one of everything."""
    made = stores[request.param]
    # Twice: what the tokens say depends on the moment.
    for _ in range(2):
        made.fill(one_of_everything(made), tenants=["acme", "other"])
    return made


@pytest.fixture
def on18(server18: PostgresServer, make_database: MakeDatabase) -> KeyStore:
    """A store of the test's own in the default layout."""
    return KeyStore(make_database(server18)).create()


def one_of_everything(store: KeyStore) -> list[Key]:
    """Old and young keys of every type, and each special case."""

    def gave(age: timedelta) -> int:
        return seconds_ago(store.at, age)

    keys = [
        Key(key_type, f"{name} {key_type}", age, tenant=tenant)
        for tenant in ("acme", "other")
        for key_type in [*sorted(NEVER_BY_AGE), "session", "device-list", "sender-key-memory"]
        for name, age in (("young", 29 * DAY), ("old", 31 * DAY), ("ancient", 400 * DAY))
    ]
    tokens = {
        "expired": (40 * DAY, token(timestamp=str(gave(40 * DAY)))),
        "expired, as a number": (40 * DAY, token(timestamp=gave(40 * DAY))),
        "touched": (DAY, token(timestamp=str(gave(40 * DAY)))),
        "young": (40 * DAY, token(timestamp=str(gave(DAY)))),
        "sent": (40 * DAY, token(timestamp=str(gave(40 * DAY)), sender_timestamp=gave(2 * DAY))),
        "sent long ago": (40 * DAY, token(timestamp=str(gave(40 * DAY)), sender_timestamp=gave(50 * DAY))),
        "cleared": (40 * DAY, token(sender_timestamp=gave(50 * DAY))),
        "odd": (40 * DAY, token(timestamp="soon")),
        "in milliseconds": (40 * DAY, token(timestamp=gave(40 * DAY) * 1000)),
        "nested": (40 * DAY, token(timestamp=gave(40 * DAY), more={"timestamp": gave(DAY)})),
        "twice": (40 * DAY, token(timestamp=gave(40 * DAY), more={"timestamp": gave(40 * DAY)})),
        "__index": (400 * DAY, token(timestamp=gave(400 * DAY))),
    }
    keys += [Key("tctoken", name, age, value) for name, (age, value) in tokens.items()]
    keys += [
        Key("sender-key", f"{group}::{sender}::{device}", age, tenant=tenant)
        for tenant in ("acme", "other", "nobody")
        for group, age in (("1@g.us", 10 * DAY), ("2@g.us", 100 * DAY), ("3@g.us", 200 * DAY), ("49-5@g.us", 300 * DAY))
        for sender, device in ((OWN_PHONE, 7), (f"{OWN_LID}_1", 7), ("4917", 0), ("200_1", 12))
    ]
    keys += [
        Key("sender-key-memory", group, DAY, tenant=tenant)
        for tenant in ("acme", "nobody")
        for group in ("1@g.us", "3@g.us", "49-5@g.us")
    ]
    keys += [Key("device-list", "no time", None), Key("device-list", "for ever", "infinity")]
    keys += [Key("device-list", "since ever", "-infinity"), Key("device-list", "tomorrow", -DAY)]
    return keys


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(retention_days=5),
        MAXIMUM,
        EVERYTHING,
        Policy("everything_by_age", retention_days=365),
    ],
    ids=["safe", "safe 5", "all choices", "everything", "everything 365"],
)
def test_exactly_what_may_go_goes(store: KeyStore, policy: Policy, tmp_path: Path) -> None:
    keys = one_of_everything(store)
    before = store.names()
    expected = may_go(keys, policy, store.at, ["acme", "other"])
    result = store.clean(tmp_path, policy)
    assert before - store.names() == expected
    assert result.deleted_keys == len(expected) == result.before.deletable
    # The credentials stay even where they are the oldest row among the keys.
    assert {name for name in store.names() if name[1] == "creds"} == {name for name in before if name[1] == "creds"}
    again = store.clean(tmp_path, policy)
    assert (again.deleted_keys, again.before.deletable) == (0, 0)


def test_the_cases_are_what_they_are_meant_to_be(on18: KeyStore) -> None:
    on18.fill([])
    keys = one_of_everything(on18)
    safe = {name[2] for name in may_go(keys, Policy(), on18.at, ["acme"]) if name[1] == "tctoken"}
    assert safe == {"expired", "expired, as a number", "sent long ago"}
    chosen = {name[1:] for name in may_go(keys, MAXIMUM, on18.at, ["acme"]) if name[1].startswith("sender-key")}
    assert ("sender-key", "3@g.us::4917::0") in chosen
    assert ("sender-key-memory", "3@g.us") in chosen
    assert not [name for name in chosen if OWN_PHONE in name[1] or OWN_LID in name[1]]


def test_a_realistic_store_is_left_as_it_was_but_for_what_goes(
    any_server: PostgresServer, make_session_store: MakeDatabase, tmp_path: Path
) -> None:
    database = make_session_store(any_server)
    store = KeyStore(database)
    rows = "SELECT key_type, key_id, md5(whatsapp_keys::text) FROM whatsapp_keys"
    before = set(database.execute(rows))
    creds = database.execute("SELECT * FROM whatsapp_auth")
    ages = session_store.expected_ages()
    expected = {name: ages[name][">30d"] for name in ("device-list", "sender-key-memory", "tctoken")}
    census, _listed = survey(settings_from(database.parameters()), SessionLayout(), Policy())
    assert {name: count.deletable for name, count in census.types.items() if count.deletable} == expected
    result = store.clean(tmp_path)
    assert result.deleted == expected
    after = set(database.execute(rows))
    assert after < before
    assert len(before - after) == sum(expected.values())
    assert {row[0] for row in before - after} == set(expected)
    assert database.execute("SELECT * FROM whatsapp_auth") == creds


class TestCensus:
    def test_buckets_ages_and_sizes(self, any_server: PostgresServer, make_session_store: MakeDatabase) -> None:
        database = make_session_store(any_server)
        census, listed = survey(settings_from(database.parameters()), SessionLayout(), Policy())
        assert listed == []
        for key_type, ages in session_store.expected_ages().items():
            found = {bucket: keys for bucket, keys in census.types[key_type].ages.items() if keys}
            assert found == {bucket: keys for bucket, keys in ages.items() if keys}, key_type
        utc = "to_char({}(updated_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        ((oldest, newest, keys),) = database.execute(
            f"SELECT {utc.format('min')}, {utc.format('max')}, count(*) FROM whatsapp_keys"
        )
        assert (census.oldest, census.newest, census.keys) == (oldest, newest, keys)
        ((table, indexes, total, whole),) = database.execute(
            "SELECT pg_table_size('whatsapp_keys'), pg_indexes_size('whatsapp_keys'),"
            " pg_total_relation_size('whatsapp_keys'), pg_database_size(current_database())"
        )
        sizes = census.sizes
        assert (sizes.table_bytes, sizes.index_bytes, sizes.total_bytes) == (table, indexes, total)
        assert sizes.database_bytes == whole

    def test_the_ends_of_the_buckets(self, on18: KeyStore) -> None:
        edge = timedelta(minutes=1)
        ages = [age for days in (1, 7, 14, 30) for age in (days * DAY - edge, days * DAY + edge)]
        on18.fill([Key("session", str(number), age) for number, age in enumerate([timedelta(0), *ages])])
        census, _listed = survey(settings_from(on18.database.parameters()), on18.layout, Policy())
        assert census.ages() == {"<1d": 2, "1-7d": 2, "7-14d": 2, "14-30d": 2, ">30d": 1, "unknown": 0}

    def test_rows_that_are_no_keys_are_counted_apart(self, stores: dict[str, KeyStore]) -> None:
        store = stores["tenant_combined"]
        database = store.database
        store.fill([Key("device-list", "1", 40 * DAY)])
        database.execute("INSERT INTO store VALUES ('acme:something', '{}', now() - interval '1 year')")
        census, _listed = survey(settings_from(database.parameters()), store.layout, EVERYTHING)
        assert {name: (count.keys, count.deletable) for name, count in census.types.items()} == {
            "device-list": (1, 1),
            "(no type)": (1, 0),
        }

    def test_listed_are_the_oldest_without_their_values(self, store: KeyStore) -> None:
        census, listed = survey(settings_from(store.database.parameters()), store.layout, Policy(), listed=4)
        assert [key.age_seconds // 86400 for key in listed] == [400, 400, 400, 400]
        assert sorted(dataclasses.asdict(listed[0])) == ["age_seconds", "key_id", "key_type", "tenant", "updated_at"]
        assert {(key.tenant, key.key_type) for key in listed} == {
            (tenant, key_type) for tenant in ("acme", "other") for key_type in ("device-list", "sender-key-memory")
        }
        assert len(listed) < census.deletable


class TestRefused:
    """Nothing is deleted, and a person is told why and what to do."""

    @pytest.fixture(autouse=True)
    def _nothing_goes(self, on18: KeyStore) -> Iterator[None]:
        on18.fill([Key("device-list", str(number), 40 * DAY) for number in range(6)] + [Key("session", "a", DAY)])
        before = on18.names()
        yield
        assert on18.names() == before

    @pytest.fixture
    def refused(self, on18: KeyStore, tmp_path: Path) -> Callable[..., ResilienceError]:
        def attempt(**options: Any) -> ResilienceError:
            with pytest.raises(ResilienceError) as caught:
                on18.clean(tmp_path, **options)
            assert caught.value.remedy
            return caught.value

        return attempt

    def test_more_than_a_percentage(self, refused: Callable[..., ResilienceError]) -> None:
        error = refused(max_delete_percent=85.0)
        assert error.message == "Nothing was deleted: 6 of 7 keys (85.7 %) would go, and at most 85 % may"
        assert "max_delete_percent" in (error.remedy or "")

    def test_no_backup_to_lean_on(self, refused: Callable[..., ResilienceError], on18: KeyStore) -> None:
        asked = []

        def none(database: str) -> None:
            asked.append(database)
            raise ResilienceError("There is no verified backup", stage="backup", remedy="Make one.")

        assert refused(require_backup=none).message == "There is no verified backup"
        assert asked == [on18.database.name]
        # Nothing to delete, nothing to lean on.
        on18.database.execute("UPDATE whatsapp_keys SET updated_at = now()")
        on18.clean(Path("/nonexistent"), require_backup=none)
        on18.fill([Key("device-list", str(number), 40 * DAY) for number in range(6)] + [Key("session", "a", DAY)])

    def test_a_dry_run_is_not_refused_but_says_so(self, on18: KeyStore, tmp_path: Path) -> None:
        def none(_database: str) -> None:
            raise ResilienceError("There is no verified backup", stage="backup", remedy="Make one.")

        result = on18.clean(tmp_path, dry_run=True, max_delete_percent=50, require_backup=none)
        assert result.obstacles == [
            "6 of 7 keys (85.7 %) would go, and at most 50 % may",
            "There is no verified backup",
        ]
        assert (result.before.deletable, result.deleted_keys) == (6, 0)

    def test_a_dry_run_could_not_write_if_it_wanted_to(self, on18: KeyStore, tmp_path: Path) -> None:
        on18.database.execute(
            """
            CREATE FUNCTION writes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;
            CREATE TRIGGER t BEFORE DELETE ON whatsapp_keys FOR EACH STATEMENT EXECUTE FUNCTION writes()
            """
        )
        counters = "SELECT n_tup_del, n_tup_upd FROM pg_stat_user_tables WHERE relname = 'whatsapp_keys'"
        before = on18.database.execute(counters)
        on18.clean(tmp_path, dry_run=True)
        assert on18.database.execute(counters) == before

    def test_a_layout_without_a_time(self, refused: Callable[..., ResilienceError], on18: KeyStore) -> None:
        on18.layout = dataclasses.replace(on18.layout, updated_column=None)
        assert "no updated_column" in refused().message

    def test_a_partitioned_table(self, refused: Callable[..., ResilienceError], on18: KeyStore) -> None:
        on18.database.execute(
            "CREATE TABLE parted (LIKE whatsapp_keys INCLUDING DEFAULTS) PARTITION BY LIST (company_id);"
            "CREATE TABLE part PARTITION OF parted DEFAULT"
        )
        layout, on18.layout = on18.layout, dataclasses.replace(on18.layout, keys_table="parted")
        assert "partitions" in refused().message
        on18.layout = layout

    def test_a_second_cleanup_at_the_same_time(self, refused: Callable[..., ResilienceError], on18: KeyStore) -> None:
        # Held by the first one while it asks for its backup: the second stands in its place.
        other = on18.database.connect()
        with other, other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, hashtext('whatsapp_keys'::regclass::oid::text))", (0x6B657973,))
            assert "Another cleanup of public.whatsapp_keys is under way" in refused().message
        other.close()
