# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One moment: what the server counts, what the dump holds and what all its jobs see is the same snapshot."""

from __future__ import annotations

import random
import subprocess
import threading

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.support import independent
from tests.support.backups import KINDS, back_up, strays
from tests.support.client_wrappers import wrap_clients
from tests.support.databases import fresh_database

ROWS = 3000
SCHEMA = f"""
CREATE TABLE here (id int PRIMARY KEY, value text);
CREATE TABLE there (id int PRIMARY KEY, value text);
CREATE TABLE ledger (n int PRIMARY KEY);
CREATE TABLE counter (n int);
INSERT INTO counter VALUES (0);
INSERT INTO here SELECT g, repeat('v', 200) FROM generate_series(1, {ROWS}) g;
-- Something to be busy with while the writers go on.
CREATE TABLE bulk AS SELECT repeat(md5(g::text) || random()::text, 30) FROM generate_series(1, 6000) g;
"""
# One transaction moves rows, changes some, adds and removes; at any moment here + there = ROWS, and counter.n is
# the number of rows in ledger.
MOVE = """
WITH gone AS (DELETE FROM {source} WHERE id IN (SELECT id FROM {source} ORDER BY random() LIMIT {many}) RETURNING *)
INSERT INTO {target} SELECT id, value || {many} FROM gone;
UPDATE {target} SET value = left(value, 150) WHERE id % 50 = {many};
WITH next AS (UPDATE counter SET n = n + 1 RETURNING n) INSERT INTO ledger SELECT n FROM next;
"""


class Writers:
    """Two threads that commit as fast as they can until the block is left."""

    def __init__(self, database):
        self.database = database
        self.commits = 0
        self.failures = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(seed,)) for seed in range(2)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _write(self, seed):
        choice = random.Random(seed)
        connection = self.database.connect()
        try:
            while not self._ended.is_set():
                source, target = choice.sample(["here", "there"], 2)
                with connection, connection.cursor() as cursor:
                    # Both threads take the counter first: they alternate instead of blocking each other for good.
                    cursor.execute("SELECT n FROM counter FOR UPDATE")
                    cursor.execute(MOVE.format(source=source, target=target, many=choice.randrange(1, 40)))
                self.commits += 1
        except Exception as error:
            self.failures.append(error)
            raise
        finally:
            connection.close()


@pytest.fixture(scope="module")
def busy_database(server18):
    with fresh_database(server18) as database:
        database.execute(SCHEMA)
        yield database


@pytest.fixture
def slow_client(bin_full18, tmp_path_factory):
    """A client whose pg_dump begins its work `delay` seconds late."""

    def make(delay):
        directory = tmp_path_factory.mktemp("client") / "bin"
        return wrap_clients(directory, bin_full18, {"pg_dump": f'sleep {delay}; exec "$real" "$@"'})

    return make


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-zstd", "plain-gzip"])
def test_writers_never_make_counts_and_archive_differ(busy_database, bin_full18, kind, tmp_path):
    seen = set()
    with Writers(busy_database) as writers:
        for _ in range(3):
            before = writers.commits
            result = back_up(busy_database, tmp_path, **KINDS[kind])
            during = writers.commits - before
            tables = independent.claimed_tables(result.manifest)
            rows = {name[1]: content[0] for name, content in tables.items()}
            assert during > 5, "nobody wrote during the dump"
            assert rows["here"] + rows["there"] == ROWS
            assert counter_in(result.archive, kind, bin_full18) == rows["ledger"]
            seen.add(rows["ledger"])
    assert not writers.failures
    assert len(seen) == 3, "every run saw the same moment"


def counter_in(archive, kind, bin_directory):
    """The number in the table `counter`, read by PostgreSQL's own programs and sed."""
    if kind.startswith("plain"):
        script = subprocess.run(["gzip", "-dc", archive], capture_output=True, check=True).stdout
    else:
        command = [bin_directory / "pg_restore", "--data-only", "--table=counter", "--file=-", archive]
        script = subprocess.run(command, capture_output=True, check=True).stdout
    command = ["sed", "-n", "/^COPY public.counter /,/^\\\\\\.$/p"]
    lines = subprocess.run(command, input=script, capture_output=True, check=True).stdout.splitlines()
    return int(lines[1])


def test_the_application_never_waits_in_a_circle(server18, make_database, slow_client, tmp_path):
    """A statement that wants a table for itself comes after the snapshot, and before pg_dump has its locks."""
    database = make_database(server18)
    database.execute("CREATE TABLE wanted AS SELECT generate_series(1, 100) n")
    lock = threading.Timer(0.6, database.execute, ["ALTER TABLE wanted ADD CHECK (n > 0)"])
    lock.start()
    try:
        manifest = back_up(database, tmp_path, slow_client(delay=1.2), table_lock_timeout=8).manifest
    finally:
        lock.join()
    assert manifest["rows"] == 100
    assert manifest["duration_seconds"] < 6


def test_a_table_emptied_during_the_dump_is_still_all_there(server18, make_database, tmp_path):
    """TRUNCATE empties a table in every snapshot: what waits for pg_dump must not get between it and the counting."""
    database = make_database(server18)
    database.execute("CREATE TABLE emptied AS SELECT generate_series(1, 100) n")
    ended = threading.Event()
    outcome: list[str] = []

    def empty_it():
        with connection.cursor() as cursor:
            while not ended.wait(0.001):
                # Of the two sessions of the role the later one is pg_dump's: it holds the table now.
                cursor.execute(
                    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity a USING (pid) WHERE granted "
                    "AND relation = 'emptied'::regclass AND a.usename = %s AND a.backend_start > "
                    "(SELECT min(backend_start) FROM pg_stat_activity WHERE usename = a.usename)",
                    (database.user,),
                )
                if cursor.fetchone() != (0,):
                    cursor.execute("TRUNCATE emptied")
                    outcome.append("emptied")
                    return

    connection = database.connect(**database.superuser_parameters())
    connection.autocommit = True
    thread = threading.Thread(target=empty_it)
    thread.start()
    try:
        rows = independent.claimed_tables(back_up(database, tmp_path).manifest)["public", "emptied"][0]
    finally:
        ended.set()
        thread.join()
        connection.close()
    assert outcome == ["emptied"]
    assert rows == 100
    assert back_up(database, tmp_path).manifest["rows"] == 0


def test_a_table_that_comes_and_goes_is_no_difference(server18, make_database, tmp_path):
    database = make_database(server18)
    database.execute("CREATE TABLE steady AS SELECT generate_series(1, 10) n")
    ended = threading.Event()
    connection = database.connect()
    connection.autocommit = True

    def come_and_go():
        number = 0
        with connection.cursor() as cursor:
            while not ended.wait(0.01):
                number += 1
                cursor.execute(f"CREATE TABLE passing_{number} AS SELECT 1")
                ended.wait(0.01)
                cursor.execute(f"DROP TABLE passing_{number}")

    thread = threading.Thread(target=come_and_go)
    thread.start()
    refused = []
    try:
        for _ in range(6):
            try:
                manifest = back_up(database, tmp_path, table_lock_timeout=8).manifest
            except ResilienceError as error:
                refused.append(error)
            else:
                names = {table["table"] for table in manifest["tables"]}
                assert "steady" in names
                assert len(names) <= 2
    finally:
        ended.set()
        thread.join()
        connection.close()
    # PostgreSQL's own way: a table of the snapshot that is gone before pg_dump can lock it fails the dump.
    for refusal in refused:
        assert "passing_" in f"{refusal.message} {refusal.stderr}", refusal
        assert refusal.stage == "dump", refusal
    assert strays(tmp_path) == []
