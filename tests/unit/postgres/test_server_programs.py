# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which installed server is taken, and what is said where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.postgres import server_programs
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.server_programs import (
    GIVEN,
    PYPI,
    SYSTEM,
    copy_installation,
    find_server,
    runnable_by_others,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import MissingDependencyError


def install(directory: Path, version: str, *, initdb: bool = True, works: bool = True) -> Path:
    directory.mkdir(parents=True)
    answer = f"echo 'postgres (PostgreSQL) {version}'" if works else "exit 1"
    for name in ("postgres", "initdb") if initdb else ("postgres",):
        (directory / name).write_text(f"#!/bin/sh\n{answer}\n")
        (directory / name).chmod(0o755)
    return directory


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch):
    """Make these the usual directories: pairs of directory and origin."""

    def patch(*candidates: tuple[Path, str]) -> None:
        monkeypatch.setattr(
            server_programs, "_usual_directories", lambda: [(str(path), origin) for path, origin in candidates]
        )

    return patch


def test_the_newest_of_the_major(tmp_path: Path, only) -> None:
    old, new, other = (
        install(tmp_path / name, version) for name, version in (("a", "18.1"), ("b", "18.10"), ("c", "17.9"))
    )
    only((old, SYSTEM), (new, PYPI), (other, SYSTEM))
    found = find_server(18)
    assert (found.directory, str(found.version), found.origin) == (str(new), "18.10", PYPI)
    assert found.program("initdb") == str(new / "initdb")
    assert find_server(17).directory == str(other)


def test_given_directory_and_no_other(tmp_path: Path, only) -> None:
    usual, given = install(tmp_path / "a", "18.9"), install(tmp_path / "b", "18.1")
    only((usual, SYSTEM))
    found = find_server(18, str(given))
    assert (found.directory, found.origin) == (str(given), GIVEN)
    with pytest.raises(MissingDependencyError, match=r"only 18\.1 in "):
        find_server(17, str(given))


def test_none(tmp_path: Path, only) -> None:
    only(
        (install(tmp_path / "client", "18.1", initdb=False), SYSTEM),
        (install(tmp_path / "broken", "18.1", works=False), SYSTEM),
        (install(tmp_path / "other", "16.2"), SYSTEM),
        (tmp_path / "nowhere", SYSTEM),
    )
    with pytest.raises(MissingDependencyError) as caught:
        find_server(18)
    assert (
        caught.value.message == f"There is no PostgreSQL 18 server here to restore into (only 16.2 in {tmp_path}/other)"
    )
    assert "apt-get install -y postgresql-18" in str(caught.value.remedy)
    assert "create_main_cluster = false" in str(caught.value.remedy)


def test_two_names_of_one_installation_count_once(tmp_path: Path, only) -> None:
    real = install(tmp_path / "real", "18.1")
    (tmp_path / "link").symlink_to(real)
    only((tmp_path / "link", SYSTEM), (real, PYPI))
    assert find_server(18).directory == str(tmp_path / "link")


def test_the_pypi_package_is_found(bin_embedded18: Path) -> None:
    assert (str(bin_embedded18), PYPI) in server_programs._usual_directories()


def test_runnable_by_others(public_directory: Path) -> None:
    directory = install(public_directory / "one" / "bin", "18.1")
    directory.parent.chmod(0o755)
    assert runnable_by_others(str(directory))
    directory.parent.chmod(0o750)
    assert not runnable_by_others(str(directory))


def test_copy_keeps_the_layout_and_opens_it(public_directory: Path) -> None:
    package = public_directory / "closed" / "package"
    bin_directory = install(package / "pg18" / "bin", "18.1")
    library = package / "pg18" / "lib" / "libpq.so.5.18"
    library.parent.mkdir()
    library.write_text("code")
    (library.parent / "libpq.so.5").symlink_to("libpq.so.5.18")
    (package / "pg18" / "include").mkdir()
    libraries = public_directory / "closed" / "package.libs"
    libraries.mkdir()
    (libraries / "libz.so").write_text("more")
    for path in (public_directory / "closed").rglob("*"):
        path.chmod(0o700 if path.is_dir() or path.name in ("postgres", "initdb") else 0o600)
    copied = Path(copy_installation(str(bin_directory), str(public_directory / "copy")))
    assert copied == public_directory / "copy" / "package" / "pg18" / "bin"
    assert os.access(copied / "postgres", os.X_OK)
    assert (copied.parent / "lib" / "libpq.so.5").read_text() == "code"
    assert (public_directory / "copy" / "package.libs" / "libz.so").stat().st_mode & 0o777 == 0o644
    assert not (copied.parent / "include").exists()
    assert runnable_by_others(str(copied))
