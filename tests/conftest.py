# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real PostgreSQL servers and databases for the tests.

Each pytest process starts a server of its own the first time a test asks for it (about 0.2 s) and
removes it at the end, so pytest-xdist needs nothing special.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from demo import session_store
from demo.installations import embedded_bin_directory
from demo.postgres_server import PostgresServer
from tests.support import full_postgres
from tests.support.databases import TestDatabase, fresh_database, run_sql
from tests.support.tls import Certificates, make_certificates

TEMPLATE_CACHE = full_postgres.default_tree().root.parent / "data-templates"

# Servers under test live in memory where there is plenty: several times less work for the kernel.
MEMORY = Path("/dev/shm")
ENOUGH_MEMORY_BYTES = 2 * 1024**3

# A shell that starts the tests in the background has them, and all they start, ignore SIGINT.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

StartServer = Callable[..., PostgresServer]
MakeDatabase = Callable[..., TestDatabase]


def memory_directory() -> Path | None:
    """Return where files lie in memory, if there is plenty of it; else None."""
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    return MEMORY if usable and shutil.disk_usage(MEMORY).free > ENOUGH_MEMORY_BYTES else None


def server_for_tests(bin_directory: Path, **options: Any) -> PostgresServer:
    """Return a server with what suits tests: in memory, no fsync, small WAL files, a cached template."""
    chosen = {
        "temporary_base": memory_directory(),
        "durable": False,
        "initdb_options": ["--wal-segsize=1"],
        "template_cache": TEMPLATE_CACHE,
        **options,
    }
    return PostgresServer(bin_directory, **chosen)


@pytest.fixture(scope="session")
def bin_full18() -> Path:
    """Programs of the full-feature PostgreSQL 18 (Debian's: zstd, lz4, OpenSSL, ICU)."""
    try:
        return full_postgres.ensure(18).bin_directory
    except full_postgres.FullPostgresError as error:
        if os.environ.get("CI"):
            raise
        # Without Debian's archive there is nothing to put in its place; CI must have it.
        pytest.skip(f"no full-feature PostgreSQL 18 can be had here: {error}")


@pytest.fixture(scope="session")
def bin_embedded18() -> Path:
    """Programs of the embedded PostgreSQL 18 (no zstd, lz4, OpenSSL, ICU)."""
    return embedded_bin_directory(18)


@pytest.fixture(scope="session")
def bin_embedded16() -> Path:
    """Programs of the embedded PostgreSQL 16: the client that is too old for an 18 server."""
    return embedded_bin_directory(16)


@pytest.fixture(scope="session")
def server18(bin_full18: Path) -> Iterator[PostgresServer]:
    """A full-feature PostgreSQL 18 server, without TLS."""
    with server_for_tests(bin_full18) as server:
        yield server


@pytest.fixture(scope="session")
def embedded18(bin_embedded18: Path) -> Iterator[PostgresServer]:
    """A server of the embedded PostgreSQL 18."""
    with server_for_tests(bin_embedded18) as server:
        yield server


@pytest.fixture(scope="session")
def server16(bin_embedded16: Path) -> Iterator[PostgresServer]:
    """A server of the embedded PostgreSQL 16."""
    with server_for_tests(bin_embedded16) as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A certificate authority and server certificates, right and wrong ones."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def tls_server(bin_full18: Path, certificates: Certificates) -> Iterator[PostgresServer]:
    """A full-feature PostgreSQL 18 server with TLS and the right certificate for localhost."""
    with server_for_tests(bin_full18, tls=certificates.right) as server:
        yield server


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A temporary directory that everybody may enter; pytest's own are closed to a server run for root."""
    with tempfile.TemporaryDirectory(prefix="resilience-test-", dir=memory_directory()) as directory:
        path = Path(directory)
        path.chmod(0o755)
        yield path


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start servers of the test's own: `start_server(bin_directory, **options of PostgresServer)`.

    For tests that stop, break or configure their server. Closed at the end of the test.
    """
    with ExitStack() as stack:

        def start(bin_directory: Path, **options: Any) -> PostgresServer:
            return stack.enter_context(server_for_tests(bin_directory, **options))

        yield start


@pytest.fixture
def make_database() -> Iterator[MakeDatabase]:
    """Make databases: `make_database(server, **options of fresh_database)`; dropped at the end."""
    with ExitStack() as stack:

        def make(server: PostgresServer, **options: Any) -> TestDatabase:
            database: AbstractContextManager[TestDatabase] = fresh_database(server, **options)
            return stack.enter_context(database)

        yield make


@pytest.fixture(scope="session")
def session_store_templates() -> dict[int, str]:
    """Name of the template database of each server that has one yet, by the server's pid."""
    return {}


@pytest.fixture
def make_session_store(make_database: MakeDatabase, session_store_templates: dict[int, str]) -> MakeDatabase:
    """Make a database holding the *small* session store: `make_session_store(server, **options)`.

    The store is generated once for each server and copied for each test. Its owner, and the owner
    of its tables, is the plain role of the database.
    """

    def make(server: PostgresServer, **options: Any) -> TestDatabase:
        template = session_store_templates.get(server.pid)
        if template is None:
            template = f"session_store_template_{server.pid}"
            run_sql(server.parameters(), f"CREATE DATABASE {template}")
            session_store.populate(server.parameters(dbname=template), size="small")
            session_store_templates[server.pid] = template
        return make_database(server, template=template, **options)

    return make
