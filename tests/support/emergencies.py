# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in an emergency: the application under a real PM2, its sessions in a PostgreSQL that can be taken away."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.backup import make
from ansible_collections.baileys.resilience.plugins.module_utils.backup.check import Bounds
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.request import EmergencyRequest
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.request import Service as ServiceOptions
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2 import Pm2
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_processes import list_processes
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.fence import read_fence
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.files import MANIFEST_FILE
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby import INDEX_FILE, standby_directory
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby_refresh import (
    RefreshRequest,
    refresh_standby,
)
from demo import session_store
from tests.conftest import server_for_tests
from tests.support.databases import TestDatabase, fresh_database
from tests.support.pm2 import pids_of, pm2_home
from tests.support.run_processes import parent_of
from tests.support.service import TAG, WHATSAPP, Service, make_service

SOURCE = "whatsapp"
MakeHost = Callable[..., "Host"]
# All that makes trouble but a backtick, which no quoting of dotenv can hold together with the rest.
PASSWORD = "p<a>s|s?w%o'r\"d with spaces"


@dataclass(frozen=True)
class Host:
    """The application, its database, and all that an emergency needs to know of either."""

    service: Service
    pm2: Pm2
    database: TestDatabase
    directory: Path
    bin_directory: Path

    @property
    def state(self) -> Path:
        """The collection's state directory."""
        return self.directory / "resilience"

    @property
    def backups(self) -> Path:
        return self.directory / "backups"

    @property
    def emergency_checkout(self) -> Path:
        """Where the worktree stands."""
        return Path(f"{self.service.checkout}-emergency")

    def settings(self, **changes: str) -> ConnectionSettings:
        """How the collection reaches the database."""
        given = {name: str(value) for name, value in self.database.parameters().items()}
        password = given.pop("password")
        return ConnectionSettings({**given, **changes}, password)

    def request(self, options: dict[str, Any] | None = None, **changes: Any) -> EmergencyRequest:
        """A confirmed request; `options` are of the service, `changes` of the request."""
        service = ServiceOptions(
            **{
                "app": WHATSAPP,
                "checkout": str(self.service.checkout),
                "sessions_directory": str(self.service.sessions),
                "sessions_variable": "AUTH_FILES_DIRECTORY",
                "tag": TAG,
                "pm2_home": self.pm2.home,
                "pm2_program": self.pm2.program,
                "connected_timeout": 30.0,
                **(options or {}),
            }
        )
        request = EmergencyRequest(
            source=SOURCE,
            settings=self.settings(),
            layout=SessionLayout(),
            service=service,
            state_directory=str(self.state),
            backup_root=str(self.backups),
            confirm=WHATSAPP,
            client_directory=str(self.bin_directory),
            server_directory=str(self.bin_directory),
        )
        return dataclasses.replace(request, **changes)

    def module_arguments(self, options: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """The same as arguments of either module."""
        request = self.request(options)
        parameters = self.database.parameters()
        service = {
            name: value for name, value in dataclasses.asdict(request.service).items() if value not in ("", None)
        }
        return {
            "source": SOURCE,
            "login_host": parameters["host"],
            "login_port": parameters["port"],
            "login_user": parameters["user"],
            "login_password": parameters["password"],
            "database": parameters["dbname"],
            "client_directory": str(self.bin_directory),
            "backup_root": str(self.backups),
            "state_directory": str(self.state),
            "service": service,
            "confirm": WHATSAPP,
            **changes,
        }

    def back_up(self) -> None:
        """Make a verified backup."""
        make.make_backup(
            make.BackupRequest(
                source=SOURCE,
                settings=self.settings(),
                backup_root=str(self.backups),
                client_directory=str(self.bin_directory),
                bounds=Bounds(),
                keep={"daily": 7},
            )
        )

    def refresh_standby(self) -> None:
        """Make the standby, or bring it up to date."""
        request = RefreshRequest(SOURCE, self.settings(), SessionLayout(), str(self.state))
        assert not refresh_standby(request).of("failed")

    def age_standby(self, by: timedelta) -> None:
        """Make it look as if it had been made so long ago."""
        directory = Path(standby_directory(str(self.state), SOURCE))
        for path in (directory / INDEX_FILE, *directory.glob(f"*/{MANIFEST_FILE}")):
            path.write_text(json.dumps(_aged(json.loads(path.read_text()), by)))

    def running(self) -> dict[str, str]:
        """Status of every app that PM2 has."""
        return {process.name: process.status for process in list_processes(self.pm2)}

    def side(self) -> str:
        """The side the service runs on, as its own process says: `postgresql`, `files`, or `neither`."""
        processes = [process for process in list_processes(self.pm2, WHATSAPP) if process.running]
        if not processes:
            return "neither"
        (process,) = processes
        return "files" if os.path.realpath(f"/proc/{process.pid}/cwd").endswith("-emergency") else "postgresql"

    def instances(self) -> list[int]:
        """Every process of the service there is, on whichever side, whether PM2 knows of it or not."""
        found = {}
        for pid in pids_of(Path(self.pm2.home)):
            # Asked before it is known to live: of a process that has gone since, nobody can say whose child it was.
            parent = parent_of(pid)
            with contextlib.suppress(OSError):
                if b"whatsapp.mjs" in Path("/proc", str(pid), "cmdline").read_bytes():
                    found[pid] = parent
        # What it starts looks like itself for the moment between fork and exec.
        return [pid for pid, parent in found.items() if parent not in found]

    @contextlib.contextmanager
    def never_two(self) -> Iterator[None]:
        """See at every moment of the block that the service runs at most once."""
        seen: list[str] = []
        ended = threading.Event()

        def look() -> None:
            while not ended.is_set():
                pids = self.instances()
                if len(pids) > 1:
                    seen.extend(map(_described, pids))

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
        assert seen == [], "instances of the service that ran at the same time"

    def status(self, job: str) -> dict[str, Any]:
        """What the status file of a job says of the source."""
        document = json.loads((self.state / "status" / f"{job}.json").read_text())
        found: dict[str, Any] = document["subjects"][SOURCE]
        return found

    def wait_until_connected(self, side: str) -> dict[str, Any]:
        """Wait until the service is connected on this side, `postgresql` or `files`; returns what it says."""
        return self.service.wait(
            lambda said: said.get("connected") and said["auth"] == side and said["pid"] in self.instances(),
            f"it does not connect on {side}",
        )

    def owner(self) -> str:
        """Who owns the sessions, as this host knows."""
        return read_fence(str(self.state), SOURCE).owner

    def others(self) -> dict[str, dict[str, Any]]:
        """What worker and API say of themselves: their process, commit, directory and settings."""
        return {name: self.service.status(name) for name in ("worker", "api")}


def _described(pid: int) -> str:
    """What can be said of a process; of one that has gone, its number."""
    try:
        words = Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        return f"{pid}: {words.strip()}, child of {parent_of(pid)}, in {os.readlink(f'/proc/{pid}/cwd')}"
    except OSError:
        return f"{pid}: gone"


def _aged(value: Any, by: timedelta) -> Any:
    """The same document with every time in it moved back."""
    if isinstance(value, dict):
        return {key: _aged(item, by) for key, item in value.items()}
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return (datetime.fromisoformat(value) - by).isoformat()
    return value


@contextlib.contextmanager
def host_with_service(directory: Path, bin_directory: Path, *, companies: int = 1, **settings: str) -> Iterator[Host]:
    """A host whose three apps run and whose service is connected to a PostgreSQL of its own.

    `settings` go into the `.env` of the application.
    """
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(server_for_tests(bin_directory))
        database = stack.enter_context(fresh_database(server, password=PASSWORD))
        # Whatever a test has done to it: the database is dropped at the end.
        stack.callback(server.restart)
        session_store.populate(database.parameters(), companies=companies)
        service = make_service(directory, database, **settings)
        pm2 = stack.enter_context(pm2_home(directory / "pm2"))
        service.start(pm2)
        service.wait_until_connected()
        yield Host(service, pm2, database, directory, bin_directory)
