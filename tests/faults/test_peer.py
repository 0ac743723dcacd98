# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The peer, community.postgresql 4.2.0 (`postgresql_db` with `state: dump`), and us, side by side in one play.

What the peer does is asserted too: as measured, so that we notice when it changes. Its weaknesses in restoring are in
test_restore_peer.py.
"""

from __future__ import annotations

import gzip
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase, StartServer
from tests.faults.conftest import MakeDisk
from tests.support import peer_collection, run_processes
from tests.support.backup_job import MANIFEST
from tests.support.databases import TestDatabase
from tests.support.playbooks import COLLECTIONS, SYSTEM_PATH, Surroundings, Unsafe
from tests.support.tls import Certificates
from tests.support.watch import holds

Wrappers = Callable[..., Path]

EARLIER = b"-- the good backup of yesterday\n"


class SideBySide(Surroundings):
    """A play with both collections, on hosts whose path of programs begins with `programs`."""

    def __init__(self, directory: Path, database: TestDatabase, programs: Path) -> None:
        directory.mkdir()
        super().__init__(directory)
        self.database = database
        self.programs = programs
        self.target = directory / "peer"
        self.root = directory / "ours"
        self.target.mkdir(mode=0o755)
        self.write_hosts({"here": {"password": Unsafe(database.password)}})

    def environment(self, **extra: str) -> dict[str, str]:
        collections = f"{COLLECTIONS}:{peer_collection.ensure()}"
        return super().environment(
            ANSIBLE_COLLECTIONS_PATH=collections,
            ANSIBLE_REMOTE_TMP=str(self.temporary),
            PATH=f"{self.programs}:{SYSTEM_PATH}",
            **extra,
        )

    def _connection(self) -> dict[str, Any]:
        parameters = self.database.parameters()
        return {
            "login_host": parameters["host"],
            "login_port": parameters["port"],
            "login_user": parameters["user"],
            "login_password": "{{ password }}",
        }

    def peer(self, target: Path, keywords: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """A task of the peer; an option that is None is left out."""
        chosen = {"name": self.database.name, "state": "dump", "target": str(target), **self._connection(), **options}
        return {"community.postgresql.postgresql_db": _given(chosen), **(keywords or {})}

    def ours(self, keywords: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        chosen = {
            "database": self.database.name,
            "backup_root": str(self.root),
            "state_directory": str(self.directory / "state"),
            "client_directory": str(self.programs),
            **self._connection(),
            **options,
        }
        return {"baileys.resilience.pg_backup": _given(chosen), **(keywords or {})}

    def run(self, tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What each task answered; the password is in none of it."""
        played, results = self.play_tasks(tasks)
        assert holds(played.output.encode(), self.database.password) == []
        return [results[f"r{number}"] for number in range(len(tasks))]

    def archives(self) -> list[Path]:
        return [path for path in self.root.rglob("backup-*") if path.is_file() and not path.name.endswith(MANIFEST)]


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


@pytest.fixture
def sides(tmp_path: Path, bin_full18: Path, server18: PostgresServer, make_database: MakeDatabase) -> SideBySide:
    """Both sides on a small database, whose whole dump is 30 KB."""
    database = make_database(server18)
    fill(database)
    return SideBySide(tmp_path / "sides", database, bin_full18)


def fill(database: TestDatabase) -> None:
    database.execute("CREATE TABLE t AS SELECT g AS id, md5(g::text) AS value FROM generate_series(1, 700) g")


def earlier(path: Path) -> Path:
    """Yesterday's backup of the peer, at the path that it is told to write again today."""
    path.write_bytes(EARLIER if path.suffix != ".gz" else gzip.compress(EARLIER))
    return path


def test_the_version_is_the_one_that_was_measured() -> None:
    assert peer_collection.version(peer_collection.ensure()) == "4.2.0"


def test_full_disk(sides: SideBySide, make_disk: MakeDisk) -> None:
    disk = make_disk(2 << 20)
    if disk.prefix:
        pytest.skip("ansible-playbook itself is not started inside a user namespace; root has no need of one")
    sides.root = disk.path / "ours"
    target = earlier(disk.path / "peer.sql.gz")
    plain = earlier(disk.path / "peer.sql")
    (made,) = sides.run([sides.ours()])
    archive = Path(made["archive"])
    kept = archive.read_bytes()
    disk.fill(leave=0)

    zipped, unzipped, ours = sides.run([sides.peer(target), sides.peer(plain), sides.ours()])

    assert zipped["changed"]
    assert zipped["rc"] == 0
    assert "failed" not in zipped or not zipped["failed"]
    with pytest.raises(EOFError, match="ended before the end-of-stream marker"):
        # Success, a beginning of nothing, and yesterday's backup is gone as well.
        gzip.decompress(target.read_bytes())
    assert unzipped["failed"]
    assert b"dump complete" not in plain.read_bytes(), "at least it says so; yesterday's is gone all the same"
    assert EARLIER not in plain.read_bytes()
    assert ours["failed"]
    assert "no space left" in ours["msg"]
    assert archive.read_bytes() == kept
    assert {path.stat().st_ino for path in sides.archives()} == {archive.stat().st_ino}


def test_client_older_than_the_server(sides: SideBySide, bin_embedded16: Path) -> None:
    targets = [earlier(sides.target / name) for name in ("backup.sql", "backup.pgc", "backup.sql.gz")]
    (made,) = sides.run([sides.ours()])
    archive = Path(made["archive"])
    kept = archive.read_bytes()
    sides.programs = bin_embedded16

    *theirs, ours = sides.run([*[sides.peer(target) for target in targets], sides.ours()])

    assert [answer["failed"] for answer in theirs] == [True, True, True]
    assert [target.stat().st_size for target in targets] == [0, 0, 20], "the 20 bytes of the incident among them"
    assert ours["failed"]
    assert ours["stage"] == "version"
    assert "The server is PostgreSQL 18" in ours["msg"]
    assert "16.14" in ours["msg"]
    assert "apt-get install -y postgresql-client-18" in ours["msg"]
    assert archive.read_bytes() == kept


def test_pg_dump_killed(sides: SideBySide, wrappers: Wrappers) -> None:
    # Half of the script, and then the kernel wants the memory back.
    sides.programs = wrappers({"pg_dump": '"$real" "$@" | head -c 12000; kill -KILL $$'})
    target = earlier(sides.target / "backup.sql")
    zipped = earlier(sides.target / "backup.sql.gz")

    theirs, theirs_zipped, ours = sides.run([sides.peer(target), sides.peer(zipped), sides.ours(format="plain")])

    assert theirs["failed"]
    assert theirs_zipped["failed"]
    assert target.stat().st_size == 12000, "half a dump under the name of a whole one"
    run_processes.wait_for_none(str(sides.home))
    assert len(gzip.decompress(zipped.read_bytes())) == 12000, "half a dump that passes `gzip -t`"
    assert ours["failed"]
    assert "killed by SIGKILL" in ours["msg"]
    assert sides.archives() == []


def test_modes(sides: SideBySide) -> None:
    target = sides.target / "backup.sql"

    theirs, ours = sides.run([sides.peer(target), sides.ours()])

    assert theirs["changed"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o644, "every credential of the sessions, for every user to read"
    archive = Path(ours["archive"])
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert stat.S_IMODE(archive.parent.stat().st_mode) == 0o700


def test_tls_options(
    start_server: StartServer,
    bin_full18: Path,
    certificates: Certificates,
    make_database: MakeDatabase,
    tmp_path: Path,
) -> None:
    """The server is not the one that the root certificate vouches for: an impostor, to whom the password goes."""
    database = make_database(start_server(bin_full18, tls=certificates.wrong_ca))
    fill(database)
    sides = SideBySide(tmp_path / "sides", database, bin_full18)
    target = sides.target / "backup.sql"
    tls: dict[str, Any] = {"ssl_mode": "verify-full", "ca_cert": str(certificates.ca)}

    theirs, ours = sides.run([sides.peer(target, **tls), sides.ours(**tls)])

    assert theirs["changed"]
    assert "verify-full" not in theirs["cmd"]
    assert b"PostgreSQL database dump complete" in target.read_bytes()
    assert ours["failed"]
    assert "certificate verify failed" in ours["msg"]
    assert not sides.root.exists()


@pytest.mark.parametrize("option", ["login_host", "login_user"])
def test_shell_in_an_option(sides: SideBySide, option: str) -> None:
    target = sides.target / "backup.sql"
    theirs_planted, ours_planted = sides.target / "planted", sides.directory / "planted"

    def planted(path: Path) -> dict[str, Any]:
        return {option: f"x; touch {path}; #"}

    theirs, ours = sides.run(
        [
            sides.peer(target, **planted(theirs_planted)),
            sides.ours(**planted(ours_planted)),
        ]
    )

    assert theirs_planted.exists(), "it ran"
    assert theirs["changed"]
    assert theirs["rc"] == 0
    assert ours["failed"]
    assert ours["stage"] == "connect"
    assert not ours_planted.exists()


def test_check_mode(sides: SideBySide) -> None:
    target = sides.target / "backup.sql"
    check = {"check_mode": True, "diff": True}

    theirs, ours = sides.run([sides.peer(target, check), sides.ours(check)])

    assert not theirs["changed"], "a run would change it"
    assert theirs["executed_commands"] == []
    assert "diff" not in theirs
    assert not target.exists()
    assert ours["changed"]
    assert ours["archive"].startswith(f"{sides.root}/daily/backup-")
    assert ours["archive"].rpartition("/")[2] in ours["diff"]["prepared"]
    assert not sides.root.exists()


def test_unknown_suffix(sides: SideBySide) -> None:
    targets = [sides.target / name for name in ("backup.dump", "backup.sql.zst")]

    *theirs, ours, refused = sides.run(
        [*[sides.peer(target) for target in targets], sides.ours(), sides.ours(compression="bzip2")]
    )

    assert all(answer["changed"] for answer in theirs)
    assert all(target.read_bytes().startswith(b"--\n-- PostgreSQL database dump\n") for target in targets), (
        "plain and uncompressed SQL, whatever the name says"
    )
    archive = Path(ours["archive"])
    assert archive.suffix == ".dump"
    assert archive.read_bytes().startswith(b"PGDMP")
    assert refused["failed"]
    assert "bzip2" in refused["msg"]


def test_path_with_a_space(
    public_directory: Path, start_server: StartServer, bin_full18: Path, make_database: MakeDatabase, tmp_path: Path
) -> None:
    """Of the socket. (The target of a dump is quoted nowadays; that of a plain restore is not.)"""
    database = make_database(start_server(bin_full18, directory=public_directory / "a server"))
    fill(database)
    sides = SideBySide(tmp_path / "sides", database, bin_full18)
    target = sides.target / "a backup.sql"
    sides.root = sides.directory / "our backups"
    sockets: dict[str, Any] = {"login_host": None, "login_unix_socket": str(database.server.socket_directory)}

    theirs, spaced, ours = sides.run([sides.peer(target, **sockets), sides.peer(target), sides.ours(**sockets)])

    assert theirs["failed"]
    assert "too many command-line arguments" in theirs["msg"]
    assert spaced["changed"]
    assert not ours.get("failed"), ours
    assert " " in ours["archive"]


def test_locked_table(sides: SideBySide) -> None:
    target = earlier(sides.target / "backup.sql")
    connection = sides.database.connect()
    try:
        connection.cursor().execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        theirs, ours = sides.run(
            [sides.peer(target, {"timeout": 3}), sides.ours({"timeout": 60}, table_lock_timeout=1)]
        )
        still_waiting = run_processes.marked(str(sides.home))
    finally:
        connection.close()

    assert theirs["failed"]
    assert "timeout" in theirs["msg"].lower() or "timed out" in theirs["msg"].lower(), theirs
    assert target.stat().st_size == 0, "it waits for ever, and yesterday's backup is gone from the first moment"
    assert "pg_dump" in still_waiting.values(), "it waits even when nobody waits for it"
    assert ours["failed"]
    assert "public.t IN ACCESS SHARE MODE" in ours["msg"]
    assert "table_lock_timeout" in ours["msg"]
    run_processes.wait_for_none(str(sides.home))
