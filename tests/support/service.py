# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application of the requirements in small: a git checkout with a tag, a `.env`, and three PM2 apps.

`whatsapp` holds the sessions through Baileys' own auth state; `worker` and `api` only live. At the tag the code can
keep the sessions in files, at the newest commit it knows PostgreSQL alone. What each app reads and runs with, it
writes down (`service.status`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2 import Pm2
from tests.support import node
from tests.support.databases import TestDatabase
from tests.support.git import TAG as TAG
from tests.support.git import git
from tests.support.pm2 import command, wait_for

MANIFEST_DIRECTORY = Path(__file__).parent / "service"
WHATSAPP, WORKER, API = APPS = ("whatsapp", "worker", "api")
START_SECONDS = 30.0
# What may be put into the directory `control`, each for as long as its file is there.
CONTROLS = ("hold-connection", "hold-writes", "logged-out", "crash")


@dataclass(frozen=True)
class Service:
    """The application in `checkout`; `head` is the commit it runs from, `tagged` the one behind the tag."""

    checkout: Path
    state: Path
    head: str
    tagged: str

    @property
    def sessions(self) -> Path:
        """Where the code at the tag looks for its files."""
        return self.state / "sessions"

    def status(self, app: str = WHATSAPP) -> dict[str, Any]:
        """What an app last said of itself; empty if it has not started yet."""
        try:
            said: dict[str, Any] = json.loads((self.state / f"{app}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return said

    def digests(self, moment: str = "digest") -> dict[str, str]:
        """One digest for each company over all its service holds now (`loaded_digest`: held when it had started)."""
        return {company: summary[moment] for company, summary in self.status()["companies"].items()}

    def start(self, pm2: Pm2, *apps: str) -> None:
        """Start the apps (all three unless named), and wait until each has said what it runs with."""
        before = {app: self.status(app).get("pid") for app in apps or APPS}
        only = ["--only", ",".join(apps)] if apps else []
        command(pm2, "start", str(self.checkout / "ecosystem.config.cjs"), *only)
        for app, pid in before.items():
            self._wait_for_another(app, pid)

    def _wait_for_another(self, app: str, pid: int | None) -> None:
        self.wait(lambda said: said.get("pid") not in (None, pid), f"{app} does not start", app)

    def wait(self, condition: Callable[[dict[str, Any]], Any], otherwise: str, app: str = WHATSAPP) -> dict[str, Any]:
        """Wait until this holds of what the app says, and return that."""

        def holds() -> dict[str, Any] | None:
            said = self.status(app)
            return said if condition(said) else None

        found: dict[str, Any] = wait_for(holds, f"{otherwise}: {self.status(app)}", START_SECONDS)
        return found

    def wait_until_connected(self, other_than: int | None = None) -> dict[str, Any]:
        """Wait until WhatsApp's app is connected, in a process other than this one; returns what it says."""
        return self.wait(lambda said: said.get("connected") and said["pid"] != other_than, "it does not connect")

    def wait_for_writes(self, number: int = 2) -> dict[str, Any]:
        """Wait until that many more rounds of writes are stored; returns what the app says then."""
        wanted = self.status()["writes"] + number
        return self.wait(lambda said: said["writes"] >= wanted, "it does not write")

    def control(self, name: str, on: bool = True) -> None:
        """Ask the app for something, or no longer."""
        assert name in CONTROLS
        path = self.state / "control" / name
        path.touch() if on else path.unlink(missing_ok=True)

    def git(self, *words: str) -> str:
        """Run git in the checkout; returns what it prints."""
        return git(self.checkout, *words)


def make_service(directory: Path, database: TestDatabase, **settings: str) -> Service:
    """Make the application below `directory`, on this database. `settings` go into its `.env`."""
    checkout, state = directory / "app", directory / "state"
    for path in (state, state / "control"):
        path.mkdir()
    head, tagged = make_checkout(checkout)
    (checkout / "node_modules").symlink_to(packages())
    service = Service(checkout, state, head, tagged)
    _write_env(service, database, settings)
    return service


def make_checkout(checkout: Path) -> tuple[str, str]:
    """Make the git repository alone; returns the commit it stands at, and the one behind the tag."""
    checkout.mkdir()
    git(checkout, "init", "--quiet", "--initial-branch", "main")
    _write_code(checkout, MANIFEST_DIRECTORY / "at_tag")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "Keep a way to run on files")
    git(checkout, "tag", "--annotate", TAG, "--message", "The last code that can run on files")
    tagged = git(checkout, "rev-parse", "HEAD").strip()
    (checkout / "auth_files.mjs").unlink()
    _write_code(checkout)
    git(checkout, "commit", "--quiet", "--all", "--message", "Remove the code on files")
    return git(checkout, "rev-parse", "HEAD").strip(), tagged


def packages() -> Path:
    """The directory `node_modules` that the application needs. Raises node.NodeError."""
    return node.packages(MANIFEST_DIRECTORY) / "node_modules"


def _write_code(checkout: Path, *others: Path) -> None:
    for directory in (MANIFEST_DIRECTORY / "code", *others):
        for path in directory.iterdir():
            shutil.copy(path, checkout / (".gitignore" if path.name == "gitignore" else path.name))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(MANIFEST_DIRECTORY / name, checkout / name)


def _write_env(service: Service, database: TestDatabase, settings: dict[str, str]) -> None:
    # dotenv has no escape for quotes: backticks serve every password without one.
    assert "`" not in database.password
    parameters = database.parameters()
    lines = [
        "# The application's settings",
        f"POSTGRES_HOST={parameters['host']}",
        f"POSTGRES_PORT={parameters['port']}",
        f"POSTGRES_DATABASE={database.name}",
        f"POSTGRES_USER={database.user}",
        f"POSTGRES_PASSWORD=`{database.password}`",
        "",
        "USE_REPOSITORY_PATTERN=true",
        'USE_DATABASE_AUTH_STATE="true" # since the files are gone',
        "USE_LEGACY_SUPABASE=false",
        f"AUTH_FILES_DIRECTORY={service.sessions}",
        f"STATUS_DIRECTORY={service.state}",
        *(f"{name}={value}" for name, value in settings.items()),
    ]
    path = service.checkout / ".env"
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
