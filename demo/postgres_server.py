# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway PostgreSQL server in a private directory, for the demo, the tests and the benchmarks.

    with PostgresServer(embedded_bin_directory(18)) as server:
        psycopg2.connect(**server.parameters())

Nothing is left behind: the server and its directory go when the block ends and also when the
process that started them is killed. Started by root, the server runs as `nobody`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from demo.installations import ServerError, account_for_server, copy_for_everybody, reachable_by_everybody
from demo.server_data import (
    ACCESS_RULES,
    NOT_DURABLE,
    SUPERUSER,
    DataRecipe,
    ServerCertificate,
    configure,
    make_data_directory,
)
from demo.server_processes import (
    dismiss_janitor,
    free_port,
    process_options,
    program_version,
    says_ready,
    start_janitor,
    tell_janitor,
)

__all__ = ["PostgresServer", "ServerCertificate", "ServerError"]

POLL_S = 0.004
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
PORT_ATTEMPTS = 5
# A Unix socket's address is at most 107 bytes; the file's own name takes 16 of them.
LONGEST_SOCKET_DIRECTORY = 90
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class PostgresServer:
    """One throwaway server. `start` it, `stop` it, start it again; `close` removes everything.

    bin_directory
        Where `postgres` and `initdb` lie.
    directory
        Where the data is kept. Without it a private temporary directory is made, and removed by
        `close`. With it the data stays, and a later server on the same directory finds it again.
    temporary_base
        Where private temporary directories are made (default: the system's place for them).
    port
        TCP port (and name of the socket); a free one by default.
    listen_addresses
        As in postgresql.conf; an empty string leaves only the Unix socket.
    settings
        Further settings for postgresql.conf; they win over the ones made here.
    auth
        `scram-sha-256` (every role but the superuser needs its password) or `trust`.
    access_rules
        Lines of pg_hba.conf instead of those that `auth` stands for.
    tls
        Switches TLS on with this certificate. The files are copied at each start.
    durable
        False switches fsync off: quicker. Commits outlive a crash of the server, not a power cut.
    initdb_options
        Further options of initdb, such as `--wal-segsize=1`.
    template_cache
        A directory where freshly initialised data directories are kept to be copied from, which
        is several times quicker than initdb.

    Raises `ServerError` where the programs do not run or the directory is of no use to the server.
    """

    def __init__(
        self,
        bin_directory: Path,
        *,
        directory: Path | None = None,
        temporary_base: Path | None = None,
        port: int | None = None,
        listen_addresses: str = "127.0.0.1",
        settings: Mapping[str, object] | None = None,
        auth: str = "scram-sha-256",
        access_rules: Sequence[str] | None = None,
        tls: ServerCertificate | None = None,
        durable: bool = True,
        initdb_options: Sequence[str] = (),
        template_cache: Path | None = None,
    ) -> None:
        self.bin_directory = Path(bin_directory)
        self.version = program_version(self.bin_directory)
        self.major = int(self.version.split(".")[0])
        self.account = account_for_server()
        self.listen_addresses = listen_addresses
        self.access_rules = tuple(access_rules or ACCESS_RULES[auth])
        self.settings = {**({} if durable else NOT_DURABLE), **(settings or {})}
        self.tls = tls
        self.process: subprocess.Popen[bytes] | None = None
        self.port = port or 0
        self._port_is_fixed = port is not None
        self._template_cache = template_cache
        self._temporary_base = temporary_base
        self._removals: list[Path] = []
        self.directory = self._prepared_directory(directory)
        self.data_directory = self.directory / "data"
        self.log_file = self.directory / "server.log"
        self.socket_directory = self._prepared_socket_directory()
        self._janitor = start_janitor(self.data_directory, self._removals)
        programs = self._runnable_programs()
        self._recipe = DataRecipe(programs, self.version, self.account, tuple(initdb_options))

    # What a client needs.

    def parameters(self, **overrides: Any) -> dict[str, Any]:
        """Return libpq's connection parameters: the superuser, by the socket, unless overridden.

        `server.parameters(host="localhost", user="app", password="...", dbname="store")` goes
        over TCP. Fit for `psycopg2.connect(**...)`.
        """
        own = {"host": str(self.socket_directory), "port": self.port, "user": SUPERUSER, "dbname": "postgres"}
        return {**own, **overrides}

    def dsn(self, **overrides: Any) -> str:
        """Return the same parameters as one libpq connection string."""
        quoted = {
            key: str(value).replace("\\", "\\\\").replace("'", "\\'")
            for key, value in self.parameters(**overrides).items()
        }
        return " ".join(f"{key}='{value}'" for key, value in quoted.items())

    @property
    def pid(self) -> int:
        """The server's process (the postmaster). Raises `ServerError` while it is down."""
        if self.process is None:
            raise ServerError(f"The server in {self.directory} is not running.")
        return self.process.pid

    def log_tail(self, lines: int = 15) -> str:
        """Return the last `lines` lines of the server's log since its start."""
        if not self.log_file.exists():
            return ""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    # Its life.

    def start(self) -> PostgresServer:
        """Start the server and return when it accepts connections.

        Makes the data directory if there is none. Raises `ServerError` with the end of the server's
        log where it does not come up.
        """
        if self.process is not None:
            raise ServerError(f"The server in {self.directory} is already running.")
        if not (self.data_directory / "PG_VERSION").exists():
            make_data_directory(self._recipe, self.data_directory, self._template_cache)
        for _ in range(PORT_ATTEMPTS):
            self.port = self.port or free_port()
            self._configure()
            self.process = self._launch()
            if self.process is not None:
                return self
            if self._port_is_fixed or "Address already in use" not in self.log_tail():
                break
            self.port = 0
        raise ServerError(
            f"PostgreSQL {self.version} in {self.directory} did not start. The end of its log:\n{self.log_tail()}"
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop the server and keep its data; `mode` is pg_ctl's (smart, fast, immediate).

        `immediate` is a crash as far as the data is concerned: the next start recovers.
        """
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(STOP_SIGNALS[mode])
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(STOP_TIMEOUT_S)

    def restart(self, mode: str = "fast") -> None:
        """Stop and start again on the same port."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server and remove everything made for it (all but a `directory` given)."""
        self.stop()
        for path in self._removals:
            shutil.rmtree(path, ignore_errors=True)
        dismiss_janitor(self._janitor)

    def __enter__(self) -> PostgresServer:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # How.

    def _prepared_directory(self, directory: Path | None) -> Path:
        if directory is None:
            return self._private_temporary_directory(self._temporary_base)
        directory = Path(os.path.abspath(directory))
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.account is not None and not reachable_by_everybody(directory.parent):
            raise ServerError(
                f"The server runs as {self.account.name}, which cannot enter {directory.parent}. "
                "Choose a directory below one that everybody may enter, such as /var/tmp."
            )
        directory.chmod(0o700)
        self._give_to_account(directory)
        return directory

    def _prepared_socket_directory(self) -> Path:
        directory = self.directory / "socket"
        if len(os.fsencode(directory)) > LONGEST_SOCKET_DIRECTORY:
            return self._private_temporary_directory(self._temporary_base)
        directory.mkdir(mode=0o700, exist_ok=True)
        self._give_to_account(directory)
        return directory

    def _private_temporary_directory(self, base: Path | None = None) -> Path:
        base = base or Path(tempfile.gettempdir())
        if self.account is not None and not reachable_by_everybody(base):
            base = Path("/tmp")
        directory = Path(tempfile.mkdtemp(prefix="resilience-postgres-", dir=base))
        self._removals.append(directory)
        self._give_to_account(directory)
        return directory

    def _give_to_account(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def _runnable_programs(self) -> Path:
        """Return a directory of programs that the server's account can reach."""
        if self.account is None or reachable_by_everybody(self.bin_directory):
            return self.bin_directory
        # Not beside the data, which may lie where nothing can be run (a tmpfs mounted noexec).
        directory = self._private_temporary_directory()
        tell_janitor(self._janitor, f"remove {directory}")
        return copy_for_everybody(self.bin_directory, directory)

    def _configure(self) -> None:
        settings = {
            "listen_addresses": self.listen_addresses,
            "port": self.port,
            "unix_socket_directories": self.socket_directory,
            "unix_socket_permissions": "0700",
            **self.settings,
        }
        configure(self.data_directory, self.account, settings, self.access_rules, self.tls)

    def _launch(self) -> subprocess.Popen[bytes] | None:
        """Start `postgres` itself and wait for its word that it is ready. None if it ended instead."""
        command = [str(self._recipe.bin_directory / "postgres"), "-D", str(self.data_directory)]
        options = process_options(self.account, self.directory)
        with self.log_file.open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **options)
        tell_janitor(self._janitor, f"pid {process.pid}")
        deadline = time.monotonic() + START_TIMEOUT_S
        while process.poll() is None:
            if says_ready(self.data_directory / "postmaster.pid", process.pid):
                return process
            if time.monotonic() > deadline:
                process.send_signal(signal.SIGQUIT)
                process.wait()
            time.sleep(POLL_S)
        return None
