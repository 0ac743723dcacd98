# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention applied to real files: under the lock, not at all when it is only asked, and as far as it gets."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue
from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import Archive, write_last_run
from ansible_collections.baileys.resilience.plugins.module_utils.backup.prune import prune
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import LockedError, ResilienceError
from ansible_collections.baileys.resilience.plugins.module_utils.system.lock import exclusive_lock
from tests.support.archives import NOON, put_archive, snapshot_of

DAY = timedelta(days=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five days of archives after a good run, a suspect one, and a file of somebody else's."""
    path = tmp_path / "root"
    for number in range(5):
        put_archive(path, NOON + number * DAY, b"%d" % number, sequence=number + 1)
    put_archive(path, NOON - DAY, b"bad", state="suspect")
    (path / "daily" / "notes.txt").touch()
    write_last_run(str(path), "ok")
    return path


def names(root: Path) -> list[str]:
    return sorted(name for name in os.listdir(root / "daily") if not name.endswith(".json"))


def test_what_no_tier_keeps_goes_with_its_manifest(root: Path) -> None:
    decisions = prune(str(root), {"daily": 2}, 0)
    assert [decision.keep for decision in decisions] == [True, False, False, False, True, True, True]
    kept = [
        "backup-2026-11-20T120000Z.dump",
        "backup-2026-11-24T120000Z.dump",
        "backup-2026-11-25T120000Z.dump",
        "notes.txt",
    ]
    assert names(root) == kept
    assert sorted(os.listdir(root / "daily")) == sorted([*kept, *(f"{name}.manifest.json" for name in kept[:3])])


def test_only_asked_it_changes_nothing(root: Path) -> None:
    before = snapshot_of(root)
    decisions = prune(str(root), {"daily": 2}, 0, dry_run=True)
    assert sum(not decision.keep for decision in decisions) == 3
    # Not even a lock file.
    assert snapshot_of(root) == before


@pytest.mark.parametrize("outcome", ["failed", "running", None])
def test_after_a_run_that_did_not_end_well_nothing_goes(root: Path, outcome: str | None) -> None:
    if outcome is None:
        # Every run leaves a record: one that is missing is that of a run for which the disk was too full.
        (root / ".last_run.json").unlink()
    else:
        write_last_run(str(root), outcome, "why")
    before = names(root)
    decisions = prune(str(root), {"daily": 1}, 0)
    assert all(decision.keep for decision in decisions)
    assert names(root) == before


def test_a_root_that_is_not_there_has_nothing_to_remove(tmp_path: Path) -> None:
    assert prune(str(tmp_path / "none"), {}, 0) == ()
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("dry_run", [True, False])
def test_not_while_a_backup_runs(root: Path, dry_run: bool) -> None:
    before = names(root)
    with exclusive_lock(str(root / ".lock"), 0), pytest.raises(LockedError):
        prune(str(root), {"daily": 1}, 0, dry_run=dry_run)
    assert names(root) == before


def test_one_that_cannot_be_removed_does_not_keep_the_others(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = catalogue.remove_archive

    def stubborn(archive: Archive) -> None:
        if "11-22" in archive.path:
            raise ResilienceError(f"Cannot remove {archive.path}: Operation not permitted")
        real(archive)

    monkeypatch.setattr(catalogue, "remove_archive", stubborn)
    with pytest.raises(
        ResilienceError, match=r"^Cannot remove .*11-22T120000Z\.dump: Operation not permitted$"
    ) as caught:
        prune(str(root), {"daily": 2}, 0)
    assert caught.value.stage == "prune"
    assert [name[:17] for name in names(root)] == [
        "backup-2026-11-20",
        "backup-2026-11-22",
        "backup-2026-11-24",
        "backup-2026-11-25",
        "notes.txt",
    ]
