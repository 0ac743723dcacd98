# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restore.yml as a person types it: what it asks for, what it prints, how it ends, and whom it tells."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from demo.postgres_server import PostgresServer
from tests.support.databases import create_role, run_sql
from tests.support.playbooks import Played, Surroundings, Unsafe, dump
from tests.support.restore_job import RestoreJob


def app_of(job: RestoreJob, server: PostgresServer, name: str) -> dict[str, Any]:
    """The source `app` as an entry of backup_sources, its database of this name on this server."""
    parameters = server.parameters(host="localhost", user=job.database.user)
    return {
        "name": "app",
        "backup_root": str(job.root),
        "database": name,
        "login_host": parameters["host"],
        "login_port": parameters["port"],
        "login_user": parameters["user"],
        "login_password": Unsafe(job.database.password),
        "client_directory": str(job.server.bin_directory),
    }


class Person:
    """Types `restore.yml` with these arguments, on an inventory with the sources `app` and `other`."""

    def __init__(self, job: RestoreJob, directory: Path) -> None:
        directory.mkdir()
        self.job = job
        self.surroundings = Surroundings(directory)
        app = app_of(job, job.server, job.database.name)
        host = {"backup_sources": [app, {"name": "other"}], "backup_state_directory": str(job.jobs.state)}
        self.surroundings.write_hosts({"here": host})

    def types(self, *arguments: str) -> Played:
        options = [
            word for argument in arguments for word in ([argument] if argument.startswith("-") else ["-e", argument])
        ]
        return self.surroundings.play("playbooks/restore.yml", *options)


@pytest.fixture
def person(job: RestoreJob, tmp_path: Path) -> Person:
    return Person(job, tmp_path / "ansible")


@pytest.mark.parametrize(
    "arguments",
    [
        # Which source, and where to? And never all of them at once.
        [],
        ["restore_replace=true"],
        ["backup_only=app", "restore_replace=false"],
        ['{"backup_only": ["app", "other"], "restore_replace": true}'],
    ],
)
def test_asks_before_it_does_anything(person: Person, arguments: list[str]) -> None:
    played = person.types(*arguments)

    assert played.rc == 2, played
    assert "Nothing was touched. Name one source" in played.output
    assert "here has the sources app, other." in played.output
    assert person.job.databases() == [person.job.database.name]


def test_new_database(person: Person) -> None:
    played = person.types("backup_only=app", "restore_into=restored")

    assert played.rc == 0, played
    assert person.job.contents("restored") == person.job.contents()
    assert r"restored into the new database \"restored\", equal to the archive." in played.output
    assert person.job.database.password not in played.output


def test_plan_and_replacement_and_the_way_back(person: Person) -> None:
    job = person.job
    arguments = ["backup_only=app", "restore_replace=true", "restore_terminate=true"]
    job.database.execute("DELETE FROM t WHERE id > 250")
    plan = person.types(*arguments, "--check", "--diff")
    assert plan.rc == 0, plan
    assert job.databases() == [job.database.name]

    played = person.types(*arguments)

    assert played.rc == 0, played
    assert job.ask("SELECT count(*) FROM t") == [(500,)]
    # What is printed can be pasted as it is, in whatever way Ansible shows it.
    (line,) = re.findall(r"(DO '.*';)", played.output)
    assert "\\" not in line
    job.ask(line, "postgres")
    assert job.ask("SELECT count(*) FROM t") == [(250,)]
    for step in ("Create the database", "Compare what is there then", "In one transaction", "rename"):
        assert step in plan.output


def test_another_server(person: Person, embedded18: PostgresServer) -> None:
    """The file of the documentation: the source as it is to be reached there, for this one run."""
    job = person.job
    role = create_role(embedded18, options="CREATEDB", password=job.database.password, name=job.database.user)
    try:
        elsewhere = person.surroundings.directory / "elsewhere.yml"
        elsewhere.write_text(dump({"backup_sources": [app_of(job, embedded18, "app_elsewhere")]}))

        played = person.types("backup_only=app", "@elsewhere.yml", "restore_into=app_elsewhere")

        assert played.rc == 0, played
        owners = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'app_elsewhere'"
        assert run_sql(embedded18.parameters(), owners) == [(role,)]
        assert run_sql(embedded18.parameters(dbname="app_elsewhere"), "SELECT count(*) FROM t") == [(500,)]
        assert job.databases() == [job.database.name]
    finally:
        run_sql(embedded18.parameters(), "DROP DATABASE IF EXISTS app_elsewhere")
        run_sql(embedded18.parameters(), f"DROP ROLE {role}")


def test_failure_is_told_and_ends_the_play(person: Person) -> None:
    played = person.types("backup_only=app", "restore_into=restored", "restore_archive=/nowhere.dump")

    assert played.rc == 2, played
    assert "There is no archive /nowhere.dump" in played.output
    status: dict[str, Any] = json.loads((person.job.jobs.state / "status" / "restore.json").read_text())
    assert '"fatal"' in json.dumps(status)


def test_tables_into_the_database_itself(person: Person) -> None:
    before = person.job.contents()
    person.job.database.execute("DROP TABLE t CASCADE")

    played = person.types("backup_only=app", '{"restore_tables": ["public.t"]}')

    assert played.rc == 0, played
    assert person.job.contents() == before
