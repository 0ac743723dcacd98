# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage planted between restore and comparison: each kind makes the archive suspect, and the drill says where."""

from __future__ import annotations

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.drill.queries import Query
from tests.support.backups import KINDS, back_up
from tests.support.databases import fresh_database
from tests.support.drilling import assert_proven, assert_suspect, drill, planting, reordered

SCHEMA = """
    CREATE TYPE mood AS ENUM ('low', 'high');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := now(); RETURN NEW; END $$;
    CREATE FUNCTION answer(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 42';
    CREATE TABLE keys (id bigint PRIMARY KEY, v varchar(20) NOT NULL DEFAULT 'none', at timestamptz, m mood, n positive,
                       CHECK (id < 1000000));
    CREATE TABLE peers (id bigint, v varchar(20), at timestamptz, m mood, n positive);
    CREATE TABLE refers (id serial PRIMARY KEY, key bigint REFERENCES keys);
    CREATE TABLE empty (a int);
    CREATE TABLE numbers (a double precision, b bytea);
    CREATE INDEX keys_v ON keys (v) WHERE n > 1;
    CREATE TRIGGER touching BEFORE UPDATE ON keys FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE POLICY mine ON keys USING (v <> 'hidden');
    ALTER TABLE keys ENABLE ROW LEVEL SECURITY;
    CREATE VIEW shown AS SELECT id, v FROM keys WHERE id > 5;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM keys;
    CREATE STATISTICS both_columns ON v, n FROM keys;
    CREATE RULE no_rule AS ON DELETE TO peers DO INSTEAD NOTHING;
    GRANT SELECT ON peers TO PUBLIC;
    COMMENT ON TABLE peers IS 'who else is there';
    COMMENT ON COLUMN keys.v IS 'its value';
    INSERT INTO keys SELECT g, 'value ' || g, '2026-01-01 00:00+00', 'low', g FROM generate_series(1, 300) g;
    INSERT INTO peers SELECT g, 'peer ' || g, '2026-01-01 00:00+00', 'high', g FROM generate_series(1, 300) g;
    INSERT INTO refers (key) SELECT g FROM generate_series(1, 40) g;
    INSERT INTO numbers VALUES (0.1, '\\x00ff'), ('NaN', ''), (NULL, NULL);
    SELECT lo_from_bytea(0, decode(repeat('ab', 5000), 'hex')), lo_from_bytea(0, 'other');
"""
# What is done to the restored database, and the words that one problem must hold.
DAMAGES = {
    "a value changed": ("UPDATE peers SET v = 'peer 18' WHERE id = 17", "table public.peers", "other content"),
    "a null for an empty value": ("UPDATE numbers SET b = NULL WHERE b = ''", "table public.numbers", "other content"),
    "the last digit of a number": ("UPDATE numbers SET a = 0.1::float8 + 1e-17 * 2", "table public.numbers"),
    "a moment by a microsecond": ("UPDATE peers SET at = at + interval '1 us' WHERE id = 9", "table public.peers"),
    "a row lost": ("DELETE FROM refers WHERE id = 7", "table public.refers has 39 rows", "40 expected"),
    "a row twice": (
        "INSERT INTO numbers SELECT * FROM numbers LIMIT 1",
        "table public.numbers has 4 rows",
        "3 expected",
    ),
    "a row lost and another twice": (
        "DELETE FROM numbers WHERE a IS NULL; INSERT INTO numbers SELECT * FROM numbers LIMIT 1",
        "table public.numbers",
        "other content",
    ),
    "two rows swapped between tables": (
        """
        SET session_replication_role = replica;
        WITH a AS (DELETE FROM keys WHERE id = 100 RETURNING *) INSERT INTO peers SELECT * FROM a;
        INSERT INTO keys SELECT * FROM peers WHERE v = 'peer 100';
        DELETE FROM peers WHERE v = 'peer 100'
        """,
        "table public.keys",
        "other content",
    ),
    "all rows gone": ("TRUNCATE peers", "table public.peers has 0 rows", "300 expected"),
    "a row in an empty table": ("INSERT INTO empty VALUES (1)", "table public.empty has 1 rows", "0 expected"),
    "a table missing": ("DROP TABLE peers", "table public.peers is missing"),
    "an empty table missing": ("DROP TABLE empty", "table public.empty is missing"),
    "a table too many": (
        "CREATE TABLE extra (a int)",
        "table public.extra is in the restored database and not in the archive",
    ),
    "a sequence reset": (
        "SELECT setval('refers_id_seq', 1, false)",
        "sequence public.refers_id_seq stands at 1 (not called yet)",
        "40",
    ),
    "a sequence one behind": (
        "SELECT setval('refers_id_seq', 39)",
        "sequence public.refers_id_seq stands at 39",
        "40 expected",
    ),
    "a sequence called": ("SELECT setval('refers_id_seq', 40, false)", "refers_id_seq stands at 40 (not called yet)"),
    "a sequence's step": (
        "ALTER SEQUENCE refers_id_seq INCREMENT 2",
        "SEQUENCE public refers_id_seq is defined differently",
    ),
    "an index dropped": ("DROP INDEX keys_v", "INDEX public keys_v is missing"),
    "an index of other rows": (
        "DROP INDEX keys_v; CREATE INDEX keys_v ON keys (v) WHERE n > 2",
        "INDEX public keys_v is defined differently",
    ),
    "an index too many": ("CREATE INDEX more ON keys (n)", "INDEX public more is in the restored database and not"),
    "a primary key dropped": (
        "ALTER TABLE refers DROP CONSTRAINT refers_pkey",
        "CONSTRAINT public refers refers_pkey is missing",
    ),
    "a foreign key dropped": (
        "ALTER TABLE refers DROP CONSTRAINT refers_key_fkey",
        "FK CONSTRAINT public refers refers_key_fkey is missing",
    ),
    "a check dropped": ("ALTER TABLE keys DROP CONSTRAINT keys_id_check", "TABLE public keys is defined differently"),
    "a check changed": (
        "ALTER TABLE keys DROP CONSTRAINT keys_id_check, ADD CONSTRAINT keys_id_check CHECK (id < 1000001)",
        "TABLE public keys is defined differently",
    ),
    "a not null dropped": ("ALTER TABLE keys ALTER v DROP NOT NULL", "TABLE public keys is defined differently"),
    "a column's type": ("ALTER TABLE peers ALTER v TYPE varchar(21)", "TABLE public peers is defined differently"),
    "a column's default dropped": ("ALTER TABLE keys ALTER v DROP DEFAULT", "TABLE public keys is defined differently"),
    "a serial's default dropped": ("ALTER TABLE refers ALTER id DROP DEFAULT", "DEFAULT public refers id is missing"),
    "a serial's owner": (
        "ALTER SEQUENCE refers_id_seq OWNED BY NONE",
        "SEQUENCE OWNED BY public refers_id_seq is missing",
    ),
    "a policy dropped": ("DROP POLICY mine ON keys", "POLICY public keys mine is missing"),
    "a policy widened": ("ALTER POLICY mine ON keys USING (true)", "POLICY public keys mine is defined differently"),
    "row security off": ("ALTER TABLE keys DISABLE ROW LEVEL SECURITY", "ROW SECURITY public keys is missing"),
    "a trigger dropped": ("DROP TRIGGER touching ON keys", "TRIGGER public keys touching is missing"),
    "a trigger off": ("ALTER TABLE keys DISABLE TRIGGER touching", "TRIGGER public keys touching"),
    "a rule off": ("ALTER TABLE peers DISABLE RULE no_rule", "RULE public peers no_rule"),
    "a function's body": (
        "CREATE OR REPLACE FUNCTION answer(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 43'",
        "FUNCTION public answer(integer) is defined differently",
    ),
    "a function's volatility": (
        "ALTER FUNCTION answer(int) VOLATILE",
        "FUNCTION public answer(integer) is defined differently",
    ),
    "a view altered": (
        "CREATE OR REPLACE VIEW shown AS SELECT id, v FROM keys WHERE id > 6",
        "VIEW public shown is defined differently",
    ),
    "a view missing": ("DROP VIEW shown", "VIEW public shown is missing"),
    "a materialised view emptied": (
        "REFRESH MATERIALIZED VIEW counted WITH NO DATA",
        "MATERIALIZED VIEW DATA public counted is missing",
    ),
    "a materialised view missing": ("DROP MATERIALIZED VIEW counted", "MATERIALIZED VIEW public counted is missing"),
    "a value of an enum": ("ALTER TYPE mood ADD VALUE 'middle'", "TYPE public mood is defined differently"),
    "a domain's check": (
        "ALTER DOMAIN positive DROP CONSTRAINT positive_check",
        "DOMAIN public positive is defined differently",
    ),
    "statistics dropped": ("DROP STATISTICS both_columns", "STATISTICS public both_columns is missing"),
    "a grant taken": ("REVOKE SELECT ON peers FROM PUBLIC", "ACL public TABLE peers is missing"),
    "a grant more": ("GRANT DELETE ON peers TO PUBLIC", "ACL public TABLE peers is defined differently"),
    "an owner": ("ALTER TABLE peers OWNER TO postgres", "TABLE public peers is defined differently"),
    "a comment dropped": ("COMMENT ON TABLE peers IS NULL", "COMMENT public TABLE peers is missing"),
    "a comment changed": (
        "COMMENT ON COLUMN keys.v IS 'its valve'",
        "COMMENT public COLUMN keys.v is defined differently",
    ),
    "a large object altered": (
        "SELECT lo_put(min(oid), 3000, '\\x00') FROM pg_largeobject_metadata",
        "large objects have other content",
    ),
    "a large object's privileges": (
        "DO $$ BEGIN EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO PUBLIC', (SELECT min(oid) FROM pg_largeobject_metadata)); END $$",
        "ACL LARGE OBJECT",
    ),
    "a large object dropped": (
        "SELECT lo_unlink(min(oid)) FROM pg_largeobject_metadata",
        "there are 1 large objects",
        "2 expected",
    ),
    "a large object cut short": (
        "SELECT lo_truncate(lo_open(min(oid), 131072), 4999) FROM pg_largeobject_metadata",
        "large objects have other content",
    ),
}
# What must alarm nobody, with what the drill says of the tables.
HARMLESS = {
    "rows inserted anew": (
        "CREATE TEMP TABLE t AS SELECT * FROM peers ORDER BY id DESC; TRUNCATE peers; INSERT INTO peers SELECT * FROM t",
        {"public.peers": "in another order"},
    ),
    "a table clustered": (
        "CREATE INDEX down ON peers (id DESC); CLUSTER peers USING down; DROP INDEX down",
        {"public.peers": "in another order"},
    ),
    "a row moved": (
        "SET session_replication_role = replica; UPDATE keys SET v = v WHERE id = 1",
        {"public.keys": "in another order"},
    ),
    "statistics": ("ANALYZE", {}),
    "a materialised view that is newer": ("REFRESH MATERIALIZED VIEW counted", {}),
}


@pytest.fixture(scope="module")
def archives(server18, tmp_path_factory):
    """One database backed up in each format; its archives' roots by kind."""
    root = tmp_path_factory.mktemp("archives")
    with fresh_database(server18) as database:
        database.execute(SCHEMA)
        for kind in ("custom-zstd", "plain-zstd", "directory-zstd"):
            back_up(database, root / kind, **KINDS[kind])
    return root


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage(server18, archives, state, damage):
    statement, *words = DAMAGES[damage]
    result = drill(archives / "custom-zstd", state, server18.bin_directory, planting(statement))
    assert_suspect(result, *words)
    # Nothing else is accused.
    tables = {word.split()[1] for word in words if word.startswith("table ")}
    accused = {
        f"{table['schema']}.{table['table']}"
        for table in result["tables"]
        if table["outcome"] not in ("equal", "reordered")
    }
    if damage != "two rows swapped between tables":
        assert accused == tables


@pytest.mark.parametrize("kind", ["plain-zstd", "directory-zstd"])
@pytest.mark.parametrize(
    "damage",
    [
        "a value changed",
        "a row lost",
        "a view altered",
        "a sequence reset",
        "a large object altered",
        "a table missing",
    ],
)
def test_damage_in_other_formats(server18, archives, state, kind, damage):
    statement, *words = DAMAGES[damage]
    assert_suspect(drill(archives / kind, state, server18.bin_directory, planting(statement)), *words)


@pytest.mark.parametrize("kind", ["custom-zstd", "plain-zstd", "directory-zstd"])
@pytest.mark.parametrize("change", HARMLESS)
def test_no_false_alarm(server18, archives, state, kind, change):
    statement, expected = HARMLESS[change]
    result = drill(archives / kind, state, server18.bin_directory, planting(statement))
    assert_proven(result)
    assert reordered(result) == expected


def test_both_tables_of_a_swap_are_named(server18, archives, state):
    statement = DAMAGES["two rows swapped between tables"][0]
    result = drill(archives / "custom-zstd", state, server18.bin_directory, planting(statement))
    assert result["problems"] == [
        "table public.keys has other content in the restored database",
        "table public.peers has other content in the restored database",
    ]


def test_several_damages_are_all_named(server18, archives, state):
    chosen = [DAMAGES[name] for name in ("a row lost", "an index dropped", "a sequence reset", "a policy dropped")]
    result = drill(archives / "custom-zstd", state, server18.bin_directory, planting(*[one[0] for one in chosen]))
    for _statement, *words in chosen:
        assert_suspect(result, *words)
    assert len(result["problems"]) == len(chosen)


def test_columns_in_another_order(server18, archives, state):
    """As pg_dump itself leaves them where heirs are concerned: the values are compared, the definition is told."""
    statement = """
        ALTER TABLE numbers RENAME TO old; CREATE TABLE numbers (b bytea, a double precision);
        INSERT INTO numbers (a, b) SELECT a, b FROM old; DROP TABLE old
    """
    result = drill(archives / "custom-zstd", state, server18.bin_directory, planting(statement))
    assert reordered(result) == {"public.numbers": "with the columns in another order"}
    # Nothing of the restore itself did it, so the table is not as it was.
    assert "TABLE public numbers is defined differently in the restored database" in result["problems"]


def test_values_swapped_between_columns(server18, archives, state):
    """The same bytes in other columns is other content, however the columns stand."""
    result = drill(
        archives / "custom-zstd",
        state,
        server18.bin_directory,
        planting("UPDATE refers SET key = 41 - key WHERE id IN (1, 40)"),
    )
    assert_suspect(result, "table public.refers", "other content")


@pytest.mark.parametrize("held", [True, False])
def test_checks_of_ones_own(server18, archives, state, held):
    queries = (Query("keys are there", "SELECT count(*) FROM keys", "300" if held else "301"),)
    result = drill(archives / "custom-zstd", state, server18.bin_directory, queries=queries)
    assert result["checks"][0]["held"] is held
    if held:
        assert_proven(result)
    else:
        # Everything came back all the same: the archive is as good as it was.
        assert (result["verdict"], result["problems"]) == ("unjudged", [])
        for words in ("everything came back", "keys are there", "'300'", "'301' expected"):
            assert words in result["obstacle"]
