# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before anything is touched, each in its own words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup.verify import verify_all
from ansible_collections.baileys.resilience.plugins.module_utils.restore import restore
from ansible_collections.baileys.resilience.plugins.module_utils.restore.load import load_archive
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase, StartServer
from tests.integration.restore.conftest import MakeRestore
from tests.support.backups import KINDS, only_archive
from tests.support.databases import create_role, run_sql
from tests.support.restore_job import RestoreJob, restore_job


def refused(job: RestoreJob, words: str, stage: str = "preflight", **options: Any) -> ResilienceError:
    """The restore, and the plan of it, are refused in these words; the databases are as before."""
    before = (job.databases(), job.contents())
    raised = []
    for attempt in (job.plan, job.restore):
        with pytest.raises(ResilienceError, match=re.escape(words)) as caught:
            attempt(**options)
        assert caught.value.stage == stage
        assert caught.value.remedy
        raised.append(caught.value)
    assert (job.databases(), job.contents()) == before
    return raised[-1]


def test_role_may_not_create_databases(make_restore: MakeRestore, server18: PostgresServer) -> None:
    job = make_restore(server18, role_options="NOCREATEDB")
    error = refused(job, f"the role {job.database.user} may not create databases", into="restored")
    assert "CREATEDB" in str(error.remedy)


def test_database_that_is_not_empty(job: RestoreJob) -> None:
    error = refused(job, f'the database "{job.database.name}" is not empty; it holds')
    assert "replace=true" in str(error.remedy)


@pytest.mark.parametrize(
    "content",
    [
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE e AS ENUM ('a')",
        "CREATE SCHEMA s",
        "CREATE SEQUENCE s",
        "SELECT lo_from_bytea(0, 'x')",
    ],
)
def test_database_that_holds_anything(job: RestoreJob, content: str) -> None:
    job.ask(f"CREATE DATABASE given OWNER {job.database.user}")
    job.ask(content, "given")

    refused(job, 'the database "given" is not empty; it holds', into="given")


def test_database_of_somebody_else(job: RestoreJob, make_database: MakeDatabase) -> None:
    other = make_database(job.server)
    error = refused(
        job, f'the role {job.database.user} does not own the database "{other.name}"', into=other.name, replace=True
    )
    assert f"GRANT {other.user} TO {job.database.user}" in str(error.remedy)


@contextlib.contextmanager
def connected(parameters: dict[str, Any]) -> Iterator[None]:
    with contextlib.closing(psycopg2.connect(**parameters)):
        yield


def test_somebody_is_connected(job: RestoreJob) -> None:
    with connected(job.database.parameters(application_name="the application")):
        error = refused(job, "(the application)", replace=True)
    assert "terminate=true" in str(error.remedy)


def test_session_that_cannot_be_ended(job: RestoreJob) -> None:
    """The provider's own: told before the restore begins, not after an hour of it."""
    with connected(job.database.superuser_parameters(application_name="monitoring")):
        error = refused(job, "of postgres (monitoring)", replace=True, terminate=True)
    assert "this role may not end the sessions" in error.message


def test_prepared_transaction(start_server: StartServer, bin_full18: Path, make_restore: MakeRestore) -> None:
    job = make_restore(start_server(bin_full18, settings={"max_prepared_transactions": 5}))
    with contextlib.closing(job.database.connect()) as connection:
        connection.cursor().execute("INSERT INTO t VALUES (0, ''); PREPARE TRANSACTION 'waiting'")
    refused(job, "1 prepared transactions are open", replace=True, terminate=True)
    job.database.execute("ROLLBACK PREPARED 'waiting'")


def test_role_that_is_missing(job: RestoreJob) -> None:
    reader = create_role(job.server)
    job.database.execute(f"GRANT SELECT ON t TO {reader}")
    job.back_up(compression="gzip")
    job.database.execute(f"REVOKE SELECT ON t FROM {reader}")
    run_sql(job.server.parameters(), f"DROP ROLE {reader}")

    error = refused(job, f"roles that the archive names do not exist on this server: {reader}", into="restored")
    assert "privileges=false" in str(error.remedy)
    job.restore(into="restored", privileges=False)
    assert job.contents("restored") == job.contents()


@pytest.mark.parametrize("kind", ["custom-gzip", "directory-gzip", "plain-gzip"])
def test_owner_that_the_role_cannot_act_for(job: RestoreJob, kind: str) -> None:
    owner = create_role(job.server)
    try:
        job.ask(f"ALTER TABLE t OWNER TO {owner}; GRANT SELECT ON t TO {job.database.user}")
        job.back_up(**KINDS[kind])
        error = refused(
            job,
            f"objects in the archive belong to roles that the connected one is no member of: {owner}",
            into="restored",
        )
        assert "owner=false" in str(error.remedy)
        if kind != "plain-gzip":
            job.restore(into="restored", owner=False)
            assert job.contents("restored") == job.contents()
    finally:
        job.ask(f"ALTER TABLE t OWNER TO {job.database.user}; DROP OWNED BY {owner}; DROP ROLE {owner}")


def test_superuser_that_owns_something_and_is_not_there(job: RestoreJob) -> None:
    """A table made by an administrator, restored where the administrator is called otherwise."""
    admin = create_role(job.server, options="SUPERUSER")
    job.ask(f"CREATE TABLE made_by_admin (); ALTER TABLE made_by_admin OWNER TO {admin}")
    job.ask(f"GRANT SELECT ON made_by_admin TO {job.database.user}")
    job.back_up(compression="gzip")
    job.ask(f"ALTER TABLE made_by_admin OWNER TO {job.database.user}; DROP ROLE {admin}")

    refused(job, f"do not exist on this server: {admin}", into="restored")


def test_extension_that_is_not_available(job: RestoreJob) -> None:
    job.edit_manifest(extensions=[{"extension": "no_such_thing", "version": "1.0", "schema": "public"}])
    refused(job, "extensions of the archive are not available on this server: no_such_thing", into="restored")


def test_extension_that_the_role_may_not_create(job: RestoreJob) -> None:
    job.ask("CREATE EXTENSION file_fdw")
    job.back_up(compression="gzip")

    assert job.plan(into="restored").warnings == ("the extension file_fdw may be refused; it is tried first",)
    with pytest.raises(
        ResilienceError,
        match=r"^Nothing was restored: this role may not create extensions of the archive: file_fdw \(permission denied",
    ):
        job.restore(into="restored")

    assert job.databases() == [job.database.name]


def test_extension_that_the_provider_put_there(job: RestoreJob) -> None:
    """Only its owner may comment on it, and the archive holds its comment."""
    job.ask("CREATE EXTENSION file_fdw")
    job.back_up(compression="gzip")
    job.ask(f"CREATE DATABASE given OWNER {job.database.user}")
    job.ask("CREATE EXTENSION file_fdw", "given")

    error = refused(job, "extensions of somebody else are in the database already", into="given")
    assert "comments=false" in str(error.remedy)

    # Nor could a second database be made to see how this server spells a constraint.
    assert job.restore(into="given", comments=False).warnings == (
        "TABLE other kinds reads otherwise than in the archive",
    )
    assert job.contents("given") == job.contents()


def test_extension_that_is_trusted(job: RestoreJob) -> None:
    job.database.execute("CREATE EXTENSION citext; CREATE TABLE c (v citext); INSERT INTO c VALUES ('A')")
    job.back_up(compression="gzip")

    assert job.restore(into="restored").warnings == ()

    assert job.ask("SELECT v = 'a' FROM c", "restored") == [(True,)]


def test_tablespace(start_server: StartServer, bin_full18: Path, make_restore: MakeRestore) -> None:
    job = make_restore(
        start_server(bin_full18, settings={"allow_in_place_tablespaces": "on"}), backup={"compression": "none"}
    )
    run_sql(job.server.parameters(), "CREATE TABLESPACE fast LOCATION ''")
    job.ask(f"GRANT CREATE ON TABLESPACE fast TO {job.database.user}")
    job.database.execute("CREATE TABLE quick TABLESPACE fast AS SELECT 1 AS n")
    job.back_up(compression="gzip")

    job.restore(into="restored")
    assert job.ask("SELECT tablespace FROM pg_tables WHERE tablename = 'quick'", "restored") == [("fast",)]

    job.ask(f"REVOKE CREATE ON TABLESPACE fast FROM {job.database.user}")
    error = refused(job, "this role may not use them: fast", into="again")
    assert "tablespaces=false" in str(error.remedy)
    job.restore(into="again", tablespaces=False)
    assert job.ask("SELECT tablespace FROM pg_tables WHERE tablename = 'quick'", "again") == [(None,)]


def test_collation_that_the_server_has_not_got(job: RestoreJob) -> None:
    job.edit_manifest(collation="xx_XX.UTF-8", ctype="xx_XX.UTF-8", locale_provider="libc", locale=None)

    error = refused(job, 'does not offer the collation of the database, UTF8, libc "xx_XX.UTF-8"', into="restored")
    assert "allow_other_collation=true" in str(error.remedy)

    (warning,) = job.restore(into="restored", allow_other_collation=True).warnings
    assert 'builtin "C.UTF-8"' in warning
    assert job.contents("restored") == job.contents()


def test_client_older_than_the_server_and_the_archive(job: RestoreJob, bin_embedded16: Path) -> None:
    error = refused(
        job, "the newest client here is 16", stage="version", into="restored", client_directory=str(bin_embedded16)
    )
    assert "postgresql-client-18" in str(error.remedy)


def test_server_older_than_the_archive(job: RestoreJob, make_database: MakeDatabase, server16: PostgresServer) -> None:
    older = make_database(server16, role_options="CREATEDB")
    refused(job, "which is older", stage="version", into="restored", parameters=older.parameters())


@pytest.mark.parametrize("damage", ["flipped bit", "truncated", "emptied"])
@pytest.mark.parametrize("kind", ["custom-gzip", "plain-gzip", "directory-gzip"])
def test_damaged_archive(make_restore: MakeRestore, server18: PostgresServer, kind: str, damage: str) -> None:
    job = make_restore(server18, backup=KINDS[kind])
    path = Path(only_archive(job.root).path)
    damaged = max(path.iterdir(), key=lambda file: file.stat().st_size) if path.is_dir() else path
    data = bytearray(damaged.read_bytes())
    if damage == "flipped bit":
        data[len(data) // 2] ^= 4
    damaged.write_bytes({"flipped bit": bytes(data), "truncated": bytes(data[:-7]), "emptied": b""}[damage])

    with pytest.raises(ResilienceError, match=r"Nothing was touched: .* is not what its manifest says") as caught:
        job.restore(into="restored")

    assert caught.value.stage == "check"
    assert job.databases() == [job.database.name]
    if (kind, damage) == ("plain-gzip", "truncated"):
        # What is missing is the sum at the end, and no row.
        assert len(job.restore(into="restored", allow_unverified=True).warnings) == 1
        assert job.contents("restored") == job.contents()
        return
    with pytest.raises(ResilienceError):
        # Told to, it tries; what then comes is not the same, and so nothing is left of it.
        job.restore(into="restored", allow_unverified=True)
    assert job.databases() == [job.database.name]


def test_suspect_archive(job: RestoreJob) -> None:
    path = Path(only_archive(job.root).path)
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    verify_all(str(job.root), client_directory=str(job.server.bin_directory))
    path.write_bytes(good)

    with pytest.raises(ResilienceError, match="There is no good archive"):
        job.restore(into="restored")
    refused(job, "is suspect", into="restored", archive=str(path))

    (warning,) = job.restore(into="restored", archive=str(path), allow_unverified=True).warnings
    assert "suspect" in warning
    assert job.contents("restored") == job.contents()


@pytest.mark.parametrize("damage", ["none", "edited"])
def test_archive_without_a_manifest_that_holds(job: RestoreJob, damage: str) -> None:
    path = Path(only_archive(job.root).path)
    manifest = path.with_name(path.name + ".manifest.json")
    if damage == "none":
        manifest.unlink()
    else:
        manifest.write_text(manifest.read_text().replace('"rows": 500', '"rows": 499'))

    words = "has no manifest" if damage == "none" else "it was edited"
    refused(job, words, into="restored", archive=str(path))
    refused(job, words, into="restored", archive=str(path), allow_unverified=True)


def test_not_enough_space(job: RestoreJob) -> None:
    job.edit_manifest(content_bytes=10**18)
    # A superuser sees where the server keeps its data.
    refused(job, "the rows alone have 1.0 EB", into="restored", parameters=job.database.superuser_parameters())
    assert job.plan(into="restored").found.free is None


def test_wrong_password_and_wrong_place(job: RestoreJob) -> None:
    wrong = job.database.parameters(password="not the password")
    with pytest.raises(ResilienceError, match="password authentication failed") as caught:
        job.restore(into="restored", parameters=wrong)
    assert "not the password" not in str(caught.value.__dict__)
    with pytest.raises(ResilienceError, match='database "not_there" does not exist'):
        job.restore(into="restored", maintenance_database="not_there")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replace": True, "tables": ("t",)}, "replace=true cannot be combined"),
        (
            {"replace": True, "maintenance_database": "same", "into": "same"},
            "cannot be replaced from a connection to itself",
        ),
        ({"jobs": 0}, "jobs is 0"),
    ],
)
def test_contradictions(job: RestoreJob, options: dict[str, Any], words: str) -> None:
    refused(job, words, stage="settings", **options)


@pytest.mark.parametrize("option", [{"jobs": 2}, {"owner": False}, {"tables": ("t",)}])
def test_what_a_plain_archive_cannot_do(
    make_restore: MakeRestore, server18: PostgresServer, option: dict[str, Any]
) -> None:
    job = make_restore(server18, backup=KINDS["plain-gzip"])
    refused(job, "A plain archive is restored as it stands", stage="settings", into="restored", **option)


@pytest.mark.parametrize(("kind", "options"), [("custom-gzip", {"jobs": 2}), ("plain-gzip", {})])
def test_what_could_not_be_taken_back_in_an_existing_database(
    make_restore: MakeRestore, server18: PostgresServer, kind: str, options: dict[str, Any]
) -> None:
    """The plain archive holds a large object, around which its script commits."""
    job = make_restore(server18, backup=KINDS[kind])
    job.ask(f"CREATE DATABASE given OWNER {job.database.user}")
    refused(job, "could not take back on a failure what was done in it", into="given", **options)


def test_everything_at_once(make_restore: MakeRestore, server18: PostgresServer, make_database: MakeDatabase) -> None:
    job = make_restore(server18, role_options="NOCREATEDB")
    other = make_database(server18)
    job.edit_manifest(tablespaces=["nowhere"], extensions=[{"extension": "nothing", "version": "1", "schema": "s"}])
    error = refused(job, "Nothing was touched: 1) ", into=other.name, replace=True)
    for words in ("may not create databases", "does not own", "extensions", "tablespaces"):
        assert words in error.message
    assert "4) " in error.message


def test_two_runs_at_once(job: RestoreJob, monkeypatch: pytest.MonkeyPatch) -> None:
    met = []

    def second(*arguments: Any, **keywords: Any) -> str:
        monkeypatch.setattr(restore, "load_archive", load_archive)
        with pytest.raises(ResilienceError, match=r"Another restore to the database .* is running") as caught:
            job.restore(into="restored")
        assert caught.value.stage == "lock"
        # The database that it is made from is another: an advisory lock counts in one only.
        with pytest.raises(ResilienceError, match=r"Another restore to the database .* is running; waited 0.3 s"):
            job.restore(into="restored", maintenance_database="template1", lock_timeout=0.3)
        # To another name nothing is in the way, nor for a look.
        job.restore(into="another")
        job.plan(into="restored")
        met.append(caught.value)
        return load_archive(*arguments, **keywords)

    monkeypatch.setattr(restore, "load_archive", second)
    job.restore(into="restored")

    assert met
    assert job.databases() == sorted([job.database.name, "restored", "another"])


def test_what_differs_after_all_is_not_handed_over(job: RestoreJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody, or a broken disk, alters a row between restore and comparison."""

    def altered(*arguments: Any, **keywords: Any) -> str:
        words = load_archive(*arguments, **keywords)
        (half,) = [name for name in job.databases() if "_restoring_" in name]
        job.ask("UPDATE t SET value = 'x' WHERE id = 250", half)
        return words

    monkeypatch.setattr(restore, "load_archive", altered)
    with pytest.raises(ResilienceError, match=r"table public\.t has other content") as caught:
        job.restore(into="restored")

    assert caught.value.stage == "compare"
    assert job.databases() == [job.database.name]
    assert job.restore(into="restored", prove=False).warnings == (
        "what is restored is not compared with the archive (prove=false)",
    )


def test_no_archive(tmp_path: Path, make_database: MakeDatabase, server18: PostgresServer) -> None:
    """An empty backup root is told as such."""
    with restore_job(tmp_path, make_database(server18)) as job:
        with pytest.raises(ResilienceError, match="There is no good archive"):
            job.restore(into="restored")
        with pytest.raises(ResilienceError, match="There is no archive"):
            job.restore(into="restored", archive=str(tmp_path / "nothing.dump"))
