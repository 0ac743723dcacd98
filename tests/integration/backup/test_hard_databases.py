# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of databases with everything in them that is hard to back up: whole, verified, and what the server has."""

from __future__ import annotations

import hashlib
import time

import pytest
from psycopg2 import sql

from ansible_collections.baileys.resilience.plugins.module_utils.backup.verify import verify_all
from tests.support import independent
from tests.support.backups import KINDS, back_up
from tests.support.databases import run_sql
from tests.support.hard_databases import PARTS, TOGETHER, hard_database, many_tables, obstacles

# What the two builds without Debian's libraries cannot have; the full server has every part but the first.
NOT_IN_FULL = {"extension_vector"}
NOT_IN_EMBEDDED = {"collations_icu", "extensions", "foreign_tables", "storage_lz4", "xml"}
NOT_IN_16 = NOT_IN_EMBEDDED | {
    "collations_builtin",
    "constraints_18",
    "generated_virtual",
    "sql_json",
    "times_infinite",
}
SERVERS = {"server18": NOT_IN_FULL, "embedded18": NOT_IN_EMBEDDED, "server16": NOT_IN_16}


def assert_backed_up(hard, root, kind):
    """Back up, compare every row and value with the server's own, and verify the archive from the disk."""
    bin_directory = hard.database.server.bin_directory
    manifest = back_up(hard.database, root, parameters=hard.parameters(), **KINDS[kind]).manifest
    superuser = hard.database.superuser_parameters()
    assert independent.claimed_tables(manifest) == expected_tables(superuser)
    assert independent.claimed_sequences(manifest) == independent.sequences(superuser)
    assert independent.claimed_large_objects(manifest) == independent.large_objects(superuser)
    assert [result.problems for result in verify_all(str(root), client_directory=str(bin_directory))] == [()]


def expected_tables(parameters):
    """The content of every table, hash partitions of an enum taken together as the table they are of."""
    found = independent.tables(parameters)
    leaves = [name for name in found if name[0] == "partitions" and name[1].startswith("enum_")]
    if leaves:
        for leaf in leaves:
            del found[leaf]
        found["partitions", "by_enum"] = together(parameters, sorted(leaves))
    return found


def together(parameters, names):
    whole = b""
    with independent.pinned_session(parameters) as cursor:
        for name in names:
            lines = Lines()
            cursor.copy_expert(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(*name)).as_string(cursor), lines)
            whole += lines.content
    return whole.count(b"\n"), len(whole), hashlib.sha256(whole).hexdigest()


class Lines:
    def __init__(self):
        self.content = b""

    def write(self, data):
        self.content += data


@pytest.mark.parametrize("name", PARTS)
def test_each_part(server18, name, tmp_path):
    with hard_database(server18, name) as hard:
        if name in NOT_IN_FULL:
            # The embedded server's test below has it.
            assert hard.loaded.names == ()
        assert_backed_up(hard, tmp_path, "custom-zstd")


@pytest.mark.parametrize("server_name", SERVERS)
def test_all_together(request, server_name, tmp_path):
    server = request.getfixturevalue(server_name)
    kinds = ["custom-gzip", "plain-none", "directory-gzip"]
    with hard_database(server) as hard:
        assert set(hard.loaded.left_out) == SERVERS[server_name]
        assert set(hard.loaded.names) == set(TOGETHER) - SERVERS[server_name]
        for kind in kinds:
            assert_backed_up(hard, tmp_path / kind, kind)


def test_why_parts_are_left_out(server18, server16):
    assert obstacles(server18) == {"extension_vector": "this build is without extension:vector"}
    assert obstacles(server16)["constraints_18"] == "PostgreSQL 16 is older than 18"
    assert obstacles(server16)["xml"] == "this build is without xml"


ACROSS_DATABASES = """
    SELECT rolname FROM pg_catalog.pg_roles UNION ALL SELECT spcname FROM pg_catalog.pg_tablespace
    UNION ALL SELECT subname FROM pg_catalog.pg_subscription UNION ALL SELECT datname FROM pg_catalog.pg_database
    UNION ALL SELECT parname FROM pg_catalog.pg_parameter_acl ORDER BY 1
"""


def test_nothing_is_left_on_the_server(server18):
    before = run_sql(server18.parameters(), ACROSS_DATABASES)
    with hard_database(server18, *PARTS):
        assert len(run_sql(server18.parameters(), ACROSS_DATABASES)) > len(before) + 5
    assert run_sql(server18.parameters(), ACROSS_DATABASES) == before


def test_five_thousand_tables(server18, make_database, tmp_path):
    database = make_database(server18)
    many_tables(database, 5000)
    started = time.monotonic()
    manifest = back_up(database, tmp_path, **KINDS["custom-zstd"]).manifest
    taken = time.monotonic() - started
    assert len(manifest["tables"]) == len(manifest["sequences"]) == 5000
    assert {table["rows"] for table in manifest["tables"]} == {3}
    assert {(item["value"], item["called"]) for item in manifest["sequences"]} == {(3, True)}
    # 6 seconds on two cores; what grows faster than the number of tables would take minutes.
    assert taken < 60
