# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""first_steps.py DIRECTORY: writes what a new user types, taken from the README as it stands.

The words of the README's example are replaced by those of the scenario's database; nothing else is changed. What has to
be different here is in a file of its own, group_vars/all/of_the_test.yml.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import yaml

from scripts.tree import ROOT, project_files
from tests.support import documents

README = documents.read(ROOT / "README.md")
CHECKOUT = "/root/baileys.resilience"
DATABASE_HOST = "db1"
SCENARIO = Path(__file__).parents[1]

OF_THE_TEST = """\
# No host of the scenario reaches the PostgreSQL project's repository, and nobody waits for 03:00.
postgresql_client_source: distribution
pm2_jobs_list:
  - name: backup-postgresql
    playbook: backup
    schedule: "* * * * *"
"""


def script() -> str:
    """A shell script that stops at the first line that fails."""
    (install, _other_way) = README.code("sh", "Install")
    inventory, vault, _env_file = README.code("yaml", "The first inventory")
    (make_vault,) = README.code("sh", "The first inventory")
    (set_up, _look) = README.code("sh", "On schedule")
    on_the_host = README.code("sh", "Now and then")[0]
    variables = yaml.safe_load((SCENARIO / "inventory/group_vars/all.yml").read_text().replace("!unsafe", ""))
    password = variables["database_password"].replace("'", "''")
    return "\n".join(
        [
            "set -euxo pipefail",
            # A new login has no more than this.
            "export HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            f"cd {CHECKOUT}",
            install,
            "mkdir -p inventory/group_vars/all",
            _file("inventory/hosts.yml", inventory.replace("db.example.net", DATABASE_HOST)),
            _file("inventory/group_vars/all/of_the_test.yml", OF_THE_TEST),
            _file("/root/vault-content", vault.replace("the password", password)),
            # The editor that ansible-vault opens.
            _file("/root/editor", '#!/bin/sh\ncat /root/vault-content > "$1"\n'),
            "chmod 700 /root/editor; chmod 600 /root/vault-content",
            "export EDITOR=/root/editor",
            make_vault,
            set_up,
            on_the_host,
            # The second line of the block, once more: nothing is left to do.
            set_up.splitlines()[-1],
        ]
    )


def _file(name: str, content: str) -> str:
    return f"cat > {name} <<'END OF FILE'\n{content}\nEND OF FILE"


def main(directory: Path) -> None:
    (directory / "first_steps.sh").write_text(script() + "\n", encoding="utf-8")
    with tarfile.open(directory / "checkout.tar", "w") as checkout:
        for name in project_files():
            if not name.startswith(("tests/", "benchmarks/")):
                checkout.add(ROOT / name, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
