# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restored database in the place of the one that served: what comes along, what stays, and the way back."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.restore import restore, swap
from ansible_collections.baileys.resilience.plugins.module_utils.restore.load import load_archive
from ansible_collections.baileys.resilience.plugins.module_utils.restore.restore import RestoreResult
from ansible_collections.baileys.resilience.plugins.module_utils.restore.tell_restore import restore_report
from ansible_collections.baileys.resilience.plugins.module_utils.restore.way_back import way_back
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from demo.postgres_server import PostgresServer
from tests.integration.restore.conftest import MakeRestore
from tests.integration.restore.test_refused import refused
from tests.support import documents, run_processes
from tests.support.databases import create_role, run_sql
from tests.support.restore_job import RestoreJob

# It makes no slot and asks nobody.
SUBSCRIPTION = "CREATE SUBSCRIPTION s CONNECTION 'host=localhost' PUBLICATION p WITH (connect = false)"
# Of the database, not in it: none of it stands in a dump.
PROPERTIES = """
    SELECT d.datconnlimit, ARRAY(SELECT unnest(d.datacl)::text ORDER BY 1), pg_get_userbyid(d.datdba), shobj_description(d.oid, 'pg_database'),
           ARRAY(SELECT s.setrole::regrole || ':' || c FROM pg_db_role_setting s, unnest(s.setconfig) c
                 WHERE s.setdatabase = d.oid ORDER BY 1)
    FROM pg_database d WHERE d.datname = '%s'
"""


def properties(job: RestoreJob, name: str) -> tuple[Any, ...]:
    (found,) = run_sql(job.server.parameters(), PROPERTIES % name)
    return found


def give_properties(job: RestoreJob) -> None:
    name, user = job.database.name, job.database.user
    for statement in (
        f"ALTER DATABASE {name} CONNECTION LIMIT 17",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {name} TO pg_monitor WITH GRANT OPTION",
        f"COMMENT ON DATABASE {name} IS 'it''s the \"store\"'",
        f'ALTER DATABASE {name} SET search_path = "$user", public, "odd, name", "q""q"',
        f"ALTER DATABASE {name} SET statement_timeout = '7min'",
        f"ALTER DATABASE {name} SET application_name = 'a''b, c=d \\ e'",
        f"ALTER ROLE {user} IN DATABASE {name} SET work_mem = '5MB'",
    ):
        job.database.execute(statement)


@pytest.mark.parametrize("server", ["server18", "server16"])
def test_properties_are_carried_over(make_restore: MakeRestore, server: str, request: pytest.FixtureRequest) -> None:
    job = make_restore(request.getfixturevalue(server))
    give_properties(job)
    before = properties(job, job.database.name)

    result = job.restore(replace=True)

    assert result.warnings == ()
    assert result.old_database is not None
    assert re.fullmatch(rf"{job.database.name}_before_\d{{8}}_\d{{6}}", result.old_database)
    assert properties(job, job.database.name) == before
    assert before[0] == 17
    assert properties(job, result.old_database) == before
    assert job.databases() == sorted([job.database.name, result.old_database])


def test_what_was_written_since_is_in_the_old_one_only(job: RestoreJob) -> None:
    then = job.contents()
    job.database.execute("INSERT INTO t VALUES (1000, 'later')")
    now = job.contents()

    result = job.restore(replace=True)

    assert job.contents() == then
    assert job.contents(result.old_database) == now
    report = restore_report(job.request(replace=True), result)
    facts = dict(report.facts)
    assert "is lost to the restored database" in facts["Lost"]
    assert facts["Way back"] == result.way_back
    assert report.level == "warning"


def test_sessions_are_ended_at_the_switch(job: RestoreJob) -> None:
    with contextlib.closing(job.database.connect()) as one, contextlib.closing(job.database.connect()) as other:
        cursor = other.cursor()
        # In the middle of a transaction, and of a statement.
        cursor.execute("INSERT INTO t VALUES (1001, 'never committed')")
        result = job.restore(replace=True, terminate=True)
        assert result.switched is not None
        assert result.switched.ended == 2
        assert result.switched.blocked < 2
        for connection in (one, other):
            with pytest.raises(psycopg2.OperationalError, match="terminat"):
                connection.cursor().execute("SELECT 1")


@pytest.mark.parametrize("name", ["app", 'an "odd" o\'name', "n" * 63])
def test_the_way_back(job: RestoreJob, name: str) -> None:
    """The line that is printed, given to psql as it is, while somebody is connected."""
    job.restore(into=name)
    job.ask("INSERT INTO t VALUES (1000, 'later')", name)
    now = job.contents(name)
    result = job.restore(into=name, replace=True, allow_other_database=True)
    assert job.contents(name) != now
    assert result.way_back is not None

    with contextlib.closing(psycopg2.connect(**job.database.parameters(dbname=name))):
        done = go_back(job, result)

    assert done.returncode == 0, done.stderr
    assert job.contents(name) == now
    # The restored one is not lost either.
    assert len(job.databases()) == 3
    assert closed(job) == []

    # Run once more it does nothing: least of all does it close the database that serves.
    with contextlib.closing(psycopg2.connect(**job.database.parameters(dbname=name))) as connection:
        again = go_back(job, result)
        connection.cursor().execute("SELECT 1")
    assert "does not exist" in again.stderr
    assert closed(job) == []


def test_the_way_back_of_the_guide_is_the_one_that_is_printed(job: RestoreJob) -> None:
    with contextlib.closing(job.database.connect()) as connection:
        line = way_back(connection, "app", "app_before_20261122_060405", "20261122_060405")
    assert line in documents.read(documents.ROOT / "docs/restore.md").code("sql")[0]


def go_back(job: RestoreJob, result: RestoreResult) -> subprocess.CompletedProcess[str]:
    """The line that was printed, as the documentation has it run."""
    parameters = job.database.parameters(dbname="postgres")
    return subprocess.run(
        [job.server.bin_directory / "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "-c", str(result.way_back)],
        env={
            "PGHOST": "localhost",
            "PGPORT": str(job.server.port),
            "PGUSER": parameters["user"],
            "PGPASSWORD": parameters["password"],
            "PGDATABASE": "postgres",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def closed(job: RestoreJob) -> list[str]:
    query = "SELECT datname FROM pg_database WHERE NOT datallowconn AND datname <> 'template0' ORDER BY 1"
    return [name for (name,) in job.ask(query, "postgres") if name in job.databases()]


def test_the_way_back_that_fails_opens_the_database_again(job: RestoreJob) -> None:
    """What it would put aside has that name already."""
    result = job.restore(replace=True)
    assert result.old_database is not None
    aside = result.old_database.replace("_before_", "_restored_")
    job.ask(f"CREATE DATABASE {aside} OWNER {job.database.user}", "postgres")

    done = go_back(job, result)

    assert done.returncode != 0
    assert "The databases are as they were: " in done.stderr
    assert "already exists" in done.stderr
    assert closed(job) == []
    job.ask(f"DROP DATABASE {aside}", "postgres")
    assert go_back(job, result).returncode == 0


@contextlib.contextmanager
def stalled(job: RestoreJob) -> Iterator[None]:
    """Whoever would rename the database waits."""
    with contextlib.closing(psycopg2.connect(**job.server.parameters())) as holding, holding.cursor() as cursor:
        cursor.execute(f"COMMENT ON DATABASE {job.database.name} IS 'never committed'")
        yield


def test_the_way_back_that_times_out_opens_the_database_again(job: RestoreJob) -> None:
    result = job.restore(replace=True)
    job.ask(f"ALTER ROLE {job.database.user} SET statement_timeout = '400ms'")
    with stalled(job):
        done = go_back(job, result)

    assert "The databases are as they were: canceling statement due to statement timeout" in done.stderr
    assert closed(job) == []


def test_the_way_back_that_was_killed_can_be_run_again(job: RestoreJob) -> None:
    """Its process on the server is ended in the middle: that leaves the database closed, and the line opens it."""
    result = job.restore(replace=True)
    waiting = "FROM pg_stat_activity WHERE query LIKE 'DO %' AND wait_event_type = 'Lock'"
    with stalled(job), ThreadPoolExecutor(1) as executor:
        running = executor.submit(go_back, job, result)
        run_processes.wait_until(lambda: job.ask(f"SELECT 1 {waiting}", "postgres") != [], "it does not wait")
        job.ask(f"SELECT pg_terminate_backend(pid) {waiting}", "postgres")
        assert running.result().returncode != 0
    assert closed(job) == [job.database.name]

    assert go_back(job, result).returncode == 0
    assert closed(job) == []


def test_the_way_back_past_a_session_that_it_may_not_end(job: RestoreJob) -> None:
    result = job.restore(replace=True)
    with contextlib.closing(psycopg2.connect(**job.database.superuser_parameters())) as connection:
        done = go_back(job, result)
        connection.cursor().execute("SELECT 1")
    assert "permission denied to terminate process" in done.stderr
    assert closed(job) == []


def test_old_one_is_dropped_if_asked_for(job: RestoreJob) -> None:
    result = job.restore(replace=True, keep_old=False)

    assert (result.old_database, result.way_back) == (None, None)
    assert job.databases() == [job.database.name]
    assert any("no way back" in warning for warning in result.warnings)


def test_old_one_with_a_subscription_is_dropped_too(make_restore: MakeRestore, server18: PostgresServer) -> None:
    job = make_restore(server18, role_options="SUPERUSER")
    job.database.execute(SUBSCRIPTION)

    result = job.restore(replace=True, keep_old=False)

    assert job.databases() == [job.database.name]
    assert any("the subscription s of the old database was dropped" in warning for warning in result.warnings)


def test_old_one_that_cannot_be_dropped_is_told_with_the_way_back(job: RestoreJob) -> None:
    """The switch was made: that is not a failure, and the old database is worth to be known of."""
    job.ask(SUBSCRIPTION)
    now = job.contents()
    job.database.execute("INSERT INTO t VALUES (1000, 'later')")
    try:
        result = job.restore(replace=True, keep_old=False)

        assert result.old_database in job.databases()
        assert job.contents() == now
        (warning,) = result.warnings
        assert f'is still there, as "{result.old_database}"' in warning
        assert "Way back" in dict(restore_report(job.request(replace=True), result).facts)
        assert go_back(job, result).returncode == 0
        assert job.ask("SELECT count(*) FROM t") == [(501,)]
    finally:
        for action in ("SET (slot_name = NONE)", ""):
            job.ask(f"ALTER SUBSCRIPTION s {action}" if action else "DROP SUBSCRIPTION s")


def test_database_is_not_replaced_by_the_backup_of_another(job: RestoreJob) -> None:
    job.restore(into="billing")

    words = f'the archive is a backup of the database "{job.database.name}", and it is "billing" that would be replaced'
    error = refused(job, words, into="billing", replace=True)
    assert "allow_other_database=true" in str(error.remedy)

    plan = job.run_module(into="billing", replace=True, allow_other_database=True, _ansible_check_mode=True)
    assert not plan.failed, plan.output
    assert f'(database "{job.database.name}", ' in plan.result["plan"][0]
    assert job.restore(into="billing", replace=True, allow_other_database=True).old_database in job.databases()


def test_property_that_the_role_may_not_set_is_told_beforehand(job: RestoreJob) -> None:
    name = job.database.name
    job.ask(f"ALTER DATABASE {name} SET log_min_duration_statement = '3s'")
    job.ask(f"ALTER ROLE postgres IN DATABASE {name} SET work_mem = '9MB'")

    planned, done = job.plan(replace=True), job.restore(replace=True)

    assert planned.warnings == done.warnings
    words = [re.sub(r"\(.*\)", "()", warning.replace(name, "NAME")) for warning in done.warnings]
    assert all(warning.startswith("not carried over to the restored database: the setting ") for warning in words)
    assert [warning.partition("the setting ")[2] for warning in words] == [
        """log_min_duration_statement (); as an administrator: ALTER DATABASE "NAME" SET "log_min_duration_statement" TO '3s';""",
        """work_mem of the role postgres (); as an administrator: ALTER ROLE "postgres" IN DATABASE "NAME" SET "work_mem" TO '9MB';""",
    ]
    # What is printed is what an administrator can run.
    for warning in done.warnings:
        job.ask(warning.partition("administrator: ")[2])


def test_owner_of_the_old_one_owns_the_new_one(job: RestoreJob) -> None:
    """A role that is a member of the owner replaces it for the owner."""
    member = create_role(job.server, options="CREATEDB", password=job.database.password)
    try:
        job.ask(f"GRANT {job.database.user} TO {member}")
        job.restore(replace=True, parameters=job.database.parameters(user=member))
        assert properties(job, job.database.name)[2] == job.database.user
    finally:
        run_sql(job.server.parameters(), f"DROP ROLE {member}")


def test_session_that_comes_while_restoring_and_cannot_be_ended(
    job: RestoreJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work is not thrown away: the restored database stands complete beside the one that goes on serving."""
    with contextlib.ExitStack() as stack:

        def meanwhile(*arguments: Any, **keywords: Any) -> str:
            late = psycopg2.connect(**job.database.superuser_parameters(application_name="late"))
            stack.enter_context(contextlib.closing(late))
            return load_archive(*arguments, **keywords)

        monkeypatch.setattr(restore, "load_archive", meanwhile)
        with pytest.raises(ResilienceError, match=r"connected to it: \d+ of postgres \(late\)") as caught:
            job.restore(replace=True, terminate=True, switch_timeout=0.3)

    assert caught.value.stage == "switch"
    (beside,) = [name for name in job.databases() if name != job.database.name]
    assert f'It is complete and stands as "{beside}"' in caught.value.message
    assert "_restored_" in beside
    assert job.contents(beside) == job.contents()


def test_switch_waits_for_who_goes_by_himself(job: RestoreJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without leave to end sessions, one that comes and goes only delays it."""
    late: list[Any] = []
    pause = time.sleep

    def meanwhile(*arguments: Any, **keywords: Any) -> str:
        late.append(job.database.connect())
        return load_archive(*arguments, **keywords)

    def leave(seconds: float) -> None:
        if seconds == swap.PAUSE_SECONDS:
            late[0].close()
        pause(min(seconds, 0.05))

    monkeypatch.setattr(restore, "load_archive", meanwhile)
    monkeypatch.setattr(time, "sleep", leave)

    result = job.restore(replace=True)

    assert late[0].closed
    assert result.switched is not None
    assert result.switched.ended == 0


def test_commit_whose_answer_was_lost(job: RestoreJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network goes away just when the switch was made: it is looked up, not guessed."""
    attempt = swap._attempt

    def unheard(*arguments: Any) -> Any:
        attempt(*arguments)
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    def unsaid(*_arguments: Any) -> Any:
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(swap, "_attempt", unheard)
    assert job.restore(replace=True).old_database in job.databases()

    monkeypatch.setattr(swap, "_attempt", unsaid)
    with pytest.raises(ResilienceError, match="server closed the connection"):
        job.restore(replace=True)


def test_plan_names_who_would_be_ended(job: RestoreJob) -> None:
    with contextlib.closing(job.database.connect(application_name="writer")) as connection:
        run = job.run_module(replace=True, terminate=True, _ansible_check_mode=True, _ansible_diff=True)
        connection.cursor().execute("SELECT 1")

    assert not run.failed, run.output
    assert run.result["changed"] is True
    assert run.result["diff"]["prepared"].splitlines() == run.result["plan"]
    assert re.search(r"now 1: \d+ of \S+ \(writer\)", run.result["diff"]["prepared"])
    assert f'rename "{job.database.name}" to "{run.result["old_database"]}"' in run.result["diff"]["prepared"]
    assert "report" not in run.result
    assert job.databases() == [job.database.name]


def test_module_says_all_of_it(job: RestoreJob, server18: PostgresServer) -> None:
    run = job.run_module(replace=True)

    assert not run.failed, run.output
    assert run.result["way_back"] in run.message
    assert run.result["lost_writes"] in run.message
    assert run.result["mode"] == "replace"
    assert run.result["comparison"]["schema"]["missing"] == []
    assert run.result["report"]["job"] == "restore"
    assert (job.jobs.state / "status" / "restore.json").exists()
    assert (job.jobs.state / "metrics" / "restore.prom").exists()
    job.jobs.assert_gone()
    job.jobs.assert_secret_kept(run.output)
