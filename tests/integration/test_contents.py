# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows, digests, sequences and large objects in the manifest are those the server itself tells of."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from demo.postgres_server import PostgresServer
from tests.support import independent
from tests.support.backups import KINDS, SIMPLE_KINDS, back_up, only_archive, strays
from tests.support.databases import TestDatabase, fresh_database

# One value of every kind whose text a session setting can change, and texts that look like the script itself.
ZOO = r"""
CREATE TABLE plain (id bigserial PRIMARY KEY, body text, at timestamptz DEFAULT now());
INSERT INTO plain (body) SELECT repeat(md5(g::text), g % 40) FROM generate_series(1, 4000) g;
DELETE FROM plain WHERE id % 7 = 0;
CREATE TABLE empty_one (a int);
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 5);
CREATE TABLE typed (f8 float8, f4 float4, n numeric, i interval, d date, t timestamptz, ts timestamp, b bytea,
    j jsonb, a text[], m money, r tstzrange, u uuid, bits bit varying);
INSERT INTO typed VALUES
    (0.1 + 0.2, 1e-20, 'NaN', '1 year 2 months -3 days 04:05:06.7', '2026-02-28', '2026-03-29 01:30:00+00',
     '1999-12-31 23:59:59.999999', '\x00ff5c0a', '{"k": "\u00e9\\n"}', '{NULL,"",a\\b,"q\"q"}', 12.5,
     '[2026-01-01 00:00:00+02,2026-06-01 00:00:00+03)', '6ecd8c99-4036-403d-bf84-cf8400f67836', '101'),
    ('Infinity', '-Infinity', 1e300, '-1 month', 'infinity', '-infinity', '4714-11-24 BC', '', '[]', '{}', -0.01,
     'empty', NULL, NULL),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE texts (t text);
INSERT INTO texts VALUES ('\.'), (E'\n\\.\n'), (E'\\N'), (NULL), (''), (E'tab\there\r\n\v\f\b'), ('COPY public.x FROM stdin;'),
    (E'''quoted''; "double" $$ -- /* '), (repeat('x', 3000000)), (E'\u2028 \u0001 ünïcødé ✓');
CREATE SEQUENCE never_used START 42;
CREATE SEQUENCE backwards INCREMENT -3 MINVALUE -9000000000000000000 START -5;
SELECT nextval('backwards'), nextval('backwards');
CREATE SEQUENCE "Quoted ""one' \ of them";
SELECT setval('"Quoted ""one'' \ of them"', 9223372036854775807, false);
SELECT lo_from_bytea(0, decode(repeat('00ff10', 30000), 'hex'));
SELECT lo_from_bytea(70000 + g, convert_to('object ' || g, 'UTF8')) FROM generate_series(1, 25) g;
SELECT lo_create(99999);
"""


def _zoo(server: PostgresServer) -> Iterator[TestDatabase]:
    with fresh_database(server) as database:
        connection = database.connect()
        with connection, connection.cursor() as cursor:
            cursor.execute("SET standard_conforming_strings = on")
            cursor.execute(ZOO)
        connection.close()
        yield database


@pytest.fixture(scope="module")
def zoo18(server18):
    yield from _zoo(server18)


@pytest.fixture(scope="module")
def zoo16(server16):
    yield from _zoo(server16)


def assert_equals_the_server(manifest, database):
    assert independent.claimed_tables(manifest) == independent.tables(database.superuser_parameters())
    assert independent.claimed_sequences(manifest) == independent.sequences(database.superuser_parameters())
    assert independent.claimed_large_objects(manifest) == independent.large_objects(database.superuser_parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_manifest_equals_what_the_server_tells(zoo18, kind, tmp_path):
    result = back_up(zoo18, tmp_path, **KINDS[kind])
    assert_equals_the_server(result.manifest, zoo18)
    assert len(result.manifest["tables"]) == 5
    assert result.manifest["large_objects"]["count"] == 27
    assert result.manifest["rows"] == sum(table["rows"] for table in result.manifest["tables"])
    assert only_archive(tmp_path).manifest is not None
    assert strays(tmp_path) == []


@pytest.mark.parametrize("kind", SIMPLE_KINDS)
def test_manifest_equals_what_an_older_server_tells(zoo16, kind, tmp_path):
    result = back_up(zoo16, tmp_path, **KINDS[kind])
    assert result.manifest["client_version"] == result.manifest["server_version"] == "16.14"
    assert_equals_the_server(result.manifest, zoo16)


def test_a_newer_client_finds_the_same_in_an_older_server(zoo16, bin_full18, tmp_path):
    assert_equals_the_server(back_up(zoo16, tmp_path, bin_full18, **KINDS["custom-zstd"]).manifest, zoo16)


def test_digest_is_what_psql_and_sha256sum_give(zoo18, bin_full18, tmp_path):
    manifest = back_up(zoo18, tmp_path).manifest
    for table in ("plain", "texts", "typed", "no_columns"):
        psql = subprocess.run(
            [bin_full18 / "psql", "-XqAt", "-d", zoo18.server.dsn(dbname=zoo18.name), "-c", f"COPY {table} TO STDOUT"],
            env={"PGOPTIONS": "-c TimeZone=UTC -c bytea_output=hex", "PGCLIENTENCODING": "UTF8"},
            capture_output=True,
            check=True,
        )
        (claimed,) = [entry for entry in manifest["tables"] if entry["table"] == table]
        assert claimed["digest"] == hashlib.sha256(psql.stdout).hexdigest()
        assert claimed["rows"] == psql.stdout.count(b"\n")


def test_a_single_changed_value_shows_in_one_digest_only(zoo18, tmp_path):
    before = independent.claimed_tables(back_up(zoo18, tmp_path).manifest)
    # HOT would move the row to the end of the page: order is part of the digest, so the last one is taken.
    zoo18.execute("UPDATE plain SET body = body || 'x' WHERE id = (SELECT max(id) FROM plain)")
    after = independent.claimed_tables(back_up(zoo18, tmp_path).manifest)
    assert {name for name in before if before[name] != after[name]} == {("public", "plain")}
    assert before["public", "plain"][0] == after["public", "plain"][0]


def test_restoring_the_archive_gives_the_same_contents(zoo18, make_database, bin_full18, tmp_path):
    result = back_up(zoo18, tmp_path)
    other = make_database(zoo18.server)
    command = [bin_full18 / "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner"]
    subprocess.run([*command, f"--dbname={other.server.dsn(dbname=other.name)}", result.archive], check=True)
    assert_equals_the_server(result.manifest, other)


def test_hash_of_the_whole_is_that_of_the_file_and_of_the_directory(zoo18, tmp_path):
    single = back_up(zoo18, tmp_path / "file")
    content = Path(single.archive).read_bytes()
    assert single.manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert single.manifest["size_bytes"] == len(content)
    many = back_up(zoo18, tmp_path / "directory", **KINDS["directory-zstd"])
    names = sorted(os.listdir(many.archive))
    listing = subprocess.run(["sha256sum", *names], cwd=many.archive, capture_output=True, check=True).stdout
    assert many.manifest["sha256"] == hashlib.sha256(listing).hexdigest()
    assert many.manifest["files"] == {line[66:]: line[:64] for line in listing.decode().splitlines()}


def test_the_dump_really_comes_from_several_jobs(server18, make_database, tmp_path):
    database = make_database(server18)
    for number in range(4):
        database.execute(f"CREATE TABLE t{number} AS SELECT repeat(md5(g::text), 50) FROM generate_series(1, 3000) g")
    database.execute("ALTER SYSTEM SET log_connections = 'authorization'", superuser=True)
    database.execute("SELECT pg_reload_conf()", superuser=True)
    try:
        result = back_up(database, tmp_path, **KINDS["directory-none"])
    finally:
        database.execute("ALTER SYSTEM RESET log_connections", superuser=True)
        database.execute("SELECT pg_reload_conf()", superuser=True)
    lines = server18.log_file.read_text().splitlines()
    mine = [line for line in lines if "connection authorized" in line and f"user={database.user} " in line]
    # Our own session, the leader and four workers.
    assert len(mine) == 6, mine
    assert result.manifest["arguments"][-1] == "--jobs=4"


def test_server_facts_of_the_manifest(zoo18, tmp_path):
    manifest = back_up(zoo18, tmp_path, source="the name").manifest
    connection = psycopg2.connect(**zoo18.superuser_parameters())
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), pg_encoding_to_char(encoding), datcollate, "
            "pg_database_size(oid), now() - %s::timestamptz < '1 minute', pg_current_wal_lsn() >= %s::pg_lsn "
            "FROM pg_database WHERE datname = current_database()",
            (manifest["snapshot_at"], manifest["lsn"]),
        )
        version, encoding, collation, size, recent, reached = cursor.fetchone()
    connection.close()
    assert version.split()[0] == manifest["server_version"] == zoo18.server.version
    assert (encoding, collation, "builtin") == tuple(manifest[k] for k in ("encoding", "collation", "locale_provider"))
    assert abs(size - manifest["database_bytes"]) < 100_000
    assert recent
    assert reached
    assert (manifest["source"], manifest["database"], manifest["role"]) == ("the name", zoo18.name, zoo18.user)
