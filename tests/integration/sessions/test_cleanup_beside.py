# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cleanup beside an application that goes on working, and roles that may not do everything."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions import batches, fence, keys_table
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.batches import Pace
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cleanup import survey
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.policy import Policy
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.support.backups import settings_from
from tests.support.databases import UGLY_PASSWORD, create_role
from tests.support.key_store import DAY, Key, KeyStore
from tests.support.run_processes import wait_until

OLD = 40 * DAY
MANY = 6000
# As the application has it: an update makes a key young.
TRIGGER = """
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at = now(); RETURN NEW; END $$;
    CREATE TRIGGER touch BEFORE UPDATE ON whatsapp_keys FOR EACH ROW EXECUTE FUNCTION touch()
"""


@pytest.fixture(params=["server18", "server16"])
def store(request: pytest.FixtureRequest, make_database: MakeDatabase) -> KeyStore:
    """Ten old keys on a server of each major, that an update makes young."""
    server: PostgresServer = request.getfixturevalue(request.param)
    return filled(KeyStore(make_database(server)).create(), 10)


@pytest.fixture
def on18(server18: PostgresServer, make_database: MakeDatabase) -> KeyStore:
    return filled(KeyStore(make_database(server18)).create(), 10)


def filled(store: KeyStore, number: int) -> KeyStore:
    store.fill(Key("device-list", f"{index:05}", OLD) for index in range(number))
    store.database.execute(TRIGGER)
    return store


@contextlib.contextmanager
def holding(store: KeyStore, statement: str) -> Iterator[psycopg2.extensions.connection]:
    """The application in the middle of a transaction."""
    connection = store.database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
        yield connection
    finally:
        connection.close()


def ids(store: KeyStore) -> set[str]:
    return {key_id for _tenant, _type, key_id in store.names()}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM whatsapp_keys WHERE key_id = '00003' FOR UPDATE",
        "SELECT FROM whatsapp_keys WHERE key_id = '00003' FOR KEY SHARE",
        "UPDATE whatsapp_keys SET value = '{}' WHERE key_id = '00003'",
    ],
)
def test_a_row_that_the_application_holds_is_left_and_said(store: KeyStore, statement: str, tmp_path: Path) -> None:
    with holding(store, statement) as application:
        started = time.monotonic()
        result = store.clean(tmp_path)
        assert time.monotonic() - started < 4
        assert (result.deleted_keys, result.held, result.refreshed, result.kept) == (9, 1, 0, 0)
        application.commit()
    assert ids(store) == {"00003"}
    # What it wrote is young now; what it only held is old still.
    assert store.clean(tmp_path).deleted_keys == (0 if statement.startswith("UPDATE") else 1)


def test_the_application_waits_for_no_batch(store: KeyStore, tmp_path: Path) -> None:
    """It holds one key and wants another: the cleanup, which has taken that one, must give way."""
    with holding(store, "UPDATE whatsapp_keys SET value = '{}' WHERE key_id = '00009'") as application:
        cleaning = threading.Thread(target=store.clean, args=(tmp_path,))
        waited = []
        cleaning.start()
        with application.cursor() as cursor:
            for key_id in ("00000", "00001", "00002"):
                started = time.monotonic()
                cursor.execute("UPDATE whatsapp_keys SET value = '{}' WHERE key_id = %s", (key_id,))
                waited.append(time.monotonic() - started)
        application.commit()
        cleaning.join()
    assert max(waited) < 1, "the server's own search for deadlocks begins after one second"
    assert "00009" in ids(store)


def test_a_key_that_is_written_meanwhile_stays(store: KeyStore, tmp_path: Path) -> None:
    def meanwhile(_database: str) -> None:
        store.database.execute("UPDATE whatsapp_keys SET value = '{\"new\": 1}' WHERE key_id < '00004'")
        store.database.execute("DELETE FROM whatsapp_keys WHERE key_id = '00009'")

    result = store.clean(tmp_path, require_backup=meanwhile)
    assert ids(store) == {"00000", "00001", "00002", "00003"}
    assert (result.before.deletable, result.deleted_keys, result.refreshed) == (10, 5, 5)


def test_a_key_that_is_written_while_the_batch_waits_for_it_stays(
    store: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "ROW_WAIT_MS", 10_000)
    with holding(store, "UPDATE whatsapp_keys SET value = '{}' WHERE key_id = '00003'") as application:
        cleaning = threading.Thread(target=store.clean, args=(tmp_path,))
        cleaning.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
        wait_until(lambda: store.database.execute(waiting) == [(1,)], "the cleanup does not wait for the row")
        application.commit()
        cleaning.join()
    assert ids(store) == {"00003"}


def test_a_long_transaction_elsewhere_costs_nothing(on18: KeyStore, tmp_path: Path) -> None:
    def pages_read(beside: contextlib.AbstractContextManager[Any]) -> int:
        on18.fill(Key("device-list", f"{index:05}", OLD) for index in range(MANY))
        before = touched(on18)
        with beside:
            assert on18.clean(tmp_path, pace=Pace(batch_size=100, pause=0)).deleted_keys == MANY
            return touched(on18) - before

    alone = pages_read(contextlib.nullcontext())
    beside = pages_read(holding(on18, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class"))
    # In batches of "the next 100 old ones" it is more than ten times as many.
    assert beside < 1.2 * alone


def touched(store: KeyStore) -> int:
    """Pages of the table that have been looked at so far, once the server has counted them all."""
    query = "SELECT heap_blks_hit + heap_blks_read FROM pg_statio_user_tables WHERE relname = 'whatsapp_keys'"
    busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle in transaction'"
    # A session counts at its end what it has not counted yet; this one is the only one left.
    wait_until(lambda: store.database.execute(busy) == [(1,)], "the cleanup's session does not end")
    ((pages,),) = store.database.execute(query)
    return int(pages)


def test_batches_are_as_small_as_they_should_be(on18: KeyStore, tmp_path: Path) -> None:
    on18.fill(Key("device-list", f"{index:05}", OLD) for index in range(MANY))
    on18.database.execute(
        """
        CREATE TABLE batch (keys bigint);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO batch SELECT count(*) FROM gone; RETURN NULL; END $$;
        CREATE TRIGGER note AFTER DELETE ON whatsapp_keys REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION note()
        """
    )
    result = on18.clean(tmp_path, pace=Pace(batch_size=500, pause=0))
    found = [keys for (keys,) in on18.database.execute("SELECT keys FROM batch")]
    assert sum(found) == MANY
    assert len(found) == result.batches
    # A page holds some 80 of these.
    assert max(found) <= 500 + 100


def test_old_keys_all_in_one_place_are_not_one_batch(on18: KeyStore, tmp_path: Path) -> None:
    """Many pages without an old key make the ranges long; the first old ones must not all go at once."""
    young = [Key("session", f"{index:05}", DAY, {"some": "x" * 400}) for index in range(MANY)]
    on18.fill([*young, *(Key("device-list", f"{index:05}", OLD) for index in range(MANY))])
    result = on18.clean(tmp_path, pace=Pace(batch_size=100, pause=0))
    assert result.deleted_keys == MANY
    assert result.batches > MANY / 100 / 2


def test_a_table_that_somebody_alters_is_not_waited_for_long(
    on18: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_table, "LOCK_SECONDS", 0.2)
    application = on18.database.connect()

    def alter(_database: str) -> None:
        application.cursor().execute("LOCK TABLE whatsapp_keys IN ACCESS EXCLUSIVE MODE")

    with pytest.raises(ResilienceError) as caught:
        on18.clean(tmp_path, require_backup=alter)
    application.close()
    assert "0 of 10 keys were deleted before" in caught.value.message
    assert "Something holds the whole table locked" in (caught.value.remedy or "")
    assert len(ids(on18)) == 10


def test_a_batch_that_takes_too_long_is_given_up(on18: KeyStore, tmp_path: Path) -> None:
    on18.fill(Key("device-list", f"{index:05}", OLD) for index in range(MANY))
    on18.database.execute(
        """
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF OLD.key_id = '03000' THEN PERFORM pg_sleep(5); END IF; RETURN OLD; END $$;
        CREATE TRIGGER dawdle BEFORE DELETE ON whatsapp_keys FOR EACH ROW EXECUTE FUNCTION dawdle()
        """
    )
    with pytest.raises(ResilienceError) as caught:
        on18.clean(tmp_path, pace=Pace(batch_size=100, pause=0, statement_timeout=0.5))
    left = len(ids(on18))
    assert f"{MANY - left} of {MANY} keys were deleted before" in caught.value.message
    assert 0 < left < MANY
    assert "batch_size" in (caught.value.remedy or "")
    # The next run goes on.
    on18.database.execute("DROP TRIGGER dawdle ON whatsapp_keys")
    assert on18.clean(tmp_path).deleted_keys == left


def test_a_lost_connection_says_how_far_it_came(on18: KeyStore, tmp_path: Path) -> None:
    on18.fill(Key("device-list", f"{index:05}", OLD) for index in range(MANY))
    on18.database.execute(
        """
        CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF OLD.key_id = '03000' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN OLD; END $$;
        CREATE TRIGGER leave BEFORE DELETE ON whatsapp_keys FOR EACH ROW EXECUTE FUNCTION leave()
        """
    )
    with pytest.raises(ResilienceError) as caught:
        on18.clean(tmp_path, pace=Pace(batch_size=100, pause=0))
    assert f"{MANY - len(ids(on18))} of {MANY} keys were deleted before" in caught.value.message
    assert "the next run goes on" in (caught.value.remedy or "")


class TestTriggers:
    def keep(self, store: KeyStore, which: str) -> None:
        store.database.execute(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
            "CREATE TRIGGER keep BEFORE DELETE ON whatsapp_keys FOR EACH ROW WHEN (%s) EXECUTE FUNCTION keep()" % which
        )

    def test_a_trigger_that_keeps_every_row_is_no_silent_zero(self, store: KeyStore, tmp_path: Path) -> None:
        self.keep(store, "true")
        with pytest.raises(ResilienceError, match="deleted none of the keys") as caught:
            store.clean(tmp_path)
        assert "trigger" in (caught.value.remedy or "")

    def test_rows_that_a_trigger_keeps_are_counted(self, store: KeyStore, tmp_path: Path) -> None:
        self.keep(store, "OLD.key_id < '00002'")
        result = store.clean(tmp_path)
        assert (result.deleted_keys, result.kept, result.held, result.refreshed) == (8, 2, 0, 0)


class TestRoles:
    """No role that lacks something passes over keys in silence."""

    @pytest.fixture
    def as_role(self, store: KeyStore, tmp_path: Path) -> Iterator[Callable[..., Any]]:
        role = create_role(store.database.server)
        store.database.execute(f"GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON whatsapp_auth TO {role}")

        def attempt(grants: str, *statements: str, dry_run: bool = False) -> Any:
            store.database.execute(f"GRANT {grants} ON whatsapp_keys TO {role}")
            for statement in statements:
                store.database.execute(statement)
            parameters = store.database.parameters(user=role, password=UGLY_PASSWORD)
            return store.clean(tmp_path, parameters=parameters, dry_run=dry_run)

        yield attempt
        store.database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", superuser=True)

    @pytest.mark.parametrize("dry_run", [True, False])
    @pytest.mark.parametrize(("grants", "missing"), [("SELECT, DELETE", "UPDATE"), ("SELECT, UPDATE", "DELETE")])
    def test_a_missing_right(
        self, as_role: Callable[..., Any], store: KeyStore, grants: str, missing: str, dry_run: bool
    ) -> None:
        with pytest.raises(ResilienceError, match=f"lacks the right to {missing} on public.whatsapp_keys") as caught:
            as_role(grants, dry_run=dry_run)
        assert f"GRANT {missing} ON public.whatsapp_keys TO" in (caught.value.remedy or "")
        assert len(ids(store)) == 10

    def test_every_right(self, as_role: Callable[..., Any]) -> None:
        assert as_role("SELECT, UPDATE, DELETE").deleted_keys == 10

    def test_no_policy_for_update(self, as_role: Callable[..., Any], store: KeyStore) -> None:
        with pytest.raises(ResilienceError, match="has no policy for UPDATE") as caught:
            as_role(
                "SELECT, UPDATE, DELETE",
                "ALTER TABLE whatsapp_keys ENABLE ROW LEVEL SECURITY",
                "CREATE POLICY one ON whatsapp_keys FOR SELECT USING (true)",
                "CREATE POLICY two ON whatsapp_keys FOR DELETE USING (true)",
            )
        assert "BYPASSRLS" in (caught.value.remedy or "")
        assert len(ids(store)) == 10

    def test_a_policy_that_shows_only_some(self, as_role: Callable[..., Any], store: KeyStore) -> None:
        with pytest.raises(ResilienceError, match=r"Row level security filters public\.whatsapp_keys"):
            as_role(
                "SELECT, UPDATE, DELETE",
                "ALTER TABLE whatsapp_keys ENABLE ROW LEVEL SECURITY",
                "CREATE POLICY half ON whatsapp_keys USING (key_id < '00005')",
            )
        assert len(ids(store)) == 10

    def test_the_owner_is_not_filtered(self, store: KeyStore, tmp_path: Path) -> None:
        store.database.execute("ALTER TABLE whatsapp_keys ENABLE ROW LEVEL SECURITY")
        assert store.clean(tmp_path).deleted_keys == 10

    def test_an_owner_that_is_filtered_counts_nothing_either(self, store: KeyStore) -> None:
        store.database.execute(
            "ALTER TABLE whatsapp_keys ENABLE ROW LEVEL SECURITY; ALTER TABLE whatsapp_keys FORCE ROW LEVEL SECURITY"
        )
        with pytest.raises(ResilienceError, match=r"Row level security filters public\.whatsapp_keys"):
            survey(settings_from(store.database.parameters()), store.layout, Policy())


class TestFence:
    def test_after_a_rollback_the_files_own_the_sessions(self, on18: KeyStore, tmp_path: Path) -> None:
        fence.set_fence(str(tmp_path), "app", fence.FILES, "a test")
        for dry_run in (True, False):
            with pytest.raises(fence.FencedError):
                on18.clean(tmp_path, dry_run=dry_run)
        fence.set_fence(str(tmp_path), "app", fence.POSTGRESQL, "a test")
        assert on18.clean(tmp_path).deleted_keys == 10

    def test_a_mark_in_the_database_is_enough(self, on18: KeyStore, tmp_path: Path) -> None:
        with contextlib.closing(on18.database.connect()) as connection:
            mark = fence.Fence(fence.FILES, 1, "2026-11-25T03:00:00Z", "another host")
            fence.mark_database(connection, on18.layout, "app", mark)
        with pytest.raises(fence.FencedError):
            on18.clean(tmp_path)

    def test_a_rollback_in_the_middle_ends_it(self, on18: KeyStore, tmp_path: Path) -> None:
        on18.fill(Key("device-list", f"{index:05}", OLD) for index in range(MANY))

        def rollback(_database: str) -> None:
            fence.set_fence(str(tmp_path), "app", fence.FILES, "a test")

        with pytest.raises(fence.FencedError):
            on18.clean(tmp_path, require_backup=rollback)
        assert len(ids(on18)) == MANY
