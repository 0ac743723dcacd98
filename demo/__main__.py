"""``make demo``: a real PostgreSQL 18 with a realistic session store, backed up, verified, and shown."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg2
from rich.console import Console
from rich.table import Table

from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue, retain, tell
from ansible_collections.baileys.resilience.plugins.module_utils.system.units import human_duration, human_size
from demo import session_store
from demo.installations import embedded_bin_directory
from demo.postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / ".demo"
DATABASE = "whatsapp"
ROLE = "app"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("action", nargs="?", choices=("run", "clean"), default="run", help="clean removes all it made")
    if parser.parse_args().action == "clean":
        for directory in (DIRECTORY, server_directory()):
            shutil.rmtree(directory, ignore_errors=True)
        print(f"The demo is gone: {DIRECTORY.relative_to(ROOT)} and its server were removed.")
        return 0
    console = Console()
    started = time.monotonic()
    DIRECTORY.mkdir(mode=0o700, exist_ok=True)
    binaries = embedded_bin_directory(18)
    console.print("[bold]1.[/] Starting an embedded PostgreSQL 18 with the session store of one company ...")
    with PostgresServer(binaries, directory=server_directory()) as server:
        prepare(server)
        for number, playbook, words in (
            (2, "backup.yml", "Backing it up: ansible-playbook -i inventories/demo playbooks/backup.yml"),
            (3, "verify.yml", "Verifying every archive again: playbooks/verify.yml"),
            (4, "restore_drill.yml", "Restoring it into a scratch server, and proving it: playbooks/restore_drill.yml"),
        ):
            console.print("[bold]%d.[/] %s" % (number, words), highlight=False)
            status = play(playbook, binaries)
            if status:
                console.print(
                    "[red]%s failed with exit status %d; what it printed stands above.[/]" % (playbook, status)
                )
                return status
    show(console)
    console.print(
        f"Done in {human_duration(time.monotonic() - started)}. A second run is quicker; `make demo-clean` leaves nothing behind.",
        highlight=False,
    )
    return 0


def server_directory() -> Path:
    """Where the server's data lie. Started by root it runs as nobody, who may not enter root's directories."""
    if os.geteuid() != 0:
        return DIRECTORY / "server"
    checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    return Path(f"/var/tmp/baileys-resilience-demo-{checkout}")


def prepare(server: PostgresServer) -> None:
    """The database, its owner and the application's .env; made once, kept for the next run."""
    password = password_of_role()
    with contextlib.closing(psycopg2.connect(**server.parameters())) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", (ROLE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD %s", (password,))
            cursor.execute("SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", (DATABASE,))
            empty = cursor.fetchone() is None
            if empty:
                cursor.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
    if empty:
        owner = server.parameters(host="localhost", user=ROLE, password=password, dbname=DATABASE)
        session_store.populate(owner, size="small")
    lines = {
        "POSTGRES_HOST": "localhost",
        "POSTGRES_PORT": str(server.port),
        "POSTGRES_DATABASE": DATABASE,
        "POSTGRES_USER": ROLE,
        "POSTGRES_PASSWORD": f"'{password}'",
    }
    write_private(DIRECTORY / "app.env", "".join("{}={}\n".format(*item) for item in lines.items()))


def password_of_role() -> str:
    """A password as real ones are, kept beside the demo's server."""
    path = DIRECTORY / "password"
    if not path.exists():
        write_private(path, f"p%<>|? {secrets.token_hex(8)}")
    return path.read_text()


def write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)


def play(playbook: str, binaries: Path) -> int:
    """Run a playbook as a user would; its exit status."""
    environment = dict(
        os.environ,
        ANSIBLE_COLLECTIONS_PATH=str(Path(sys.prefix) / "collections"),
        ANSIBLE_NOCOWS="1",
        ANSIBLE_LOCALHOST_WARNING="false",
        DEMO_DIRECTORY=str(DIRECTORY),
        DEMO_CLIENT_DIRECTORY=str(binaries),
    )
    command = [str(Path(sys.prefix) / "bin" / "ansible-playbook"), "-i", "inventories/demo", f"playbooks/{playbook}"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def show(console: Console) -> None:
    """Tables of what was made."""
    root = str(DIRECTORY / "backups")
    archives = catalogue.read_catalogue(root)
    newest = catalogue.newest(archives)
    assert newest is not None
    assert newest.manifest is not None
    manifest = newest.manifest
    about = Table(title="The newest backup", show_header=False, title_justify="left")
    about.add_column()
    about.add_column(overflow="fold")
    for label, value in (
        ("archive", os.path.relpath(newest.path, ROOT)),
        ("state", newest.state),
        ("size", "{} ({} of rows)".format(human_size(newest.size_bytes), human_size(manifest["content_bytes"]))),
        ("SHA-256", newest.sha256),
        ("server, client", "PostgreSQL {}, pg_dump {}".format(manifest["server_version"], manifest["client_version"])),
        ("made in", human_duration(manifest["duration_seconds"])),
    ):
        about.add_row(label, value)
    rows = Table(title="What is in it", title_justify="left")
    for heading in ("table", "rows", "bytes", "digest (SHA-256)"):
        rows.add_column(heading, justify="right" if heading in ("rows", "bytes") else "left")
    for table in manifest["tables"]:
        rows.add_row(
            "{}.{}".format(table["schema"], table["table"]),
            "{:,}".format(table["rows"]),
            human_size(table["bytes"]),
            table["digest"][:16] + "…",
        )
    kept = Table(title="Retention", title_justify="left")
    for heading in ("archive", "state", "stays because"):
        kept.add_column(heading, overflow="fold")
    for decision in retain.decide(archives, retain.DEFAULT_KEEP, catalogue.read_last_run(root)):
        kept.add_row(os.path.relpath(decision.archive.path, root), decision.archive.state, decision.reason)
    totals = tell.statistics(archives)
    console.print()
    for table in (about, rows, drilled(), kept):
        console.print(table)
    console.print("%d archives, %s in all.\n" % (totals["count"], human_size(totals["total_bytes"])), highlight=False)


def drilled() -> Table:
    """What the drill of the newest backup found."""
    newest = max((DIRECTORY / "state" / "reports").glob("drill-*.json"))
    drill = json.loads(newest.read_text())
    table = Table(title="The drill", show_header=False, title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")
    equal = sum(item["outcome"] == "equal" for item in drill["tables"])
    schema, rto, target = drill["schema"], drill["rto"], drill["target"]
    steps = ", ".join("{} {}".format(item["step"], human_duration(item["seconds"])) for item in drill["timings"])
    for label, value in (
        ("verdict", drill["verdict"]),
        ("came back equal", "%d of %d tables, %d rows" % (equal, len(drill["tables"]), drill["archive"]["rows"])),
        ("definitions", "%d of %d equal" % (schema["equal"] + len(schema["rewritten"]), schema["entries"])),
        ("restored into", "PostgreSQL {} ({})".format(target["server_version"], target["origin"])),
        ("took", "{} ({})".format(human_duration(drill["duration_seconds"]), steps)),
        ("RTO", "{} {}".format(human_duration(rto["target_seconds"]), "met" if rto["met"] else "missed")),
        ("page", os.path.relpath(newest.with_suffix(".html"), ROOT)),
    ):
        table.add_row(label, value)
    return table


if __name__ == "__main__":
    sys.exit(main())
