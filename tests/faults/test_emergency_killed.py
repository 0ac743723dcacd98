# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback or roll-forward that is killed, wherever it is: never two services, and the next run finishes or undoes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.emergency.journal import read_journal
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.rollback import roll_back
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.rollforward import roll_forward
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.support.emergencies import SOURCE, Host, host_with_service
from tests.support.playbooks import ROOT
from tests.support.pm2 import wait_for

TIMEOUT_S = 60
# In the order of a run: the part, the function, and whether before or after its call.
ROLLBACK_POINTS = [
    ("code", "provide_dependencies", "before"),
    ("code", "write_env_file", "after"),
    ("app", "delete_app", "before"),
    ("app", "delete_app", "after"),
    ("carry", "export_sessions", "after"),
    ("rollback", "set_fence", "before"),
    ("rollback", "set_fence", "after"),
    ("rollback", "mark_database", "after"),
    ("app", "start_app", "before"),
    ("app", "start_app", "after"),
    ("move", "save", "before"),
    ("move", "save", "after"),
]
ROLLFORWARD_POINTS = [
    ("rollforward", "mark_database", "before"),
    ("rollforward", "mark_database", "after"),
    ("app", "delete_app", "before"),
    ("app", "delete_app", "after"),
    ("rollforward", "import_sessions", "after"),
    ("rollforward", "set_fence", "before"),
    ("rollforward", "set_fence", "after"),
    ("rollforward", "clear_mark", "after"),
    ("app", "start_app", "before"),
    ("app", "start_app", "after"),
    ("move", "save", "after"),
    ("code", "remove_worktree", "before"),
    ("code", "remove_worktree", "after"),
]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, bin_full18: Path) -> Iterator[Host]:
    """One host for all tests here: each leaves it on PostgreSQL again."""
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("host")
        for path in (directory, *directory.parents):
            if path.stat().st_uid == os.getuid() and path != Path("/"):
                path.chmod(path.stat().st_mode | 0o755)
        yield stack.enter_context(host_with_service(directory, bin_full18, WRITE_MS="600000"))


def start_killed(host: Host, module: str, point: tuple[str, str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.support.killed_emergency", json.dumps({"module": module, "point": point})]
    return run(command, host)


def run(command: list[str], host: Host) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": host.module_arguments()}).encode())
    process.stdin.close()
    return process


def ended(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    output = process.stdout.read().decode()
    process.wait(TIMEOUT_S)
    return output


def is_said(host: Host, job: str) -> bool:
    """Whether it is said that the service may not run."""
    return "may not run" in str(host.status(job)["title"])


@pytest.mark.parametrize("point", ROLLBACK_POINTS, ids=".".join)
def test_a_rollback_that_is_killed_is_finished_by_the_next(host: Host, point: tuple[str, str, str]) -> None:
    held = host.service.digests()
    others = host.others()
    with host.never_two():
        process = start_killed(host, "emergency_rollback", point)
        output = ended(process)
        assert process.returncode == -signal.SIGKILL, output
        if host.side() == "neither":
            assert is_said(host, "emergency_rollback")
        roll_back(host.request())
    assert host.side() == "files"
    assert host.owner() == "files"
    assert host.service.digests("loaded_digest") == held
    assert host.others() == others
    assert host.running()["whatsapp"] == "online"
    back_again(host)
    assert host.service.digests("loaded_digest") == held


def back_again(host: Host) -> None:
    host.back_up()
    roll_forward(host.request())
    assert host.side() == "postgresql"
    assert host.owner() == "postgresql"
    assert read_journal(str(host.state), SOURCE) is None
    host.wait_until_connected("postgresql")


@pytest.mark.parametrize("point", ROLLFORWARD_POINTS, ids=".".join)
def test_a_roll_forward_that_is_killed_is_finished_by_the_next(host: Host, point: tuple[str, str, str]) -> None:
    held = host.service.digests()
    roll_back(host.request())
    host.back_up()
    with host.never_two():
        process = start_killed(host, "emergency_rollforward", point)
        output = ended(process)
        assert process.returncode == -signal.SIGKILL, output
        if host.side() == "neither":
            assert is_said(host, "emergency_rollforward")
        roll_forward(host.request())
    assert host.side() == "postgresql"
    assert host.owner() == "postgresql"
    assert host.service.digests("loaded_digest") == held
    assert host.database.execute("SELECT to_regclass('baileys_resilience_fence')") == [(None,)]
    assert read_journal(str(host.state), SOURCE) is None


@pytest.mark.parametrize("phase", ["stopping", "carrying", "connecting"])
def test_a_rollback_that_is_asked_to_end_undoes_what_it_did(host: Host, phase: str) -> None:
    held = host.service.digests()
    if phase == "connecting":
        host.service.control("hold-connection")
    with host.never_two():
        process = run(
            [sys.executable, "-m", "ansible_collections.baileys.resilience.plugins.modules.emergency_rollback"], host
        )
        reach(host, process, phase)
        process.terminate()
        host.service.control("hold-connection", False)
        ended(process)
    assert process.returncode == -signal.SIGTERM
    assert host.side() == "postgresql"
    assert host.owner() == "postgresql"
    host.wait_until_connected("postgresql")
    assert host.service.digests("loaded_digest") == held
    assert not host.emergency_checkout.exists()
    for left in host.service.state.glob("sessions*"):
        assert "undone" in left.name or "rolled-forward" in left.name


def reach(host: Host, process: subprocess.Popen[bytes], phase: str) -> None:
    def reached() -> bool:
        try:
            journal = read_journal(str(host.state), SOURCE)
        except ResilienceError:
            return False
        return process.poll() is not None or (journal is not None and journal.phase == phase)

    wait_for(reached, f"the phase {phase} is not reached")


def test_a_service_a_killed_rollback_left_standing_is_started_again_if_it_cannot_go_on(host: Host) -> None:
    held = host.service.digests()
    process = start_killed(host, "emergency_rollback", ("app", "delete_app", "after"))
    ended(process)
    assert host.side() == "neither"
    assert is_said(host, "emergency_rollback")
    with pytest.raises(ResilienceError) as caught, host.never_two():
        roll_back(host.request(data_source="standby"))
    assert "The service runs on PostgreSQL as before" in caught.value.message
    host.wait_until_connected("postgresql")
    assert host.service.digests("loaded_digest") == held
    assert read_journal(str(host.state), SOURCE) is None


def test_a_roll_forward_that_is_killed_with_the_database_then_gone_again_goes_back_to_the_files(host: Host) -> None:
    held = host.service.digests()
    roll_back(host.request())
    host.back_up()
    ended(start_killed(host, "emergency_rollforward", ("app", "delete_app", "after")))
    assert host.side() == "neither"
    host.database.server.stop()
    with pytest.raises(ResilienceError) as caught, host.never_two():
        roll_forward(host.request())
    assert "The service runs on files as before" in caught.value.message
    host.wait_until_connected("files")
    assert host.owner() == "files"
    host.database.server.start()
    back_again(host)
    assert host.service.digests("loaded_digest") == held


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment(host: Host, seed: int) -> None:
    """Moments that nobody has thought of: each run is killed a little later than the one before."""
    held = host.service.digests()
    module = "ansible_collections.baileys.resilience.plugins.modules.emergency_rollback"
    with host.never_two():
        process = run([sys.executable, "-m", module], host)
        time.sleep(0.5 + 0.45 * seed)
        process.kill()
        ended(process)
        roll_back(host.request())
        assert host.side() == "files"
        assert host.service.digests("loaded_digest") == held
        back_again(host)
    assert host.service.digests("loaded_digest") == held


def test_two_at_once_exclude_each_other(host: Host) -> None:
    host.service.control("hold-connection")
    module = "ansible_collections.baileys.resilience.plugins.modules.emergency_rollback"
    process = run([sys.executable, "-m", module], host)
    try:
        reach(host, process, "connecting")
        with pytest.raises(ResilienceError, match="Another run"):
            roll_back(host.request())
    finally:
        host.service.control("hold-connection", False)
        output: Any = ended(process)
    assert process.returncode == 0, output
    assert host.side() == "files"
    back_again(host)
