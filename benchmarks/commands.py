# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that are held against each other: ours, and what people do without us."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks.measure import Side
from benchmarks.stores import PASSWORD, ROLE, Store, open_store
from demo.postgres_server import PostgresServer
from scripts.tree import BIN, SYSTEM_PATH
from tests.support import peer_collection
from tests.support.playbooks import COLLECTIONS

# What both sides use unless a row says otherwise: the default of pg_backup (backup/dump.py, DEFAULT_LEVELS).
COMPRESSION = "zstd:1"
CORE_STEP = "benchmarks.core_step"
MODULES = ("AnsiballZ_pg_backup", "AnsiballZ_pg_backup_verify", "AnsiballZ_pg_restore_drill")
# Into which the bare client restores.
RESTORED = "restored"
HOST_VARIABLES = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
}


@dataclass(frozen=True)
class Bench:
    """Where everything is. `work` is a directory for archives, logs and settings of this run."""

    server: PostgresServer
    work: Path
    quick: bool

    def store(self, name: str) -> Store:
        """The store of this name; a quick run makes do with the hundred companies for the large one."""
        return open_store(self.server, "hundred" if self.quick and name == "large" else name, self.quick, self.work)

    @property
    def programs(self) -> Path:
        """Directory of PostgreSQL's own programs."""
        return self.server.bin_directory

    def side(self, label: str, command: Sequence[object], environment: Mapping[str, str], **options: Any) -> Side:
        """A side of a comparison against this server."""
        return Side(
            label,
            [str(word) for word in command],
            {"PATH": f"{self.programs}:{SYSTEM_PATH}", "LC_ALL": "C.UTF-8", **environment},
            server=self.server.pid,
            log=self.work / "output.log",
            **options,
        )


def core_backup(
    bench: Bench, store: Store, *, compression: str = COMPRESSION, form: str = "custom", jobs: int = 1
) -> Side:
    """Our verified backup, the core as a whole process; each run into a new backup root."""
    root = bench.work / "ours"
    command = [
        *(sys.executable, "-m", CORE_STEP, "backup", root, store.env_file, bench.programs),
        *(f"--format={form}", f"--compression={compression}", f"--jobs={jobs}"),
    ]
    return bench.side("our verified backup", command, {}, output=root, python=(CORE_STEP,))


def core_verify(bench: Bench, store: Store, root: Path) -> Side:
    """Our verification of what lies in the backup root."""
    command = [sys.executable, "-m", CORE_STEP, "verify", root, store.env_file, bench.programs]
    return bench.side("our verification", command, {}, python=(CORE_STEP,))


def bare_dump(
    bench: Bench, store: Store, *, compression: str = COMPRESSION, form: str = "custom", jobs: int = 1
) -> Side:
    """pg_dump alone, writing and syncing its file as it does by default."""
    target = bench.work / "bare"
    command = [
        *(bench.programs / "pg_dump", "--no-password", f"--format={form}", f"--compress={compression}"),
        *([f"--jobs={jobs}"] if jobs > 1 else []),
        f"--file={target}",
    ]
    return bench.side("bare pg_dump", command, store.client_environment, output=target)


def dump_through_gzip(bench: Bench, store: Store) -> Side:
    """The classic line, as it stands in countless scripts."""
    target = bench.work / "bare.sql.gz"
    line = '"$1" --no-password | gzip >"$2"'
    command = ["sh", "-c", line, "sh", bench.programs / "pg_dump", target]
    return bench.side("pg_dump | gzip", command, store.client_environment, output=target)


def core_drill(bench: Bench, store: Store, root: Path) -> Side:
    """Our drill of the newest archive in the backup root: scratch server up, restore, proof, everything gone."""
    command = [sys.executable, "-m", CORE_STEP, "drill", root, store.env_file, bench.programs]
    return bench.side("our drill", command, {}, python=(CORE_STEP,))


def bare_restore(bench: Bench, target: PostgresServer, archive: Path) -> Side:
    """pg_restore into an empty database of a server as it comes, which runs already."""
    command = [bench.programs / "pg_restore", f"--dbname={RESTORED}", archive]
    environment = {"PGHOST": str(target.socket_directory), "PGPORT": str(target.port), "PGUSER": "postgres"}
    return dataclasses.replace(
        bench.side("bare pg_restore", command, environment), server=target.pid, prepare=lambda: empty_database(target)
    )


def empty_database(target: PostgresServer) -> None:
    """Make the database that is restored into anew, and let the server settle."""
    with contextlib.closing(psycopg2.connect(**target.parameters())) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {RESTORED}")
            cursor.execute(f"CREATE DATABASE {RESTORED}")
            cursor.execute("CHECKPOINT")


def drill_play(bench: Bench, store: Store, root: Path) -> Side:
    """playbooks/restore_drill.yml as a user runs it: page, history, status and metrics written."""
    inventory = _inventory(
        bench,
        "drill",
        backup_state_directory=str(bench.work / "state"),
        backup_client_directory=str(bench.programs),
        drill_server_directory=str(bench.programs),
        backup_sources=[{"name": store.name, "env_file": str(store.env_file), "backup_root": str(root)}],
    )
    command = [BIN / "ansible-playbook", "-i", inventory, "playbooks/restore_drill.yml"]
    return bench.side("restore_drill.yml", command, _ansible_environment(bench), python=MODULES)


def peer_restore_play(bench: Bench, target: PostgresServer, archive: Path) -> Side:
    """community.postgresql's restore, one task, into an empty database of a server that runs already."""
    task = {
        "name": "Restore",
        "community.postgresql.postgresql_db": {
            "name": RESTORED,
            "state": "restore",
            # It tells the format by the end of the name.
            "target": str(archive),
            "login_unix_socket": str(target.socket_directory),
            "login_port": target.port,
            "login_user": "postgres",
        },
    }
    playbook = bench.work / "peer-restore.yml"
    playbook.write_text(json.dumps([{"name": "Restore", "hosts": "all", "gather_facts": False, "tasks": [task]}]))
    command = [BIN / "ansible-playbook", "-i", _inventory(bench, "peer"), playbook]
    side = bench.side("community.postgresql's restore play", command, _ansible_environment(bench))
    return dataclasses.replace(side, server=target.pid, prepare=lambda: empty_database(target))


def bare_decode(bench: Bench, archive: Path) -> Side:
    """pg_restore turning a whole archive into a script that nobody reads."""
    return bench.side("bare pg_restore", [bench.programs / "pg_restore", "--file=/dev/null", archive], {})


def our_play(bench: Bench, store: Store) -> Side:
    """playbooks/backup.yml as a user runs it: status and metrics written, retention applied, nobody told.

    The backup root stays from run to run, so all but the first find an earlier backup to compare with.
    """
    root = bench.work / "play"
    inventory = _inventory(
        bench,
        "ours",
        backup_state_directory=str(bench.work / "state"),
        backup_sources=[{"name": store.name, "env_file": str(store.env_file), "backup_root": str(root)}],
    )
    command = [BIN / "ansible-playbook", "-i", inventory, "playbooks/backup.yml"]
    environment = _ansible_environment(bench)
    return bench.side("backup.yml", command, environment, output=root, keep=True, python=MODULES)


def peer_play(bench: Bench, store: Store) -> Side:
    """community.postgresql's dump, one task, with the compression that ours has."""
    target = bench.work / "peer.pgc"
    task = {
        "name": "Dump",
        "community.postgresql.postgresql_db": {
            "name": store.name,
            "state": "dump",
            "target": str(target),
            "dump_extra_args": f"--compress={COMPRESSION}",
            "login_host": "localhost",
            "login_port": store.port,
            "login_user": ROLE,
            "login_password": PASSWORD,
        },
    }
    playbook = bench.work / "peer.yml"
    # JSON is YAML too.
    playbook.write_text(json.dumps([{"name": "Dump", "hosts": "all", "gather_facts": False, "tasks": [task]}]))
    command = [BIN / "ansible-playbook", "-i", _inventory(bench, "peer"), playbook]
    environment = _ansible_environment(bench)
    return bench.side("community.postgresql's play", command, environment, output=target, keep=True)


def _inventory(bench: Bench, name: str, **variables: Any) -> Path:
    path = bench.work / f"hosts-{name}.yml"
    path.write_text(json.dumps({"all": {"hosts": {"db": {**HOST_VARIABLES, **variables}}}}))
    return path


def _ansible_environment(bench: Bench) -> dict[str, str]:
    """Ansible as it comes: an empty configuration and a home of its own, the same for either side."""
    home = bench.work / "home"
    home.mkdir(exist_ok=True)
    configuration = bench.work / "ansible.cfg"
    configuration.write_text("[defaults]\n")
    return {
        "HOME": str(home),
        "ANSIBLE_CONFIG": str(configuration),
        "ANSIBLE_COLLECTIONS_PATH": f"{COLLECTIONS}:{peer_collection.ensure()}",
        "ANSIBLE_NOCOLOR": "1",
    }


def archive_in(root: Path) -> Path:
    """The one archive in a backup root that was new."""
    (archive,) = [path for path in (root / "daily").iterdir() if path.suffix == ".dump"]
    return archive
