# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cleanup that is killed in the middle, beside an application that goes on writing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions import cleanup
from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.support.key_store import DAY, NEVER_BY_AGE, Key, KeyStore
from tests.support.run_processes import wait_until

OLD = 6000
YOUNG = 40
LIVING = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'baileys.resilience'"
PROGRAM = f"""
import pathlib, sys
from {cleanup.__name__} import clean_up
from tests.support.key_store import KeyStore, Pace
from tests.support.databases import TestDatabase

class Server:
    def parameters(self, **given):
        return dict(port=int(sys.argv[2]), **given)

store = KeyStore(TestDatabase(Server(), sys.argv[3], sys.argv[4], sys.stdin.readline().rstrip("\\n")))
request = store.request(pathlib.Path(sys.argv[1]), pace=Pace(batch_size=50, pause=0.02))
print(clean_up(request, lambda _database: None).deleted_keys)
"""


class Application:
    """Writes young keys, one after the other, for as long as the block runs."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self.written: dict[str, int] = {}
        self.failures: list[str] = []

    def _write(self) -> None:
        with closing(psycopg2.connect(**self._parameters)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            number = 0
            while not self._over.wait(0.001):
                number += 1
                key_id = f"young {number % YOUNG}"
                try:
                    cursor.execute(
                        "UPDATE whatsapp_keys SET value = %s, updated_at = now() WHERE key_id = %s",
                        (f'{{"n": {number}}}', key_id),
                    )
                    self.written[key_id] = number
                except psycopg2.Error as error:
                    self.failures.append(str(error))

    def __enter__(self) -> Application:
        self._thread.start()
        wait_until(lambda: len(self.written) > 5, "the application does not write")
        return self

    def __exit__(self, *_unused: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def store(server18: PostgresServer, make_database: MakeDatabase) -> KeyStore:
    made = KeyStore(make_database(server18)).create()
    made.fill(
        [Key("device-list", f"old {number}", 40 * DAY) for number in range(OLD)]
        + [Key("session", f"young {number}", DAY) for number in range(YOUNG)]
        + [Key(key_type, f"ancient {number}", 400 * DAY) for key_type in NEVER_BY_AGE for number in range(50)]
    )
    return made


@contextmanager
def cleaning(store: KeyStore, state: Path) -> Iterator[subprocess.Popen[str]]:
    """A cleanup in a process of its own."""
    database = store.database
    arguments = [str(state), str(database.server.port), database.name, database.user]
    command = [sys.executable, "-c", PROGRAM, *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write(f"{database.password}\n")
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()


def count(store: KeyStore, name: str) -> int:
    ((number,),) = store.database.execute(f"SELECT count(*) FROM whatsapp_keys WHERE key_id LIKE '{name} %'")
    return int(number)


def test_killed_in_the_middle_nothing_is_half_done_and_the_next_run_goes_on(store: KeyStore, tmp_path: Path) -> None:
    rows = "SELECT md5(whatsapp_keys::text) FROM whatsapp_keys WHERE key_id NOT LIKE 'young %'"
    before = set(store.database.execute(rows))
    with Application(store.database.parameters()) as application, cleaning(store, tmp_path) as process:
        wait_until(lambda: count(store, "old") < OLD - 500, "nothing is deleted")
        process.kill()
        process.wait()
        wait_until(lambda: store.database.execute(LIVING) == [(0,)], "the killed session lives on")
        left = count(store, "old")
        assert 0 < left < OLD - 500
        # What is there is there whole, and as it was.
        after = set(store.database.execute(rows))
        assert after <= before
        assert len(before) - len(after) == OLD - left
        assert count(store, "ancient") == 50 * len(NEVER_BY_AGE)
        result = store.clean(tmp_path)
    assert result.deleted_keys == left
    assert count(store, "old") == 0
    assert count(store, "ancient") == 50 * len(NEVER_BY_AGE)
    # The application noticed nothing, and nothing of what it wrote is lost.
    assert application.failures == []
    stored = dict(store.database.execute("SELECT key_id, (value->>'n')::int FROM whatsapp_keys WHERE value ? 'n'"))
    assert stored == application.written


def test_a_run_left_alone_says_how_many(store: KeyStore, tmp_path: Path) -> None:
    with Application(store.database.parameters()), cleaning(store, tmp_path) as process:
        output, _nothing = process.communicate(timeout=60)
    assert output.strip() == str(OLD)
