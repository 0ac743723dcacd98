# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PostgreSQL's own programs: which are installed, which fits the server, what this build can do.

pg_dump refuses a server newer than itself. Whoever pipes it into gzip learns of it from a 20-byte file;
here it is known before anything is touched.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..system.commands import how_it_ended, minimal_environment, run
from ..system.errors import (
    IncompatibleVersionError,
    MissingDependencyError,
    ProgramFailedError,
    ResilienceError,
)
from . import version
from .settings import ConnectionSettings
from .version import Version

# Where Debian, Ubuntu and the PostgreSQL project's packages put each major beside the others.
INSTALLED_PATTERNS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin")
PROGRAM_SECONDS = 30.0
PING_SECONDS = 3
# Exit statuses of pg_isready (its documentation): accepting, rejecting, no response, no attempt made.
ACCEPTING, REJECTING, NO_RESPONSE = 0, 1, 2


@dataclass(frozen=True)
class ClientTools:
    """One installed set of client programs."""

    directory: str
    version: Version

    def program(self, name: str) -> str:
        """Path of one program of the set. Raises MissingDependencyError if it is not there."""
        path = os.path.join(self.directory, name)
        if not os.access(path, os.X_OK):
            raise MissingDependencyError(
                f"There is no {name} beside pg_dump in {self.directory}",
                stage="version",
                remedy=install_remedy(self.version.major),
            )
        return path


def install_remedy(major: int) -> str:
    """The exact commands that install the client of this major from the PostgreSQL project."""
    return (
        f"Install the client of version {major} or newer; on Debian and Ubuntu as root: "
        "apt-get install -y postgresql-common && "
        "/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && "
        f"apt-get install -y postgresql-client-{major}. It lives beside older clients and is found by itself."
    )


def find_clients(directory: str | None = None) -> tuple[ClientTools, ...]:
    """Every installed client, newest first; only the one in ``directory`` if that is given.

    Raises MissingDependencyError if there is none at all, or none that runs.
    """
    found: list[ClientTools] = []
    useless: list[str] = []
    for candidate in unique_directories([directory] if directory else _usual_directories()):
        program = os.path.join(candidate, "pg_dump")
        if not os.access(program, os.X_OK) or os.path.basename(os.path.realpath(program)) == "pg_wrapper":
            # Debian's /usr/bin/pg_dump is a wrapper that picks a version by rules of its own.
            continue
        try:
            answer = run([program, "--version"], minimal_environment(), timeout=PROGRAM_SECONDS)
            if answer.rc == 0:
                found.append(ClientTools(candidate, version.from_text(answer.stdout)))
            else:
                useless.append(f"{program} --version failed: {answer.stderr.strip() or how_it_ended(answer.rc)}")
        except ResilienceError as error:
            # One that hangs or states no version is of no use; another may be.
            useless.append(f"{program}: {error.message}")
    if not found and useless:
        raise MissingDependencyError(
            "No pg_dump here runs: {}".format("; ".join(useless)),
            stage="version",
            remedy="Repair that installation, or name another one in client_directory.",
        )
    if not found:
        raise MissingDependencyError(
            "No pg_dump found in %s" % (directory or ", ".join(INSTALLED_PATTERNS) + " or PATH"),
            stage="version",
            remedy=install_remedy(18),
        )
    return tuple(sorted(found, key=lambda tools: tools.version, reverse=True))


def choose_client(clients: Sequence[ClientTools], server: Version) -> ClientTools:
    """The client for this server: of the same major if there is one, else the nearest newer.

    An archive made by a newer client than the server may need that newer client to be restored; hence
    the preference. Raises IncompatibleVersionError when every client is older than the server.
    """
    fitting = [tools for tools in clients if tools.version.major >= server.major]
    if not fitting:
        newest = clients[0]
        raise IncompatibleVersionError(
            f"The server is PostgreSQL {server}, but the newest client here is {newest.version} ({newest.directory}): pg_dump refuses a server "
            "newer than itself",
            stage="version",
            remedy=install_remedy(server.major),
        )
    return min(fitting, key=lambda tools: (tools.version.major, -tools.version.minor))


def supports_compression(tools: ClientTools, algorithm: str) -> bool:
    """Whether this build of pg_dump can compress with ``zstd``, ``lz4``, ``gzip`` or ``none``."""
    if algorithm == "none":
        return True
    if tools.version.major < 16:
        return algorithm == "gzip"
    # pg_dump judges its compression before it connects; the socket directory below cannot exist, so the
    # probe reaches no server either way.
    probe = [tools.program("pg_dump"), "--format=custom", f"--compress={algorithm}", "--host=/dev/null/none"]
    answer = run(probe, minimal_environment(), timeout=PROGRAM_SECONDS)
    return "not support compression" not in answer.stderr and "invalid compression" not in answer.stderr


def ping(clients: Sequence[ClientTools], settings: ConnectionSettings) -> int | None:
    """Exit status of pg_isready for this server, None if there is no pg_isready.

    It tells an unreachable or starting server from one that answered and said no, whatever language the
    server's messages are in. It sends no password, and no name but the host's.
    """
    for tools in clients:
        try:
            program = tools.program("pg_isready")
        except ResilienceError:
            continue
        variables = {"PGSSLMODE": "prefer"}
        for name, variable in (("host", "PGHOST"), ("hostaddr", "PGHOSTADDR"), ("port", "PGPORT")):
            if name in settings.parameters:
                variables[variable] = settings.parameters[name]
        command = [program, "--quiet", "--timeout=%d" % PING_SECONDS]
        try:
            return run(command, minimal_environment(variables), timeout=PROGRAM_SECONDS).rc
        except ProgramFailedError:
            # Looking up a name is not covered by its timeout.
            return NO_RESPONSE
    return None


def _usual_directories() -> Iterable[str]:
    for pattern in INSTALLED_PATTERNS:
        yield from sorted(glob.glob(pattern))
    yield from filter(None, os.environ.get("PATH", "").split(os.pathsep))


def unique_directories(directories: Iterable[str]) -> Iterable[str]:
    """The directories without those that are another one under a second name."""
    seen = set()
    for directory in directories:
        real = os.path.realpath(directory)
        if real not in seen:
            seen.add(real)
            yield directory
