# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes a table's rows out of a snapshot that was already taken must not pass for an empty table."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.support.backups import back_up


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE keys ALTER COLUMN id TYPE bigint USING id::bigint",
        "TRUNCATE keys; INSERT INTO keys SELECT g FROM generate_series(1, 500) g",
    ],
)
def test_a_table_rewritten_just_as_the_backup_began(make_database, server18, bin_full18, tmp_path, statement):
    database = make_database(server18)
    database.execute("CREATE TABLE keys (id int); INSERT INTO keys SELECT g FROM generate_series(1, 500) g")
    # A second table that is larger: without it the size of the archive would tell.
    database.execute("CREATE TABLE other AS SELECT g, md5(g::text) FROM generate_series(1, 5000) g")
    writer = database.connect()
    with writer.cursor() as cursor:
        # The table is taken before the snapshot, and given back after it.
        cursor.execute(statement)
        threading.Timer(1.5, writer.commit).start()
        with pytest.raises(ResilienceError, match=r"public\.keys was rewritten .* just as the backup began") as caught:
            back_up(database, tmp_path, bin_full18, table_lock_timeout=20)
    writer.close()
    assert caught.value.remedy == "Run the backup again."
    manifest = back_up(database, tmp_path, bin_full18).manifest
    assert {table["table"]: table["rows"] for table in manifest["tables"]} == {"keys": 500, "other": 5000}


def test_partitions_that_pg_dump_writes_under_their_root(make_database, server18, bin_full18, tmp_path):
    """Hash partitions of an enum: its hash differs after a restore, so pg_dump loads them through the root."""
    database = make_database(server18)
    database.execute(
        """
        CREATE TYPE mood AS ENUM ('calm', 'busy', 'gone');
        CREATE TABLE event (id int, mood mood) PARTITION BY HASH (mood);
        CREATE TABLE event_0 PARTITION OF event FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE event_1 PARTITION OF event FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        INSERT INTO event SELECT g, (ARRAY['calm', 'busy', 'gone']::mood[])[1 + g % 3] FROM generate_series(1, 300) g
        """
    )
    manifest = back_up(database, tmp_path, bin_full18).manifest
    assert [(table["table"], table["rows"]) for table in manifest["tables"]] == [("event", 300)]
