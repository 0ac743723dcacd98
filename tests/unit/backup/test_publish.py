# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive becomes visible whole or not at all: every call of the system fails once, or is the last one."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import publish as publishing
from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import leftovers, read_catalogue
from ansible_collections.baileys.resilience.plugins.module_utils.backup.describe import manifest_path, read_manifest
from ansible_collections.baileys.resilience.plugins.module_utils.backup.publish import publish
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from ansible_collections.baileys.resilience.plugins.module_utils.system.files import remove_tree_or_file
from tests.support.archives import NOON, manifest_of, put_archive, snapshot_of

# What of the system changes anything here. Looking does not count.
CALLS = ("open", "fchmod", "fdopen", "fsync", "replace", "rename", "link", "mkdir", "chmod")
CONTENT = b"the new archive"
KINDS = ["file", "directory"]


class Root:
    """A backup root with an earlier archive, and a finished one that is still partial."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        path.mkdir(mode=0o700)
        put_archive(path, NOON - timedelta(days=1), b"the earlier one", sequence=1)
        suffix = ".dir" if kind == "directory" else ".dump"
        self.target = path / "daily" / f"backup-2026-11-21T120000Z{suffix}"
        self.partial = path / "daily" / f"{self.target.name}.partial"
        if kind == "directory":
            self.partial.mkdir(mode=0o700)
            for name in ("toc.dat", "3000.dat.zst"):
                (self.partial / name).write_bytes(CONTENT)
        else:
            self.partial.write_bytes(CONTENT)
        self.links = [path / tier / self.target.name for tier in ("weekly", "monthly")]
        self.manifest = manifest_of(CONTENT, sequence=2, format="directory" if kind == "directory" else "custom")

    def publish(self) -> tuple[list[str], list[str]]:
        return publish(str(self.partial), str(self.target), self.manifest, [str(link) for link in self.links])

    def earlier(self) -> dict[str, bytes | None]:
        return {
            name: data for name, data in snapshot_of(self.path).items() if name.startswith("daily/backup-2026-11-20T")
        }


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def at_call(number: int, act: Callable[[str], Any]) -> Iterator[list[str]]:
    """Let `act` happen in place of the call of this number; gives the names of all calls made."""
    made: list[str] = []

    def watched(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            made.append(name)
            if len(made) - 1 == number:
                act(name)
            return real(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, watched(name))
        yield made


def fail(name: str) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def count_calls(path: Path, kind: str) -> int:
    root = Root(path, kind)
    with at_call(-1, fail) as made:
        root.publish()
    # The test would be worth little if the product did its work by calls that are not watched.
    assert set(made) >= {"open", "fchmod", "fdopen", "fsync", "replace", "rename", "link", "mkdir"}
    return len(made)


def test_archive_manifest_and_links(tmp_path: Path, kind: str) -> None:
    root = Root(tmp_path / "root", kind)
    before = root.earlier()
    assert root.publish() == ([str(link) for link in root.links], [])
    assert not root.partial.exists()
    for path in (root.target, *root.links):
        manifest = read_manifest(str(path))
        assert manifest is not None
        assert manifest["sha256"] == root.manifest["sha256"]
        assert stat.S_IMODE(Path(manifest_path(str(path))).stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        if kind == "directory":
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
            assert sorted(os.listdir(path)) == ["3000.dat.zst", "toc.dat"]
        for file in path.iterdir() if kind == "directory" else [path]:
            # Hard links: the same bytes once more cost nothing.
            assert file.stat().st_nlink == 3
            assert file.read_bytes() == CONTENT
    assert root.earlier() == before


def test_a_manifest_of_its_own_for_every_link(tmp_path: Path, kind: str) -> None:
    root = Root(tmp_path / "root", kind)
    root.publish()
    # Hard-linked manifests would be torn apart by the first mark anyway; separate ones can be removed with their archive.
    assert Path(manifest_path(str(root.target))).stat().st_nlink == 1


def test_a_failure_of_any_call_leaves_what_is_whole_and_earlier_ones_alone(tmp_path: Path, kind: str) -> None:
    total = count_calls(tmp_path / "counted", kind)
    failed = {True: set[str](), False: set[str]()}
    for number in range(total):
        root = Root(tmp_path / str(number), kind)
        before = root.earlier()
        published, links, warnings = True, list[str](), list[str]()
        stage: str | None = "publish"
        with at_call(number, fail) as made:
            try:
                links, warnings = root.publish()
            except ResilienceError as error:
                published, warnings, stage = False, [error.message], error.stage
        failed[published].add(made[number])
        assert stage == "publish"
        assert len(warnings) == 1
        assert "no space left" in warnings[0]
        assert root.earlier() == before
        # What was withdrawn left nothing but the partial archive, which whoever made it removes.
        whole = [str(root.target), *links] if published else []
        expected = {str(Path(path).relative_to(root.path)) for one in whole for path in (one, manifest_path(one))}
        names = {name for name in snapshot_of(root.path) if name.count("/") == 1} - set(before)
        names = {name for name in names if name.split("/")[1] != root.partial.name or "daily" not in name}
        assert names == expected, (number, made[number])
        assert {archive.state for archive in read_catalogue(str(root.path))} == {"verified"}
        shutil.rmtree(root.path)
    # A link that fails is a warning; the archive itself is published or not at all.
    assert failed[False] >= {"fsync", "replace", "rename"}
    assert failed[True] >= {"fsync", "replace", "rename", "link"}


def test_a_write_that_fails(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root(tmp_path / "root", kind)
    before = root.earlier()
    real = os.fdopen

    class Full:
        def __init__(self, *arguments: Any) -> None:
            self.stream = real(*arguments)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None:
            self.stream.close()

        def write(self, data: bytes) -> NoReturn:
            self.stream.write(data[:10])
            fail("write")

    monkeypatch.setattr(os, "fdopen", Full)
    with pytest.raises(ResilienceError, match="no space left"):
        root.publish()
    monkeypatch.undo()
    assert {path.name for path in (root.path / "daily").iterdir()} - {Path(name).name for name in before} == {
        root.partial.name
    }
    assert root.earlier() == before


def test_dying_at_any_call_leaves_only_whole_archives(tmp_path: Path, kind: str) -> None:
    total = count_calls(tmp_path / "counted", kind)
    seen = set()
    for number in range(total):
        root = Root(tmp_path / str(number), kind)
        before = root.earlier()
        child = os.fork()
        if child == 0:
            # As SIGKILL would: nothing is cleaned up.
            with at_call(number, lambda name: os._exit(9)):
                root.publish()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        # Whoever reads sees archives with their manifests, or nothing.
        archives = read_catalogue(str(root.path))
        assert {archive.state for archive in archives} == {"verified"}
        seen.add(len(archives))
        # And the next run clears the rest away.
        for path in leftovers(str(root.path)):
            remove_tree_or_file(path)
        assert read_catalogue(str(root.path)) == archives
        expected = {archive.path for archive in archives} | {manifest_path(archive.path) for archive in archives}
        present = {str(path) for tier in root.path.iterdir() for path in tier.iterdir()}
        assert present == expected, (number, sorted(present ^ expected))
        assert root.earlier() == before
        shutil.rmtree(root.path)
    # Before, and after each of the three names.
    assert seen >= {1, 2, 3}


def test_what_cannot_be_taken_back_does_not_hide_the_cause(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Root(tmp_path / "root", kind)

    def refuse(path: str) -> NoReturn:
        raise ResilienceError("Cannot remove")

    monkeypatch.setattr(publishing, "remove_tree_or_file", refuse)
    with at_call(0, fail), pytest.raises(ResilienceError, match="no space left"):
        root.publish()


def test_a_longer_tier_that_cannot_be_used_is_a_warning(tmp_path: Path, kind: str) -> None:
    root = Root(tmp_path / "root", kind)
    (root.path / "weekly").symlink_to("daily")
    before = root.earlier()
    links, warnings = root.publish()
    assert links == [str(root.links[1])]
    assert len(warnings) == 1
    assert "symbolic link" in warnings[0]
    assert root.target.exists()
    assert root.earlier() == before
