# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server and the stores that are backed up: made once for a run, or kept for the next one (`--reuse`)."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from demo import session_store
from demo.installations import reachable_by_everybody
from demo.postgres_server import PostgresServer
from tests.support import full_postgres

ROLE = "app"
PASSWORD = "benchmark"
# pgbench's scale: the second number is for a quick run.
MIXED_SCALE, MIXED_SCALE_QUICK = 60, 6
SESSION_STORES = ("small", "hundred", "large")
MIXED = "mixed"
SETTINGS = {
    # Nothing of the server's own may run beside what is measured ...
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    # ... and loading a gigabyte must not take minutes. Neither of these is used while reading.
    "max_wal_size": "8GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@dataclass(frozen=True)
class Store:
    """A database to back up, and the files from which either side learns how to reach it."""

    name: str
    env_file: Path
    password_file: Path
    port: int

    @property
    def client_environment(self) -> dict[str, str]:
        """Variables with which PostgreSQL's own programs find it."""
        return {
            "PGHOST": "localhost",
            "PGPORT": str(self.port),
            "PGUSER": ROLE,
            "PGDATABASE": self.name,
            "PGPASSFILE": str(self.password_file),
        }


def cache_directory() -> Path:
    """Where the stores and the archives go: `.cache/bench`, or a place that the server's account can enter."""
    root = full_postgres.REPOSITORY
    if os.geteuid() == 0 and not reachable_by_everybody(root):
        return Path("/var/tmp/baileys-resilience-bench")
    return root / ".cache" / "bench"


@contextlib.contextmanager
def alone(cache: Path) -> Iterator[None]:
    """Keep a second run of the benchmarks out: each would measure the other. Raises BlockingIOError for it."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@contextlib.contextmanager
def running_server(cache: Path, reuse: bool) -> Iterator[PostgresServer]:
    """The full-feature PostgreSQL 18; its data stay for the next run if `reuse`."""
    directory = cache / "server"
    if not reuse:
        shutil.rmtree(directory, ignore_errors=True)
    tree = full_postgres.ensure(18)
    try:
        with PostgresServer(tree.bin_directory, directory=directory, durable=False, settings=SETTINGS) as server:
            yield server
    finally:
        if not reuse:
            shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def default_server() -> Iterator[PostgresServer]:
    """The same PostgreSQL with the settings it comes with, data on the disk: what a backup is restored into."""
    with PostgresServer(full_postgres.ensure(18).bin_directory, temporary_base=Path("/var/tmp")) as server:
        with contextlib.closing(psycopg2.connect(**server.parameters())) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                # The owner of what is restored.
                cursor.execute(f"CREATE ROLE {ROLE}")
        yield server


def open_store(server: PostgresServer, name: str, quick: bool, work: Path) -> Store:
    """The store of this name, made if it is not there or was made by another version of its generator."""
    recipe = _recipe(name, quick)
    record = server.directory / f"{name}.json"
    if not record.exists() or json.loads(record.read_text()) != recipe:
        record.unlink(missing_ok=True)
        _make(server, name, recipe)
        record.write_text(json.dumps(recipe))
    env_file, password_file = work / f"{name}.env", work / f"{name}.pgpass"
    lines = {"HOST": "localhost", "PORT": server.port, "DATABASE": name, "USER": ROLE, "PASSWORD": PASSWORD}
    _write_private(env_file, "".join(f"POSTGRES_{key}={value}\n" for key, value in lines.items()))
    _write_private(password_file, f"*:*:*:*:{PASSWORD}\n")
    return Store(name, env_file, password_file, server.port)


def _recipe(name: str, quick: bool) -> dict[str, str | int]:
    if name == MIXED:
        return {"pgbench": MIXED_SCALE_QUICK if quick else MIXED_SCALE}
    sources = sorted(Path(session_store.__file__).parent.glob("session_*"))
    generator = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    return {"companies": session_store.SIZES[name], "seed": session_store.DEFAULT_SEED, "generator": generator}


def _make(server: PostgresServer, name: str, recipe: dict[str, str | int]) -> None:
    started = time.monotonic()
    print(f"  making the store {name} ...", end="", flush=True)
    with contextlib.closing(psycopg2.connect(**server.parameters())) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_catalog.pg_roles WHERE rolname = %s", (ROLE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD %s", (PASSWORD,))
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name} OWNER {ROLE}")
    owner = server.parameters(host="localhost", user=ROLE, password=PASSWORD, dbname=name)
    if name == MIXED:
        _run_pgbench(server, recipe["pgbench"])
    else:
        session_store.populate(owner, size=name)
    with contextlib.closing(psycopg2.connect(**server.parameters(dbname=name))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.pg_database_size(pg_catalog.current_database())")
            (size,) = cursor.fetchone() or (0,)
            cursor.execute("CHECKPOINT")
    print(f" {size / 1e6:.0f} MB in {time.monotonic() - started:.0f} s", flush=True)


def _run_pgbench(server: PostgresServer, scale: str | int) -> None:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PGHOST": "localhost",
        "PGPORT": str(server.port),
        "PGUSER": ROLE,
        "PGPASSWORD": PASSWORD,
        "PGDATABASE": MIXED,
    }
    command = [str(server.bin_directory / "pgbench"), "--initialize", "--quiet", f"--scale={scale}"]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
