# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports and imports that are killed at any moment, or run out of disk: the old sessions or the new ones, whole."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import ending_cleanly
from ansible_collections.baileys.resilience.plugins.module_utils.sessions import workers
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.files import read_manifest, read_tenant
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.support.backups import tree_state
from tests.support.processes import wait_until_gone
from tests.support.session_faults import run_with_fault
from tests.support.session_stores import TENANTS, Store
from tests.support.session_values import creds_of
from tests.support.small_disk import PAGE

ONE, TWO = TENANTS
KEYS: dict[str, dict[str, Any]] = {"pre-key": {"1": b"a", "2": b"b"}, "session": {"1.0": {"version": "v1"}}}
MOMENTS = 12
SEED = 20261121


@pytest.fixture
def store(make_database, server18):
    """Two small sessions."""
    store = Store(make_database(server18))
    for number, tenant in enumerate(TENANTS):
        store.fill(tenant, KEYS, creds_of(number))
    return store


def digests(root: Path) -> dict[str, str]:
    """The digest of each session that a reader finds, each whole and as its manifest says."""
    found = {}
    for path in root.iterdir():
        if not path.name.startswith("."):
            manifest = read_manifest(str(path))
            content = read_tenant(str(path))
            assert manifest is not None, path
            assert (content.content, content.strangers) == (manifest.content, ()), path
            found[path.name] = content.content.digest
    return found


def change(store: Store) -> None:
    store.database.execute("UPDATE whatsapp_keys SET value = to_jsonb(random()::text)")


@pytest.mark.parametrize("kind", ["kill", "ENOSPC"])
def test_a_fault_at_every_call_to_the_file_system(store, tmp_path, kind):
    root = tmp_path / "root"
    states = {}
    with contextlib.closing(store.database.connect()) as connection, connection.cursor() as cursor:

        def make(word):
            cursor.execute("UPDATE whatsapp_keys SET value = to_jsonb(%s::text)", (word,))
            connection.commit()

        for word in ("this", "that"):
            make(word)
            states[word] = {one.tenant: one.digest for one in store.export(tmp_path / word).tenants}
        store.export(root)
        for number in itertools.count(1):
            word = "that" if digests(root)[ONE] == states["this"][ONE] else "this"
            make(word)
            ending, words, calls = run_with_fault(lambda: store.export(root), kind, number)
            when = f"{kind} at call {number} of {calls}: {ending} {words}"
            found = digests(root)
            assert found.keys() == set(TENANTS), when
            assert all(found[tenant] in (states["this"][tenant], states["that"][tenant]) for tenant in TENANTS), when
            if ending == "done":
                assert found == states[word], when
                if calls < number:
                    break
            elif ending == "failed":
                assert "o space left" in words, when
                assert hidden(root) == {".lock"}, f"{when}: a run that could still clear up did not"
            else:
                assert (ending, kind) == ("killed", "kill"), when
    assert number > 60, "an export makes more calls than that"
    assert hidden(root) == {".lock"}


def hidden(root: Path) -> set[str]:
    return {name for name in os.listdir(root) if name.startswith(".")}


@contextlib.contextmanager
def in_a_child(work):
    """Do it in a process of its own; gives its pid. It is killed when the block is left."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException), open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            work()
            os._exit(0)
        os._exit(1)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def children_of(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def wait_for_children(pid: int, number: int) -> list[int]:
    deadline = time.monotonic() + 30
    while len(children_of(pid)) < number:
        assert time.monotonic() < deadline, "the workers do not start"
        time.sleep(0.005)
    return children_of(pid)


def test_killed_at_any_moment_with_all_its_workers(store, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_KEYS_PER_WORKER", 1)
    started = time.monotonic()
    store.export(tmp_path)
    whole = time.monotonic() - started
    source = random.Random(SEED)
    seen = 0
    for moment in range(MOMENTS):
        change(store)
        old, new = digests(tmp_path), {one.tenant: one.digest for one in store.export(tmp_path, dry_run=True).tenants}
        with in_a_child(lambda: store.export(tmp_path)) as child:
            time.sleep(whole * 1.2 * (moment + source.random()) / MOMENTS)
            running = children_of(child)
            os.kill(child, signal.SIGKILL)
            seen += bool(running)
            for worker in running:
                wait_until_gone(worker)
        found = digests(tmp_path)
        assert all(found[tenant] in (old[tenant], new[tenant]) for tenant in TENANTS)
    assert seen, "no worker was ever running"
    store.export(tmp_path)
    assert hidden(tmp_path) == {".lock"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_asked_to_end_it_clears_up_first(store, tmp_path, monkeypatch, number):
    monkeypatch.setattr(workers, "_KEYS_PER_WORKER", 1)
    store.export(tmp_path)
    change(store)
    old = digests(tmp_path)

    def work():
        with ending_cleanly():
            store.export(tmp_path, accept=lambda tenant, at: time.sleep(60) if tenant == ONE else None)

    with in_a_child(work) as child:
        running = wait_for_children(child, 2)
        wait_until(lambda: f".{TWO}.partial" in os.listdir(tmp_path))
        os.kill(child, number)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == number
        for worker in running:
            wait_until_gone(worker)
    assert digests(tmp_path) == old
    assert hidden(tmp_path) == {".lock"}


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_worker_that_is_killed_fails_all(store, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_KEYS_PER_WORKER", 1)
    store.export(tmp_path)
    change(store)
    old = digests(tmp_path)
    parent = os.getpid()

    def die(tenant, at):
        if tenant == TWO and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ResilienceError, match="A worker process ended before its work was done"):
        store.export(tmp_path, accept=die)
    assert digests(tmp_path) == old
    assert hidden(tmp_path) == {".lock"}


def test_a_server_that_dies_in_between(start_server, make_database, bin_embedded18, tmp_path):
    server = start_server(bin_embedded18)
    store = Store(make_database(server))
    for number, tenant in enumerate(TENANTS):
        store.fill(tenant, KEYS, creds_of(number))
    store.export(tmp_path)
    change(store)
    old = digests(tmp_path)
    with pytest.raises(ResilienceError, match="Cannot read the sessions on database"):
        store.export(tmp_path, accept=lambda tenant, at: server.stop("immediate") if tenant == TWO else None)
    assert digests(tmp_path) == old
    assert hidden(tmp_path) == {".lock"}
    server.start()


def test_a_disk_that_fills_up(make_disk, store):
    disk = make_disk(4 << 20)
    root = disk.here / "sessions"
    store.fill("big", {"pre-key": {str(number): os.urandom(3000) for number in range(100)}})
    store.export(root)
    change(store)
    old, before = digests(root), state_of(root)
    for leave in (60 * PAGE, 3 * PAGE, 0):
        disk.fill(leave)
        with pytest.raises(ResilienceError, match="no space left") as caught:
            store.export(root)
        assert "Free space on the file system" in str(caught.value.remedy)
        assert digests(root) == old
        assert state_of(root) == before
    disk.fill(3 << 20)
    assert all(one.changed for one in store.export(root).tenants)


def state_of(root: Path):
    return {name: state for name, state in tree_state(root).items() if name not in (".", ".lock")}


def test_a_disk_that_is_read_only(make_disk, store):
    disk = make_disk(4 << 20)
    root = disk.here / "sessions"
    store.export(root)
    old = digests(root)
    disk.make_read_only()
    with pytest.raises(ResilienceError, match="Read-only file system"):
        store.export(root)
    assert digests(root) == old
    disk.make_writable()


@pytest.mark.parametrize("processes", [1, 2])
def test_an_import_that_is_killed_leaves_the_old_rows(store, tmp_path, monkeypatch, processes):
    monkeypatch.setattr(workers, "_KEYS_PER_WORKER", 1)
    store.export(tmp_path)
    for tenant in TENANTS:
        (tmp_path / tenant / "pre-key-1.json").write_text('"changed"')
        (tmp_path / tenant / "pre-key-9.json").write_text('"added"')
        (tmp_path / tenant / "session-1.0.json").unlink()
    rows = "SELECT company_id, key_type, key_id, value, updated_at FROM whatsapp_keys ORDER BY 1, 2, 3"
    before = store.database.execute(rows)
    # The last thing it does to each session is held up: the row that goes.
    with contextlib.closing(store.database.connect()) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT FROM whatsapp_keys WHERE key_type = 'session' FOR UPDATE")
        with in_a_child(lambda: store.import_(tmp_path, workers=processes)) as child:
            wait_until(lambda: store.database.execute(BLOCKED, superuser=True) == [(processes,)])
            running = wait_for_children(child, processes if processes > 1 else 0)
            os.kill(child, signal.SIGKILL)
            for worker in running:
                wait_until_gone(worker)
        holder.rollback()
    wait_until(lambda: store.database.execute(SESSIONS, superuser=True) == [(0,)])
    assert store.database.execute(rows) == before
    result = store.import_(tmp_path)
    assert [(one.added, one.changed, one.removed) for one in result.tenants] == [(1, 1, 1)] * 2
    assert not any(one.differs for one in store.import_(tmp_path).tenants)


BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
