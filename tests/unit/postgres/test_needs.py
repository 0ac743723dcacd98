# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database needs of its server and does not bring along: roles, extensions, tablespaces."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg2

from ansible_collections.baileys.resilience.plugins.module_utils.postgres.needs import Needs, read_needs
from tests.support.databases import run_sql, unique_name
from tests.support.hard_databases import hard_database


def needs_of(parameters: dict[str, Any]) -> Needs:
    with closing(psycopg2.connect(**parameters)) as connection, connection.cursor() as cursor:
        return read_needs(cursor)


def test_an_empty_database_needs_nobody(embedded18: Any, make_database: Any) -> None:
    database = make_database(embedded18)
    needs = needs_of(database.parameters())
    # Its owner is the database's own affair, which a restore makes anew; the first role may own things unseen.
    assert needs.roles == ({"role": "postgres", "superuser": True},)
    assert (needs.extensions, needs.tablespaces) == ((), ())


def test_whoever_owns_was_granted_or_is_named(embedded18: Any, make_database: Any) -> None:
    database = make_database(embedded18)
    roles = [unique_name("needed") for _ in range(4)]
    owner, granted, named, nobody = roles
    for role in roles:
        run_sql(embedded18.parameters(), f"CREATE ROLE {role}")
    try:
        for statement in (
            "CREATE TABLE t (a int)",
            f"ALTER TABLE t OWNER TO {owner}",
            f"GRANT SELECT ON t TO {granted}",
            f"CREATE POLICY p ON t TO {named}",
        ):
            database.execute(statement, superuser=True)
        # A plain role sees as much as the superuser.
        found = needs_of(database.parameters())
        assert found == needs_of(database.superuser_parameters())
        assert {item["role"] for item in found.roles} == {"postgres", owner, granted, named}
        assert nobody not in str(found)
    finally:
        database.execute(f"DROP OWNED BY {', '.join(roles)} CASCADE", superuser=True)
        run_sql(embedded18.parameters(), f"DROP ROLE {', '.join(roles)}")


def test_extensions_and_tablespaces(server18: Any) -> None:
    with hard_database(server18, "extensions", "tablespaces") as hard:
        needs = needs_of(hard.parameters())
        version = hard.database.execute("SELECT extversion FROM pg_extension WHERE extname = 'hstore'")[0][0]
        assert {"extension": "hstore", "version": version, "schema": "extensions"} in needs.extensions
        assert "plpgsql" not in {item["extension"] for item in needs.extensions}
        assert needs.tablespaces == (hard.database.name,)
