# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives verified again: what is found, what is marked, and what says nothing against an archive."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import verify
from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import read_catalogue
from ansible_collections.baileys.resilience.plugins.module_utils.backup.decode import hash_file_set, read_archive
from ansible_collections.baileys.resilience.plugins.module_utils.backup.describe import (
    describe_contents,
    manifest_path,
    write_manifest,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup.verify import verify_all
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.client import ClientTools
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.version import Version
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    LockedError,
    MissingDependencyError,
    ResilienceError,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.lock import exclusive_lock
from tests.support.archives import NOON, manifest_of, put_archive, snapshot_of
from tests.support.fake_clients import fake_clients

DAY = timedelta(days=1)
END = b"-- PostgreSQL database dump complete\n"
# A pg_restore that gives the script which is the archive, or which is in the archive's directory.
RESTORE = 'for last; do :; done; if [ -d "$last" ]; then exec cat "$last/toc.dat"; else exec cat; fi'


class Root:
    """A backup root of archives that are plain scripts, read back by programs that copy."""

    def __init__(self, path: Path, version: str = "18.4") -> None:
        self.path = path
        self.clients = fake_clients(path.parent / "bin", version, pg_restore=RESTORE)
        self.sequence = 0

    def script(self, rows: int) -> bytes:
        return b"COPY public.t (id) FROM stdin;\n" + b"1\n" * rows + b"\\.\n" + END

    def add(self, moment: datetime = NOON, rows: int = 3, **manifest: Any) -> Path:
        """Put a good archive in."""
        self.sequence += 1
        scratch = self.path.parent / "scratch"
        scratch.write_bytes(self.script(rows))
        contents = read_archive(str(scratch), "plain", "none", ClientTools("", Version(18, 4))).contents
        described = {"format": "custom", **describe_contents(contents), **manifest}
        return put_archive(self.path, moment, self.script(rows), sequence=self.sequence, **described)

    def verify(self, **options: Any) -> dict[str, tuple[str, ...]]:
        """What is wrong with each, or why that could not be told."""
        results = verify_all(str(self.path), client_directory=str(self.clients), **options)
        assert all(result.holds is not bool(result.findings) for result in results)
        assert all(result.duration >= 0 for result in results)
        return {os.path.relpath(result.archive.path, self.path): result.findings for result in results}

    def states(self) -> dict[str, str]:
        return {os.path.relpath(archive.path, self.path): archive.state for archive in read_catalogue(str(self.path))}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


NAME = "daily/backup-2026-11-21T120000Z.dump"
NEXT = "daily/backup-2026-11-22T120000Z.dump"


class TestFinding:
    def test_one_that_holds(self, root: Root) -> None:
        root.add()
        before = snapshot_of(root.path)
        assert root.verify() == {NAME: ()}
        assert {name: data for name, data in snapshot_of(root.path).items() if name != ".lock"} == before

    def test_changed_bytes(self, root: Root) -> None:
        path = root.add()
        path.write_bytes(path.read_bytes().replace(b"1\n1", b"1\n2"))
        assert root.verify() == {NAME: ("its SHA-256 is not the one it was made with",)}

    def test_bytes_that_mean_nothing(self, root: Root) -> None:
        path = root.add()
        path.write_bytes(path.read_bytes() + b"-- x\n")
        problems = root.verify()[NAME]
        assert problems == ("it has 82 bytes, not 77", "its SHA-256 is not the one it was made with")

    def test_bytes_that_cannot_be_decoded(self, root: Root) -> None:
        path = root.add()
        path.write_bytes(path.read_bytes()[: -5 - len(END)])
        assert root.verify() == {NAME: ("it has 35 bytes, not 77", "its SHA-256 is not the one it was made with")}

    def test_a_decoder_that_fails_on_the_right_bytes(self, root: Root) -> None:
        root.add()
        fake_clients(root.clients, pg_restore="cat >/dev/null; echo ouch >&2; exit 1")
        # As the kernel's memory killer or a client without this compression: it says nothing against the archive.
        (finding,) = root.verify()[NAME]
        assert finding.startswith("it could not be verified: its bytes are those it was made with, but ")
        assert finding.endswith("The archive cannot be decoded: ouch (exit status 1)")
        assert root.states() == {NAME: "verified"}

    def test_a_manifest_that_says_something_else(self, root: Root) -> None:
        # Whoever can seal a manifest can lie in it; the contents cannot.
        root.add(tables=[])
        assert root.verify() == {NAME: ("table public.t is not in the manifest",)}

    def test_an_edited_manifest(self, root: Root) -> None:
        path = Path(manifest_path(str(root.add())))
        path.write_text(path.read_text().replace('"verified"', '"proven"'))
        (problem,) = root.verify()[NAME]
        assert "it was edited: its own checksum does not hold" in problem

    def test_swapped_files(self, root: Root) -> None:
        one, two = root.add(rows=1), root.add(NOON + DAY, rows=2)
        one.rename(one.with_suffix(".x"))
        two.rename(one)
        one.with_suffix(".x").rename(two)
        problems = root.verify()
        for name in (NAME, NEXT):
            assert "its SHA-256 is not the one it was made with" in problems[name]

    def test_a_directory_in_the_place_of_the_file(self, root: Root) -> None:
        path = root.add()
        path.unlink()
        path.mkdir()
        assert root.verify() == {NAME: ("it has 0 bytes, not 77", "its SHA-256 is not the one it was made with")}


class TestDirectories:
    NAME = "daily/backup-2026-11-21T120000Z.dir"

    @pytest.fixture
    def directory(self, root: Root) -> Path:
        source = root.add()
        path = source.with_suffix(".dir")
        path.mkdir()
        (path / "toc.dat").write_bytes(source.read_bytes())
        (path / "3000.dat").write_bytes(b"12345")
        size, sha256, files = hash_file_set(str(path))
        manifest = json.loads(Path(manifest_path(str(source))).read_text())
        changes = {"format": "directory", "size_bytes": size, "sha256": sha256, "files": files}
        write_manifest(str(path), {**manifest, **changes})
        source.unlink()
        os.unlink(manifest_path(str(source)))
        return path

    def test_one_that_holds(self, root: Root, directory: Path) -> None:
        assert root.verify() == {self.NAME: ()}

    def test_a_part_that_is_missing(self, root: Root, directory: Path) -> None:
        (directory / "3000.dat").unlink()
        assert "its file 3000.dat is missing" in root.verify()[self.NAME]

    def test_a_part_that_was_changed_or_added(self, root: Root, directory: Path) -> None:
        (directory / "3000.dat").write_bytes(b"54321")
        (directory / "new").touch()
        problems = root.verify()[self.NAME]
        assert "its file 3000.dat was changed or added" in problems
        assert "its file new was changed or added" in problems

    @pytest.mark.parametrize("changed", [True, False])
    def test_one_that_cannot_be_decoded(self, root: Root, directory: Path, changed: bool) -> None:
        if changed:
            (directory / "toc.dat").unlink()
        fake_clients(root.clients, pg_restore="echo 'could not open' >&2; exit 1")
        findings = root.verify()[self.NAME]
        if changed:
            # What has not the right hash is not given to pg_restore at all.
            assert findings[-1] == "its file toc.dat is missing"
        else:
            assert findings[-1].endswith("The archive cannot be decoded: could not open (exit status 1)")
        assert root.states() == {self.NAME: "suspect" if changed else "verified"}


class TestMarking:
    def spoil(self, path: Path) -> None:
        path.write_bytes(b"spoilt")

    def test_suspect_with_the_reason_in_every_tier(self, root: Root) -> None:
        path = root.add()
        weekly = root.path / "weekly" / path.name
        weekly.parent.mkdir()
        os.link(path, weekly)
        os.link(manifest_path(str(path)), manifest_path(str(weekly)))
        with path.open("r+b") as stream:
            stream.write(b"X")
        problems = root.verify()
        assert problems[NAME] == problems[f"weekly/{path.name}"] != ()
        assert set(root.states().values()) == {"suspect"}
        first, second = read_catalogue(str(root.path))
        assert first.manifest is not None
        (note,) = first.manifest["proofs"]
        assert (note["kind"], note["outcome"], note["problem"]) == ("verify", "failed", "; ".join(problems[NAME]))
        assert second.problem == note["problem"]

    def test_the_same_bytes_are_read_once(self, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        path = root.add()
        weekly = root.path / "weekly" / path.name
        weekly.parent.mkdir()
        os.link(path, weekly)
        write_manifest(str(weekly), json.loads(Path(manifest_path(str(path))).read_text()))
        read: list[str] = []
        real = read_archive

        def count(path: str, *arguments: Any) -> Any:
            read.append(path)
            return real(path, *arguments)

        monkeypatch.setattr(verify, "read_archive", count)
        assert len(root.verify()) == 2
        assert read == [str(path)]

    def test_a_copy_is_another_question(self, root: Root) -> None:
        path = root.add()
        weekly = root.path / "weekly" / path.name
        weekly.parent.mkdir()
        weekly.write_bytes(b"a bad copy")
        write_manifest(str(weekly), json.loads(Path(manifest_path(str(path))).read_text()))
        problems = root.verify()
        assert problems[NAME] == ()
        assert problems[f"weekly/{path.name}"]

    def test_others_are_not_touched(self, root: Root) -> None:
        self.spoil(root.add(rows=1))
        good = root.add(NOON + DAY, rows=2)
        before = Path(manifest_path(str(good))).read_bytes()
        root.verify()
        assert root.states() == {NAME: "suspect", NEXT: "verified"}
        assert Path(manifest_path(str(good))).read_bytes() == before

    def test_only_asked_nothing_is_marked(self, root: Root) -> None:
        self.spoil(root.add())
        before = snapshot_of(root.path)
        assert root.verify(dry_run=True)[NAME]
        assert snapshot_of(root.path) == before

    def test_a_broken_manifest_is_told_and_left_as_it_is(self, root: Root) -> None:
        path = Path(manifest_path(str(root.add())))
        path.write_text("{")
        assert root.verify()[NAME]
        assert path.read_text() == "{"

    def test_one_that_cannot_be_read_here_is_told_and_keeps_nobody_else_from_being_read(self, root: Root) -> None:
        root.add(rows=1, client_version="99.1")
        self.spoil(root.add(NOON + DAY))
        findings = root.verify()
        assert findings[NAME][0].startswith("it could not be verified: The archive was made by pg_dump 99.1")
        assert "its SHA-256 is not the one it was made with" in findings[NEXT]
        assert root.states() == {NAME: "verified", NEXT: "suspect"}

    def test_one_that_holds_after_all_counts_again(self, root: Root) -> None:
        path = root.add()
        content = path.read_bytes()
        self.spoil(path)
        root.verify()
        assert root.states() == {NAME: "suspect"}
        path.write_bytes(content)
        assert root.verify() == {NAME: ()}
        assert root.states() == {NAME: "verified"}
        (archive,) = read_catalogue(str(root.path))
        assert archive.manifest is not None
        assert [note["outcome"] for note in archive.manifest["proofs"]] == ["failed", "held"]

    def test_what_something_else_made_suspect_stays_so(self, root: Root) -> None:
        root.add(state="suspect", proofs=[{"kind": "drill", "outcome": "failed", "problem": "a value differs"}])
        assert root.verify() == {NAME: ()}
        assert root.states() == {NAME: "suspect"}

    def test_one_that_went_away_in_between_is_passed_over(self, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
        first, second = root.add(), root.add(NOON + DAY)
        real = verify.verify_archive

        def removing(*arguments: Any) -> Any:
            second.unlink(missing_ok=True)
            return real(*arguments)

        monkeypatch.setattr(verify, "verify_archive", removing)
        assert root.verify() == {NAME: ()}
        assert first.exists()


class TestChoosing:
    def test_foreign_files_are_not_asked(self, root: Root) -> None:
        root.add()
        (root.path / "daily" / "notes.txt").touch()
        assert root.verify().keys() == {NAME}

    def test_only_these(self, root: Root) -> None:
        paths = [root.add(), root.add(NOON + DAY)]
        assert root.verify(only=[str(paths[1])]).keys() == {NEXT}

    def test_a_foreign_one_by_name(self, root: Root) -> None:
        path = root.add()
        os.unlink(manifest_path(str(path)))
        assert root.verify(only=[str(path)]) == {NAME: ("it has no manifest",)}
        assert root.states() == {NAME: "foreign"}

    def test_one_that_is_not_there(self, root: Root) -> None:
        root.add()
        with pytest.raises(ResilienceError, match=r"^There is no archive /nowhere in this backup root$"):
            root.verify(only=["/nowhere"])

    def test_the_newest_by_run(self, root: Root) -> None:
        root.add(NOON + DAY)
        root.add(NOON)
        assert root.verify(newest_only=True).keys() == {NAME}

    def test_the_newest_with_a_broken_manifest_is_not_passed_over(self, root: Root) -> None:
        root.add(NOON)
        broken = root.add(NOON + DAY)
        Path(manifest_path(str(broken))).write_text("{")
        problems = root.verify(newest_only=True)
        assert problems[NAME] == ()
        assert problems[NEXT]
        # An old one with a broken manifest is no reason to look at it.
        root.add(NOON + 2 * DAY)
        assert root.verify(newest_only=True).keys() == {"daily/backup-2026-11-23T120000Z.dump"}

    def test_the_newest_of_none(self, root: Root) -> None:
        # A backup disk that is not mounted looks like this.
        root.path.mkdir()
        with pytest.raises(ResilienceError, match=f"^There is no archive in {root.path}$"):
            root.verify(newest_only=True)

    def test_no_root_at_all(self, root: Root) -> None:
        with pytest.raises(ResilienceError, match=f"^There is no backup root {root.path}$") as caught:
            root.verify()
        assert caught.value.stage == "verify"

    def test_not_while_a_backup_runs(self, root: Root) -> None:
        root.add()
        with exclusive_lock(str(root.path / ".lock"), 0), pytest.raises(LockedError):
            root.verify()


class TestClients:
    def clients(self, *versions: Version) -> list[ClientTools]:
        return [ClientTools(f"/{version}", version) for version in sorted(versions, reverse=True)]

    def test_the_oldest_that_can_read_it(self) -> None:
        clients = self.clients(Version(16, 9), Version(17, 5), Version(18, 4))
        changes: list[dict[str, Any]] = [{"compression": "none"}, {"format": "plain"}]
        for change in changes:
            assert verify._reader(manifest_of(client_version="17.2", **change), clients).version == Version(17, 5)
            assert verify._reader(manifest_of(client_version="15.2", **change), clients).version == Version(16, 9)

    def test_one_built_without_the_compression_cannot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clients = self.clients(Version(17, 5), Version(18, 4))
        monkeypatch.setattr(verify, "_can_decompress", lambda tools, compression: tools.version.major == 18)
        assert verify._reader(manifest_of(client_version="17.2"), clients).version == Version(18, 4)
        monkeypatch.setattr(verify, "_can_decompress", lambda tools, compression: False)
        with pytest.raises(MissingDependencyError) as caught:
            verify._reader(manifest_of(client_version="17.2"), clients)
        assert (
            caught.value.message == "The archive is compressed with zstd; the client 18.4 in /18.4 was built without it"
        )

    def test_none_can(self) -> None:
        with pytest.raises(MissingDependencyError) as caught:
            verify._reader(manifest_of(client_version="18.4"), self.clients(Version(16, 9), Version(17, 5)))
        assert caught.value.message == "The archive was made by pg_dump 18.4; the newest client here is 17.5"
        assert "postgresql-client-18" in (caught.value.remedy or "")
