# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in a backup root, in which state, and what a killed run left there."""

from __future__ import annotations

import errno
import json
import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue, publish
from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import (
    Archive,
    LastRun,
    counted,
    leftovers,
    links_of,
    mark,
    newest,
    next_sequence,
    prepare,
    read_catalogue,
    read_last_run,
    remove_archive,
    remove_last_run,
    write_last_run,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup.describe import manifest_path, write_manifest
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from ansible_collections.baileys.resilience.plugins.module_utils.system.files import remove_tree_or_file
from tests.support.archives import NOON, manifest_of, put_archive, snapshot_of

DAY = timedelta(days=1)


def only(root: Path) -> Archive:
    (archive,) = read_catalogue(str(root))
    return archive


def link(path: Path, tier: str, **manifest: object) -> Path:
    """The same archive in another tier, as publishing makes it."""
    target = path.parent.parent / tier / path.name
    target.parent.mkdir(exist_ok=True)
    os.link(path, target)
    write_manifest(str(target), {**manifest_of(path.read_bytes()), **manifest})
    return target


class TestPreparing:
    def test_directories_are_made_private(self, tmp_path: Path) -> None:
        root = tmp_path / "a" / "root"
        assert prepare(str(root), ["daily", "monthly"])
        assert sorted(os.listdir(root)) == ["daily", "monthly"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in (root, *root.iterdir())} == {0o700}

    def test_the_second_time_changes_nothing(self, tmp_path: Path) -> None:
        prepare(str(tmp_path / "root"), ["daily"])
        assert not prepare(str(tmp_path / "root"), ["daily"])
        # Whichever of them it is that changes.
        assert prepare(str(tmp_path / "root"), ["hourly", "daily"])


class TestReading:
    def test_a_root_that_is_not_there_is_empty(self, tmp_path: Path) -> None:
        assert read_catalogue(str(tmp_path / "none")) == ()

    def test_tier_by_tier_oldest_first(self, tmp_path: Path) -> None:
        expected = []
        for tier in ("monthly", "weekly", "hourly", "daily"):
            for days in (1, 0):
                expected.append(put_archive(tmp_path, NOON + days * DAY, tier=tier))
        order = {"hourly": 0, "daily": 1, "weekly": 2, "monthly": 3}
        expected.sort(key=lambda path: (order[path.parent.name], path.name))
        assert [Path(archive.path) for archive in read_catalogue(str(tmp_path))] == expected

    @pytest.mark.parametrize("state", ["verified", "proven", "suspect"])
    def test_one_of_ours(self, tmp_path: Path, state: str) -> None:
        path = put_archive(tmp_path, content=b"12345", state=state, sequence=7)
        archive = only(tmp_path)
        assert archive == Archive(str(path), "daily", NOON, state, 5, archive.manifest, None)
        assert archive.manifest is not None
        assert (archive.sequence, archive.sha256) == (7, archive.manifest["sha256"])
        assert archive.counted is (state != "suspect")

    def test_why_it_is_suspect(self, tmp_path: Path) -> None:
        put_archive(
            tmp_path, state="suspect", proofs=[{"kind": "drill"}, {"kind": "verify", "problem": "a bit flipped"}]
        )
        assert only(tmp_path).problem == "a bit flipped"

    def test_a_suspect_without_a_history(self, tmp_path: Path) -> None:
        put_archive(tmp_path, state="suspect")
        assert only(tmp_path).problem is None

    def test_an_old_problem_of_one_that_is_well_again(self, tmp_path: Path) -> None:
        put_archive(tmp_path, state="proven", proofs=[{"problem": "was a wrong alarm"}])
        assert only(tmp_path).problem is None

    @pytest.mark.parametrize("name", ["backup-2026-11-21T120000Z.dump", "backup-2026-11-21.sql.gz", "notes.txt"])
    def test_a_file_without_a_manifest_is_foreign(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "daily").mkdir()
        (tmp_path / "daily" / name).write_bytes(b"123")
        archive = only(tmp_path)
        assert (archive.state, archive.size_bytes, archive.counted) == ("foreign", 3, False)
        assert (archive.sequence, archive.sha256, archive.manifest) == (0, "", None)

    def test_a_foreign_name_stays_foreign_with_a_manifest(self, tmp_path: Path) -> None:
        (tmp_path / "daily").mkdir()
        (tmp_path / "daily" / "backup.dump").write_bytes(b"123")
        write_manifest(str(tmp_path / "daily" / "backup.dump"), manifest_of(b"123"))
        assert only(tmp_path).state == "foreign"

    def test_a_symbolic_link_is_foreign_wherever_it_points(self, tmp_path: Path) -> None:
        path = put_archive(tmp_path)
        for tier, target in (("weekly", str(path)), ("monthly", "/nowhere")):
            (tmp_path / tier).mkdir()
            (tmp_path / tier / path.name).symlink_to(target)
            write_manifest(str(tmp_path / tier / path.name), manifest_of())
        states = {archive.tier: archive.state for archive in read_catalogue(str(tmp_path))}
        assert states == {"daily": "verified", "weekly": "foreign", "monthly": "foreign"}

    @pytest.mark.parametrize("damage", ["not JSON", "edited", "unreadable"])
    def test_a_broken_manifest_makes_a_suspect_and_hides_nothing_else(self, tmp_path: Path, damage: str) -> None:
        broken = put_archive(tmp_path, sequence=3)
        whole = put_archive(tmp_path, NOON + DAY, sequence=2)
        path = Path(manifest_path(str(broken)))
        text = path.read_text()
        path.unlink()
        if damage == "unreadable":
            path.mkdir()
        else:
            path.write_text("{" if damage == "not JSON" else text.replace('"verified"', '"proven"'))
        first, second = read_catalogue(str(tmp_path))
        assert (first.path, first.state, first.counted, first.sequence) == (str(broken), "suspect", False, 0)
        assert "manifest" in (first.problem or "")
        assert (second.path, second.state) == (str(whole), "verified")

    def test_what_is_being_made_is_not_there_yet(self, tmp_path: Path) -> None:
        put_archive(tmp_path)
        for name in (
            ".hidden",
            "backup-2026-11-22T120000Z.dump.partial",
            "backup-2026-11-22T120000Z.dump.manifest.json",
        ):
            (tmp_path / "daily" / name).touch()
        assert only(tmp_path).time == NOON

    def test_a_directory_archive_is_as_large_as_its_files(self, tmp_path: Path) -> None:
        path = tmp_path / "daily" / "backup-2026-11-21T120000Z.dir"
        path.mkdir(parents=True)
        (path / "toc.dat").write_bytes(b"123")
        (path / "3000.dat.gz").write_bytes(b"4567")
        write_manifest(str(path), manifest_of(format="directory"))
        assert (only(tmp_path).size_bytes, only(tmp_path).state) == (7, "verified")

    def test_one_that_vanishes_meanwhile_has_no_size(self, tmp_path: Path) -> None:
        assert catalogue._size(str(tmp_path / "gone")) == 0

    def test_a_tier_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "daily").touch()
        with pytest.raises(ResilienceError, match=r"^Cannot read the directory .*/daily: Not a directory"):
            read_catalogue(str(tmp_path))


class TestNewest:
    def archives(self, *states: str) -> list[Archive]:
        return [
            Archive(f"/{number}", "daily", NOON - number * DAY, state, 1, manifest_of(sequence=number))
            for number, state in enumerate(states, 1)
        ]

    def test_by_run_and_not_by_clock(self) -> None:
        # The clock was set back a day for every run.
        archives = self.archives("verified", "proven", "verified")
        assert [archive.sequence for archive in counted(archives)] == [3, 2, 1]
        assert newest(archives) == archives[2]
        assert newest(archives, "proven") == archives[1]

    def test_suspect_and_foreign_do_not_count(self) -> None:
        archives = [*self.archives("verified", "suspect"), Archive("/f", "daily", NOON, "foreign", 1)]
        assert newest(archives) == archives[0]
        assert newest(archives, "proven") is None
        assert newest(archives[1:]) is None

    def test_the_next_run_has_a_number_of_its_own(self) -> None:
        assert next_sequence([]) == 1
        assert next_sequence(self.archives("verified", "verified", "suspect")) == 4


class TestMarking:
    def test_state_and_history(self, tmp_path: Path) -> None:
        put_archive(tmp_path, content=b"one", proofs=[{"kind": "drill"}])
        other = put_archive(tmp_path, NOON + DAY, content=b"two")
        before = Path(manifest_path(str(other))).read_bytes()
        first, _second = read_catalogue(str(tmp_path))
        assert mark([first], "suspect", {"kind": "verify", "problem": "broken"}) == [first.path]
        first, second = read_catalogue(str(tmp_path))
        assert first.manifest is not None
        assert (first.state, first.problem, second.state) == ("suspect", "broken", "verified")
        assert first.manifest["proofs"] == [{"kind": "drill"}, {"kind": "verify", "problem": "broken"}]
        assert Path(manifest_path(str(other))).read_bytes() == before
        assert Path(first.path).read_bytes() == b"one"

    def test_one_without_a_manifest_gets_none(self, tmp_path: Path) -> None:
        (tmp_path / "daily").mkdir()
        (tmp_path / "daily" / "foreign").touch()
        before = snapshot_of(tmp_path)
        assert mark(read_catalogue(str(tmp_path)), "suspect", {}) == []
        assert snapshot_of(tmp_path) == before


class TestLinks:
    def names(self, root: Path, of: Path) -> set[str]:
        archives = read_catalogue(str(root))
        (archive,) = [archive for archive in archives if archive.path == str(of)]
        return {found.tier for found in links_of(archive, archives)}

    def test_hard_links_are_one_archive(self, tmp_path: Path) -> None:
        path = put_archive(tmp_path)
        for tier in ("weekly", "monthly"):
            link(path, tier)
        put_archive(tmp_path, NOON + DAY)
        assert self.names(tmp_path, path) == {"daily", "weekly", "monthly"}
        assert self.names(tmp_path, tmp_path / "weekly" / path.name) == {"daily", "weekly", "monthly"}

    def test_an_equal_copy_is_another(self, tmp_path: Path) -> None:
        path = put_archive(tmp_path)
        put_archive(tmp_path, tier="weekly")
        assert self.names(tmp_path, path) == {"daily"}

    def test_directories_are_linked_file_by_file(self, tmp_path: Path) -> None:
        for tier in ("daily", "weekly", "monthly"):
            path = tmp_path / tier / "backup-2026-11-21T120000Z.dir"
            path.mkdir(parents=True)
            write_manifest(str(path), manifest_of(format="directory"))
            (path / "toc.dat").touch()
        daily = tmp_path / "daily" / "backup-2026-11-21T120000Z.dir"
        weekly = tmp_path / "weekly" / "backup-2026-11-21T120000Z.dir"
        (weekly / "toc.dat").unlink()
        os.link(daily / "toc.dat", weekly / "toc.dat")
        assert self.names(tmp_path, daily) == {"daily", "weekly"}

    def test_one_that_vanished_meanwhile_is_still_itself(self, tmp_path: Path) -> None:
        path = put_archive(tmp_path)
        link(path, "weekly")
        archives = read_catalogue(str(tmp_path))
        path.unlink()
        assert links_of(archives[0], archives) == [archives[0]]


class TestLeftovers:
    def test_what_a_killed_run_leaves_and_nothing_else(self, tmp_path: Path) -> None:
        path = put_archive(tmp_path)
        ours = [
            "daily/backup-2026-11-22T120000Z.dump.partial",
            "daily/backup-2026-11-22T120000Z.dump.manifest.json",
            "daily/backup-2026-11-22T120000Z.dump.manifest.json.4711.partial",
            "weekly/backup-2026-11-22T120000Z.dir.partial",
            ".last_run.json.4711.partial",
        ]
        others = [
            "daily/holiday.iso.partial",
            "daily/notes.manifest.json",
            "partial",
            ".lock",
            ".last_run.json",
            "other/backup-2026-11-22T120000Z.dump.partial",
        ]
        for name in ours + others:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        assert sorted(leftovers(str(tmp_path))) == sorted(str(tmp_path / name) for name in ours)
        assert path.exists()

    def test_the_manifest_of_a_dangling_link_stays(self, tmp_path: Path) -> None:
        path = put_archive(tmp_path)
        path.unlink()
        path.symlink_to("/nowhere")
        assert leftovers(str(tmp_path)) == []

    def test_of_a_root_that_is_not_there(self, tmp_path: Path) -> None:
        assert leftovers(str(tmp_path / "none")) == []


class TestRemoving:
    def test_archive_and_manifest_go_and_its_links_stay(self, tmp_path: Path) -> None:
        path = put_archive(tmp_path)
        kept = link(path, "weekly")
        daily, _weekly = read_catalogue(str(tmp_path))
        remove_archive(daily)
        assert os.listdir(tmp_path / "daily") == []
        assert kept.read_bytes() == b"archive"
        assert only(tmp_path).state == "verified"

    def test_the_archive_goes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # The other way round, a kill in between would leave an archive without a manifest: foreign for ever.
        put_archive(tmp_path)
        removed: list[str] = []
        monkeypatch.setattr(publish, "remove_tree_or_file", removed.append)
        archive = only(tmp_path)
        remove_archive(archive)
        assert removed == [archive.path, manifest_path(archive.path)]

    def test_a_directory_is_no_archive_from_the_first_moment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "daily" / "backup-2026-11-21T120000Z.dir"
        path.mkdir(parents=True)
        (path / "toc.dat").touch()
        write_manifest(str(path), manifest_of(format="directory"))
        real, seen = remove_tree_or_file, []

        def look(doomed: str) -> None:
            seen.append(len(read_catalogue(str(tmp_path))))
            real(doomed)

        monkeypatch.setattr(publish, "remove_tree_or_file", look)
        remove_archive(only(tmp_path))
        assert seen == [0, 0]
        assert os.listdir(tmp_path / "daily") == []

    def test_a_directory_that_cannot_be_moved_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "daily" / "backup-2026-11-21T120000Z.dir"
        path.mkdir(parents=True)
        write_manifest(str(path), manifest_of(format="directory"))

        def refuse(source: str, target: str) -> NoReturn:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "rename", refuse)
        with pytest.raises(ResilienceError, match=r"^Cannot remove .*\.dir: Operation not permitted$"):
            remove_archive(only(tmp_path))
        assert path.exists()
        assert Path(manifest_path(str(path))).exists()


class TestLastRun:
    def test_a_record_that_is_removed_is_missing(self, tmp_path: Path) -> None:
        write_last_run(str(tmp_path), "ok")
        remove_last_run(str(tmp_path))
        remove_last_run(str(tmp_path))
        assert read_last_run(str(tmp_path)) is None

    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        write_last_run(str(tmp_path), "failed", "no space left; ä\n")
        last = read_last_run(str(tmp_path))
        assert last is not None
        assert (last.outcome, last.reason) == ("failed", "no space left; ä\n")
        assert len(last.at) == len("2026-11-21T12:00:00Z")
        assert last.at.endswith("Z")
        assert stat.S_IMODE((tmp_path / ".last_run.json").stat().st_mode) == 0o600

    @pytest.mark.parametrize("outcome", ["running", "ok"])
    def test_without_a_reason(self, tmp_path: Path, outcome: str) -> None:
        write_last_run(str(tmp_path), outcome)
        last = read_last_run(str(tmp_path))
        assert last is not None
        assert (last.outcome, last.reason) == (outcome, None)

    def test_none_yet(self, tmp_path: Path) -> None:
        assert read_last_run(str(tmp_path)) is None

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"{",
            b"\xff",
            b"[]",
            b"null",
            b'"ok"',
            b"{}",
            b'{"outcome": "ok"}',
            b'{"at": "2026-11-21T12:00:00Z"}',
            b"[" * 100_000,
        ],
    )
    def test_a_corrupt_record_counts_as_a_failed_run(self, tmp_path: Path, data: bytes) -> None:
        path = tmp_path / ".last_run.json"
        path.write_bytes(data)
        assert read_last_run(str(tmp_path)) == LastRun("failed", "unknown", f"its record {path} cannot be read")

    def test_one_that_cannot_be_read_too(self, tmp_path: Path) -> None:
        (tmp_path / ".last_run.json").mkdir()
        last = read_last_run(str(tmp_path))
        assert last is not None
        assert last.outcome == "failed"

    def test_a_record_of_other_words_is_not_ok(self, tmp_path: Path) -> None:
        record = {"outcome": True, "at": "now"}
        (tmp_path / ".last_run.json").write_text(json.dumps(record))
        last = read_last_run(str(tmp_path))
        assert last is not None
        assert last.outcome == "True"
