# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever breaks at whatever moment: of every session the standby holds the old export or the new one, whole."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions import export
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cache import (
    Cache,
    Entry,
    read_cache,
    write_cache,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.fence import read_fence, set_fence
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.files import write_files
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby import verify_standby
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ConnectionFailedError,
    ResilienceError,
)
from tests.conftest import MakeDatabase, StartServer
from tests.faults.conftest import MakeDisk
from tests.support.databases import fresh_database
from tests.support.playbooks import MODULES, ROOT
from tests.support.session_faults import run_with_fault
from tests.support.small_disk import PAGE
from tests.support.standbys import SOURCE, Standby, fill_sessions, reason, results

MakeStandby = Callable[..., Standby]
DISK_BYTES = 4 << 20


@pytest.fixture
def make_standby(make_database: MakeDatabase, server18: Any, tmp_path: Path) -> MakeStandby:
    """Make a standby, refreshed once: `make_standby(*tenants, keys=..., state=...)`."""

    def make(*tenants: str, keys: int = 3, state: Path | None = None) -> Standby:
        database = make_database(server18)
        fill_sessions(database, tenants, keys)
        return Standby(database, state or tmp_path / "state")

    return make


def session_of(standby: Standby, tenant: str) -> dict[str, bytes]:
    name = f"{standby.of(tenant).name}/"
    return {path: data for path, data in standby.contents().items() if path.startswith(name)}


@pytest.mark.parametrize("kind", ["kill", "ENOSPC"])
def test_a_fault_at_every_call_to_the_file_system(make_standby: MakeStandby, kind: str) -> None:
    standby = make_standby("acme", "beta", keys=1)
    standby.refresh()
    beta = session_of(standby, "beta")
    outcomes: list[str] = []
    for number in itertools.count(1):
        standby.change("acme")
        old = session_of(standby, "acme")

        def work() -> None:
            failed = standby.refresh().of("failed")
            if failed:
                raise ResilienceError(str(failed[0].reason))

        ending, words, calls = run_with_fault(work, kind, number)
        if ending == "done" and calls < number:
            break
        when = f"{kind} at call {number}: {ending} {words}"
        outcomes.append(ending)
        assert ending in ({"killed"} if kind == "kill" else {"failed", "done"}), when
        state = verify_standby(str(standby.state_directory), SOURCE)
        assert state.problems == (), when
        assert {one.tenant for one in state.tenants} == {"acme", "beta"}, when
        assert session_of(standby, "beta") == beta, when
        # Where the new name or its memory could not be made durable, the new export is in place, and whole.
        if ending == "failed" and not ("standby.json" in words or "publish" in words):
            assert session_of(standby, "acme") == old, when
    assert len(outcomes) > 25, "a refresh makes more calls than that"
    assert results(standby.refresh())["acme"] in ("refreshed", "unchanged")
    assert standby.leftovers() == []
    assert len(session_of(standby, "acme")) == 1 + 1 + 1


def test_the_first_refresh_killed_at_any_call_leaves_nothing_half_done(
    make_standby: MakeStandby, tmp_path: Path
) -> None:
    standby = make_standby("acme", keys=1)
    for number in itertools.count(1):
        fresh = Standby(standby.database, tmp_path / f"state-{number}")
        ending, _words, _calls = run_with_fault(fresh.refresh, "kill", number)
        state = verify_standby(str(fresh.state_directory), SOURCE)
        assert state.problems == (), number
        if ending == "done":
            assert len(state.tenants) == 1
            break
        if number % 5 == 0:
            assert results(fresh.refresh())["acme"] in ("refreshed", "unchanged"), number
            assert fresh.leftovers() == []


@pytest.mark.parametrize("kind", ["kill", "ENOSPC"])
def test_the_fence_is_the_old_one_or_the_new_one(tmp_path: Path, kind: str) -> None:
    state = str(tmp_path)
    for number in itertools.count(1):
        before = set_fence(state, SOURCE, "postgresql", "test").epoch
        ending, _words, calls = run_with_fault(lambda: set_fence(state, SOURCE, "files", "test"), kind, number)
        fence = read_fence(state, SOURCE)
        assert (fence.owner, fence.epoch) in (("postgresql", before), ("files", before + 1))
        if ending == "done" and calls < number:
            assert fence.owner == "files"
            break
    assert number > 5


@pytest.mark.parametrize("kind", ["kill", "ENOSPC"])
def test_the_cache_is_the_old_one_or_the_new_one(tmp_path: Path, kind: str) -> None:
    state = str(tmp_path)
    old, new = (Cache("database", 1.0, {"acme": Entry(f'"{word}"', 1.0)}) for word in ("old", "new"))
    for number in itertools.count(1):
        write_cache(state, SOURCE, old, 300.0)
        ending, _words, calls = run_with_fault(lambda: write_cache(state, SOURCE, new, 300.0), kind, number)
        found = read_cache(state, SOURCE)
        assert found in (old, new)
        if ending == "done" and calls < number:
            assert found == new
            break
    assert number > 5
    write_cache(state, SOURCE, old, 300.0)
    assert not list(tmp_path.glob("cache.json.*"))


def test_a_full_disk_keeps_what_is_there(make_standby: MakeStandby, make_disk: MakeDisk) -> None:
    disk = make_disk(DISK_BYTES)
    standby = make_standby("acme", "beta", keys=12, state=disk.here / "state")
    arguments = {
        "login_host": "localhost",
        "login_port": standby.database.server.port,
        "login_user": standby.database.user,
        "login_password": standby.database.password,
        "database": standby.database.name,
        "source": SOURCE,
        "state_directory": str(disk.path / "state"),
    }

    def refresh() -> dict[str, Any]:
        done = subprocess.run(
            [*disk.prefix, sys.executable, "-m", f"{MODULES}.session_standby"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            env={"PATH": os.environ["PATH"], "HOME": os.devnull},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    assert refresh()["changed"] is True
    before = standby.contents()
    for tenant in ("acme", "beta"):
        standby.change(tenant)
    disk.fill(leave=PAGE)
    full = refresh()
    assert full["failed"] is True
    assert "no space left" in full["msg"]
    assert standby.contents() == before
    assert verify_standby(str(standby.state_directory), SOURCE).problems == ()
    disk.fill(leave=DISK_BYTES // 2)
    healed = refresh()
    assert {one["result"] for one in healed["outcomes"]} == {"refreshed"}
    assert standby.leftovers() == []


def test_two_refreshes_at_once_both_come_to_a_good_end(make_standby: MakeStandby) -> None:
    standby = make_standby("acme", "beta", keys=12)
    program = (
        "import pickle, sys;"
        "from tests.support.standbys import *;"
        "request = pickle.load(sys.stdin.buffer);"
        "print(*[one.result for one in refresh_standby(request).outcomes])"
    )

    runs = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        for _ in range(2)
    ]
    words = [run.communicate(pickle.dumps(standby.request()), timeout=60)[0].decode().split() for run in runs]
    assert sorted(words) == [["refreshed", "refreshed"], ["unchanged", "unchanged"]]
    assert verify_standby(str(standby.state_directory), SOURCE).problems == ()


def test_a_server_that_goes_in_the_middle_leaves_every_session_as_it_was(
    start_server: StartServer, bin_embedded16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server(bin_embedded16)
    with fresh_database(server) as database:
        fill_sessions(database, ("acme", "beta"))
        standby = Standby(database, tmp_path / "state")
        standby.refresh()
        before = standby.contents()
        for tenant in ("acme", "beta"):
            standby.change(tenant)

        def write(path: str, *arguments: Any, **keywords: Any) -> Any:
            content = write_files(path, *arguments, **keywords)
            if server.process is not None:
                server.stop("immediate")
            return content

        monkeypatch.setattr(export, "write_files", write)
        with pytest.raises(ConnectionFailedError):
            standby.refresh()
        assert standby.contents() == before
        assert standby.leftovers() == []
        monkeypatch.undo()
        server.start()
        assert results(standby.refresh()) == {"acme": "refreshed", "beta": "refreshed"}


def test_a_session_whose_place_is_taken_does_not_hold_up_the_others(make_standby: MakeStandby) -> None:
    standby = make_standby("acme", "beta")
    standby.of("acme").parent.mkdir(parents=True)
    standby.of("acme").write_text("a file")
    done = standby.refresh()
    assert results(done) == {"acme": "failed", "beta": "refreshed"}
    assert "acme" in reason(done, "acme")
    assert standby.of("acme").read_text() == "a file"
