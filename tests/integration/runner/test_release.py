# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases, really built by venv and pip: beside the one in use, and in its place only when they have passed."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.runner.release import (
    ReleaseOutcome,
    ReleaseRequest,
    bring_up,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.support.small_collection import FAILS, another, archive_of, small_request

OLD_PYTHON = "#!/bin/sh\necho '[3, 9, \"cpython\", true]'\n"
WITHOUT_ENSUREPIP = "#!/bin/sh\necho '[3, 13, \"cpython\", false]'\n"
TOO_NEW = "#!/bin/sh\necho '[3, 15, \"cpython\", true]'\n"


class Host:
    """Where releases are built, and what is in use there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.opt = directory / "opt"
        self.request = small_request(directory)

    @property
    def in_use(self) -> str:
        return os.path.basename(os.readlink(self.opt / "current"))

    @property
    def releases(self) -> set[str]:
        return set(os.listdir(self.opt / "releases"))

    def refuses(self, request: ReleaseRequest, reason: str) -> ResilienceError:
        """Nothing is different afterwards."""
        before = (self.in_use, self.releases)
        with pytest.raises(ResilienceError, match=reason) as caught:
            bring_up(request)
        assert (self.in_use, self.releases) == before
        return caught.value


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Host, ReleaseOutcome]:
    """A host with a release in use that no test changes."""
    host = Host(tmp_path_factory.mktemp("built"))
    previous = os.umask(0o077)
    try:
        return host, bring_up(host.request)
    finally:
        os.umask(previous)


def program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_the_first_one(built: tuple[Host, ReleaseOutcome]) -> None:
    host, outcome = built
    assert outcome.changed
    assert (outcome.previous, outcome.removed) == (None, ())
    assert outcome.warnings == ("nothing to dump with",)
    assert host.in_use == outcome.release
    assert host.releases == {outcome.release}


def test_everybody_may_run_it_and_only_the_owner_may_change_it(built: tuple[Host, ReleaseOutcome]) -> None:
    host, _ = built
    for path in [host.opt, *(host.opt / "releases").rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            assert mode & 0o004, path
            assert not mode & 0o022, path


def test_it_is_not_built_again(built: tuple[Host, ReleaseOutcome]) -> None:
    host, first = built
    again = bring_up(replace(host.request, collection_archive=None))
    assert not again.changed
    assert not again.needs_collection
    assert again.release == first.release


def test_the_collection_is_asked_for_only_where_it_is_missing(built: tuple[Host, ReleaseOutcome]) -> None:
    host, first = built
    asked = bring_up(replace(another(host.request, 2), collection_archive=None))
    assert asked.needs_collection
    assert (host.in_use, host.releases) == (first.release, {first.release})


def test_a_dry_run_tells_and_does_nothing(built: tuple[Host, ReleaseOutcome], tmp_path: Path) -> None:
    host, first = built
    assert not bring_up(host.request, dry_run=True).changed
    assert bring_up(another(host.request, 2), dry_run=True).changed
    assert host.releases == {first.release}
    bare = replace(host.request, directory=str(tmp_path / "nothing"))
    assert bring_up(bare, dry_run=True).changed
    assert not (tmp_path / "nothing").exists()


def test_a_self_check_that_fails_keeps_the_one_in_use(built: tuple[Host, ReleaseOutcome], tmp_path: Path) -> None:
    host, first = built
    broken = replace(small_request(tmp_path, FAILS), directory=str(host.opt))
    error = host.refuses(broken, "did not pass its self check .*: the playbooks cannot be read$")
    assert error.remedy == f"The release {first.release} is still in use."


def test_a_package_that_was_tampered_with(built: tuple[Host, ReleaseOutcome]) -> None:
    host, _ = built
    other = host.request.requirements.replace("sha256:", "sha256:0")[: len(host.request.requirements) - 1] + "\n"
    host.refuses(replace(host.request, requirements=other), "(?i)cannot install the pinned packages .*hash")


def test_a_package_that_cannot_be_had(built: tuple[Host, ReleaseOutcome]) -> None:
    host, _ = built
    missing = replace(host.request, requirements=host.request.requirements.replace("tiny", "missing"))
    error = host.refuses(missing, "No matching distribution found for missing==1.0")
    assert error.stage == "install"
    assert "runner_pip_find_links" in str(error.remedy)


def test_an_archive_that_arrived_damaged(built: tuple[Host, ReleaseOutcome], tmp_path: Path) -> None:
    host, _ = built
    whole = Path(str(host.request.collection_archive)).read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    damaged = replace(another(host.request, 3), collection_archive=str(tmp_path / "half"))
    host.refuses(damaged, "arrived damaged")


def test_an_archive_that_leaves_its_place(built: tuple[Host, ReleaseOutcome], tmp_path: Path) -> None:
    host, _ = built
    archive = archive_of(tmp_path / "evil", {"../../../evil": "x"})
    host.refuses(replace(another(host.request, 4), collection_archive=str(archive)), "which is not a file in it")
    assert not list(host.opt.rglob("evil"))


@pytest.mark.parametrize(
    ("python", "reason"),
    [
        (OLD_PYTHON, "is Python 3.9, and ansible-core needs 3.11 or newer"),
        (WITHOUT_ENSUREPIP, "cannot make virtual environments: its module ensurepip is missing"),
        (TOO_NEW, "is Python 3.15, and the pinned packages are those for 3.11 to 3.14"),
        ("#!/bin/sh\nexit 3\n", r"does not run as a Python \(exit status 3\)"),
    ],
)
def test_a_python_that_will_not_do(
    built: tuple[Host, ReleaseOutcome], tmp_path: Path, python: str, reason: str
) -> None:
    host, _ = built
    host.refuses(replace(host.request, python=program(tmp_path / "python", python)), reason)


def test_upgrades_keep_the_one_before(host: Host) -> None:
    names = [bring_up(another(host.request, number)).release for number in range(2)]
    assert host.releases == set(names)
    # A job still runs from the first one: it stays until that has ended.
    with (host.opt / "releases" / names[0] / "in-use").open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        third = bring_up(another(host.request, 2))
    assert third.removed == ()
    again = bring_up(another(host.request, 2))
    assert again.changed
    assert again.removed == (names[0],)
    assert host.releases == {names[1], third.release}
    # And back: the one before is there and need not be built.
    back = bring_up(replace(another(host.request, 1), collection_archive=None))
    assert (back.previous, back.release, host.in_use) == (third.release, names[1], names[1])


def test_what_a_killed_run_left_half_is_built_again(host: Host) -> None:
    name = bring_up(host.request, dry_run=True).release
    half = host.opt / "releases" / name / "venv"
    half.mkdir(parents=True)
    (half / "left").touch()
    asked = bring_up(replace(host.request, collection_archive=None))
    assert asked.needs_collection
    assert bring_up(host.request).release == name
    assert not (half / "left").exists()


def test_the_password_of_a_mirror_is_in_no_message(host: Host) -> None:
    index = "http://user:secret-of-mirror@127.0.0.1:9/simple"
    source = replace(host.request.packages, index_url=index, find_links=(), no_index=False, arguments=("--retries=0",))
    with pytest.raises(ResilienceError) as caught:
        bring_up(replace(host.request, packages=source))
    assert "secret-of-mirror" not in f"{caught.value.message}{caught.value.remedy}{caught.value.cmd}"
