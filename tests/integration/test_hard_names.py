# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and texts that look like the script itself, in several encodings: all are counted as what they are."""

from __future__ import annotations

import pytest
from psycopg2 import sql

from ansible_collections.baileys.resilience.plugins.module_utils.backup.verify import verify_all
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.support import independent
from tests.support.backups import KINDS, SIMPLE_KINDS, back_up, only_archive, strays
from tests.support.databases import fresh_database

KEYWORDS = ["select", "user", "table", "from", "only", "stdin", "order", "group", "copy", "null", "true"]
HARD = [
    "We ird",
    'quo"te',
    '"',
    '""',
    "'",
    "it''s",
    "semi;colon",
    "dol$lar$$",
    "back\\slash\\.",
    "dot.ted",
    "pa(ren)",
    "comma, (x) FROM stdin;",
    "new\nline",
    "\nCOPY public.nothing (a) FROM stdin;\n1\n\\.\n",
    'x" (a) FROM stdin;\nCOPY public."y',
    "--comment",
    "/* open",
    "E'",
    "tab\tand\rreturn",
    "ünïcødé ✓ 名前",
    "UPPER",
    " ",
    "%s %(x)s {0} {{ x }}",
    "n" * 63,
    "é" * 31 + "x",
    "$1",
]

# Everything around the data that could be taken for data, or for its end.
AROUND = r"""
CREATE FUNCTION copies() RETURNS text LANGUAGE sql AS $f$ SELECT 'x'::text;
SELECT '
COPY public.not_a_table (a) FROM stdin;
1
\.
SELECT pg_catalog.setval(''public.not_a_sequence'', 5, true);
'::text $f$;
CREATE FUNCTION tags() RETURNS void LANGUAGE plpgsql AS $outer$ BEGIN
PERFORM $in$
COPY public.not_a_table FROM stdin;
$in$; EXECUTE 'SELECT ''$outer'' || $_$
\.
$_$'; END $outer$;
CREATE FUNCTION unpaired() RETURNS void LANGUAGE sql AS $$ SELECT 1 /* it's " a 'comment */ -- and ' another
$$;
CREATE TABLE defaults (a text DEFAULT '
COPY public.not_a_table (a) FROM stdin;
', b text DEFAULT E'\\\'
\\.
COPY public.not_a_table FROM stdin;
', CHECK (a <> 'SELECT pg_catalog.lo_open(''1'', 131072);
'));
INSERT INTO defaults DEFAULT VALUES;
INSERT INTO defaults VALUES ('COPY public.not_a_table (a) FROM stdin;', '\.'), (E'\\.\n', E'\n\\.\n');
COMMENT ON TABLE defaults IS 'a comment with ''quotes'', a \ and
\.
COPY public.not_a_table (a) FROM stdin;
 /* and more $$';
CREATE VIEW lines AS SELECT 'one
COPY public.not_a_table (a) FROM stdin;
two "three'::text AS "col ""umn
";
CREATE TYPE mood AS ENUM ('so
COPY public.not_a_table (a) FROM stdin;', 'it''s "', '$$');
CREATE TABLE moods (m mood, "COPY x (a) FROM stdin;
" int, "a) FROM stdin;" int DEFAULT 1);
INSERT INTO moods VALUES ('$$', 1), (E'so\nCOPY public.not_a_table (a) FROM stdin;', 2);
CREATE TABLE only_quotes ("
" int, "a""b" int, "'" int, "$$" int);
INSERT INTO only_quotes VALUES (1, 2, 3, 4), (5, 6, 7, 8);
"""


def fill(database):
    connection = database.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(AROUND)
        cursor.execute("CREATE SCHEMA hard; CREATE SCHEMA " + sql.Identifier(HARD[13]).as_string(connection))
        for number, name in enumerate([*HARD, *KEYWORDS]):
            for schema in ("hard", HARD[13]):
                table = sql.Identifier(schema, name)
                column = sql.Identifier(name)
                cursor.execute(sql.SQL("CREATE TABLE {} ({} int, second text)").format(table, column))
                rows = sql.SQL("INSERT INTO {} SELECT g, {} FROM generate_series(1, {}) g")
                cursor.execute(rows.format(table, sql.Literal(name), sql.Literal(number)))
            sequence = sql.Identifier("hard", f"s {name}"[:31])
            cursor.execute(sql.SQL("CREATE SEQUENCE {} START {}").format(sequence, sql.Literal(number + 1)))
    connection.close()


@pytest.fixture(scope="module")
def hard18(server18):
    with fresh_database(server18) as database:
        fill(database)
        yield database


@pytest.fixture(scope="module")
def hard16(server16):
    with fresh_database(server16) as database:
        fill(database)
        yield database


def assert_all_there(database, root, bin_directory=None, **options):
    manifest = back_up(database, root, bin_directory, **options).manifest
    expected = independent.tables(database.superuser_parameters())
    assert independent.claimed_tables(manifest) == expected
    assert independent.claimed_sequences(manifest) == independent.sequences(database.superuser_parameters())
    # And once more out of the archive alone.
    (result,) = verify_all(str(root), client_directory=str(bin_directory or database.server.bin_directory))
    assert result.problems == ()
    return expected


@pytest.mark.parametrize("kind", ["custom-zstd", "plain-none", "plain-zstd", "directory-gzip"])
def test_names_that_look_like_the_script(hard18, kind, tmp_path):
    expected = assert_all_there(hard18, tmp_path, **KINDS[kind])
    assert len(expected) == 2 * len(HARD + KEYWORDS) + 3
    assert not [name for name in expected if "not_a" in name[1]]


@pytest.mark.parametrize("kind", SIMPLE_KINDS)
def test_names_that_look_like_the_script_on_an_older_server(hard16, kind, tmp_path):
    assert_all_there(hard16, tmp_path, **KINDS[kind])


@pytest.mark.parametrize("kind", ["custom-zstd", "plain-none", "directory-none"])
@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("LATIN1", ["Müller", "façade ÿ", "£ ¬ µ"]),
        ("LATIN9", ["€uro", "Žižek"]),
        ("WIN1251", ["Таблица", "Ж №"]),
        ("WIN1252", ["“quoted” €", "naïve…"]),
        ("KOI8R", ["Таблица"]),
        ("EUC_JP", ["名前", "テーブル"]),
        ("SQL_ASCII", ["Müller ✓"]),
    ],
)
def test_databases_of_other_encodings(server18, make_database, encoding, names, kind, tmp_path):
    database = make_database(
        server18,
        template="template0",
        database_options=f"ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'",
    )
    connection = database.connect(client_encoding="UTF8")
    with connection, connection.cursor() as cursor:
        for name in names:
            cursor.execute(sql.SQL("CREATE TABLE {} ({} text)").format(sql.Identifier(name), sql.Identifier(name)))
            cursor.execute(sql.SQL("INSERT INTO {} VALUES (%s), (%s)").format(sql.Identifier(name)), (name, name * 2))
            cursor.execute(sql.SQL("CREATE SEQUENCE {}").format(sql.Identifier(f"s {name}")))
    connection.close()
    manifest = back_up(database, tmp_path, **KINDS[kind]).manifest
    assert manifest["encoding"] == encoding
    assert {name: (t["rows"]) for t in manifest["tables"] for name in [t["table"]]} == dict.fromkeys(names, 2)
    assert independent.claimed_tables(manifest) == independent.tables(database.superuser_parameters())
    assert independent.claimed_sequences(manifest) == independent.sequences(database.superuser_parameters())
    assert only_archive(tmp_path).counted


def test_a_name_of_no_encoding_is_refused(server18, make_database, tmp_path):
    database = make_database(
        server18, template="template0", database_options="ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
    )
    connection = database.connect(client_encoding="LATIN1")
    with connection, connection.cursor() as cursor:
        cursor.execute('CREATE TABLE "Müller" (a int)')
    connection.close()
    with pytest.raises(ResilienceError, match='invalid byte sequence for encoding "UTF8": 0xfc') as caught:
        back_up(database, tmp_path)
    assert caught.value.stage == "snapshot"
    assert strays(tmp_path) == []
