# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source with its backup root, real runs of the modules on it, and what must hold whatever went wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue, naming, verify
from ansible_collections.baileys.resilience.plugins.module_utils.backup.decode import hash_file, hash_file_set
from ansible_collections.baileys.resilience.plugins.module_utils.backup.make import BackupRequest, make_backup
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.support import run_processes
from tests.support.backups import request_for, strays, tree_state
from tests.support.databases import TestDatabase
from tests.support.playbooks import MODULES, SYSTEM_PATH
from tests.support.watch import files_holding, holds

ARCHIVE = re.compile(r"backup-\d{4}-\d\d-\d\dT\d{6}Z\.(dump|dir|sql(\.gz|\.zst|\.lz4)?)")
MANIFEST = ".manifest.json"
TIMEOUT_S = 120


@dataclass(frozen=True)
class ModuleRun:
    """An ended module: `rc` is negative for the signal that ended it, and `result` empty then."""

    rc: int
    result: dict[str, Any]
    output: str
    seconds: float

    @property
    def failed(self) -> bool:
        return self.rc != 0

    @property
    def message(self) -> str:
        return str(self.result.get("msg", ""))

    @property
    def warnings(self) -> str:
        return " | ".join(str(warning) for warning in self.result.get("warnings", []))


class RunningModule:
    """A started module; `with` sees to it that it is gone afterwards."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], arguments: Mapping[str, Any]) -> None:
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self.process.stdin as stdin:
            stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": dict(arguments)}).encode())
        self.process.stdin = None

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End the module itself, and no other process, by a signal."""
        self.process.send_signal(number)

    def finish(self) -> ModuleRun:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        seconds = time.monotonic() - self._started
        words = out.decode() + err.decode()
        try:
            result = json.loads(out) if out else {}
        except ValueError as error:
            raise AssertionError(f"the module printed no JSON:\n{words}") from error
        assert result or self.process.returncode < 0, f"the module said nothing it should have:\n{words}"
        return ModuleRun(self.process.returncode, result, words, seconds)

    def __enter__(self) -> RunningModule:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class BackupJob:
    """One database, its backup root and state directory below `directory`, and the modules run on them.

    The home directory of the runs is the mark by which their processes are known: the product hands it on to
    every child. `prefix` is a command that the modules are started with, `root` where this process sees the
    backup root if that is elsewhere than the modules do.
    """

    def __init__(
        self,
        directory: Path,
        database: TestDatabase,
        *,
        backup_root: Path | None = None,
        root: Path | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.database = database
        self.backup_root = backup_root or directory / "backups"
        self.root = root or self.backup_root
        self.state = directory / "state"
        self.home = directory / "home"
        self.temporary = directory / "tmp"
        self.prefix = tuple(prefix)
        for path in (self.home, self.temporary):
            path.mkdir(mode=0o700)

    # Runs.

    def arguments(self, **options: Any) -> dict[str, Any]:
        """The options of pg_backup, by which it reaches the database over TCP as its owner."""
        parameters = self.database.parameters()
        return {
            "source": "app",
            "backup_root": str(self.backup_root),
            "state_directory": str(self.state),
            "client_directory": str(self.database.server.bin_directory),
            "database": self.database.name,
            "login_host": parameters["host"],
            "login_port": parameters["port"],
            "login_user": parameters["user"],
            "login_password": parameters["password"],
            **options,
        }

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "TMPDIR": str(self.temporary), "PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}

    def start(self, module: str = "pg_backup", prefix: Sequence[str] | None = None, **options: Any) -> RunningModule:
        """Start a module; `options` go over those of `arguments` for pg_backup, and stand alone for another."""
        arguments = self.arguments(**options) if module == "pg_backup" else options
        command = [
            *(self.prefix if prefix is None else prefix),
            sys.executable,
            "-X",
            "faulthandler",
            "-m",
            f"{MODULES}.{module}",
        ]
        return RunningModule(command, self.environment(), arguments)

    def run(self, module: str = "pg_backup", prefix: Sequence[str] | None = None, **options: Any) -> ModuleRun:
        """Run a module to its end."""
        with self.start(module, prefix, **options) as running:
            return running.finish()

    def succeed(self, **options: Any) -> ModuleRun:
        """Run pg_backup, which must succeed."""
        run = self.run(**options)
        assert not run.failed, run.output
        return run

    def prune(self, **options: Any) -> ModuleRun:
        return self.run("pg_backup_prune", backup_root=str(self.backup_root), **options)

    def request(self, **options: Any) -> BackupRequest:
        """A request to the core for the same."""
        return request_for(self.database, self.root, **{"source": "app", **options})

    def back_up_here(self, **options: Any) -> None:
        """A good backup without a process of its own, which is quicker."""
        make_backup(self.request(**options))

    # What there is.

    def published(self) -> dict[str, tuple[Any, ...]]:
        """Every archive and manifest with mode, owner, inode, time and content; two equal ones are untouched."""
        if not self.root.is_dir():
            return {}
        visible = [Path(archive.path) for archive in catalogue.read_catalogue(str(self.root))]
        names = [str(path.relative_to(self.root)) for path in visible]
        manifests = [name + MANIFEST for name in names]
        state = tree_state(self.root)
        return {
            name: facts
            for name, facts in state.items()
            if name in names or name in manifests or any(name.startswith(archive + "/") for archive in names)
        }

    def last_run(self) -> str | None:
        record = catalogue.read_last_run(str(self.root))
        return record.outcome if record else None

    # What must hold.

    def assert_harmless(self, run: ModuleRun, before: Mapping[str, tuple[Any, ...]]) -> None:
        """After a failure: earlier archives as they were, nothing new among them, no process, no secret."""
        assert run.failed, run.output
        assert self.published() == before
        self.assert_gone()
        self.assert_secret_kept(run.output)

    def assert_gone(self) -> None:
        """No process of a run is left, here or on the server, and no temporary file."""
        run_processes.wait_for_none(str(self.home))
        query = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{self.database.user}'"
        run_processes.wait_until(
            lambda: self.database.execute(query, superuser=True) == [(0,)], "sessions are left on the server"
        )
        assert list(self.temporary.iterdir()) == []

    def assert_secret_kept(self, words: str) -> None:
        """The password stands neither in these words nor in any file."""
        password = self.database.password
        needles = (password, json.dumps(password)[1:-1])
        assert holds(words.encode(), *needles) == []
        for directory in (self.root, self.state, self.home):
            assert files_holding(directory, *needles) == []

    def assert_next_run_heals(self, **options: Any) -> ModuleRun:
        """The next run succeeds and leaves nothing but archives and manifests."""
        run = self.succeed(**options)
        assert strays(self.root) == []
        self.assert_gone()
        return run

    def assert_heals(self, **options: Any) -> None:
        """The same by the core alone (`options` of BackupRequest), which is quicker than a module."""
        self.back_up_here(**options)
        assert strays(self.root) == []
        assert self.last_run() == "ok"

    def assert_all_verify(self) -> None:
        """Every archive holds when it is read again."""
        results = verify.verify_all(str(self.root), client_directory=str(self.database.server.bin_directory))
        assert results
        assert {result.archive.path: result.problems for result in results if not result.holds} == {}


class IncompleteWatch:
    """Looks at a backup root again and again, as a reader would: whatever it sees there must be whole.

    A reader takes for a backup what has the name of one: it must then have its manifest, and the size and the
    SHA-256 that stand in it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._ended = threading.Event()
        self._seen: set[tuple[str, int]] = set()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.incomplete: list[str] = []
        self.rounds = 0

    def __enter__(self) -> IncompleteWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            self.rounds += 1
            for tier in naming.TIERS:
                with contextlib.suppress(FileNotFoundError):
                    for name in os.listdir(self._root / tier):
                        if ARCHIVE.fullmatch(name):
                            self._look_at(self._root / tier / name)
            self._ended.wait(0.002)

    def _look_at(self, path: Path) -> None:
        try:
            key = (str(path), path.stat().st_ino)
            if key in self._seen:
                return
            size, digest = hash_file_set(str(path))[:2] if path.is_dir() else hash_file(str(path))
            manifest = json.loads(path.with_name(path.name + MANIFEST).read_text())
        except (OSError, ResilienceError, ValueError) as error:
            # Retention takes the archive away first: then there is no archive, and nothing to be whole.
            if path.exists():
                self.incomplete.append(f"{path}: {error}")
            return
        if (manifest["size_bytes"], manifest["sha256"]) != (size, digest):
            self.incomplete.append(f"{path} is not what its manifest says")
        self._seen.add(key)
