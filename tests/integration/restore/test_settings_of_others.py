# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role or a database may be set to must neither stop a restore nor change what comes of it."""

from __future__ import annotations

import pytest

from demo.postgres_server import PostgresServer
from tests.integration.restore.conftest import CONTENT, MakeRestore

# Any server takes these, and somebody has set each of them for a reason of his own.
SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "'100ms'",
    "lock_timeout": "'1ms'",
    "idle_session_timeout": "'100ms'",
    "idle_in_transaction_session_timeout": "'100ms'",
    "array_nulls": "off",
    "search_path": "''",
    "client_encoding": "LATIN1",
    "datestyle": "German",
    "intervalstyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "timezone": "'Asia/Kathmandu'",
    "quote_all_identifiers": "on",
    "default_transaction_isolation": "serializable",
    "xmloption": "document",
    "client_min_messages": "debug1",
}
VALUES = """
    CREATE TABLE looks AS SELECT ARRAY[NULL, 1] AS a, 1.1::float8 / 3 AS f, interval '1 day 2 s' AS i, now() AS t,
                                 '\\x00ff5c'::bytea AS b, E'ä\\\\'::text AS s;
    CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.2); RETURN $1; END';
    CREATE TABLE takes_long AS SELECT 1 AS n;
    CREATE INDEX ON takes_long (slow(n));
"""


@pytest.mark.parametrize("server", ["server18", "server16"])
@pytest.mark.parametrize("of", ["role", "database"])
def test_settings(make_restore: MakeRestore, request: pytest.FixtureRequest, server: str, of: str) -> None:
    found: PostgresServer = request.getfixturevalue(server)
    job = make_restore(found, content=CONTENT + VALUES)
    before = job.contents()
    name = job.database.user if of == "role" else job.database.name
    settings = {**SETTINGS, **({"transaction_timeout": "'120ms'"} if server == "server18" else {})}
    for setting, value in settings.items():
        job.ask(f"ALTER {of} {name} SET {setting} = {value}", "postgres")

    assert job.restore(into="restored").warnings == ()
    assert job.restore(replace=True).warnings == ()
    job.ask("DROP TABLE looks")
    assert job.restore(tables=("looks",)).warnings == ()

    assert job.contents("restored") == job.contents() == before
