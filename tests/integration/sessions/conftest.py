# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores of known sessions, for the tests of what reads and writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.support.session_stores import TENANTS, Store
from tests.support.session_values import creds_of, keys_of

MakeStore = Callable[..., Store]


@pytest.fixture
def make_store(make_database: MakeDatabase, server18: PostgresServer) -> MakeStore:
    """Make a store of two sessions: `make_store(kind="default", nasty=False, server=..., **options of fresh_database)`."""

    def make(kind: str = "default", nasty: bool = False, server: PostgresServer = server18, **options: Any) -> Store:
        store = Store(make_database(server, **options), kind)
        for number, tenant in enumerate(TENANTS):
            store.fill(tenant, keys_of(number, nasty), creds_of(number))
        return store

    return make
