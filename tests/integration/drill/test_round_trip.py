# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is hard to restore comes back whole and is proven: no false alarm, and all that is not covered is named."""

from __future__ import annotations

import json

import pytest

from tests.support.backups import KINDS, back_up
from tests.support.databases import run_sql
from tests.support.drilling import (
    assert_proven,
    assert_suspect,
    assert_unjudged,
    drill,
    planting,
    reordered,
    rewritten,
)
from tests.support.hard_databases import PARTS, hard_database, many_tables

ORDER = "in another order"
COLUMNS = "with the columns in another order"
# What the server writes in other words after each restore.
REWRITTEN = {
    "checks": ["INDEX checks checked_d_idx", "TABLE checks checked", "VIEW checks over_checked"],
    "domains": ["DOMAIN domains label"],
    "inheritance": ["TABLE inheritance joined_later"],
    "views": ["VIEW views values_view", "VIEW views whole_row"],
}
# pg_dump writes an heir's own columns after its parents'; rows hashed by an enum go to other leaves.
REORDERED = {
    "inheritance": dict.fromkeys(
        ["inheritance.joined_later", "inheritance.nothing_own", "inheritance.one_heir", "inheritance.two_parents"],
        COLUMNS,
    ),
    "partitions": {"partitions.by_enum": ORDER},
}
NOT_IN_FULL = {"extension_vector"}


def drill_hard(hard, root, state, kind="custom-zstd", **options):
    """Back up and drill on the build that the database is of; the result, which must be a proof."""
    bin_directory = hard.database.server.bin_directory
    back_up(hard.database, root, parameters=hard.parameters(), **KINDS[kind])
    result = drill(root, state, bin_directory, **options)
    assert_proven(result)
    json.dumps(result)
    return result


@pytest.mark.parametrize("name", sorted(set(PARTS) - NOT_IN_FULL))
def test_each_part(server18, state, name, tmp_path):
    with hard_database(server18, name) as hard:
        result = drill_hard(hard, tmp_path, state)
    assert rewritten(result) == REWRITTEN.get(name, [])
    assert reordered(result) == REORDERED.get(name, {})
    assert result["schema"]["equal"] + len(REWRITTEN.get(name, [])) == result["schema"]["entries"] > 0


@pytest.mark.parametrize(
    ("server_name", "kind"),
    [
        ("server18", "custom-zstd"),
        ("server18", "plain-gzip"),
        ("server18", "directory-zstd"),
        ("embedded18", "custom-gzip"),
        ("server16", "plain-none"),
    ],
)
def test_all_together(request, server_name, kind, state, tmp_path):
    server = request.getfixturevalue(server_name)
    with hard_database(server) as hard:
        result = drill_hard(hard, tmp_path, state, kind)
        names = set(hard.loaded.names)
    assert rewritten(result) == sorted(entry for name in names for entry in REWRITTEN.get(name, []))
    assert reordered(result) == {key: value for name in names for key, value in REORDERED.get(name, {}).items()}
    assert result["schema"]["entries"] > 900
    assert len(result["tables"]) > 200
    assert result["sequences"]["count"] > 20
    assert result["large_objects"]["count"] == 8


def test_what_is_not_covered_is_named(server18, state, tmp_path):
    names = ["materialised_views", "generated", "foreign_bare", "extensions"]
    with hard_database(server18, *names) as hard:
        result = drill_hard(hard, tmp_path, state)
    assert [item["what"] for item in result["not_covered"]] == [
        'contents of the materialised view materialised_views."on the ""empty" (0 rows after its refresh)',
        "contents of the materialised view materialised_views.a_second (7 rows after its refresh)",
        "contents of the materialised view materialised_views.empty (not populated, as in the archive)",
        "contents of the materialised view materialised_views.first (201 rows after its refresh)",
        "contents of the materialised view materialised_views.third (7 rows after its refresh)",
        (
            "values of generated columns: generated.heir.day, generated.heir.doubled, generated.heir.shouted, "
            "generated.nothing_else.a, generated.parted.b, generated.parted_1.b, generated.stored.day, "
            "generated.stored.doubled, generated.stored.shouted"
        ),
        "rows behind foreign tables: foreign_bare.far_away",
        (
            "what belongs to extensions: btree_gin, btree_gist, citext, cube, hstore, intarray, lo, ltree, pg_trgm, "
            "pgcrypto, unaccent, uuid-ossp"
        ),
        "statistics of the planner",
        "settings, comment, privileges and connection limit of the database itself",
        "whether subscriptions are enabled",
        "roles, passwords, tablespaces and settings of the server",
    ]
    assert all(item["why"] for item in result["not_covered"])


def test_unlogged_tables_are_covered(server18, state, tmp_path):
    """What an unlogged table held when it was dumped is in the archive, and comes back."""
    with hard_database(server18, "persistence") as hard:
        result = drill_hard(hard, tmp_path, state)
        unlogged = run_sql(
            hard.database.superuser_parameters(),
            "SELECT relname FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'",
        )
    outcomes = {table["table"]: table["outcome"] for table in result["tables"]}
    assert unlogged
    assert {outcomes[name] for (name,) in unlogged} == {"equal"}


@pytest.mark.parametrize(
    ("kind", "jobs"), [("custom-zstd", 1), ("custom-zstd", 2), ("plain-zstd", 1), ("directory-zstd", 2)]
)
def test_rows_of_mixed_sizes_keep_their_order(server18, state, kind, jobs, tmp_path):
    with hard_database(server18, "row_sizes") as hard:
        result = drill_hard(hard, tmp_path, state, kind, jobs=jobs)
    assert {table["outcome"] for table in result["tables"]} == {"equal"}


def test_several_jobs(server18, state, tmp_path):
    """Where they come to a constraint before what it depends on, the restore is done again by one."""
    with hard_database(server18) as hard:
        result = drill_hard(hard, tmp_path, state, "custom-zstd", jobs=2)
    assert set(reordered(result)) >= set(REORDERED["inheritance"])


def test_large_objects(server18, state, tmp_path):
    with hard_database(server18, "large_objects") as hard:
        result = drill_hard(hard, tmp_path, state)
        ((count, size),) = hard.database.execute(
            "SELECT count(DISTINCT loid), sum(length(data)) FROM pg_largeobject", superuser=True
        )
    # Empty ones have no page.
    assert result["large_objects"]["count"] == count + 2
    # A hole is not stored, and is in the dump.
    assert result["large_objects"]["bytes"] > size > 3_000_000


def test_tablespaces(server18, state, tmp_path):
    """They are made on the scratch server, and what leaves one is noticed."""
    with hard_database(server18, "tablespaces") as hard:
        drill_hard(hard, tmp_path, state)
    result = drill(
        tmp_path, state, server18.bin_directory, planting("ALTER TABLE tablespaces.placed SET TABLESPACE pg_default")
    )
    assert_suspect(result, "TABLE tablespaces placed is defined differently")


def test_five_thousand_tables(server18, make_database, state, tmp_path):
    database = make_database(server18)
    many_tables(database, 5000)
    back_up(database, tmp_path)
    result = drill(tmp_path, state, server18.bin_directory)
    assert_proven(result)
    assert len(result["tables"]) == result["sequences"]["count"] == 5000
    assert result["schema"]["entries"] == result["schema"]["equal"] > 20000


ENCODINGS = {
    "LATIN1": ("LOCALE_PROVIDER libc ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'", "Grüße, Ærø"),
    "EUC_JP": ("LOCALE_PROVIDER libc ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C'", "日本語 \\ と"),
    "WIN1251": ("LOCALE_PROVIDER libc ENCODING 'WIN1251' LC_COLLATE 'C' LC_CTYPE 'C'", "Привет"),
    "C.UTF-8": ("LOCALE_PROVIDER libc ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'", "Grüße 日本"),
    "builtin": ("LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' ENCODING 'UTF8'", "Grüße 日本"),
    "ICU": ("LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' ENCODING 'UTF8'", "Grüße 日本"),
    "ICU with rules": ("LOCALE_PROVIDER icu ICU_LOCALE 'und' ICU_RULES '&a < g' ENCODING 'UTF8'", "Grüße 日本"),
}


def fill_with(database, text):
    database.execute("CREATE TABLE texts (id int PRIMARY KEY, v text UNIQUE)")
    database.execute(f"INSERT INTO texts SELECT g, '{text} ' || g FROM generate_series(1, 100) g")
    database.execute(f"""CREATE VIEW "{text.replace('"', "")}" AS SELECT v, '{text}' AS c FROM texts ORDER BY v""")


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "custom-zstd") for name in ENCODINGS), ("LATIN1", "plain-zstd"), ("EUC_JP", "plain-zstd")],
)
def test_encodings_and_collations(server18, make_database, state, name, kind, tmp_path):
    options, text = ENCODINGS[name]
    database = make_database(server18, template="template0", database_options=options)
    fill_with(database, text)
    back_up(database, tmp_path, **KINDS[kind])
    found = {}

    def look(settings):
        found["here"] = run_sql(settings.parameters, LOCALE)

    result = drill(tmp_path, state, server18.bin_directory, look)
    assert_proven(result)
    assert found["here"] == database.execute(LOCALE)
    assert not any(item["what"] == "the order of text" for item in result["not_covered"])


LOCALE = """
    SELECT pg_encoding_to_char(encoding), datlocprovider, datcollate, datctype, datlocale, daticurules
    FROM pg_database WHERE datname = current_database()
"""


def test_a_collation_that_the_scratch_server_lacks(server18, make_database, state, bin_embedded18, tmp_path):
    """The contents are proven all the same, and what could not be shown is said."""
    database = make_database(server18, template="template0", database_options=ENCODINGS["ICU"][0])
    fill_with(database, "Grüße")
    back_up(database, tmp_path)
    result = drill(tmp_path, state, server18.bin_directory, server_directory=str(bin_embedded18))
    assert_proven(result)
    assert "icu" in result["target"]["lacks"]
    (limit,) = [item["why"] for item in result["not_covered"] if item["what"] == "the order of text"]
    assert 'icu "de-u-co-phonebk"' in limit
    assert "sorted and compared otherwise" in limit


def test_an_extension_that_the_scratch_server_lacks(server18, state, bin_embedded18, tmp_path):
    with hard_database(server18, "foreign_tables") as hard:
        back_up(hard.database, tmp_path, parameters=hard.parameters())
    result = drill(tmp_path, state, server18.bin_directory, server_directory=str(bin_embedded18))
    assert_unjudged(
        result, "extensions", "postgres_fdw", str(bin_embedded18), "Install their packages for PostgreSQL 18"
    )


def test_xml_that_the_scratch_server_lacks(server18, state, bin_embedded18, tmp_path):
    with hard_database(server18, "xml") as hard:
        back_up(hard.database, tmp_path, parameters=hard.parameters())
    result = drill(tmp_path, state, server18.bin_directory, server_directory=str(bin_embedded18))
    assert_unjudged(result, "XML")


@pytest.mark.parametrize("kind", ["custom-gzip", "plain-gzip", "plain-none", "directory-gzip"])
def test_a_newer_client_than_the_server(server16, state, bin_embedded18, bin_embedded16, kind, tmp_path):
    """The scratch server is of the archive's version; what the client writes for newer ones must not stop it."""
    parts = [] if kind == "custom-gzip" else ["views", "large_objects", "row_sizes", "partitions", "database_settings"]
    with hard_database(server16, *parts) as hard:
        back_up(hard.database, tmp_path, bin_embedded18, parameters=hard.parameters(), **KINDS[kind])
    result = drill(tmp_path, state, bin_embedded18, server_directory=str(bin_embedded16))
    assert_proven(result)
    assert result["target"]["server_version"].startswith("16.")
