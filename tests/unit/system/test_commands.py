# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs run from lists of words in a minimal environment, and never outlive what started them."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.system import commands
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    MissingDependencyError,
    ProgramFailedError,
)
from tests.support.processes import start_parent, wait_until_gone, wait_until_it_is


@pytest.fixture
def environment() -> dict[str, str]:
    return commands.minimal_environment()


class TestEnvironment:
    def test_only_what_is_needed_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in list(os.environ):
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", "/home/app")
        monkeypatch.setenv("PGPASSWORD", "secret")
        monkeypatch.setenv("POSTGRES_PASSWORD", "secret")
        monkeypatch.setenv("LANG", "de_DE.UTF-8")
        monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
        assert commands.minimal_environment({"PGHOST": "db"}) == {
            "HOME": "/home/app",
            "PATH": commands.DEFAULT_PATH,
            "LC_ALL": "C",
            "PGHOST": "db",
        }

    def test_the_path_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/opt/bin")
        assert commands.minimal_environment()["PATH"] == "/opt/bin"

    def test_a_child_sees_nothing_else(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGPASSWORD", "secret")
        completed = commands.run([shutil.which("env") or "env"], commands.minimal_environment({"A": "1"}))
        names = {line.split("=")[0] for line in completed.stdout.splitlines()}
        assert {"A", "LC_ALL", "PATH"} <= names <= {"A", "LC_ALL", *commands.KEPT_VARIABLES}


class TestRun:
    def test_status_and_words(self, environment: dict[str, str]) -> None:
        script = "echo out; echo err >&2; exit 3"
        completed = commands.run(["sh", "-c", script], environment)
        assert completed == commands.Completed(("sh", "-c", script), 3, "out\n", "err\n")

    @given(words=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), max_size=5))
    def test_words_arrive_as_they_are(self, words: list[str]) -> None:
        # No shell in between: quotes, dollars, semicolons and spaces mean nothing.
        program = "import sys; sys.stdout.buffer.write('\\0'.join(sys.argv[1:]).encode('utf-8', 'surrogateescape'))"
        environment = commands.minimal_environment({"PYTHONUTF8": "1"})
        completed = commands.run([sys.executable, "-S", "-c", program, *words], environment)
        assert completed.stdout == "\0".join(words)

    def test_words_that_are_not_utf8_do_not_break_it(self, environment: dict[str, str]) -> None:
        assert commands.run(["printf", r"a\377b"], environment).stdout == "a\N{REPLACEMENT CHARACTER}b"

    def test_its_input_is_empty(self, environment: dict[str, str]) -> None:
        assert commands.run(["cat"], environment, timeout=30).stdout == ""

    def test_a_descriptor_is_passed_on_only_if_named(self, environment: dict[str, str]) -> None:
        reading, writing = os.pipe()
        os.write(writing, b"through the pipe")
        os.close(writing)
        closed = commands.run(["cat", f"/proc/self/fd/{reading}"], environment)
        passed = commands.run(["cat", f"/proc/self/fd/{reading}"], environment, pass_fds=(reading,))
        os.close(reading)
        assert (closed.rc, passed.stdout) == (1, "through the pipe")

    def test_one_that_hangs_is_killed(self, environment: dict[str, str]) -> None:
        # It ignores what can be ignored, and shows its process on the way.
        script = "trap '' TERM; echo $$ >&2; exec sleep 600"
        with pytest.raises(ProgramFailedError, match=r"^sh did not end within 0\.2 s and was stopped$") as caught:
            commands.run(["sh", "-c", script], environment, timeout=0.2)
        assert caught.value.cmd == ["sh", "-c", script]
        assert caught.value.remedy == "See why it hangs by running it by hand."

    def test_one_that_hangs_is_gone_afterwards(self, environment: dict[str, str], tmp_path: Path) -> None:
        script = f"echo $$ >'{tmp_path}/pid'; exec sleep 600"
        with pytest.raises(ProgramFailedError):
            commands.run(["sh", "-c", script], environment, timeout=1)
        assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


class TestMissing:
    @pytest.mark.parametrize("setpriv", [True, False], ids=["with setpriv", "without setpriv"])
    @pytest.mark.parametrize("program", ["/nowhere/pg_dump", "no-such-program"])
    def test_a_program_that_is_not_there(
        self, environment: dict[str, str], program: str, setpriv: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not setpriv:
            monkeypatch.setattr(commands, "ending_with_parent", list)
        with pytest.raises(MissingDependencyError, match=f"^Cannot run {program}: ") as caught:
            commands.run([program, "--version"], environment)
        assert caught.value.cmd == [program, "--version"]
        assert caught.value.remedy == "Install the package that provides it, or correct the path."

    def test_a_file_that_is_no_program(self, environment: dict[str, str], tmp_path: Path) -> None:
        (tmp_path / "pg_dump").write_text("text")
        with pytest.raises(MissingDependencyError):
            commands.run([str(tmp_path / "pg_dump")], environment)

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM])
    def test_a_host_without_room_for_it_is_not_told_to_install_it(
        self, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        def full(*arguments: Any, **options: Any) -> NoReturn:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(subprocess, "Popen", full)
        with pytest.raises(ProgramFailedError, match=f"Cannot run cat: {os.strerror(number)}") as caught:
            commands.run(["cat"], environment)
        assert caught.value.remedy is not None
        assert "limits" in caught.value.remedy


class TestEndingWithTheParent:
    def test_setpriv_is_looked_for_where_the_child_would_be(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert commands.ending_with_parent(["a", "b"]) == ["a", "b"]
        (tmp_path / "setpriv").write_text("#!/bin/sh\n")
        (tmp_path / "setpriv").chmod(0o755)
        assert commands.ending_with_parent(["a", "b"]) == [
            f"{tmp_path}/setpriv",
            *("--pdeathsig", "TERM", "--", "a", "b"),
        ]

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_the_child_of_a_killed_parent_ends(self, how: signal.Signals) -> None:
        # A sleeper reads and writes nothing: only the kernel can tell it.
        with start_parent(
            f"""
            from {commands.__name__} import minimal_environment, start
            print(start(["sleep", "600"], minimal_environment()).pid, flush=True)
            """
        ) as (parent, child):
            wait_until_it_is(child, "sleep")
            parent.send_signal(how)
            parent.wait()
            wait_until_gone(child)


@pytest.mark.parametrize(
    ("rc", "words"),
    [
        (0, "exit status 0"),
        (1, "exit status 1"),
        (-9, "killed by SIGKILL"),
        (-15, "killed by SIGTERM"),
        (-63, "killed by signal 63"),
        (-200, "killed by signal 200"),
    ],
)
def test_an_end_in_words(rc: int, words: str) -> None:
    assert commands.how_it_ended(rc) == words
