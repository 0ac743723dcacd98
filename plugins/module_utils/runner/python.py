# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python of this host, and virtual environments made by it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..system.commands import Completed, how_it_ended, run
from ..system.errors import MissingDependencyError, ProgramFailedError

# The oldest that the pinned ansible-core runs on.
OLDEST = (3, 11)
NEWEST = (3, 14)
_ASK_SECONDS = 20.0
# Packages of some MB over a slow line; pip gives up a dead connection by itself much earlier.
INSTALL_SECONDS = 1200.0
_ASK = (
    "import importlib.util as u, json, sys; "
    "print(json.dumps([*sys.version_info[:2], sys.implementation.name, bool(u.find_spec('ensurepip'))]))"
)
# As much of pip's complaint as a person needs.
_LAST_LINES = 6


@dataclass(frozen=True)
class PythonProgram:
    """A Python interpreter: its path, its version (3, 13), and whether it can make virtual environments."""

    path: str
    version: tuple[int, int]
    implementation: str
    makes_environments: bool

    @property
    def name(self) -> str:
        """As it stands in the name of a release: ``cpython-3.13``."""
        return "{}-{}.{}".format(self.implementation, *self.version)


@dataclass(frozen=True)
class PackageSource:
    """Where pip takes packages from; nothing given means its own settings (pip.conf) and PyPI."""

    index_url: str | None = None
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    arguments: tuple[str, ...] = ()


def inspect_python(path: str | None) -> PythonProgram:
    """The interpreter at ``path``, else the one this runs under. Raises MissingDependencyError where it will not do."""
    program = path or sys.executable
    asked = run([program, "-I", "-c", _ASK], _environment(), timeout=_ASK_SECONDS)
    if asked.rc != 0:
        raise MissingDependencyError(
            f"{program} does not run as a Python ({how_it_ended(asked.rc)})",
            stage="python",
            remedy="Name a Python from 3.11 on with runner_python.",
        )
    major, minor, implementation, makes_environments = json.loads(asked.stdout)
    if (major, minor) < OLDEST:
        raise MissingDependencyError(
            f"{program} is Python {major}.{minor}, and ansible-core needs 3.11 or newer to run playbooks on this host",
            stage="python",
            remedy="Install a newer Python beside it and name it with runner_python, or run the playbooks from a"
            " controller instead: modules need Python 3.9 only.",
        )
    return PythonProgram(program, (major, minor), implementation, makes_environments)


def require_environments(python: PythonProgram) -> None:
    """Raises MissingDependencyError where the interpreter cannot be used for a new environment."""
    if python.version > NEWEST:
        raise MissingDependencyError(
            "{} is Python {}.{}, and the pinned packages are those for 3.11 to 3.14".format(
                python.path, *python.version
            ),
            stage="python",
            remedy="Name an older Python with runner_python.",
        )
    if not python.makes_environments:
        raise MissingDependencyError(
            f"{python.path} cannot make virtual environments: its module ensurepip is missing",
            stage="python",
            remedy="Install the package python3-venv (or python{}.{}-venv).".format(*python.version),
        )


def make_environment(python: PythonProgram, directory: str) -> None:
    """Make an empty virtual environment with pip in it. Raises ProgramFailedError."""
    made = run([python.path, "-I", "-m", "venv", directory], _environment(), timeout=INSTALL_SECONDS)
    _require_success(made, "make a virtual environment in", directory, None)


def install_packages(directory: str, requirements: str, source: PackageSource) -> None:
    """Install exactly what the file ``requirements`` pins, wheels only. Raises ProgramFailedError."""
    command = [
        os.path.join(directory, "bin", "python"),
        *("-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--require-hashes", "--only-binary", ":all:", "--no-deps", "--requirement", requirements),
        *(["--no-index"] if source.no_index else []),
        *(word for place in source.find_links for word in ("--find-links", place)),
        *source.arguments,
    ]
    # Not as an argument, which every user of the host can read: the address of a mirror may hold a password.
    extra = {"PIP_INDEX_URL": source.index_url} if source.index_url else {}
    installed = run(command, {**_environment(), **extra}, timeout=INSTALL_SECONDS)
    _require_success(
        installed,
        "install the pinned packages into",
        directory,
        "See what pip says above. Behind a proxy give the task the environment HTTPS_PROXY; for a mirror or a directory"
        " of wheels set runner_pip_index_url, or runner_pip_find_links with runner_pip_no_index.",
    )


def compile_files(directory: str, top: str) -> None:
    """Compile the Python files below ``top``, so that a user who may not write there starts as fast."""
    run(
        [os.path.join(directory, "bin", "python"), "-I", "-m", "compileall", "-q", top],
        _environment(),
        timeout=INSTALL_SECONDS,
    )


def _environment() -> Mapping[str, str]:
    # Proxies, certificates and pip's own settings of this host hold; what bends Python does not.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, "LC_ALL": "C.UTF-8"}


def _require_success(completed: Completed, doing: str, path: str, remedy: str | None) -> None:
    if completed.rc != 0:
        raise ProgramFailedError(
            "Cannot {} {}: {}".format(doing, path, last_lines(completed) or how_it_ended(completed.rc)),
            stage="install",
            remedy=remedy,
            rc=completed.rc,
        )


def last_lines(completed: Completed) -> str:
    """The end of what a program said, as one line of a message."""
    said: Sequence[str] = (completed.stdout + "\n" + completed.stderr).split("\n")
    return "; ".join([line.strip() for line in said if line.strip()][-_LAST_LINES:])
