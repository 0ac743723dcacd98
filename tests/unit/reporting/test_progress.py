# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress: the file while a job runs, the line made of it, and a job that goes on whatever happens to either.

That a person sees the line, and a scheduler does not, is shown in tests/integration/test_progress.py.
"""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.action import pg_restore, pg_restore_drill
from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import default_state_directory
from ansible_collections.baileys.resilience.plugins.module_utils.backup.drill_age import DRILL_JOB
from ansible_collections.baileys.resilience.plugins.module_utils.reporting import progress
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.progress import (
    SILENT,
    FileProgress,
    State,
    describe,
    parse,
    progress_path,
    seconds_left,
    share_done,
    watched_progress,
)
from ansible_collections.baileys.resilience.plugins.module_utils.restore.tell_restore import RESTORE_JOB
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError
from ansible_collections.baileys.resilience.plugins.plugin_utils.watched_action import read_command

STATE = State(
    job="drill",
    source="app",
    watcher="w",
    pid=1,
    step="restore",
    tables_done=12,
    tables_total=41,
    bytes_done=1_220_000_000,
    bytes_total=2_000_000_000,
    started_at=990.0,
    step_started_at=1000.0,
    updated_at=1022.0,
)


def state(**changes: Any) -> State:
    return dataclasses.replace(STATE, **changes)


@pytest.fixture
def begun(tmp_path: Path) -> FileProgress:
    return FileProgress(str(tmp_path / "state"), "drill", "app")


def read(of: FileProgress) -> State:
    found = parse(Path(of.path).read_text())
    assert found is not None
    return found


def test_the_file_follows_the_job(begun: FileProgress, tmp_path: Path) -> None:
    assert begun.path == str(tmp_path / "state/progress/drill-app.json")
    before = time.time()
    begun.step("restore", 41, 2_000)
    found = read(begun)
    assert (found.job, found.source, found.pid, found.step) == ("drill", "app", os.getpid(), "restore")
    assert (found.tables_done, found.tables_total, found.bytes_done, found.bytes_total) == (0, 41, 0, 2_000)
    assert before <= found.step_started_at <= found.updated_at <= time.time()
    time.sleep(progress.SECONDS_BETWEEN_WRITES)
    begun.advance(12, 1_220)
    later = read(begun)
    assert (later.tables_done, later.bytes_done) == (12, 1_220)
    assert later.updated_at > found.updated_at
    assert later.step_started_at == found.step_started_at
    begun.step("compare")
    last = read(begun)
    assert (last.step, last.tables_done, last.tables_total, last.bytes_done, last.bytes_total) == (
        "compare",
        0,
        0,
        0,
        0,
    )
    assert last.step_started_at > found.step_started_at
    assert last.started_at == found.started_at
    begun.close()
    assert list((tmp_path / "state/progress").iterdir()) == []
    begun.close()


def test_the_file_is_private(begun: FileProgress, tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        begun.step("restore")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(os.stat(begun.path).st_mode) == 0o600
    for directory in ("state", "state/progress"):
        assert stat.S_IMODE((tmp_path / directory).stat().st_mode) == 0o700


def test_it_is_written_a_few_times_a_second_however_often_it_is_told(
    begun: FileProgress, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []
    monkeypatch.setattr(progress, "_replace", lambda path, content: writes.append(content))
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    begun.step("restore", 1000)
    for number in range(1000):
        clock[0] += 0.002
        begun.advance(number, 0)
    assert 7 <= len(writes) <= 9
    begun.step("compare")
    assert json.loads(writes[-1])["step"] == "compare"


def test_a_reader_never_sees_half_a_file(begun: FileProgress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_WRITES", 0.0)
    begun.step("restore")
    program = (
        "import json, sys, time\n"
        "end = time.monotonic() + 0.5\n"
        "while time.monotonic() < end: json.load(open(sys.argv[1]))\n"
    )
    with subprocess.Popen(["python3", "-c", program, begun.path], stderr=subprocess.PIPE) as reader:
        while reader.poll() is None:
            begun.advance(1, 10**15)
            begun.advance(10**15, 1)
        assert reader.stderr is not None
        assert (reader.returncode, reader.stderr.read()) == (0, b"")


def test_a_directory_that_cannot_be_made_does_not_stop_the_job(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    job = FileProgress(str(tmp_path / "file"), "drill", "app")
    job.step("restore", 1, 1)
    job.advance(1, 1)
    job.close()
    assert job.failure is not None
    assert str(tmp_path / "file") in job.failure


def test_a_directory_that_goes_away_does_not_stop_the_job(begun: FileProgress, tmp_path: Path) -> None:
    begun.step("restore")
    begun.close()
    (tmp_path / "state/progress").rmdir()
    begun.step("compare")
    begun.advance(1, 1)
    begun.close()
    assert begun.failure is not None
    assert "drill-app.json" in begun.failure
    # Once is enough: nothing is tried again.
    (tmp_path / "state/progress").mkdir()
    begun.step("checks")
    assert list((tmp_path / "state/progress").iterdir()) == []


def test_a_link_in_the_way_is_not_followed(begun: FileProgress, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    Path(begun.path).symlink_to(victim)
    Path(f"{begun.path}.{os.getpid()}.partial").symlink_to(victim)
    begun.step("restore")
    assert victim.read_text() == "precious"
    assert read(begun).step == "restore"


@pytest.mark.parametrize("source", ["../../../etc/x", "a/b", "", ".", "Grüße", "x" * 1000, "a\nb", "\udce9"])
def test_any_source_has_a_file_of_its_own_in_the_directory(tmp_path: Path, source: str) -> None:
    job = FileProgress(str(tmp_path), "drill", source)
    job.step("restore")
    assert job.failure is None
    assert [path.name for path in (tmp_path / "progress").iterdir()] == [os.path.basename(job.path)]
    job.close()


def test_a_job_that_no_file_can_be_called_after_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        progress_path(str(tmp_path), "../drill", "app")


def test_where_nobody_watches_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(progress.WATCHED_VARIABLE, raising=False)
    silent = watched_progress(str(tmp_path / "state"), "drill", "app")
    assert silent is SILENT
    silent.step("restore", 1, 1)
    silent.advance(1, 1)
    silent.close()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv(progress.WATCHED_VARIABLE, "word")
    watched = watched_progress(str(tmp_path / "state"), "drill", "app")
    watched.step("restore", 1, 1)
    found = parse((tmp_path / "state/progress/drill-app.json").read_text())
    assert found is not None
    assert found.watcher == "word"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "restore  ███████░░░░░  61%  12 of 41 tables  1.2 of 2.0 GB  about 15 s left"),
        ({"bytes_done": 800_000_000}, "restore  ████░░░░░░░░  40%  12 of 41 tables  800.0 MB of 2.0 GB  about 33 s left"),
        ({"bytes_total": 0, "bytes_done": 0}, "restore  ███░░░░░░░░░  29%  12 of 41 tables  about 54 s left"),
        ({"bytes_done": 2_000_000_000}, "restore  ████████████ 100%  12 of 41 tables  2.0 of 2.0 GB"),
        # More than there was to be is all of it.
        ({"bytes_done": 2_100_000_000}, "restore  ████████████ 100%  12 of 41 tables  2.1 of 2.0 GB"),
        # Too early to say.
        ({"updated_at": 1001.0}, "restore  ███████░░░░░  61%  12 of 41 tables  1.2 of 2.0 GB"),
        ({"bytes_done": 2_000_000}, "restore  ░░░░░░░░░░░░   0%  12 of 41 tables  2.0 MB of 2.0 GB"),
        ({"updated_at": 4600.0}, "restore  ███████░░░░░  61%  12 of 41 tables  1.2 of 2.0 GB  about 38 min left"),
        ({"updated_at": 15400.0}, "restore  ███████░░░░░  61%  12 of 41 tables  1.2 of 2.0 GB  about 2 h 33 min left"),
        # Totals that nobody knows.
        ({"tables_total": 0, "bytes_total": 0}, "restore   12 tables  1.2 GB"),
        ({"tables_total": 0, "tables_done": 0, "bytes_total": 0, "bytes_done": 0}, "restore"),
        ({"tables_total": 5000, "tables_done": 1234, "bytes_total": 0, "bytes_done": 0, "updated_at": 1001.0},
         "restore  ██░░░░░░░░░░  24%  1,234 of 5,000 tables"),
    ],
)  # fmt: skip
def test_the_line(changes: dict[str, Any], line: str) -> None:
    assert describe(state(**changes)) == line


def test_the_line_without_unicode() -> None:
    assert describe(STATE, unicode=False) == (
        "restore  [#######-----]  61%  12 of 41 tables  1.2 of 2.0 GB  about 15 s left"
    )
    assert describe(state(step="zurück"), unicode=False).isascii()


# Whole numbers that a JSON reader of any kind keeps whole.
numbers = st.integers(0, 2**53)


@given(numbers, numbers, numbers, numbers, st.floats(0, 1e10), st.floats(0, 1e10))
def test_any_figures_make_a_line(
    done: int, total: int, bytes_done: int, bytes_total: int, begun: float, now: float
) -> None:
    odd = state(
        tables_done=done,
        tables_total=total,
        bytes_done=bytes_done,
        bytes_total=bytes_total,
        step_started_at=begun,
        updated_at=now,
    )
    assert "\n" not in describe(odd)
    share, left = share_done(odd), seconds_left(odd)
    assert share is None or 0 <= share <= 1
    assert left is None or left >= 0
    assert parse(json.dumps(dataclasses.asdict(odd))) == odd


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        json.dumps({**dataclasses.asdict(STATE), "more": 1}),
        json.dumps({**dataclasses.asdict(STATE), "pid": "x"}),
        json.dumps({**dataclasses.asdict(STATE), "pid": None}),
        json.dumps({**dataclasses.asdict(STATE), "tables_done": float("nan")}),
        json.dumps({**dataclasses.asdict(STATE), "updated_at": float("inf")}),
    ],
)
def test_what_is_no_state_is_none(content: str) -> None:
    assert parse(content) is None


def run(command: str, **environment: str) -> str:
    surroundings = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run(["/bin/sh", "-c", command], env=surroundings, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_the_files_are_found_from_a_shell(tmp_path: Path) -> None:
    state_directory = tmp_path / "it's a; $HOME"
    sources = ["app", "it's; echo $HOME", "Grüße/2"]
    for source in sources:
        FileProgress(str(state_directory), "drill", source).step("restore", 7)
    for command in (read_command(str(state_directory), "drill"), read_command("~/it's a; $HOME", "drill")):
        states = [parse(line) for line in run(command, HOME=str(tmp_path)).splitlines()]
        assert sorted(state.source for state in states if state is not None) == sorted(sources)
        assert len(states) == len(sources)
    assert run(read_command(str(state_directory), "restore")) == ""


def test_the_shell_knows_the_default_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of a shell that takes itself for another user, as this one may be root."""
    program = tmp_path / "bin/id"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 1000\n")
    program.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for variable, value in (("HOME", tmp_path / "home"), ("XDG_STATE_HOME", tmp_path / "xdg")):
        monkeypatch.setenv(variable, str(value))
        expected = Path(default_state_directory()) / "progress/drill-app.json"
        expected.parent.mkdir(parents=True)
        expected.write_text(variable)
        environment = {variable: str(value), "PATH": f"{program.parent}:{os.environ['PATH']}"}
        assert run(read_command(None, "drill"), **environment) == variable
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert f"d={default_state_directory()};" in read_command(None, "drill")


def test_who_looks_and_who_writes_call_the_job_by_one_name() -> None:
    assert pg_restore_drill.ActionModule.job == DRILL_JOB
    assert pg_restore.ActionModule.job == RESTORE_JOB
