# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to the database itself and stands in no dump: a new database has it all the same, from the manifest."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.restore.conftest import MakeRestore
from tests.integration.restore.test_replace import give_properties, properties
from tests.support.databases import create_role, run_sql
from tests.support.restore_job import RestoreJob


@pytest.mark.parametrize("server", ["server18", "server16"])
@pytest.mark.parametrize("into", ["restored", None])
def test_new_database_is_as_the_old_one(
    make_restore: MakeRestore, server: str, into: str | None, request: pytest.FixtureRequest
) -> None:
    """Beside the one that was backed up, and in its place after it was lost."""
    job = make_restore(request.getfixturevalue(server))
    give_properties(job)
    job.back_up(compression="gzip")
    before = properties(job, job.database.name)
    name = into or job.database.name
    if into is None:
        job.ask(f"DROP DATABASE {name} WITH (FORCE)", "postgres")

    result = job.restore(into=name)

    assert result.warnings == ()
    assert properties(job, name) == before
    assert before[0] == 17
    assert any(word.endswith(":statement_timeout=7min") for word in before[4])


def test_application_finds_its_tables(job: RestoreJob) -> None:
    job.database.execute(f"ALTER DATABASE {job.database.name} SET search_path = other")
    job.back_up(compression="gzip")

    job.restore(into="restored")

    assert run_sql(job.database.parameters(dbname="restored"), "SELECT count(*) FROM kinds") == [(2,)]


def test_another_owner_gets_what_was_the_owners(job: RestoreJob) -> None:
    job.database.execute(f"REVOKE ALL ON DATABASE {job.database.name} FROM PUBLIC")
    job.back_up(compression="gzip")
    team = create_role(job.server)
    try:
        job.ask(f"GRANT {team} TO {job.database.user}")
        assert job.restore(into="restored", owner=False, role=team).warnings == ()
        assert properties(job, "restored")[1:3] == ([f"{team}=CTc/{team}"], team)
    finally:
        run_sql(job.server.parameters(), "DROP DATABASE IF EXISTS restored")
        run_sql(job.server.parameters(), f"DROP ROLE {team}")


def test_what_the_role_may_not_set_is_told(job: RestoreJob) -> None:
    name = job.database.name
    job.ask(f"ALTER DATABASE {name} SET log_min_duration_statement = '3s'")
    job.ask(f"ALTER DATABASE {name} SET app.jwt_secret = 'sesame'")
    reader = create_role(job.server)
    job.ask(f"GRANT CONNECT ON DATABASE {name} TO {reader}")
    job.back_up(compression="gzip")
    job.ask(f"REVOKE CONNECT ON DATABASE {name} FROM {reader}")
    job.ask(f"DROP ROLE {reader}")
    assert "sesame" not in str(manifest_of(job))

    planned, done = job.plan(into="restored"), job.restore(into="restored")

    assert planned.warnings == done.warnings[:1]
    assert "the value of the setting app.jwt_secret is in no manifest" in planned.warnings[0]
    assert [warning.partition(" (")[0] for warning in done.warnings[1:]] == [
        "not restored: its privileges",
        "not restored: the setting log_min_duration_statement",
    ]
    # What is printed is what an administrator can run.
    job.ask(done.warnings[2].partition("administrator: ")[2])


def manifest_of(job: RestoreJob) -> dict[str, Any]:
    found = job.plan(into="not_yet").found.manifest
    assert found["properties"]["settings"]
    return found


def test_privileges_left_out(job: RestoreJob) -> None:
    job.database.execute(f"REVOKE ALL ON DATABASE {job.database.name} FROM PUBLIC")
    job.back_up(compression="gzip")

    job.restore(into="restored", privileges=False)

    assert properties(job, "restored")[1] == []


def test_empty_database_keeps_what_it_is_set_to(job: RestoreJob) -> None:
    give_properties(job)
    job.back_up(compression="gzip")
    job.ask(f"CREATE DATABASE given OWNER {job.database.user} CONNECTION LIMIT 7")
    job.ask("ALTER DATABASE given SET statement_timeout = '9min'")

    job.restore(into="given")

    limit, privileges, _owner, comment, settings = properties(job, "given")
    assert (limit, privileges, comment) == (7, [], properties(job, job.database.name)[3])
    assert {"-:statement_timeout=9min", f"{job.database.user}:work_mem=5MB"} < set(settings)
    assert any("search_path" in setting for setting in settings)


def test_manifest_that_does_not_tell(job: RestoreJob) -> None:
    """As they were written before."""
    job.edit_manifest(properties=None)

    (warning,) = job.restore(into="restored").warnings
    assert "the manifest does not tell the settings" in warning
    # The database that is replaced is there to ask.
    assert job.restore(replace=True).warnings == ()
    # A part is no database of its own.
    assert job.restore(into="part", tables=("t",)).warnings == ()
