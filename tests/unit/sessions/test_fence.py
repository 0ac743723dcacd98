# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose sessions count on this host: the file that says so, and what becomes of it."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.fence import (
    DamagedFenceError,
    Fence,
    FencedError,
    fence_path,
    read_fence,
    require_database,
    set_fence,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError

SET_IN_EACH_PROCESS = 25


def test_a_fence_that_was_never_set_is_the_databases(tmp_path: Path) -> None:
    assert read_fence(str(tmp_path / "not there"), "app") == Fence("postgresql", 0)
    require_database(str(tmp_path), "app", "test")
    assert list(tmp_path.iterdir()) == []


def test_the_epoch_grows_with_each_change_and_each_source_has_its_own(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    first = set_fence(state, "app", "files", "rollback on app1")
    assert (first.owner, first.epoch, first.by) == ("files", 1, "rollback on app1")
    assert set_fence(state, "other", "files", "x").epoch == 1
    assert set_fence(state, "app", "postgresql", "rollforward").epoch == 2
    assert read_fence(state, "app").owner == "postgresql"
    assert read_fence(state, "app").epoch == 2
    assert read_fence(state, "other").owner == "files"


def test_the_file_is_private_and_nothing_else_is_left(tmp_path: Path) -> None:
    state = tmp_path / "state"
    set_fence(str(state), "app", "files", "x")
    assert state.stat().st_mode & 0o7777 == 0o700
    assert sorted(path.name for path in state.iterdir()) == [".fence.lock", "fence.json"]
    assert {path.stat().st_mode & 0o7777 for path in state.iterdir()} == {0o600}


def test_a_fenced_database_is_refused_with_the_way_back(tmp_path: Path) -> None:
    fence = set_fence(str(tmp_path), "app", "files", "emergency_rollback on app1")
    with pytest.raises(FencedError) as caught:
        require_database(str(tmp_path), "app", "refresh the standby")
    assert "Cannot refresh the standby" in caught.value.message
    assert fence.since in caught.value.message
    assert "emergency_rollback on app1" in caught.value.message
    assert "emergency_rollforward" in str(caught.value.remedy)
    require_database(str(tmp_path), "other", "refresh the standby")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"fence_version": 2, "sources": {}}',
        '{"fence_version": 1}',
        '{"fence_version": 1, "sources": []}',
        '{"fence_version": 1, "sources": {"other": {}}}',
        '{"fence_version": 1, "sources": {"app": null}}',
        '{"fence_version": 1, "sources": {"app": {"owner": "nobody", "epoch": 1, "since": "2026-01-01T00:00:00Z", "by": ""}}}',
        '{"fence_version": 1, "sources": {"app": {"owner": "files", "epoch": -1, "since": "2026-01-01T00:00:00Z", "by": ""}}}',
        '{"fence_version": 1, "sources": {"app": {"owner": "files", "epoch": true, "since": "2026-01-01T00:00:00Z", "by": ""}}}',
        '{"fence_version": 1, "sources": {"app": {"owner": "files", "epoch": 1, "since": "yesterday", "by": ""}}}',
        '{"fence_version": 1, "sources": {"app": {"owner": "files", "epoch": 1, "since": "2026-01-01T00:00:00Z", "by": 7}}}',
        '{"fence_version": 1, "sources": {"app": {"owner": "files", "epoch": 1, "since": "2026-01-01T00:00:00Z", "by": "", "x": 1}}}',
    ],
)
def test_a_damaged_file_is_an_error_and_never_an_open_fence(tmp_path: Path, content: str) -> None:
    Path(fence_path(str(tmp_path))).write_text(content)
    for act in (
        lambda: read_fence(str(tmp_path), "app"),
        lambda: require_database(str(tmp_path), "app", "test"),
        lambda: set_fence(str(tmp_path), "app", "postgresql", "x"),
    ):
        with pytest.raises(DamagedFenceError, match="damaged") as caught:
            act()
        assert "docs/standby.md" in str(caught.value.remedy)
    assert Path(fence_path(str(tmp_path))).read_text() == content


def test_bytes_that_are_no_text_are_a_damaged_file(tmp_path: Path) -> None:
    Path(fence_path(str(tmp_path))).write_bytes(b"\xff\xfe{}")
    with pytest.raises(DamagedFenceError):
        read_fence(str(tmp_path), "app")


def test_a_file_that_cannot_be_read_is_no_open_fence(tmp_path: Path) -> None:
    Path(fence_path(str(tmp_path))).mkdir()
    with pytest.raises(ResilienceError, match="read the fence"):
        require_database(str(tmp_path), "app", "test")


def test_only_the_two_owners_can_be_set(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither"):
        set_fence(str(tmp_path), "app", "somebody", "x")
    assert not Path(fence_path(str(tmp_path))).exists()


@pytest.mark.parametrize("source", ["ünïcødé ✓", "a/b\n..", 'quo"te', "\udcff"])
def test_a_source_may_be_called_anything(tmp_path: Path, source: str) -> None:
    set_fence(str(tmp_path), source, "files", source)
    assert read_fence(str(tmp_path), source).owner == "files"
    assert json.loads(Path(fence_path(str(tmp_path))).read_text())["sources"].keys() == {source}


def set_many(state: str, source: str) -> None:
    for _ in range(SET_IN_EACH_PROCESS):
        set_fence(state, source, "files", "x")


def test_of_several_writers_at_once_none_is_lost(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=set_many, args=(state, source)) for source in ("app", "app", "other")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    epochs = [read_fence(state, source).epoch for source in ("app", "other")]
    assert epochs == [2 * SET_IN_EACH_PROCESS, SET_IN_EACH_PROCESS]
