# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The peer, community.postgresql 4.2.0 (`postgresql_db` with `state: restore`), and us, side by side in one play."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.faults.test_peer import SideBySide
from tests.support.backups import KINDS, back_up
from tests.support.databases import TestDatabase
from tests.support.restore_job import drop_others

ROWS = 5000


class Restores(SideBySide):
    """Restores into databases of their own."""

    def theirs_into(self, database: str, target: Path, **options: Any) -> dict[str, Any]:
        return self.peer(target, state="restore", name=database, **options)

    def ours_into(self, database: str, archive: Path, **options: Any) -> dict[str, Any]:
        task = self.ours(archive=str(archive), into=database, **options)
        return {"baileys.resilience.pg_restore": task["baileys.resilience.pg_backup"]}

    def make(self, name: str) -> str:
        self.database.execute(f"CREATE DATABASE {name}")
        return name

    def ask(self, query: str, database: str) -> list[tuple[Any, ...]]:
        copy = TestDatabase(self.database.server, database, self.database.user, self.database.password)
        return copy.execute(query, superuser=True)


@pytest.fixture
def sides(
    tmp_path: Path, bin_full18: Path, server18: PostgresServer, make_database: MakeDatabase
) -> Iterator[Restores]:
    database = make_database(server18, role_options="CREATEDB")
    database.execute(f"CREATE TABLE a AS SELECT g AS id, md5(g::text) AS value FROM generate_series(1, {ROWS}) g")
    database.execute("CREATE TABLE b AS SELECT 1 AS n")
    yield Restores(tmp_path / "sides", database, bin_full18)
    drop_others(database)


def archive_of(sides: Restores, kind: str) -> Path:
    return Path(back_up(sides.database, sides.root, source="app", **KINDS[kind]).archive)


def test_truncated_script(sides: Restores) -> None:
    """Half a plain dump: what an interrupted copy leaves."""
    archive = archive_of(sides, "plain-none")
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    target = sides.target / "backup.sql"
    target.write_bytes(archive.read_bytes())
    peer = sides.make("peer_truncated")

    theirs, ours = sides.run([sides.theirs_into(peer, target), sides.ours_into("ours_truncated", archive)])

    assert theirs["changed"]
    assert theirs["rc"] == 0
    ((rows,),) = sides.ask("SELECT count(*) FROM a", peer)
    assert rows < ROWS, "success, and the rest of the rows is gone"
    assert ours["failed"]
    assert "is not what its manifest says" in ours["msg"]
    assert sides.database.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'ours%'") == [(0,)]


@pytest.mark.parametrize("kind", ["plain-none", "custom-gzip"])
def test_conflict(sides: Restores, kind: str) -> None:
    """A table of the same name is there already."""
    archive = archive_of(sides, kind)
    target = sides.target / ("backup.sql" if kind == "plain-none" else "backup.pgc")
    target.write_bytes(archive.read_bytes())
    names = [sides.make(name) for name in ("peer_conflict", "ours_conflict")]
    for name in names:
        sides.ask("CREATE TABLE a (id text, value int)", name)

    theirs, ours = sides.run([sides.theirs_into(names[0], target), sides.ours_into(names[1], archive)])

    assert theirs.get("failed", False) is (kind != "plain-none"), "of a script it does not even notice"
    assert sides.ask("SELECT n FROM b", names[0]) == [(1,)], "half a database"
    assert sides.ask("SELECT count(*) FROM a", names[0]) == [(0,)]
    assert ours["failed"]
    assert 'the database "ours_conflict" is not empty; it holds relation a' in ours["msg"]
    assert sides.ask("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace", names[1]) == [("a",)]


def test_path_with_a_space(sides: Restores) -> None:
    archive = archive_of(sides, "plain-gzip")
    spaced = archive.parent.rename(archive.parent.with_name("a daily")) / archive.name
    target = sides.target / "a backup.sql"
    target.write_bytes(gzip.decompress(spaced.read_bytes()))
    peer = sides.make("peer_space")

    theirs, ours = sides.run([sides.theirs_into(peer, target), sides.ours_into("ours_space", spaced)])

    assert theirs["failed"]
    assert "No such file" in str(theirs)
    assert not ours.get("failed"), ours
    assert sides.ask("SELECT count(*) FROM a", "ours_space") == [(ROWS,)]
