# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wheel and the Galaxy artefact, each installed as a user would, make the collection usable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from scripts.tree import shipped_files

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
VERSION = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
INSIDE = "ansible_collections/baileys/resilience"
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))

# What is needed to develop the collection must not be shipped.
DEVELOPMENT = {".cache", ".ci", ".git", ".venv", "Makefile", "benchmarks", "demo", "dist", "scripts", "tests"}


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Output of a program run outside the repository, without Ansible settings of whoever runs the tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    finished = subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, "ANSIBLE_HOME": str(cwd / "ansible-home"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@dataclass(frozen=True)
class Installation:
    """A collection installed into an environment that knows nothing of the repository."""

    python: Path
    # The directory that holds ansible_collections.
    collections: Path
    # Whether Ansible has to be told of that directory.
    named: bool

    def ansible(self, program: str, *arguments: str) -> str:
        """Output of `ansible-<program>` as run in that environment."""
        command: list[str | Path] = [self.python, "-m", "ansible", program, *arguments]
        directory = self.python.parents[2]
        searched = self.collections if self.named else directory / "nowhere"
        return run(*command, cwd=directory, ANSIBLE_COLLECTIONS_PATH=str(searched))


def environment_without_the_repository(directory: Path) -> Path:
    """Make a virtual environment that has the packages of the one running the tests; return its Python."""
    run(sys.executable, "-m", "venv", "--without-pip", directory, cwd=directory.parent)
    (packages,) = directory.glob("lib/python3.*/site-packages")
    # A directory named here is searched, but the .pth files in it are not read: among them is the one
    # by which the tests find the repository.
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return directory / "bin" / "python"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built where `pip install .` would build it."""
    directory = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", directory, ROOT, cwd=directory)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Galaxy artefact, built from a working tree with everything that lies about in one."""
    directory = tmp_path_factory.mktemp("artefact")
    run(BIN / "ansible-galaxy", "collection", "build", "--output-path", directory, ROOT, cwd=directory)
    (built,) = directory.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module", params=["wheel", "artefact"])
def installation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The collection installed from either package."""
    package: Path = request.getfixturevalue(request.param)
    directory = tmp_path_factory.mktemp("installed")
    python = environment_without_the_repository(directory / "environment")
    if request.param == "artefact":
        installed = Installation(python, directory / "collections", named=True)
        installed.ansible(
            "galaxy", "collection", "install", "--offline", "-p", str(installed.collections), str(package)
        )
        return installed
    # Without what it depends on: the environment has that already.
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", package, cwd=directory)
    (packages,) = python.parents[1].glob("lib/python3.*/site-packages")
    return Installation(python, packages, named=False)


def test_ansible_finds_every_module(installation: Installation) -> None:
    names = [f"baileys.resilience.{path.stem}" for path in (ROOT / "plugins/modules").glob("*.py")]
    documented = json.loads(installation.ansible("doc", "--json", *names))
    places = {name: Path(entry["doc"]["filename"]).parent for name, entry in documented.items()}
    assert places == dict.fromkeys(names, installation.collections / INSIDE / "plugins/modules")


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_playbook_is_called_by_its_name(installation: Installation, playbook: str) -> None:
    command = ("--syntax-check", "--inventory", "localhost,", f"baileys.resilience.{playbook}")
    output = installation.ansible("playbook", *command)
    assert f"playbook: {installation.collections / INSIDE / 'playbooks' / playbook}.yml" in output


def test_ansible_knows_the_version(installation: Installation) -> None:
    listed = json.loads(installation.ansible("galaxy", "collection", "list", "--format", "json"))
    assert listed[str(installation.collections / "ansible_collections")] == {"baileys.resilience": {"version": VERSION}}


def test_the_packages_hold_the_collection_and_nothing_else(wheel: Path, artefact: Path) -> None:
    prefix = f"{INSIDE}/"
    with zipfile.ZipFile(wheel) as archive:
        from_wheel = {name.removeprefix(prefix) for name in archive.namelist() if name.startswith(prefix)}
    with tarfile.open(artefact) as archive:
        from_artefact = {member.name for member in archive if member.isfile()}
    for names in (from_wheel, from_artefact):
        tops = {name.split("/")[0] for name in names}
        assert {"LICENSE", "README.md", "meta", "playbooks", "plugins"} <= tops
        assert not tops & DEVELOPMENT
        assert [name for name in names if name.endswith((".pyc", ".env"))] == []
    # `make sanity` looks at what it takes for the contents of the artefact.
    assert from_artefact - {"FILES.json", "MANIFEST.json"} == set(shipped_files()) - {"galaxy.yml"}
    # Whichever way it is installed, the same code runs.
    code = ("plugins/", "playbooks/", "roles/", "meta/")
    assert {n for n in from_wheel if n.startswith(code)} == {n for n in from_artefact if n.startswith(code)}


def test_an_execution_environment_gets_what_the_modules_need(installation: Installation) -> None:
    output = run(BIN / "ansible-builder", "introspect", installation.collections, cwd=installation.collections)
    described = yaml.safe_load(output)
    python = {Requirement(line.split("#")[0]).name for line in described["python"]}
    assert python == {"psycopg2-binary", "requests", "sentry-sdk"}
    assert {line.split()[0] for line in described["system"]} == {"postgresql", "postgresql-client"}
