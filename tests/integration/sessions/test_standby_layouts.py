# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standby and cache of sessions wherever an application keeps them."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from psycopg2 import sql

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cache_keeper import (
    CacheRequest,
    read_credentials,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby import verify_standby
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby_refresh import (
    RefreshRequest,
    refresh_standby,
)
from tests.integration.sessions.conftest import MakeStore
from tests.support.session_stores import KINDS, TENANTS, Store
from tests.support.standbys import results


def lose_a_key(store: Store, tenant: str) -> None:
    layout = store.layout
    statement = sql.SQL("DELETE FROM {} WHERE ctid = (SELECT min(ctid) FROM {} WHERE {} AND NOT {})").format(
        layout.keys_relation(), layout.keys_relation(), layout.tenant_condition(tenant), layout.creds_condition()
    )
    with closing(store.database.connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        assert cursor.rowcount == 1


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_has_changed_is_exported(make_store: MakeStore, tmp_path: Path, kind: str) -> None:
    store = make_store(kind)
    request = RefreshRequest("app", store.settings, store.layout, str(tmp_path))
    assert results(refresh_standby(request)) == dict.fromkeys(TENANTS, "refreshed")
    assert results(refresh_standby(request)) == dict.fromkeys(TENANTS, "unchanged")
    lose_a_key(store, TENANTS[0])
    assert results(refresh_standby(request)) == {TENANTS[0]: "refreshed", TENANTS[1]: "unchanged"}
    state = verify_standby(str(tmp_path), "app")
    assert (len(state.tenants), state.problems) == (2, ())


@pytest.mark.parametrize("kind", KINDS)
def test_credentials_are_read_as_baileys_has_them(make_store: MakeStore, tmp_path: Path, kind: str) -> None:
    store = make_store(kind)
    refresh_standby(RefreshRequest("app", store.settings, store.layout, str(tmp_path)))
    found = read_credentials(CacheRequest("app", store.settings, store.layout, str(tmp_path), ttl=300.0))
    assert found.broken == {}
    assert set(found.good) == set(TENANTS)
    for tenant, text in found.good.items():
        exported = (tmp_path / "standby/app" / tenant / "creds.json").read_text()
        assert json.loads(text) == json.loads(exported)
