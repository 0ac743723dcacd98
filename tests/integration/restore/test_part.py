# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Some tables or schemas of an archive, into a database that has not got them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.restore import restore
from ansible_collections.baileys.resilience.plugins.module_utils.restore.load import load_archive
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from demo.postgres_server import PostgresServer
from tests.integration.restore.conftest import MakeRestore
from tests.integration.restore.test_refused import refused
from tests.support.backups import KINDS
from tests.support.restore_job import RestoreJob


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-zstd"])
@pytest.mark.parametrize("name", ["public.t", "t"])
def test_a_table_that_was_dropped(make_restore: MakeRestore, server18: PostgresServer, kind: str, name: str) -> None:
    job = make_restore(server18, backup=KINDS[kind])
    before = job.contents()
    job.database.execute("DROP TABLE t CASCADE; UPDATE other.kinds SET kind = 'one'")
    now = job.contents()

    result = job.restore(tables=(name,))

    assert result.found.mode == "part"
    assert job.contents()["public.t"] == before["public.t"]
    assert job.contents()["other.kinds"] == now["other.kinds"] != before["other.kinds"]
    # What comes along, and what does not: as documented.
    assert job.ask("SELECT obj_description('t'::regclass), has_table_privilege('public', 't', 'SELECT')") == [
        ("five hundred rows", True)
    ]
    assert job.ask("SELECT count(*) FROM pg_indexes WHERE tablename = 't'") == [(0,)]


def test_a_schema_that_was_dropped(job: RestoreJob) -> None:
    before = job.contents()
    job.database.execute("DROP SCHEMA other CASCADE")

    job.restore(schemas=("other",))

    assert job.contents() == before
    assert job.ask("SELECT last_value FROM other.kinds_n_seq") == [(2,)]
    assert job.ask("SELECT count(*) FROM pg_indexes WHERE schemaname = 'other'") == [(1,)]
    assert job.ask("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'other'") == [(job.database.user,)]


def test_into_a_new_database(job: RestoreJob) -> None:
    job.restore(into="restored", tables=("other.kinds",))

    assert job.contents("restored") == {"other.kinds": job.contents()["other.kinds"]}


def test_a_table_that_is_there(job: RestoreJob) -> None:
    refused(job, f'the database "{job.database.name}" has already: public.t', tables=("t",))
    refused(job, "has already: other.kinds, other.kinds_n_seq", schemas=("other",))


@pytest.mark.parametrize("options", [{"tables": ("t", "no such")}, {"schemas": ("no such",)}, {"tables": ("other.t",)}])
def test_a_name_that_is_not_in_the_archive(job: RestoreJob, options: dict[str, Any]) -> None:
    """pg_restore passes over it without a word."""
    refused(job, "the archive holds nothing of the name", into="restored", **options)


def test_a_table_with_a_dot_in_its_name(make_restore: MakeRestore, server18: PostgresServer) -> None:
    """It cannot be told from a schema and a table; its schema can be named."""
    job = make_restore(server18, content='CREATE TABLE "b.c" AS SELECT 1 AS n; CREATE TABLE t AS SELECT 2 AS n')

    for name in ("b.c", "public.b.c"):
        error = refused(job, f"the archive holds nothing of the name {name}", into="restored", tables=(name,))
        assert "One with a dot in its own name cannot be named" in str(error.remedy)
    job.restore(into="restored", schemas=("public",))
    assert job.contents("restored") == job.contents()


def test_tables_of_one_name_in_two_schemas(make_restore: MakeRestore, server18: PostgresServer) -> None:
    """pg_restore takes every table named of every schema named."""
    content = "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.x (); CREATE TABLE a.y (); CREATE TABLE b.x (); CREATE TABLE b.y ()"
    job = make_restore(server18, content=content)

    refused(job, "a y, b x would come along", into="restored", tables=("a.x", "b.y"))


def test_names_that_need_quotes(make_restore: MakeRestore, server18: PostgresServer) -> None:
    content = """CREATE SCHEMA "a ""b"" c"; CREATE TABLE "a ""b"" c"."Täble x" (v text); INSERT INTO "a ""b"" c"."Täble x" VALUES ('y')"""
    job = make_restore(server18, content=content)

    job.restore(into="restored", tables=('a "b" c.Täble x',))

    assert job.contents("restored") == job.contents()


def test_a_failure_leaves_nothing(job: RestoreJob) -> None:
    """A type of the same name is in the way: pg_restore finds out in the middle."""
    job.database.execute("DROP SCHEMA other CASCADE")
    job.database.execute("CREATE SCHEMA other; CREATE DOMAIN other.kinds AS text")
    before = job.contents()

    with pytest.raises(ResilienceError, match='type "kinds" already exists'):
        job.restore(schemas=("other",))

    assert job.contents() == before
    assert job.ask("SELECT count(*) FROM pg_class WHERE relnamespace = 'other'::regnamespace") == [(0,)]


def test_a_schema_made_for_it_goes_with_the_failure(job: RestoreJob, monkeypatch: pytest.MonkeyPatch) -> None:
    job.database.execute("DROP SCHEMA other CASCADE")

    def fail(*_arguments: Any, **_keywords: Any) -> str:
        raise ResilienceError("the server went away")

    monkeypatch.setattr(restore, "load_archive", fail)
    with pytest.raises(ResilienceError, match="went away"):
        job.restore(schemas=("other",))

    assert job.ask("SELECT count(*) FROM pg_namespace WHERE nspname = 'other'") == [(0,)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("DELETE FROM t WHERE id = 7", "table public.t has 499 rows, 500 expected"),
        ("UPDATE t SET value = 'x' WHERE id = 7", "table public.t has other content"),
    ],
)
def test_rows_are_compared(job: RestoreJob, monkeypatch: pytest.MonkeyPatch, change: str, problem: str) -> None:
    job.database.execute("DROP TABLE t CASCADE")

    def altered(*arguments: Any, **keywords: Any) -> str:
        words = load_archive(*arguments, **keywords)
        job.ask(change)
        return words

    monkeypatch.setattr(restore, "load_archive", altered)
    with pytest.raises(ResilienceError, match=problem):
        job.restore(tables=("t",))


def test_rows_look_as_dumped_whatever_the_database_is_set_to(job: RestoreJob) -> None:
    job.database.execute(
        "CREATE TABLE looks AS SELECT now() AS t, interval '1 day 2 s' AS i, '\\x00ff'::bytea AS b, 1/3::float8 AS f"
    )
    job.back_up(compression="gzip")
    job.database.execute("DROP TABLE looks")
    name = job.database.name
    for setting in (
        "timezone = 'Europe/Moscow'",
        "bytea_output = 'escape'",
        "intervalstyle = 'iso_8601'",
        "datestyle = 'German'",
        "extra_float_digits = 0",
    ):
        job.database.execute(f"ALTER DATABASE {name} SET {setting}")

    assert job.restore(tables=("looks",)).warnings == ()
