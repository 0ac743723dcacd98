# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A child process: its words are kept, its end is noticed, and it is always gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import pipes
from ansible_collections.baileys.resilience.plugins.module_utils.backup.pipes import Child, stalled
from ansible_collections.baileys.resilience.plugins.module_utils.system.commands import (
    STDERR_LIMIT,
    minimal_environment,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    MissingDependencyError,
    ProgramFailedError,
)
from tests.support.processes import is_running, start_parent, wait_until_gone, wait_until_it_is

# Writes what it was told to stop by, and goes on.
DEAF = "trap 'echo deaf >&2' TERM; echo started; while :; do sleep 0.02; done"


def shell(script: str, **options: Any) -> Child:
    return Child(["sh", "-c", script], minimal_environment(), **options)


def first_line(child: Child) -> bytes:
    return os.read(child.stdout, 100)


def test_output_status_and_words() -> None:
    with shell("echo out; echo warning >&2; exit 3") as child:
        assert first_line(child) == b"out\n"
        assert child.wait() == 3
        assert child.ending() == "exit status 3"
        assert child.messages() == "warning"


def test_input_reaches_it_until_it_is_closed() -> None:
    with shell("cat; echo end", stdin=subprocess.PIPE) as child:
        os.write(child.stdin, b"in\n")
        child.close_stdin()
        assert child.wait() == 0
        assert first_line(child) == b"in\nend\n"


def test_without_input_there_is_no_descriptor() -> None:
    with shell("cat") as child:
        assert child.stdin == -1
        child.close_stdin()
        assert child.wait() == 0


def test_the_end_of_long_messages_is_kept_and_nothing_waits_for_a_reader() -> None:
    # Far more than a pipe holds, and nobody reads it while the program runs.
    with shell("seq 1 100000 >&2; echo 'the cause' >&2") as child:
        assert child.wait() == 0
        messages = child.messages()
    assert messages.endswith("99999\n100000\nthe cause")
    assert STDERR_LIMIT - 10 < len(messages) <= STDERR_LIMIT


def test_messages_that_are_cut_in_a_character_are_still_text() -> None:
    with shell(r"for i in $(seq 3000); do printf '€€'; done >&2") as child:
        child.wait()
        assert child.messages().strip("\N{REPLACEMENT CHARACTER}").strip("€") == ""


def test_leaving_the_block_asks_a_running_program_to_end(tmp_path: Path) -> None:
    script = f"trap 'echo bye >{tmp_path}/bye; exit 0' TERM; echo started; while :; do sleep 0.01; done"
    with shell(script) as child:
        first_line(child)
    # It was not killed without a word: pg_dump tells the server that it goes.
    assert (tmp_path / "bye").read_text() == "bye\n"
    assert child._process.returncode == 0
    assert not is_running(child._process.pid)


def test_leaving_the_block_by_an_error_stops_it_too() -> None:
    child = shell("exec sleep 600")
    with pytest.raises(KeyError), child:
        raise KeyError
    assert not is_running(child._process.pid)


def test_one_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "KILL_AFTER_SECONDS", 0.2)
    with shell(DEAF) as child:
        first_line(child)
        process = child._process
    assert process.returncode == -signal.SIGKILL


def test_no_descriptor_stays_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    for script in ("exit 0", "exec sleep 600"):
        with shell(script, stdin=subprocess.PIPE):
            pass
    with pytest.raises(MissingDependencyError):
        Child(["/nowhere/pg_dump"], minimal_environment())
    assert set(os.listdir("/proc/self/fd")) == before


def test_an_input_it_never_read_does_no_harm() -> None:
    with shell("exec <&-; echo started; exec sleep 600", stdin=subprocess.PIPE) as child:
        first_line(child)
        assert child._process.stdin is not None
        # Buffered, so that it is only written, and refused, when the stream is closed.
        child._process.stdin.write(b"too late")


def test_a_descriptor_is_passed_on() -> None:
    reading, writing = os.pipe()
    try:
        with shell(f"echo through >/proc/self/fd/{writing}", pass_fds=(writing,)) as child:
            assert child.wait() == 0
        assert os.read(reading, 100) == b"through\n"
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_when_its_parent_is_killed(how: signal.Signals) -> None:
    with start_parent(
        f"""
        from {pipes.__name__} import Child
        from {minimal_environment.__module__} import minimal_environment
        child = Child(["sleep", "600"], minimal_environment())
        print(child._process.pid, flush=True)
        """
    ) as (parent, child):
        wait_until_it_is(child, "sleep")
        parent.send_signal(how)
        parent.wait()
        wait_until_gone(child)


class TestSilence:
    def test_one_that_ends_in_time(self, tmp_path: Path) -> None:
        with shell("exit 0") as child:
            child.wait_for_silence(60, str(tmp_path))
            assert child.wait() == 0

    def test_one_that_writes_nothing_is_stopped(self, tmp_path: Path) -> None:
        started = time.monotonic()
        child = shell("exec sleep 600")
        with pytest.raises(ProgramFailedError) as caught, child:
            child.wait_for_silence(0.3, str(tmp_path))
        assert caught.value.message == "sh gave no data for 0.3 s and was stopped"
        assert caught.value.cmd == ["sh", "-c", "exec sleep 600"]
        assert 0.3 <= time.monotonic() - started < 30
        assert not is_running(child._process.pid)

    def test_one_that_keeps_writing_is_left_alone(self, tmp_path: Path) -> None:
        # Much longer in all than it may be silent at any time.
        script = f"for i in $(seq 12); do echo x >>'{tmp_path}/f'; sleep 0.1; done"
        with shell(script) as child:
            child.wait_for_silence(0.8, str(tmp_path))
            assert child.wait() == 0

    def test_a_directory_that_is_not_there_yet(self, tmp_path: Path) -> None:
        script = f"sleep 0.2; mkdir '{tmp_path}/d'; echo x >'{tmp_path}/d/f'"
        with shell(script) as child:
            child.wait_for_silence(60, str(tmp_path / "d"))
            assert (tmp_path / "d" / "f").exists()

    def test_files_that_are_renamed_while_it_looks(self, tmp_path: Path) -> None:
        ending = threading.Event()

        def rename() -> None:
            number = 0
            while not ending.is_set():
                (tmp_path / str(number)).touch()
                (tmp_path / str(number)).unlink()
                number += 1

        thread = threading.Thread(target=rename)
        thread.start()
        try:
            for _ in range(2000):
                assert pipes._size_below(str(tmp_path)) == 0
        finally:
            ending.set()
            thread.join()


def test_the_error_for_a_silent_program() -> None:
    error = stalled(["/usr/lib/postgresql/18/bin/pg_dump", "-Fc"], 600)
    assert error.message == "pg_dump gave no data for 600 s and was stopped"
    assert (error.stage, error.cmd) == ("dump", ["/usr/lib/postgresql/18/bin/pg_dump", "-Fc"])
    assert "stall_timeout" in (error.remedy or "")
