# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive into a database of its own: each kind, on 16 and 18, as a plain role."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from demo.postgres_server import PostgresServer
from tests.integration.restore.conftest import MakeRestore
from tests.support.backups import KINDS, SIMPLE_KINDS, back_up_days_ago
from tests.support.databases import create_role, run_sql
from tests.support.restore_job import RestoreJob

UGLY_NAMES = [
    'a "quoted" name',
    "o'brien; DROP DATABASE postgres --",
    "back\\slash = $x %s {}",
    "ünïcødé ✓ " + "x" * 40,
    "n" * 63,
]


def assert_restored(job: RestoreJob, name: str) -> None:
    """Everything of CONTENT is in the database `name`, and no half database is left."""
    assert job.contents(name) == job.contents()
    assert job.databases() == sorted([job.database.name, name])
    assert job.ask("SELECT rows FROM v", name) == [(500,)]
    assert job.ask("SELECT last_value, is_called FROM other.kinds_n_seq", name) == [(2, True)]
    assert job.ask("SELECT convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata", name) == [
        ("a large object",)
    ]
    assert job.ask("SELECT obj_description('t'::regclass), has_table_privilege('public', 't', 'SELECT')", name) == [
        ("five hundred rows", True)
    ]
    owners = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'other'::regnamespace)"
    assert job.ask(owners, name) == [(job.database.user,)]
    # The planner knows what it has.
    assert job.ask("SELECT reltuples FROM pg_class WHERE relname = 't'", name) == [(500,)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(make_restore: MakeRestore, server18: PostgresServer, kind: str) -> None:
    job = make_restore(server18, backup=KINDS[kind])

    result = job.restore(into="restored")

    assert result.warnings == ()
    assert result.found.mode == "create"
    assert result.comparison is not None
    assert result.comparison.problems == ()
    assert [name for name, _seconds in result.timings] == [
        "check",
        "create",
        "restore",
        "compare",
        "analyze",
        "settings",
        "switch",
    ]
    assert_restored(job, "restored")


@pytest.mark.parametrize("kind", SIMPLE_KINDS)
def test_each_kind_on_16(make_restore: MakeRestore, server16: PostgresServer, kind: str) -> None:
    job = make_restore(server16, backup=KINDS[kind])

    assert job.restore(into="restored").warnings == ()

    assert_restored(job, "restored")


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-zstd"])
def test_several_jobs(make_restore: MakeRestore, server18: PostgresServer, kind: str) -> None:
    job = make_restore(server18, backup=KINDS[kind])

    job.restore(into="restored", jobs=3)

    assert_restored(job, "restored")


@pytest.mark.parametrize("name", UGLY_NAMES)
def test_names(job: RestoreJob, name: str) -> None:
    job.restore(into=name)

    assert_restored(job, name)


def test_archive_of_an_older_server(
    make_restore: MakeRestore, server16: PostgresServer, server18: PostgresServer
) -> None:
    job = make_restore(server16)
    role = create_role(server18, options="CREATEDB", name=job.database.user)
    try:
        there = server18.parameters(host="localhost", user=role, password=job.database.password, dbname="restored")
        result = job.restore(parameters=there, into="restored", client_directory=str(server18.bin_directory))
        # The versions call large objects differently in a dump; that is no warning to anybody.
        assert result.warnings == ()
        rows = run_sql(server18.parameters(dbname="restored"), "SELECT count(*) FROM t")
        assert rows == [(500,)]
    finally:
        run_sql(server18.parameters(), "DROP DATABASE IF EXISTS restored")
        run_sql(server18.parameters(), f"DROP ROLE {role}")


@pytest.mark.parametrize(
    "options",
    [
        "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc",
        "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' ICU_RULES '&a < b' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'",
        "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST'",
    ],
)
def test_encoding_and_collation_are_those_of_the_database(
    make_restore: MakeRestore, server18: PostgresServer, options: str
) -> None:
    job = make_restore(server18, template="template0", database_options=options, content="")
    job.ask("CREATE TABLE t (v text); INSERT INTO t VALUES ('zähler'), ('abc')")
    job.ask(f"ALTER TABLE t OWNER TO {job.database.user}")
    job.back_up(compression="gzip")

    job.restore(into="restored")

    columns = "encoding, datlocprovider, datcollate, datctype, datlocale, daticurules"
    found = dict(job.ask(f"SELECT datname, ROW({columns})::text FROM pg_database"))
    assert found["restored"] == found[job.database.name]
    assert job.contents("restored") == job.contents()


def test_the_newest_good_archive_unless_one_is_named(job: RestoreJob) -> None:
    older = back_up_days_ago(1, job.database, job.root, source="app").archive
    job.database.execute("DELETE FROM t WHERE id > 100")
    newest = job.back_up(compression="gzip")

    assert job.restore(into="a").found.archive.path == newest
    assert job.restore(into="b", archive=older).found.archive.path == older

    assert job.ask("SELECT count(*) FROM t", "a") == [(100,)]
    assert job.ask("SELECT count(*) FROM t", "b") == [(500,)]


def test_path_with_a_space(job: RestoreJob, tmp_path: Path) -> None:
    (archive,) = job.root.glob("daily/*.dump")
    spaced = tmp_path / "a directory; touch x" / archive.name
    spaced.parent.mkdir()
    for path in (archive, archive.with_name(archive.name + ".manifest.json")):
        os.link(path, spaced.parent / path.name)

    job.restore(into="restored", archive=str(spaced))

    assert_restored(job, "restored")


def test_owner_and_privileges_left_out(job: RestoreJob) -> None:
    job.restore(into="restored", owner=False, privileges=False)

    assert job.contents("restored") == job.contents()
    assert job.ask("SELECT has_table_privilege('public', 't', 'SELECT')", "restored") == [(False,)]


def test_all_belongs_to_the_role_that_is_asked_for(job: RestoreJob) -> None:
    team = create_role(job.server)
    try:
        job.ask(f"GRANT {team} TO {job.database.user}")
        job.restore(into="restored", owner=False, role=team)
        owners = "SELECT relowner::regrole::text FROM pg_class WHERE relname IN ('t', 'kinds', 'v')"
        assert job.ask(owners, "restored") == [(team,)] * 3
    finally:
        run_sql(job.server.parameters(), "DROP DATABASE IF EXISTS restored")
        run_sql(job.server.parameters(), f"DROP ROLE {team}")


def test_empty_database_of_a_role_that_may_create_none(make_restore: MakeRestore, server18: PostgresServer) -> None:
    """As managed services have it: the database is made by the provider, and no other one may be connected to."""
    job = make_restore(server18, role_options="NOCREATEDB")
    job.ask(f"CREATE DATABASE given OWNER {job.database.user} CONNECTION LIMIT 7")

    with pytest.raises(ResilienceError, match="may not create databases"):
        job.restore(into="restored")
    result = job.restore(into="given", maintenance_database="not_there")

    assert result.found.mode == "fill"
    # Nothing can tell here that the server spelled the constraint its own way.
    assert result.warnings == ("TABLE other kinds reads otherwise than in the archive",)
    assert_restored(job, "given")
    assert job.ask("SELECT datconnlimit FROM pg_database WHERE datname = 'given'") == [(7,)]


def test_replace_where_there_is_none_makes_one(job: RestoreJob) -> None:
    assert job.restore(into="lost", replace=True).old_database is None

    assert_restored(job, "lost")


def test_plan_changes_nothing(job: RestoreJob) -> None:
    before = sorted(path for path in job.root.rglob("*"))

    result = job.plan(into="restored")

    assert result.dry_run
    assert job.databases() == [job.database.name]
    assert sorted(path for path in job.root.rglob("*")) == before


def test_a_half_database_of_a_killed_run_is_removed(job: RestoreJob) -> None:
    user = job.database.user
    for name in (
        "restored_restoring_20260101_000000",
        "restored_restoring_20260101_000000b",
        "restored_restoring_mine",
    ):
        job.ask(f"CREATE DATABASE {name} OWNER {user}")
    job.ask("CREATE DATABASE restored_restoring_20260101_000001")

    job.restore(into="restored")

    # Not one whose name is only like it, nor one of somebody else.
    assert job.databases() == sorted([job.database.name, "restored", "restored_restoring_mine"])
    job.ask("DROP DATABASE restored_restoring_20260101_000001")
