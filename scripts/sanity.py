# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make sanity`: ansible-test's own checks of a collection, without an ignore file."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

from ansible_test._internal.python_requirements import get_venv_packages

from scripts.check import Check
from scripts.tree import BIN, CACHE, SHIPPED, SYSTEM_PATH, shipped_files, stage

# Modules must work on hosts from 3.9 (tests/config.yml) up to what this ansible-core supports.
_VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
_HOME = CACHE / "ansible-test"
_PYTHONS = CACHE / "pythons"

# Says which Python the modules need. It is not shipped, but ansible-test wants to know.
_CONFIGURATION = "tests/config.yml"

# ansible-test downloads a script of this name from a host of its own to put pip into its environments.
# Python brings a pip along; that one will do, also where the host cannot be reached.
_GET_PIP = """\
import ensurepip

ensurepip.bootstrap(upgrade=True, default_pip=True)
"""


def checks() -> list[Check]:
    """The one check there is, with every interpreter of this machine that can take part.

    It looks at what is shipped. Tests, demo and tools are not Ansible's to judge (it forbids the name `_`,
    for one); ruff and mypy look at them.

    It runs in place rather than with --venv: every test has an environment of its own either way, and the
    one that --venv puts around them only installs ansible-core a second time.
    """
    files = [*shipped_files(), _CONFIGURATION]
    stage(SHIPPED, files)
    versions = _offer_pythons()
    _provide_get_pip(versions)
    environment = {
        # The environments and caches of ansible-test stay in .cache; pip's settings are found all the same.
        "HOME": str(_HOME),
        "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config")),
        # Only these interpreters: a version manager's shims are found on a PATH and then do not run.
        "PATH": f"{_PYTHONS}:{BIN}:{SYSTEM_PATH}",
        # The copy is the root. Looking for one itself, ansible-test finds the repository around the copy,
        # takes every file for one that git ignores, and passes without a test.
        "ANSIBLE_TEST_CONTENT_ROOT": str(SHIPPED),
        "LC_ALL": "C.UTF-8",
        # Errors only; or else the failure to be read is below pages of what was installed.
        "PIP_QUIET": "2",
    }
    return [
        Check(
            "sanity",
            [str(BIN / "ansible-test"), "sanity", "--color", "no"],
            cwd=SHIPPED,
            environment=environment,
            inputs=tuple(files),
            circumstances=", ".join(versions),
            forbidden=("WARNING: All targets skipped",),
            notable=("WARNING: Skipping",),
        )
    ]


def _offer_pythons() -> list[str]:
    """Link every usable interpreter into one directory and return their versions."""
    shutil.rmtree(_PYTHONS, ignore_errors=True)
    _PYTHONS.mkdir(parents=True)
    found = []
    for version in _VERSIONS:
        interpreter = _interpreter(version)
        if interpreter:
            (_PYTHONS / f"python{version}").symlink_to(interpreter)
            found.append(version)
    return found


def _interpreter(version: str) -> str | None:
    """The real path of Python `version`, from PATH or from pyenv, if it can make environments."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    # -I: not the modules of this directory. sys._base_executable: not an environment's.
    question = "import ensurepip, venv, os, sys; print(os.path.realpath(sys._base_executable))"
    for candidate in (shutil.which(name), *sorted(pyenv.glob(f"{version}.*/bin/{name}"))):
        if candidate is None:
            continue
        answer = subprocess.run([candidate, "-I", "-c", question], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return answer.stdout.strip()
    return None


def _provide_get_pip(versions: list[str]) -> None:
    cache = _HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in versions:
        wanted = get_venv_packages(SimpleNamespace(version=version))["pip"]
        (cache / f"get_pip_{wanted.replace('.', '_')}.py").write_text(_GET_PIP)
