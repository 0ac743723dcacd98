# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `resilience`: one job at a time, a clean environment, its user, its exit status, its end on record."""

from __future__ import annotations

import os
import pwd
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.other_user import AS_NOBODY
from tests.support.runner_prefix import RunnerPrefix, make_prefix, wait_until

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user; CI runs as root")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> RunnerPrefix:
    return make_prefix(tmp_path_factory.mktemp("runner prefix"))


def waiting(path: Path) -> tuple[str, ...]:
    """A program that says that it runs, and waits until the file is there; its name is in its arguments."""
    return ("sh", "-c", 'echo $$ > "$1.pid"; while [ ! -e "$1" ]; do sleep 0.05; done', "sh", str(path))


def pid_of(path: Path) -> int:
    file = Path(f"{path}.pid")
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"), "the job's start")
    return int(file.read_text())


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_alone_it_lists_what_can_be_run(prefix: RunnerPrefix) -> None:
    said = prefix.run()
    assert said.returncode == 0
    assert re.search(r"^  backup +Back up every database of `backup_sources`", said.stdout, re.MULTILINE)
    assert re.search(r"^  probe +Does what a test tells it$", said.stdout, re.MULTILINE)
    assert " site " not in said.stdout
    assert prefix.run("--help").stdout == said.stdout


def test_it_tells_its_version(prefix: RunnerPrefix) -> None:
    assert prefix.run("--version").stdout.startswith("baileys.resilience 1.2.3, release one, Python 3.")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("nonsense",), "There is no playbook nonsense. There are: backup, "),
        (("../playbooks/backup",), "There is no playbook ../playbooks/backup"),
        (("--job",), "--job needs the name of the job"),
        (("--job", "../x", "probe"), "--job needs the name of the job"),
        (("--job", "x"), "No playbook is named"),
    ],
)
def test_wrong_words_are_refused(prefix: RunnerPrefix, words: tuple[str, ...], problem: str) -> None:
    said = prefix.run(*words)
    assert (said.returncode, said.stdout) == (64, "")
    assert problem in said.stderr


def test_start_and_end_are_on_record(prefix: RunnerPrefix) -> None:
    said = prefix.run("--job", "nightly", *prefix.probe("true"))
    first, *_, last = said.stdout.splitlines()
    assert re.fullmatch(rf"{TIME} nightly started: baileys.resilience.probe, release one, process \d+", first)
    assert re.fullmatch(rf"{TIME} nightly ended after .+s, exit status 0", last)


@pytest.mark.parametrize(("words", "status"), [(("false",), 2), (("true",), 0)])
def test_the_exit_status_is_that_of_ansible(prefix: RunnerPrefix, words: tuple[str, ...], status: int) -> None:
    said = prefix.run(*prefix.probe(*words))
    assert said.returncode == status, said
    assert f"exit status {status}" in said.stdout


def test_odd_arguments_arrive_as_they_are(prefix: RunnerPrefix) -> None:
    odd = "a b  'c' \"d\" $HOME `id` * ; é"
    said = prefix.run(*prefix.probe("printf", "<%s>", odd), "-e", "note=two words")
    assert said.returncode == 0, said
    assert "<" + odd.replace('"', '\\"') + ">" in said.stdout


def test_nothing_of_the_callers_environment_reaches_the_job(prefix: RunnerPrefix, tmp_path: Path) -> None:
    secrets = {
        "POSTGRES_PASSWORD": "of-the-application",
        "PGPASSWORD": "of-the-application",
        "ANSIBLE_STDOUT_CALLBACK": "minimal",
        "PYTHONPATH": "/nowhere",
        "LD_LIBRARY_PATH": "/of-the-application",
    }
    walk = 'p=$$; while [ "$p" -gt 1 ]; do tr "\\0" "\\n" < /proc/$p/environ; set -- $(sed "s/.*) //" /proc/$p/stat); p=$2; [ "$p" = "$STOP" ] && break; done'
    said = prefix.run(
        *prefix.probe("sh", "-c", f"STOP={os.getpid()}; {walk}"), environment={**secrets, "TERM": "xterm"}
    )
    assert said.returncode == 0, said
    assert "OF_THE_JOBS=is set" in said.stdout
    assert "TERM=xterm" in said.stdout
    for name, value in secrets.items():
        assert f"{name}={value}" not in said.stdout, name
    assert "of-the-application" not in said.stdout


class TestOneAtATime:
    def test_the_second_names_the_first(self, prefix: RunnerPrefix, tmp_path: Path) -> None:
        with prefix.start("--job", "long", *prefix.probe(*waiting(tmp_path / "go"))) as first:
            pid_of(tmp_path / "go")
            second = prefix.run("--job", "long", *prefix.probe("true"))
            other = prefix.run("--job", "other", *prefix.probe("true"))
            (tmp_path / "go").touch()
            assert first.wait(60) == 0
        assert (second.returncode, second.stdout) == (75, "")
        assert re.match(rf"long runs already. Another run \(process {first.pid}\) holds .*/long.lock", second.stderr)
        assert other.returncode == 0
        assert prefix.run("--job", "long", *prefix.probe("true")).returncode == 0

    def test_a_killed_job_leaves_no_lock(self, prefix: RunnerPrefix, tmp_path: Path) -> None:
        with prefix.start("--job", "killed", *prefix.probe(*waiting(tmp_path / "go")), start_new_session=True) as first:
            program = pid_of(tmp_path / "go")
            first.send_signal(signal.SIGKILL)
            first.wait(60)
            # What it started goes on, holds the lock, and the next one is told of it.
            second = prefix.run("--job", "killed", *prefix.probe("true"))
            assert second.returncode == 75
            assert f"A process that the killed run {first.pid} left behind holds" in second.stderr
            (tmp_path / "go").touch()
            wait_until(lambda: not is_alive(program), "the end of the job")
            wait_until(
                lambda: prefix.run("--job", "killed", *prefix.probe("true")).returncode == 0, "the release of the lock"
            )

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
    def test_what_asks_it_to_end_ends_all_of_it(
        self, prefix: RunnerPrefix, tmp_path: Path, number: signal.Signals
    ) -> None:
        # As a shell that starts it in the background leaves the signal.
        ignored = ("env", f"--ignore-signal={number.name}")
        with prefix.start(*prefix.probe(*waiting(tmp_path / "go")), become=ignored) as first:
            program = pid_of(tmp_path / "go")
            first.send_signal(number)
            out, _ = first.communicate(timeout=60)
        assert first.returncode != 0
        assert re.search(rf"{TIME} probe ended after .*, exit status {first.returncode}$", out.strip())
        wait_until(lambda: not is_alive(program), "the end of the program")
        assert prefix.run(*prefix.probe("true")).returncode == 0


@ROOT_ONLY
def test_root_becomes_the_user_of_the_jobs(public_directory: Path) -> None:
    prefix = make_prefix(public_directory, "nobody")
    said = prefix.run(*prefix.probe("sh", "-c", "id -u; id -g; umask; echo $HOME"))
    assert said.returncode == 0, said
    uid, *_ = re.findall(r"\"msg\": \"(.*)\"", said.stdout)
    assert uid == "65534\\n65534\\n0022\\n" + pwd.getpwnam("nobody").pw_dir
    assert (prefix.locks / "probe.lock").stat().st_uid == 65534
    # And the user needs nobody for it.
    assert prefix.run(*prefix.probe("true"), become=AS_NOBODY).returncode == 0


@ROOT_ONLY
def test_anybody_else_is_told_to_be_root(public_directory: Path) -> None:
    prefix = make_prefix(public_directory, "root")
    said = prefix.run("backup", become=AS_NOBODY)
    assert (said.returncode, said.stdout) == (77, "")
    assert said.stderr == "The jobs of this host run as root. Run it as root: sudo resilience backup\n"


def test_without_a_release_it_says_so(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path)
    (tmp_path / "opt" / "current").unlink()
    said = prefix.run("backup")
    assert said.returncode == 69
    assert "No release is in use" in said.stderr


def test_a_state_directory_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path)
    (tmp_path / "state").rmdir()
    (tmp_path / "state").symlink_to("/tmp")
    said = prefix.run("backup")
    assert said.returncode == 69
    assert "state is not a directory but a symbolic link" in said.stderr


class TestSelfCheck:
    def test_a_host_that_can_run_all(self, prefix: RunnerPrefix) -> None:
        said = prefix.run("--self-check")
        assert said.returncode == 0, said
        assert re.search(r"ok: \d+ playbooks and the inventory can be read", said.stdout)

    def test_an_inventory_that_cannot_be_read(self, tmp_path: Path) -> None:
        prefix = make_prefix(tmp_path)
        (tmp_path / "configuration" / "hosts.yml").write_text("all: [")
        said = prefix.run("--self-check")
        assert said.returncode == 1
        assert "problem: the playbooks cannot be read" in said.stderr

    def test_a_playbook_that_cannot_be_read(self, tmp_path: Path) -> None:
        prefix = make_prefix(tmp_path)
        (probe,) = (tmp_path / "opt").rglob("probe.yml")
        probe.write_text("- hosts: all\n  tasks:\n    - baileys.resilience.no_such_module:\n")
        said = prefix.run("--self-check")
        assert said.returncode == 1
        assert "no_such_module" in said.stderr


def test_the_script_is_a_plain_shell_script(prefix: RunnerPrefix) -> None:
    subprocess.run([str(Path(sys.prefix) / "bin" / "shellcheck"), "--shell=sh", str(prefix.command)], check=True)
