# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One archive of the collection, the same whatever way it was installed, and nothing in it that does not belong there."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from ansible_collections.baileys.resilience.plugins.plugin_utils.packed_collection import (
    PackedCollection,
    collection_directory,
    pack_collection,
)

SHIPPED = {
    "README.md": "# About",
    "LICENSE": "GPL",
    "meta/runtime.yml": "requires_ansible: '>=2.17.0'",
    "plugins/modules/a.py": "A = 1",
    "roles/runner/files/requirements.txt": "a==1",
    "playbooks/backup.yml": "- hosts: all",
    "console/jobs.py": "",
    "docs/runner.md": "",
}
LEFT_BEHIND = (
    ".git/config",
    ".venv/bin/python",
    ".cache/x",
    "tests/unit/test_x.py",
    "plugins/modules/__pycache__/a.cpython-311.pyc",
    "plugins/modules/a.pyc",
    "plugins/.hidden",
    "inventories/production/vault.yml",
    "requirements/base.txt",
    "application.env",
)


def names(packed: PackedCollection) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(packed.archive)) as archive:
        return {one.name: archive.extractfile(one).read().decode() for one in archive}  # type: ignore[union-attr]


def write(directory: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)
    return directory


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    about = {"galaxy.yml": "---\nnamespace: baileys\nversion: 1.2.3\n"}
    return write(tmp_path / "checkout", {**SHIPPED, **about, **dict.fromkeys(LEFT_BEHIND, "secret")})


def test_it_holds_what_runs_and_nothing_else(checkout: Path) -> None:
    packed = pack_collection(str(checkout))
    assert packed.version == "1.2.3"
    found = names(packed)
    about = json.loads(found.pop("MANIFEST.json"))
    assert found == SHIPPED
    assert about == {"collection_info": {"namespace": "baileys", "name": "resilience", "version": "1.2.3"}, "format": 1}


def test_it_is_the_same_from_a_galaxy_artefact(checkout: Path, tmp_path: Path) -> None:
    about = {"collection_info": {"namespace": "baileys", "name": "resilience", "version": "1.2.3", "tags": ["a"]}}
    installed = write(tmp_path / "galaxy", {**SHIPPED, "MANIFEST.json": json.dumps(about), "FILES.json": "{}"})
    assert pack_collection(str(installed)) == pack_collection(str(checkout))


def test_it_is_the_same_after_another_day_and_mode(checkout: Path) -> None:
    before = pack_collection(str(checkout))
    (checkout / "README.md").write_text(SHIPPED["README.md"])
    (checkout / "README.md").chmod(0o600)
    assert pack_collection(str(checkout)) == before


@pytest.mark.parametrize("name", ["plugins/modules/a.py", "docs/new.md", "roles/runner/files/requirements.txt"])
def test_any_change_makes_it_another(checkout: Path, name: str) -> None:
    before = pack_collection(str(checkout))
    write(checkout, {name: "changed"})
    assert pack_collection(str(checkout)).digest != before.digest


def test_another_version_makes_it_another(checkout: Path) -> None:
    before = pack_collection(str(checkout))
    (checkout / "galaxy.yml").write_text("version: 1.2.4\n")
    assert pack_collection(str(checkout)).digest != before.digest


@pytest.mark.parametrize("content", ["namespace: baileys\n", None])
def test_what_is_no_collection_is_refused(checkout: Path, content: str | None) -> None:
    (checkout / "galaxy.yml").unlink()
    if content:
        (checkout / "galaxy.yml").write_text(content)
    with pytest.raises(ResilienceError, match="Cannot read the collection in"):
        pack_collection(str(checkout))


def test_this_collection_itself() -> None:
    found = names(pack_collection(collection_directory()))
    for name in (
        "console/jobs.py",
        "plugins/modules/pg_backup.py",
        "roles/runner/tasks/main.yml",
        "playbooks/backup.yml",
    ):
        assert name in found
    assert not [name for name in found if name.startswith((".", "tests", "requirements")) or "__pycache__" in name]
