# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `resilience` as the role installs it, with everything it needs below one directory.

The script is the role's own template, the release has the layout of a real one, and runs the collection of this checkout
with one playbook more: `probe`, which does what a test tells it.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from tests.support.other_user import python_for_others
from tests.support.playbooks import ROOT, dump

TEMPLATE = ROOT / "roles" / "runner" / "templates" / "resilience.sh.j2"
SECONDS = 20.0
PROBE = """
# Does what a test tells it. And no more.
- name: Probe
  hosts: all
  gather_facts: false
  tasks:
    - name: Run the program
      ansible.builtin.command:
        argv: "{{ probe_program }}"
        expand_argument_vars: false
      register: probe_run
      changed_when: false

    - name: Say what it said
      ansible.builtin.debug:
        msg: "{{ probe_run.stdout }}"
"""


@dataclass
class RunnerPrefix:
    """Where the command, its release, its settings and its state are."""

    directory: Path
    user: str

    @property
    def command(self) -> Path:
        return self.directory / "resilience"

    @property
    def locks(self) -> Path:
        return self.directory / "state" / "locks"

    def start(
        self, *words: str, environment: Mapping[str, str] | None = None, become: Sequence[str] = (), **options: Any
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*become, str(self.command), *words],
            env={"PATH": os.environ["PATH"], **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, **options)
        out, err = process.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def probe(self, *program: str) -> tuple[str, ...]:
        """The words that make the playbook `probe` run the program."""
        return ("probe", "-e", json.dumps({"probe_program": list(program)}))


def make_prefix(directory: Path, user: str | None = None) -> RunnerPrefix:
    """Install the command for the user, who is this process's own unless given."""
    account = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
    prefix = RunnerPrefix(directory, account.pw_name)
    release = directory / "opt" / "releases" / "one"
    _make_release(release, python_for_others() if user else sys.executable)
    (directory / "opt" / "current").symlink_to("releases/one")
    for name in ("home", "state", "configuration"):
        (directory / name).mkdir(mode=0o700)
    inventory = directory / "configuration" / "hosts.yml"
    local = {
        "ansible_connection": "local",
        "ansible_python_interpreter": str(release / "venv" / "bin" / "python"),
        # Not every user has a home.
        "ansible_remote_tmp": str(directory / "home"),
    }
    inventory.write_text(dump({"all": {"hosts": {"this": local}}}))
    (directory / "configuration" / "ansible.cfg").write_text(
        f"[defaults]\ninventory = {inventory}\nhome = {directory / 'home'}\n"
    )
    settings = {"state_directory": str(directory / "state"), "environment": {"OF_THE_JOBS": "is set"}}
    (directory / "configuration" / "runner.json").write_text(json.dumps(settings))
    prefix.command.write_text(_script(prefix))
    prefix.command.chmod(0o755)
    if user:
        for path in [directory / name for name in ("home", "state", "configuration")]:
            for each in [path, *path.rglob("*")]:
                os.chown(each, account.pw_uid, account.pw_gid)
    return prefix


def _make_release(release: Path, python: str) -> None:
    collection = release / "collections" / "ansible_collections" / "baileys" / "resilience"
    (collection / "playbooks").mkdir(parents=True)
    for path in (ROOT / "playbooks").iterdir():
        (collection / "playbooks" / path.name).symlink_to(path)
    (collection / "playbooks" / "probe.yml").write_text("---" + PROBE)
    for name in ("console", "meta", "plugins", "roles"):
        (collection / name).symlink_to(ROOT / name)
    about = {"namespace": "baileys", "name": "resilience", "version": "1.2.3"}
    (collection / "MANIFEST.json").write_text(json.dumps({"collection_info": about}))
    (release / "in-use").touch(mode=0o644)
    subprocess.run([python, "-m", "venv", "--without-pip", str(release / "venv")], check=True)
    (site_packages,) = (release / "venv" / "lib").glob("python*/site-packages")
    # The packages are those of the tests' own environment; the collection must be this one, so it comes first.
    (site_packages / "a.pth").write_text(f"{release / 'collections'}\n{sysconfig.get_path('purelib')}\n")
    program = release / "venv" / "bin" / "ansible-playbook"
    start = "import sys\nfrom ansible.cli.playbook import main\nsys.exit(main())\n"
    program.write_text(start)


def _script(prefix: RunnerPrefix) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701 - a script
    environment.filters["quote"] = lambda text: "'" + text.replace("'", "'\"'\"'") + "'"
    return environment.from_string(TEMPLATE.read_text()).render(
        runner_user=prefix.user,
        runner_directory=str(prefix.directory / "opt"),
        runner_configuration=str(prefix.directory / "configuration"),
    )


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until it holds; fail by name after a minute."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {SECONDS:g} s"
        time.sleep(0.02)
