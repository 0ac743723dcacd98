# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person at a terminal sees how far a module has come; a scheduler sees exactly what it saw before.

A module that does nothing but tell of its progress runs through the same action plugin as the real ones.
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
import yaml

from tests.support.playbooks import ANSIBLE_PLAYBOOK, Surroundings

COLUMNS = 90
TAKE_BACK = "\r\x1b[K"
PACKAGE = "ansible_collections.baileys.resilience.plugins"
ACTION = f"""
from __future__ import annotations
from {PACKAGE}.plugin_utils.watched_action import WatchedAction


class ActionModule(WatchedAction):
    job = "slow"
"""
MODULE = f"""
from __future__ import annotations
import os
import time
from ansible.module_utils.basic import AnsibleModule
from {PACKAGE}.module_utils.ansible_module import default_state_directory
from {PACKAGE}.module_utils.reporting.progress import SILENT, watched_progress


def main():
    module = AnsibleModule(
        argument_spec=dict(
            source=dict(type="str"), state_directory=dict(type="path"), seconds=dict(type="float"),
            fails=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    state = module.params["state_directory"] or default_state_directory()
    progress = watched_progress(state, "slow", module.params["source"])
    progress.step("restore", 40, 4_000_000)
    end = time.monotonic() + module.params["seconds"]
    while time.monotonic() < end:
        done = 1 - (end - time.monotonic()) / module.params["seconds"]
        progress.advance(int(40 * done), int(4_000_000 * done))
        time.sleep(0.05)
    files = sorted(os.listdir(os.path.join(state, "progress"))) if progress is not SILENT else []
    progress.close()
    if module.params["fails"]:
        module.fail_json(msg="it was planted", files=files)
    module.exit_json(changed=False, files=files, watched=progress is not SILENT)


if __name__ == "__main__":
    main()
"""


class Slow:
    """A playbook that runs the slow module, and the ways to run it."""

    def __init__(self, directory: Path) -> None:
        self.surroundings = Surroundings(directory)
        self.state = directory / "state"
        self.playbook = directory / "slow.yml"
        for folder, content in (("action_plugins", ACTION), ("library", MODULE)):
            (directory / folder).mkdir()
            (directory / folder / "slow.py").write_text(content)

    def write(self, seconds: float = 4.0, hosts: int = 1, sources: tuple[str, ...] = ("app",), **more: object) -> None:
        self.surroundings.write_hosts({f"db{number}": {} for number in range(1, hosts + 1)})
        task = {
            "name": "Go slowly",
            "slow": {"source": "{{ item }}", "state_directory": str(self.state), "seconds": seconds, **more},
            "loop": list(sources),
            "register": "slow_run",
        }
        show = {"ansible.builtin.debug": {"msg": "watched: {{ slow_run.results | map(attribute='watched') | list }}"}}
        play = {"hosts": "all", "gather_facts": False, "tasks": [task, show]}
        self.playbook.write_text(yaml.dump([play], sort_keys=False))

    def at_a_terminal(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Exit status, and all that the terminal was sent."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        command = [ANSIBLE_PLAYBOOK, "-i", str(self.surroundings.inventory), str(self.playbook), *arguments]
        extra = {"TERM": "xterm", **environment}
        with subprocess.Popen(
            command,
            cwd=self.surroundings.directory,
            env=self.surroundings.environment(**extra),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            sent = bytearray()
            # The last to close the terminal makes reading it fail.
            try:
                while piece := os.read(ours, 4096):
                    sent += piece
            except OSError:
                pass
            os.close(ours)
            return process.wait(60), sent.decode().replace("\r\n", "\n")


def shown(sent: str) -> str:
    """What stands on the terminal in the end: of a line, what came after it was last taken back."""
    return "\n".join(line.rpartition(TAKE_BACK)[2] for line in sent.split("\n"))


@pytest.fixture
def slow(tmp_path):
    return Slow(tmp_path)


def progress_lines(sent: str) -> list[str]:
    return [line for line in sent.replace(TAKE_BACK, "\n").split("\n") if "restore " in line]


def test_one_line_that_is_rewritten_and_gone_in_the_end(slow):
    slow.write()
    rc, sent = slow.at_a_terminal()
    assert rc == 0, sent
    lines = progress_lines(sent)
    assert len(lines) >= 2, sent
    percents = [int(line.partition("%")[0].rpartition(" ")[2]) for line in lines]
    assert percents == sorted(percents)
    # On a busy machine the first look may come before anything is done.
    assert 0 <= percents[0] < percents[-1] < 100
    assert all(line.startswith("app: restore  ") for line in lines)
    assert "█" in lines[-1]
    assert " of 40 tables  " in lines[0]
    assert " of 4.0 MB" in lines[0]
    assert any("  about " in line and line.endswith(" s left") for line in lines)
    assert all(len(line) < COLUMNS for line in lines)
    # Each takes back the one before, and the result the last.
    assert sent.count(TAKE_BACK) == len(lines) + 1
    assert "restore" not in shown(sent)
    assert TAKE_BACK + "ok: [db1]" in sent
    assert "watched: [true]" in sent.replace("True", "true")
    assert not any(slow.state.joinpath("progress").iterdir())


def test_a_scheduler_sees_what_it_saw_before(slow):
    slow.write(seconds=2.5)
    played = slow.surroundings.play(str(slow.playbook))
    assert played.rc == 0, played
    assert "restore" not in played.output
    assert "\x1b" not in played.output
    assert "watched: [false]" in played.output.replace("False", "false")
    # Nothing was written either.
    assert not slow.state.exists()


def test_a_failure_is_told_as_ever(slow):
    slow.write(seconds=2.5, fails=True)
    rc, sent = slow.at_a_terminal()
    assert rc == 2, sent
    assert progress_lines(sent)
    assert "restore" not in shown(sent)
    assert "it was planted" in shown(sent)


def test_several_hosts_have_lines_of_their_own(slow):
    slow.write(seconds=7.0, hosts=2, state_directory=f"{slow.state}-{{{{ inventory_hostname }}}}")
    rc, sent = slow.at_a_terminal()
    assert rc == 0, sent
    assert TAKE_BACK not in sent
    for host in ("db1", "db2"):
        lines = [line for line in progress_lines(sent) if line.startswith(f"{host} app: restore")]
        # Not each look: one every five seconds at the most.
        assert 1 <= len(lines) <= 2


def test_a_terminal_of_old_gets_plain_lines(slow):
    slow.write()
    rc, sent = slow.at_a_terminal(TERM="dumb", LANG="C", LC_ALL="C.UTF-8", PYTHONIOENCODING="utf-8")
    assert rc == 0, sent
    assert progress_lines(sent)
    assert TAKE_BACK not in sent


def test_one_source_after_the_other(slow):
    slow.write(seconds=3.0, sources=("app", "strange/name <é>"))
    rc, sent = slow.at_a_terminal()
    assert rc == 0, sent
    assert {line.partition(": restore")[0] for line in progress_lines(sent)} == {"app", "strange/name <é>"}
    assert "restore" not in shown(sent)


def test_the_directory_of_the_user_is_found_without_being_told(slow):
    slow.write(seconds=3.0, state_directory="{{ omit }}")
    rc, sent = slow.at_a_terminal(XDG_STATE_HOME=str(slow.state))
    assert rc == 0, sent
    assert progress_lines(sent)


def test_what_a_killed_run_left_is_not_taken_for_progress(slow):
    """The module here keeps another file, so what stands under its name is old."""
    slow.write(seconds=3.0)
    directory = slow.state / "progress"
    directory.mkdir(parents=True, mode=0o700)
    slow.state.chmod(0o700)
    now = time.time()
    old = (
        '{"job": "slow", "source": "app", "watcher": "old", "pid": 1, "step": "restore", "tables_done": 1, "tables_total": 2, '
        f'"bytes_done": 1, "bytes_total": 2, "started_at": {now}, "step_started_at": {now}, "updated_at": {now}}}'
    )
    (directory / "slow-app.json").write_text(old)
    module = slow.surroundings.directory / "library/slow.py"
    module.write_text(MODULE.replace('"slow", module', '"other", module'))
    rc, sent = slow.at_a_terminal()
    assert rc == 0, sent
    assert progress_lines(sent) == []
