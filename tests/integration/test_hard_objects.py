# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables that are more or less than a table: partitions, heirs, generated columns, extensions, foreign ones, many."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup.verify import verify_all
from ansible_collections.baileys.resilience.plugins.module_utils.postgres import snapshot
from tests.support import independent
from tests.support.backups import KINDS, back_up
from tests.support.databases import run_sql

OBJECTS = """
CREATE TABLE measured (day date, value int) PARTITION BY RANGE (day);
CREATE TABLE measured_old PARTITION OF measured FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE measured_new PARTITION OF measured DEFAULT PARTITION BY HASH (value);
CREATE TABLE measured_new_0 PARTITION OF measured_new FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE measured_new_1 PARTITION OF measured_new FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO measured SELECT '2025-06-01'::date + g, g FROM generate_series(1, 500) g;

CREATE TABLE parent (a int, b text);
CREATE TABLE child (c int) INHERITS (parent);
CREATE TABLE grandchild () INHERITS (child);
INSERT INTO parent SELECT g FROM generate_series(1, 10) g;
INSERT INTO child SELECT g FROM generate_series(1, 200) g;
INSERT INTO grandchild SELECT g FROM generate_series(1, 3000) g;

CREATE UNLOGGED TABLE unlogged AS SELECT g FROM generate_series(1, 33) g;
CREATE TABLE generated (a int, doubled int GENERATED ALWAYS AS (a * 2) STORED, id int GENERATED ALWAYS AS IDENTITY, b text);
INSERT INTO generated (a, b) SELECT g, 'b' || g FROM generate_series(1, 44) g;
CREATE TABLE all_generated (a int GENERATED ALWAYS AS (1) STORED);
INSERT INTO all_generated DEFAULT VALUES;
CREATE TABLE changed (gone1 int, a int, gone2 text, b text);
INSERT INTO changed SELECT g, g, 'x', 'y' FROM generate_series(1, 55) g;
ALTER TABLE changed DROP COLUMN gone1, DROP COLUMN gone2, ADD COLUMN added int DEFAULT 7;
CREATE TABLE toasted AS SELECT repeat(md5(g::text), 20000) FROM generate_series(1, 6) g;

CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM parent;
CREATE MATERIALIZED VIEW empty_summary AS SELECT 1 WITH NO DATA;
CREATE VIEW watched AS SELECT * FROM parent;
CREATE RULE redirect AS ON INSERT TO watched DO INSTEAD INSERT INTO parent VALUES (NEW.a, NEW.b);
CREATE TYPE composite AS (x int, y text);
CREATE TABLE of_type OF composite;
INSERT INTO of_type VALUES (1, 'one');
CREATE SCHEMA other CREATE TABLE parent (a int);
INSERT INTO other.parent VALUES (1), (2);
"""
FOREIGN = """
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE far_away (a int) SERVER nowhere;
"""


@pytest.fixture
def make_objects(make_database):
    def make(server):
        database = make_database(server)
        database.execute(OBJECTS)
        database.execute(FOREIGN, superuser=True)
        return database

    return make


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-zstd", "plain-gzip"])
def test_every_kind_of_table(server18, make_objects, kind, tmp_path):
    database = make_objects(server18)
    database.execute("CREATE TABLE virtual_one (a int, b int GENERATED ALWAYS AS (a + 1) VIRTUAL)")
    database.execute("INSERT INTO virtual_one VALUES (1), (2)")
    keeper = database.connect()
    with keeper, keeper.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE of_a_session AS SELECT 1")
    manifest = back_up(database, tmp_path, **KINDS[kind]).manifest
    keeper.close()
    assert_right(manifest, database)
    assert independent.claimed_tables(manifest)["public", "virtual_one"][0] == 2
    assert [result.problems for result in verify_all(str(tmp_path), client_directory=str(server18.bin_directory))] == [
        ()
    ]


@pytest.mark.parametrize("kind", ["custom-gzip", "plain-none"])
def test_every_kind_of_table_on_an_older_server(server16, make_objects, kind, tmp_path):
    database = make_objects(server16)
    assert_right(back_up(database, tmp_path, **KINDS[kind]).manifest, database)


def assert_right(manifest, database):
    claimed = independent.claimed_tables(manifest)
    assert claimed == independent.tables(database.superuser_parameters())
    rows = {".".join(name): content[0] for name, content in claimed.items()}
    # A parent's rows are its own only, and a partitioned table has none.
    assert rows["public.parent"] == 10
    assert rows["public.child"] == 200
    assert rows["public.grandchild"] == 3000
    assert rows["other.parent"] == 2
    assert rows["public.measured_old"] + rows["public.measured_new_0"] + rows["public.measured_new_1"] == 500
    assert rows["public.unlogged"] == 33
    assert rows["public.all_generated"] == 1
    absent = {"measured", "measured_new", "summary", "empty_summary", "watched", "far_away", "of_a_session"}
    assert not absent & {name[1] for name in claimed}


def test_a_thousand_tables(server18, make_database, tmp_path):
    database = make_database(server18)
    database.execute(
        "DO $$ BEGIN FOR n IN 1..1000 LOOP EXECUTE format("
        "'CREATE TABLE t%s AS SELECT g FROM generate_series(1, %s) g', lpad(n::text, 4, '0'), n % 50); "
        "IF n % 250 = 0 THEN COMMIT; END IF; END LOOP; END $$"
    )
    started = time.monotonic()
    manifest = back_up(database, tmp_path, **KINDS["custom-zstd"]).manifest
    taken = time.monotonic() - started
    assert len(manifest["tables"]) == 1000
    assert {t["table"]: t["rows"] for t in manifest["tables"]} == {f"t{n:04}": n % 50 for n in range(1, 1001)}
    # Counting in parts of a hundred tables: a second round trip for each table would show here.
    assert taken < 20


def test_counts_are_asked_for_in_parts(server18, make_database, monkeypatch, tmp_path):
    database = make_database(server18)
    database.execute("DO $$ BEGIN FOR n IN 1..21 LOOP EXECUTE format('CREATE TABLE t%s (a int)', n); END LOOP; END $$")
    database.execute("INSERT INTO t21 SELECT generate_series(1, 5)")
    monkeypatch.setattr(snapshot, "TABLES_PER_COUNT", 10)
    assert back_up(database, tmp_path).manifest["rows"] == 5


def test_an_empty_database(server18, make_database, tmp_path):
    database = make_database(server18)
    for kind, options in KINDS.items():
        manifest = back_up(database, tmp_path / kind, **options).manifest
        assert (manifest["tables"], manifest["sequences"], manifest["rows"]) == ([], [], 0)
        assert manifest["large_objects"] == {"count": 0, "bytes": 0, "digest": None}


@pytest.fixture
def tiny_extension(server18):
    """An extension of the test's own: settings of which only those of the user are dumped, and other tables."""
    share = server18.directory / "share"
    directory = share / "extension"
    directory.mkdir(parents=True)
    (directory / "tiny.control").write_text("default_version = '1'\nrelocatable = false\nschema = tiny\n")
    (directory / "tiny--1.sql").write_text(
        """
        CREATE TABLE tiny.settings (name text, standard boolean);
        INSERT INTO tiny.settings VALUES ('built in', true), ('another', true);
        SELECT pg_catalog.pg_extension_config_dump('tiny.settings', 'WHERE NOT standard');
        CREATE TABLE tiny.whole (a int);
        SELECT pg_catalog.pg_extension_config_dump('tiny.whole', '');
        CREATE TABLE tiny.cache (a int);
        INSERT INTO tiny.cache SELECT generate_series(1, 9);
        CREATE SEQUENCE tiny.counter;
        SELECT pg_catalog.pg_extension_config_dump('tiny.counter', '');
        """
    )
    for path in [share, directory, *directory.iterdir()]:
        path.chmod(0o755)
        shutil.chown(path, os.stat(server18.directory).st_uid)
    yield f"{share}:$system"
    shutil.rmtree(share)


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-zstd", "plain-zstd"])
def test_tables_of_an_extension(server18, make_database, tiny_extension, kind, tmp_path):
    database = make_database(server18)
    superuser = database.superuser_parameters(options=f"-c extension_control_path={tiny_extension}")
    run_sql(superuser, "CREATE EXTENSION tiny")
    database.execute(f"GRANT USAGE ON SCHEMA tiny TO {database.user}", superuser=True)
    database.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA tiny TO {database.user}", superuser=True)
    database.execute(f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA tiny TO {database.user}", superuser=True)
    database.execute("INSERT INTO tiny.settings VALUES ('mine', false)", superuser=True)
    database.execute("INSERT INTO tiny.whole VALUES (1), (2)", superuser=True)
    database.execute("SELECT setval('tiny.counter', 77)", superuser=True)
    database.execute("CREATE TABLE own AS SELECT 1 AS a")
    manifest = back_up(database, tmp_path, **KINDS[kind]).manifest
    rows = {(t["schema"], t["table"]): t["rows"] for t in manifest["tables"]}
    # Of `settings` the row that is not the extension's own; `cache` comes with the extension itself.
    assert rows == {("tiny", "settings"): 1, ("tiny", "whole"): 2, ("public", "own"): 1}
    assert independent.claimed_sequences(manifest) == {"tiny.counter": (77, True)}
    assert verify_all(str(tmp_path), client_directory=str(server18.bin_directory))[0].holds


def test_an_extensions_settings_that_may_not_be_read_are_named(server18, make_database, tiny_extension, tmp_path):
    database = make_database(server18)
    superuser = database.superuser_parameters(options=f"-c extension_control_path={tiny_extension}")
    run_sql(superuser, "CREATE EXTENSION tiny")
    with pytest.raises(Exception, match=r"may not read tiny\.settings, tiny\.whole") as caught:
        back_up(database, tmp_path)
    assert "cache" not in str(caught.value)


@pytest.mark.parametrize("extension", ["hstore", "pg_trgm", "citext", "pgcrypto"])
def test_databases_with_common_extensions(server18, make_database, extension, tmp_path):
    database = make_database(server18)
    database.execute(f"CREATE EXTENSION {extension}", superuser=True)
    database.execute("CREATE TABLE own AS SELECT 1 AS a")
    assert back_up(database, tmp_path).manifest["rows"] == 1
