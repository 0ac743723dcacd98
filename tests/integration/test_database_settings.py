# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that a database or a role carries change neither the digests nor the outcome."""

from __future__ import annotations

import threading

import pytest

from tests.support import independent
from tests.support.backups import KINDS, back_up
from tests.support.client_wrappers import wrap_clients
from tests.support.databases import run_sql

# Whatever changes the text of a value or of a statement.
WRITING = {
    "TimeZone": "Europe/Moscow",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-5",
    "xmlbinary": "hex",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "client_encoding": "LATIN1",
    "search_path": "elsewhere",
    "row_security": "on",
    "synchronize_seqscans": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
}
# Whatever ends a session that takes its time: in milliseconds, and shorter than the waits below.
ENDING = {
    "statement_timeout": "400",
    "lock_timeout": "300",
    "idle_in_transaction_session_timeout": "300",
    "idle_session_timeout": "300",
    "transaction_timeout": "600",
}

TABLES = """
CREATE TABLE typed (t timestamptz, ts timestamp, d date, i interval, b bytea, f float8, f4 float4, x text, m text[]);
INSERT INTO typed VALUES
    ('2026-07-31 23:30:00+00', '2026-02-03 04:05:06', '2026-02-03', '1 year -2 days 03:04:05.678', '\\x00ff41', 1/3::float8,
     1/3::float4, '€ ✓ backslash \\', '{"a b",NULL}'),
    ('0044-03-15 12:00:00 BC', 'infinity', 'infinity', '-1 mon', 'plain', 5e-324, 1e38, '', '{}');
CREATE TABLE many AS SELECT g, now() + g * interval '1 hour' AS at FROM generate_series(1, 2000) g;
"""


def make_typed(make_database, server):
    database = make_database(server)
    database.execute(TABLES)
    return database


def apply_settings(database, settings, to):
    target = f'DATABASE "{database.name}"' if to == "database" else f'ROLE "{database.user}"'
    for name, value in settings.items():
        # As the server takes a list: each element by itself.
        values = ", ".join(f"'{part.strip()}'" for part in value.split(","))
        run_sql(database.server.parameters(), f"ALTER {target} SET {name} = {values}")


@pytest.mark.parametrize("to", ["database", "role"])
@pytest.mark.parametrize("kind", ["custom-zstd", "directory-zstd", "plain-none"])
def test_settings_for_writing_values_leave_every_digest_as_it_is(server18, make_database, kind, to, tmp_path):
    database = make_typed(make_database, server18)
    expected = independent.tables(database.superuser_parameters())
    before = back_up(database, tmp_path, **KINDS[kind]).manifest
    apply_settings(database, WRITING, to)
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TimeZone")
        assert cursor.fetchone() == ("Europe/Moscow",), "the settings are in force"
    connection.close()
    after = back_up(database, tmp_path, **KINDS[kind]).manifest
    assert independent.claimed_tables(after) == independent.claimed_tables(before) == expected
    assert after["snapshot_at"] > before["snapshot_at"]


def test_settings_of_an_older_server_leave_every_digest_as_it_is(server16, make_database, tmp_path):
    database = make_typed(make_database, server16)
    expected = independent.tables(database.superuser_parameters())
    apply_settings(database, WRITING, "database")
    assert independent.claimed_tables(back_up(database, tmp_path).manifest) == expected


@pytest.mark.parametrize("to", ["database", "role"])
def test_timeouts_do_not_end_the_session_that_waits_for_pg_dump(server18, make_database, bin_full18, to, tmp_path):
    database = make_typed(make_database, server18)
    apply_settings(database, ENDING, to)
    # The session with the snapshot is idle in its transaction until pg_dump begins.
    client = wrap_clients(tmp_path / "client", bin_full18, {"pg_dump": 'sleep 1; exec "$real" "$@"'})
    manifest = back_up(database, tmp_path / "root", client).manifest
    assert manifest["rows"] == 2002
    assert manifest["duration_seconds"] > 1, "nobody had to wait"


@pytest.mark.parametrize("to", ["database", "role"])
def test_timeouts_do_not_end_the_sessions_that_wait_for_a_table(server18, make_database, to, tmp_path):
    database = make_typed(make_database, server18)
    apply_settings(database, ENDING, to)
    holding = threading.Event()

    def hold():
        with database.connect(**database.superuser_parameters()) as connection, connection.cursor() as cursor:
            cursor.execute("SET transaction_timeout = 0; SET statement_timeout = 0")
            cursor.execute("LOCK TABLE many IN ACCESS EXCLUSIVE MODE")
            holding.set()
            cursor.execute("SELECT pg_sleep(1.2)")
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert holding.wait(10)
        manifest = back_up(database, tmp_path).manifest
    finally:
        thread.join()
    assert manifest["rows"] == 2002
    assert manifest["duration_seconds"] > 0.8, "nobody had to wait"
