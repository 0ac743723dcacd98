# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's first inventory and its restore by hand, typed as they stand.

Names of the example are replaced by those of a server under test; every command is run as written, in a terminal.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
import yaml

from demo import session_store
from demo.postgres_server import PostgresServer
from tests.support import documents
from tests.support.databases import UGLY_PASSWORD, create_role, run_sql
from tests.support.documents import ROOT, literals
from tests.support.playbooks import SYSTEM_PATH, Surroundings
from tests.support.tls import Certificates

README = documents.read(ROOT / "README.md")
FIRST_INVENTORY = "The first inventory"
NOW_AND_THEN = "Now and then"
AT_0300 = "At 03:00"
BY_HAND = "By hand"
NAME = "whatsapp"
RESTORED = "whatsapp_restored"
TIMEOUT_S = 180
# In a .env a value with both other quotes in it stands between back-ticks, and so can hold none.
PASSWORD = UGLY_PASSWORD.replace("`", "")


class Reader:
    """Somebody with a fresh Ansible, PostgreSQL's client, and a database that a provider runs."""

    def __init__(self, directory: Path, server: PostgresServer, ca: Path) -> None:
        self.server = server
        self.surroundings = Surroundings(directory)
        self.directory = directory
        self.backups = directory / "backups"
        self.state = directory / "state"
        self.used: set[str] = set()
        self.replacements = {
            "db.example.net": "localhost",
            "5432": str(server.port),
            "/etc/ssl/certs/database-provider-root.pem": str(ca),
            "/var/backups/postgresql": str(self.backups),
            "/opt/whatsapp/.env": str(directory / "app.env"),
        }
        programs = [str(Path(sys.prefix) / "bin"), str(server.bin_directory), SYSTEM_PATH]
        self.environment = self.surroundings.environment(PATH=":".join(programs), TERM="dumb")

    def here(self, text: str) -> str:
        """The text of the README with what is here in the place of its examples."""
        for example, real in self.replacements.items():
            if example in text:
                self.used.add(example)
                text = text.replace(example, real)
        return text

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def write_inventory(self, text: str) -> None:
        self.write("inventory/hosts.yml", text)
        # The only thing that is not the README's: root's own state directory is not for tests.
        self.write("inventory/group_vars/all/of_the_test.yml", f"backup_state_directory: {self.state}\n")

    def type_in(self, *commands: str) -> str:
        """Type the commands into a shell that stops at the first that fails; returns what was printed."""
        ours, theirs = pty.openpty()
        shell = ["timeout", "--foreground", str(TIMEOUT_S), "bash", "-euo", "pipefail", "-c", "\n".join(commands)]
        with subprocess.Popen(
            shell,
            cwd=self.directory,
            env=self.environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            printed = bytearray()
            # A terminal whose last program has gone is an error to the one who reads it.
            while piece := _read_terminal(ours):
                printed += piece
        os.close(ours)
        output = printed.decode("utf-8", "replace").replace("\r\n", "\n")
        assert process.returncode == 0, "\n".join([*commands, output])
        return output

    def restore(self, *commands: str) -> str:
        """The same with the password file that the README refers to; no backup is to be made with its help."""
        escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
        file = self.write("pgpass", f"*:*:*:*:{escaped}\n")
        return self.type_in(f"export PGPASSFILE={file}", *commands)

    def archives(self, tier: str = "daily", ending: str = ".dump") -> list[Path]:
        return sorted((self.backups / tier).glob(f"backup-*{ending}"))

    def sql(self, statement: str, database: str = NAME) -> list[tuple[object, ...]]:
        return run_sql(self.server.parameters(dbname=database), statement)


def _read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""


@pytest.fixture
def reader(
    tmp_path: Path,
    bin_full18: Path,
    certificates: Certificates,
    start_server: Callable[..., PostgresServer],
) -> Reader:
    """A server with TLS, and the database and the plain role that the README names."""
    server = start_server(bin_full18, tls=certificates.right)
    create_role(server, name=NAME, password=PASSWORD, options="CREATEDB")
    # Whoever has settings of their own must be shown the same digests.
    for setting in ("TimeZone = 'Europe/Moscow'", "DateStyle = 'German'"):
        run_sql(server.parameters(), f"ALTER ROLE {NAME} SET {setting}")
    run_sql(server.parameters(), f"CREATE DATABASE {NAME} OWNER {NAME}")
    owner = server.parameters(host="localhost", user=NAME, password=PASSWORD, dbname=NAME)
    session_store.populate(owner, size="small")
    return Reader(tmp_path, server, certificates.ca)


def first_inventory() -> str:
    return README.code("yaml", FIRST_INVENTORY)[0]


def from_the_controller() -> str:
    """Back up, verify, drill. What is typed on a host that has the command is in molecule/default."""
    (block,) = [block for block in README.code("sh", NOW_AND_THEN) if block.startswith("ansible-playbook")]
    return block


def with_env_file(reader: Reader) -> str:
    """The first inventory with the README's one line for five, and the file it names."""
    line = README.code("yaml", FIRST_INVENTORY)[2]
    text, replaced = re.subn(r"(?ms)^ +database: .*^ +login_password: [^\n]*\n", line, first_inventory())
    assert replaced == 1
    values = {
        "HOST": "localhost",
        "PORT": reader.server.port,
        "DATABASE": NAME,
        "USER": NAME,
        "PASSWORD": f"`{PASSWORD}`",
    }
    reader.write("app.env", "".join(f"POSTGRES_{name}={value}\n" for name, value in values.items()))
    return text


def test_the_first_inventory_and_the_restore_by_hand(reader: Reader) -> None:
    password = PASSWORD.replace("'", "''")
    (vault_line,) = README.code("yaml", FIRST_INVENTORY)[1].splitlines()
    reader.write("vault-content", vault_line.replace("the password", password) + "\n")
    reader.environment["EDITOR"] = str(reader.write("editor", '#!/bin/sh\ncat vault-content > "$1"\n', 0o700))
    reader.write_inventory(reader.here(first_inventory()))

    printed = reader.type_in(*map(reader.here, [*README.code("sh", FIRST_INVENTORY), from_the_controller()]))

    assert (reader.directory / "inventory/group_vars/all/vault.yml").read_text().startswith("$ANSIBLE_VAULT;")
    (archive,) = reader.archives()
    (link,) = reader.archives("monthly")
    assert link.samefile(archive)
    assert re.search(r"^\+ daily/backup-\S+\.dump +made; kept: daily: day \S+, 1 of 7$", printed, re.MULTILINE)
    assert printed.count("failed=0") == 4
    assert PASSWORD not in printed

    commands = [reader.here(block) for block in README.code("sh", BY_HAND) if "gunzip" not in block]
    wanted = f"{reader.backups}/daily/backup-2026-11-21T030000Z.dump"
    assert sum(block.count(wanted) for block in commands) == 1
    shown = reader.restore(*(block.replace(wanted, str(archive)) for block in commands))

    manifest = json.loads(Path(f"{archive}.manifest.json").read_text())
    assert f"{archive}: OK" in shown
    assert f"Dumped from database version: {manifest['server_version']}" in shown
    assert f'{archive}.manifest.json:  "state": "proven"' in shown
    # The digest of the restored table, and that of the manifest.
    (restored,) = re.findall(r"^([0-9a-f]{64})  -$", shown, re.MULTILINE)
    assert f'"digest": "{restored}"' in shown
    tables = {table["table"]: table for table in manifest["tables"]}
    assert restored == tables["whatsapp_keys"]["digest"]
    for name, rows in session_store.expected_counts().items():
        assert reader.sql(f"SELECT count(*) FROM {name}", RESTORED) == [(rows,)]
        assert tables[name]["rows"] == rows
    assert reader.used == set(reader.replacements) - {"/opt/whatsapp/.env"}

    run_sql(reader.server.parameters(), f"DROP DATABASE {RESTORED}")
    reader.sql("DELETE FROM whatsapp_keys RETURNING 1")
    by_playbook = reader.type_in(*map(reader.here, README.code("sh", AT_0300)))

    assert f'"archive": "{archive}"' in by_playbook
    assert by_playbook.count("failed=0") == 3
    for database in (NAME, RESTORED):
        for name, rows in session_store.expected_counts().items():
            assert reader.sql(f"SELECT count(*) FROM {name}", database) == [(rows,)]
    kept = [name for (name,) in reader.sql("SELECT datname FROM pg_database WHERE NOT datistemplate")]
    (old,) = set(kept) - {NAME, RESTORED, "postgres"}
    assert str(old) in by_playbook
    assert reader.sql("SELECT count(*) FROM whatsapp_keys", str(old)) == [(0,)]
    assert_what_the_guides_say(reader, list(manifest))


def assert_what_the_guides_say(reader: Reader, manifest_keys: list[str]) -> None:
    """The tables of keys and metrics in the guides are those of the files that were made."""
    guide = documents.read(ROOT / "docs/manifest.md")
    assert manifest_keys == [key for row in guide.rows("Keys") for key in literals(row[0])]
    rows = documents.read(ROOT / "docs/reporting.md").rows("The Prometheus textfile")
    for job in ("backup", "verify"):
        made = re.findall(r"^# TYPE (\S+) gauge$", (reader.state / "metrics" / f"{job}.prom").read_text(), re.MULTILINE)
        described = {literals(row[0])[0].replace("<job>", job) for row in rows}
        mine = {name for name in described if name.startswith(f"baileys_resilience_{job}_")}
        # Nothing has failed yet, which the guide says makes this one absent.
        assert set(made) == mine - {f"baileys_resilience_{job}_last_failure_timestamp_seconds"}


def test_one_line_replaces_the_connection(reader: Reader) -> None:
    reader.write_inventory(reader.here(with_env_file(reader)))
    # Without the block that makes the Vault: the README says that none is needed.
    assert reader.type_in(reader.here(from_the_controller())).count("failed=0") == 4
    assert reader.archives()
    host = yaml.safe_load(reader.here(with_env_file(reader)))["all"]["hosts"]["app1"]
    assert not [key for key in host["backup_sources"][0] if key.startswith("login_")]

    (settings,) = documents.read(ROOT / "docs/settings.md").code("sh", "Settings of one run")
    assert reader.type_in(settings).count("failed=0") == 3
    # Each run of a day takes the place of the one before it. (There may be two: midnight passes in tests too.)
    for tier, period in (("daily", slice(7, 17)), ("monthly", slice(7, 14))):
        periods = [
            archive.name[period]
            for archive in reader.archives(tier)
            # The one that the drill has proven stays until another one is.
            if json.loads(Path(f"{archive}.manifest.json").read_text())["state"] != "proven"
        ]
        assert periods or tier == "monthly"
        assert len(set(periods)) == len(periods), tier


def test_a_plain_archive_is_restored_with_psql(reader: Reader) -> None:
    reader.write_inventory(reader.here(with_env_file(reader)))
    reader.type_in("ansible-playbook -i inventory baileys.resilience.backup -e backup_format=plain")
    (archive,) = reader.archives(ending=".sql.gz")
    run_sql(reader.server.parameters(), f"CREATE DATABASE {RESTORED} OWNER {NAME}")
    (restore,) = [block for block in README.code("sh", BY_HAND) if "gunzip" in block]
    (connect,) = [block for block in README.code("sh", BY_HAND) if "PGHOST" in block]
    exports = [line for line in connect.splitlines() if line.startswith("export ")]
    reader.restore(f"ARCHIVE={archive}", *map(reader.here, exports), restore)
    for name, rows in session_store.expected_counts().items():
        assert reader.sql(f"SELECT count(*) FROM {name}", RESTORED) == [(rows,)]


def test_a_restore_goes_on_after_errors_without_those_options(reader: Reader) -> None:
    """The README says that both options matter; this is what they are for."""
    reader.write_inventory(reader.here(with_env_file(reader)))
    reader.type_in("ansible-playbook -i inventory baileys.resilience.backup")
    (archive,) = reader.archives()
    (connect,) = [block for block in README.code("sh", BY_HAND) if "PGHOST" in block]
    command = next(line for line in connect.splitlines() if "--exit-on-error" in line)
    exports = [reader.here(line) for line in connect.splitlines() if line.startswith("export ")]
    run_sql(reader.server.parameters(), f"CREATE DATABASE {RESTORED} OWNER {NAME}")
    owner = reader.server.parameters(host="localhost", user=NAME, password=PASSWORD, dbname=RESTORED)
    with pytest.raises(psycopg2.errors.UndefinedTable):
        run_sql(owner, "SELECT count(*) FROM whatsapp_auth")
    # Something of that name is in the way.
    run_sql(owner, "CREATE TABLE whatsapp_keys (other int)")
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"

    with pytest.raises(AssertionError, match="already exists"):
        reader.restore(f"ARCHIVE={archive}", *exports, command)
    assert reader.sql(tables, RESTORED) == [(1,)], "all or nothing"

    bare = command.replace(" --exit-on-error --single-transaction", "")
    assert bare != command
    with pytest.raises(AssertionError, match="errors ignored on restore"):
        reader.restore(f"ARCHIVE={archive}", *exports, bare)
    assert reader.sql(tables, RESTORED) == [(2,)], "half a database"


def test_the_example_inventory_is_made_as_its_readme_says(tmp_path: Path) -> None:
    surroundings = Surroundings(tmp_path)
    (tmp_path / "inventories").mkdir()
    shutil.copytree(ROOT / "inventories/example", tmp_path / "inventories/example")
    # The second block goes to the hosts; molecule/default does what it says.
    commands, _site = documents.read(ROOT / "inventories/example/README.md").code("sh")
    environment = surroundings.environment(
        PATH=f"{Path(sys.prefix) / 'bin'}:{SYSTEM_PATH}",
        # Nothing to change; `ansible-vault edit` asks for a terminal that a test has not got.
        EDITOR="true",
    )
    typed = commands.replace("ansible-vault edit", "ansible-vault view")
    assert typed != commands
    # Every template finds its secret, and the secret arrives as it stands.
    seen = "ansible keeper1 -i inventory -c local -m ansible.builtin.debug -a 'msg={{ [backup_sources, sentry_dsn] }}'"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{typed}\n{seen} -e ansible_become=false"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "|--keeper1" in done.stdout
    message = json.loads(done.stdout.partition("SUCCESS => ")[2])["msg"]
    assert message[0][0]["login_password"] == "p<a>s|s?w%o'r\"d"
    assert (tmp_path / "inventory/group_vars/all/vault.yml").read_text().startswith("$ANSIBLE_VAULT;")
