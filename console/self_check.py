# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether this environment can run the playbooks: run it with the interpreter and the settings of the jobs.

    resilience --self-check

The exit status is 0 where it can; what only makes some jobs fail is a warning.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

from ansible_collections.baileys.resilience.plugins.module_utils.postgres.client import find_clients
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError

PACKAGES = ("ansible", "psycopg2", "requests", "sentry_sdk")
COLLECTION = "baileys.resilience"
COLLECTION_DIRECTORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COLLECTIONS_PATH = os.path.dirname(os.path.dirname(os.path.dirname(COLLECTION_DIRECTORY)))
# It is for a controller: it sets up hosts, which takes root on them.
NOT_FOR_HOSTS = ("site",)
# What a problem of a playbook or of the inventory is told in; the rest is how Ansible came to it.
_LAST_LINES = 12


def playbooks() -> list[str]:
    """The names of the playbooks that a host runs itself."""
    files = os.listdir(os.path.join(COLLECTION_DIRECTORY, "playbooks"))
    names = [os.path.splitext(name)[0] for name in files if name.endswith(".yml")]
    return sorted(name for name in names if name not in NOT_FOR_HOSTS)


def main() -> int:
    """Check, print one line for each finding, return the exit status."""
    problems = [*_missing_packages(), *_unreadable_playbooks()]
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    for warning in _missing_clients():
        print(f"warning: {warning}")
    if not problems:
        print(f"ok: {len(playbooks())} playbooks and the inventory can be read, psycopg2 loads")
    return 1 if problems else 0


def _missing_packages() -> list[str]:
    problems = []
    for package in PACKAGES:
        try:
            importlib.import_module(package)
        except ImportError as error:
            problems.append(f"{package} cannot be loaded: {error}")
    return problems


def _unreadable_playbooks() -> list[str]:
    program = os.path.join(os.path.dirname(sys.executable), "ansible-playbook")
    names = [f"{COLLECTION}.{name}" for name in playbooks()]
    checked = subprocess.run(
        [sys.executable, "-I", program, "--syntax-check", *names],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS_PATH,
            # Ansible would only warn, and go on without any host.
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if checked.returncode == 0:
        return []
    said = [line for line in checked.stderr.splitlines() if line.strip()]
    return ["the playbooks cannot be read: " + " ".join(said[-_LAST_LINES:])]


def _missing_clients() -> list[str]:
    try:
        find_clients()
    except ResilienceError as error:
        return ["{}. {}".format(error.message.rstrip("."), error.remedy or "").strip()]
    return []


if __name__ == "__main__":
    sys.exit(main())
