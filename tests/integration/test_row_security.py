# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Row level security and missing rights: a role that does not see everything gets no backup, not half of one."""

from __future__ import annotations

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import make
from ansible_collections.baileys.resilience.plugins.module_utils.postgres import snapshot
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ConnectionFailedError,
    ProgramFailedError,
    ResilienceError,
)
from tests.support import independent
from tests.support.backups import KINDS, back_up, tree_state
from tests.support.databases import create_role, run_sql
from tests.support.watch import ModeWatch


@pytest.fixture
def store(server18, make_session_store):
    """The session store: row security is enabled, with a policy that lets everybody see everything."""
    return make_session_store(server18)


@pytest.fixture
def make_reader(store):
    """Make a role of its own that may read what it is granted; gone at the end."""
    names = []

    def make_role(options="", grants=("whatsapp_auth", "whatsapp_keys")):
        name = create_role(store.server, password="p", options=options)
        names.append(name)
        for table in grants:
            store.execute(f"GRANT SELECT ON {table} TO {name}", superuser=True)
        return store.parameters(user=name, password="p")

    yield make_role
    for name in names:
        store.execute(f"DROP OWNED BY {name}", superuser=True)
        run_sql(store.server.parameters(), f"DROP ROLE {name}")


def assert_refused(store, root, kind="custom-zstd", parameters=None):
    """The backup is refused before any file of it comes into being, and the earlier archive is as it was."""
    root.mkdir(exist_ok=True)
    before = tree_state(root, without=[".last_run.json", ".lock", "."])
    with ModeWatch(root) as watch, pytest.raises(ResilienceError) as caught:
        back_up(store, root, parameters=parameters, **KINDS[kind])
    assert not [path for path in watch.seen if "backup-" in path and path not in {str(root / name) for name in before}]
    after = tree_state(root, without=[".last_run.json", ".lock", "."])
    assert after == before or set(after) == {"daily"}
    return caught.value


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-zstd", "plain-gzip"])
def test_a_role_that_policies_filter_is_refused_with_the_remedy(store, make_reader, kind, tmp_path):
    reader = make_reader()
    back_up(store, tmp_path)
    error = assert_refused(store, tmp_path, kind, reader)
    assert error.stage == "snapshot"
    assert "Row level security hides rows of public.whatsapp_auth, public.whatsapp_keys" in error.message
    assert reader["user"] in error.message
    assert f"ALTER ROLE {reader['user']} BYPASSRLS" in str(error.remedy)


def test_an_owner_is_refused_where_row_security_is_forced(store, tmp_path):
    store.execute("ALTER TABLE whatsapp_keys FORCE ROW LEVEL SECURITY")
    error = assert_refused(store, tmp_path)
    assert "public.whatsapp_keys" in error.message
    assert "whatsapp_auth" not in error.message
    assert "FORCE ROW LEVEL SECURITY" in str(error.remedy)


def test_a_role_that_bypasses_row_security_backs_up_everything(store, make_reader, tmp_path):
    store.execute("ALTER TABLE whatsapp_keys FORCE ROW LEVEL SECURITY")
    manifest = back_up(store, tmp_path, parameters=make_reader("BYPASSRLS")).manifest
    assert independent.claimed_tables(manifest) == independent.tables(store.superuser_parameters())
    assert manifest["rows"] == 1648


def test_a_setting_that_shows_filtered_rows_changes_nothing(store, make_reader, tmp_path):
    """`row_security = on` of the role is what makes dumps silently incomplete."""
    reader = make_reader()
    store.execute("DROP POLICY whatsapp_keys_service ON whatsapp_keys")
    store.execute("CREATE POLICY few ON whatsapp_keys USING (key_type = 'session')")
    run_sql(store.server.parameters(), f"ALTER ROLE {reader['user']} SET row_security = on")
    error = assert_refused(store, tmp_path, parameters={**reader, "options": "-c row_security=on"})
    assert "Row level security hides rows" in error.message


def test_neither_dump_nor_count_filters_by_itself(store, make_reader, monkeypatch, tmp_path):
    """Behind the check of the catalogue stand two that would hold alone: pg_dump's own, and that of the counting."""
    reader = make_reader()
    tables = run_sql(
        store.parameters(), "SELECT relname FROM pg_class WHERE relname LIKE 'whatsapp%' AND relkind = 'r'"
    )

    def without_check(connection, server, settings):
        monkeypatch.setattr(snapshot, "_tables", names)
        return snapshot.take_snapshot(connection, server, settings)

    def names(cursor, server):
        return tuple(snapshot.Table(("public", table), False) for (table,) in tables)

    monkeypatch.setattr(make, "take_snapshot", without_check)
    with pytest.raises(ProgramFailedError, match="row-level security") as caught:
        back_up(store, tmp_path, parameters=reader)
    assert "BYPASSRLS" in str(caught.value.remedy)
    # The counting alone, with a dump that sees everything.
    monkeypatch.setattr(make, "run_dump", lambda *_, **__: None)
    with pytest.raises(ConnectionFailedError, match="row-level security"):
        back_up(store, tmp_path, parameters=reader)


def test_a_table_without_the_right_to_read_it_is_named(store, make_reader, tmp_path):
    reader = make_reader("BYPASSRLS", grants=["whatsapp_keys"])
    error = assert_refused(store, tmp_path, parameters=reader)
    assert error.message == f"The role {reader['user']} may not read public.whatsapp_auth"
    assert f"GRANT SELECT ON these tables TO {reader['user']}" in str(error.remedy)


def test_tables_of_a_closed_schema_are_named(store, make_reader, tmp_path):
    store.execute("CREATE SCHEMA AUTHORIZATION CURRENT_USER CREATE TABLE t1 (a int) CREATE TABLE t2 (a int)")
    reader = make_reader("BYPASSRLS")
    store.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {store.user} TO {reader['user']}")
    error = assert_refused(store, tmp_path, parameters=reader)
    assert f"{store.user}.t1, {store.user}.t2" in error.message
    assert "GRANT USAGE ON SCHEMA" in str(error.remedy)


def test_a_sequence_without_the_right_to_read_it_fails_the_dump(store, make_reader, tmp_path):
    store.execute("CREATE SEQUENCE hidden_one")
    reader = make_reader("BYPASSRLS")
    back_up(store, tmp_path)
    before = tree_state(tmp_path, without=[".last_run.json", ".lock", "."])
    with pytest.raises(ResilienceError, match="hidden_one") as caught:
        back_up(store, tmp_path, parameters=reader)
    assert "Grant" in str(caught.value.remedy)
    after = tree_state(tmp_path, without=[".last_run.json", ".lock", "."])
    assert {name: state[:2] + state[3:] for name, state in after.items()} == {
        name: state[:2] + state[3:] for name, state in before.items()
    }


def test_large_objects_of_somebody_else_fail_the_dump(store, make_reader, tmp_path):
    store.execute("SELECT lo_from_bytea(0, 'mine')")
    reader = make_reader("BYPASSRLS")
    with pytest.raises(ResilienceError, match="large object") as caught:
        back_up(store, tmp_path, parameters=reader)
    assert "Grant" in str(caught.value.remedy)
