# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run real playbooks with the real `ansible-playbook`, and modules by themselves.

Nothing of the caller's surroundings gets in: a home of its own, a temporary directory of its own, no
`PG*` variables. What is left in either afterwards is the product's doing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = Path(sys.prefix) / "collections"
ANSIBLE_PLAYBOOK = str(Path(sys.prefix) / "bin" / "ansible-playbook")
MODULES = "ansible_collections.baileys.resilience.plugins.modules"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT_S = 120


class Unsafe(str):
    """A text that Ansible must take as it is: written as `!unsafe`, as a password with `{{` has to be."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"'))


def dump(values: Mapping[str, Any]) -> str:
    """Variables as a file for Ansible holds them."""
    return yaml.dump(dict(values), Dumper=_Dumper, allow_unicode=True)


@dataclass(frozen=True)
class Played:
    """How a run ended, and all it printed."""

    rc: int
    output: str

    def __str__(self) -> str:
        return f"exit status {self.rc}\n{self.output}"


class Surroundings:
    """A home, a temporary directory and an inventory below one directory, and runs in them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.temporary = directory / "tmp"
        self.inventory = directory / "hosts.yml"
        for path in (self.home, self.temporary):
            path.mkdir(mode=0o700)

    def environment(self, **extra: str) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PATH": SYSTEM_PATH,
            "LANG": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
            **extra,
        }

    def write_hosts(self, hosts: Mapping[str, Mapping[str, Any]], **variables: Any) -> None:
        """The inventory: hosts that are all this machine, with these variables."""
        shared = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables}
        inventory = {"all": {"vars": shared, "hosts": {name: dict(given) for name, given in hosts.items()}}}
        self.inventory.write_text(dump(inventory), encoding="utf-8")
        self.inventory.chmod(0o600)

    def play(self, playbook: str, *arguments: str, **extra: str) -> Played:
        """Run a playbook by its path below the repository, or by its full name; `extra` is environment."""
        target = str(ROOT / playbook) if playbook.endswith(".yml") else playbook
        command = [ANSIBLE_PLAYBOOK, "-i", str(self.inventory), target, *arguments]
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=self.environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Played(done.returncode, done.stdout.decode("utf-8", "replace"))

    def play_tasks(
        self, tasks: Sequence[Mapping[str, Any]], *arguments: str, **keywords: Any
    ) -> tuple[Played, dict[str, Any]]:
        """Run tasks one after the other, whether or not they fail, on one host; returns what each registered.

        A task may say `register`; else it is `r<number>`. `keywords` are those of the play.
        """
        results = self.directory / "results.json"
        results.unlink(missing_ok=True)
        names = [str(task.get("register", f"r{number}")) for number, task in enumerate(tasks)]
        written: list[Mapping[str, Any]] = [
            {"ignore_errors": True, "register": name, **task} for name, task in zip(names, tasks, strict=True)
        ]
        every = ", ".join(f"'{name}': {name}" for name in names)
        copy = {"content": "{{ {%s} | to_json }}" % every, "dest": str(results), "mode": "0600"}
        written.append({"ansible.builtin.copy": copy, "diff": False, "check_mode": False})
        play = [{"hosts": "all", "gather_facts": False, "tasks": written, **keywords}]
        playbook = self.directory / "tasks.yml"
        playbook.write_text(yaml.dump(play, Dumper=_Dumper, allow_unicode=True, sort_keys=False), encoding="utf-8")
        played = self.play(str(playbook), *arguments)
        assert results.exists(), played
        return played, json.loads(results.read_text())


def run_module(
    name: str, arguments: Mapping[str, Any], environment: Mapping[str, str] | None = None, umask: int = -1
) -> dict[str, Any]:
    """Run one module in a process of its own, as Ansible would on a host; returns its result."""
    done = subprocess.run(
        [sys.executable, "-m", f"{MODULES}.{name}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": dict(arguments)}).encode(),
        env=dict(environment or {"PATH": SYSTEM_PATH, "HOME": os.devnull}),
        cwd=ROOT,
        capture_output=True,
        umask=umask,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.stdout, done.stderr.decode()
    result: dict[str, Any] = json.loads(done.stdout)
    return result
