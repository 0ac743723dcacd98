# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollback takes when the database is dead: every session of the standby, whole, or none."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions import standby_copy
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.export import ExportResult
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.files import (
    MANIFEST_FILE,
    read_manifest,
    write_files,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby_copy import export_standby
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.conftest import MakeDatabase
from tests.support.standbys import SOURCE, Standby, fill_sessions

TENANTS = ("acme", "b/ö c", "gamma")


@pytest.fixture
def standby(make_database: MakeDatabase, server18: Any, tmp_path: Path) -> Standby:
    database = make_database(server18)
    fill_sessions(database, TENANTS)
    made = Standby(database, tmp_path / "state")
    made.refresh()
    return made


def copy(standby: Standby, target: Path, **more: Any) -> ExportResult:
    return export_standby(str(standby.state_directory), SOURCE, str(target), **more)


def tree(directory: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its content and its age."""
    return {
        str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in directory.glob("*/*.json")
        if path.name != MANIFEST_FILE and not path.parent.name.startswith(".")
    }


def test_every_file_of_every_session_comes_with_its_age(standby: Standby, tmp_path: Path) -> None:
    target = tmp_path / "sessions"
    done = copy(standby, target)
    assert tree(target) == tree(standby.directory)
    assert [one.tenant for one in done.tenants] == sorted(TENANTS)
    assert {one.tenant: one.digest for one in done.tenants} == {
        one.tenant: one.content.digest for one in standby.read().tenants
    }
    assert all(one.me for one in done.tenants)
    assert done.snapshot_at == standby.read().snapshot_at
    for path in [target, *target.rglob("*")]:
        assert path.stat().st_mode & 0o7777 == (0o700 if path.is_dir() else 0o600), path


def test_what_the_copy_shows_is_the_moment_of_the_last_refresh(standby: Standby, tmp_path: Path) -> None:
    standby.refresh()
    copy(standby, tmp_path / "sessions")
    for one in standby.read().tenants:
        manifest = read_manifest(str(tmp_path / "sessions" / Path(one.directory).name))
        assert manifest is not None
        assert manifest.snapshot_at == one.snapshot_at > one.made_at


@pytest.mark.parametrize("damage", ["bit", "truncated", "manifest", "creds"])
def test_one_damaged_session_and_nothing_is_touched(standby: Standby, tmp_path: Path, damage: str) -> None:
    target = tmp_path / "sessions"
    copy(standby, target)
    before = tree(target)
    standby.change("gamma")
    standby.refresh()
    file = min(standby.of("acme").glob("[a-z]*.json"))
    if damage == "bit":
        data = bytearray(file.read_bytes())
        data[-2] ^= 1
        file.write_bytes(data)
    elif damage == "truncated":
        file.write_bytes(b"")
    elif damage == "manifest":
        (standby.of("acme") / MANIFEST_FILE).unlink()
    else:
        (standby.of("acme") / "creds.json").unlink()
    with pytest.raises(ResilienceError, match="acme"):
        copy(standby, target)
    assert tree(target) == before
    assert [path.name for path in target.glob(".*")] == [".lock"]


def test_without_a_standby_it_says_what_to_take_instead(standby: Standby, tmp_path: Path) -> None:
    with pytest.raises(ResilienceError, match="no standby of other") as caught:
        export_standby(str(standby.state_directory), "other", str(tmp_path / "sessions"))
    assert "backup" in str(caught.value.remedy)


def test_what_is_newer_or_of_somebody_else_is_not_replaced(standby: Standby, tmp_path: Path) -> None:
    target = tmp_path / "sessions"
    copy(standby, target)
    standby.grow_old("acme", snapshot_at=datetime.now(UTC) + timedelta(hours=1))
    copy(standby, target)
    standby.grow_old("acme", snapshot_at=datetime.now(UTC))
    with pytest.raises(ResilienceError, match="later moment"):
        copy(standby, target)
    foreign = tmp_path / "foreign"
    (foreign / "acme").mkdir(parents=True)
    (foreign / "acme" / "creds.json").write_text("{}")
    with pytest.raises(ResilienceError, match="may be all there is"):
        copy(standby, foreign)
    assert (foreign / "acme" / "creds.json").read_text() == "{}"


def test_a_session_that_is_refreshed_while_it_is_copied_is_copied_again(
    standby: Standby, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshed: list[str] = []

    def write(path: str, *arguments: Any, **keywords: Any) -> Any:
        if "gamma" in path and not refreshed:
            standby.change("gamma")
            standby.refresh()
            refreshed.append(path)
        return write_files(path, *arguments, **keywords)

    monkeypatch.setattr(standby_copy, "write_files", write)
    done = copy(standby, tmp_path / "sessions")
    assert refreshed
    assert tree(tmp_path / "sessions") == tree(standby.directory)
    assert {one.tenant: one.digest for one in done.tenants} == {
        one.tenant: one.content.digest for one in standby.read().tenants
    }


def test_a_session_that_the_database_has_no_more_stays_out(standby: Standby, tmp_path: Path) -> None:
    """WhatsApp would refuse it, and the whole service would count as refused."""
    standby.database.execute("DELETE FROM whatsapp_keys WHERE company_id = 'gamma'")
    standby.database.execute("DELETE FROM whatsapp_auth WHERE company_id = 'gamma'")
    standby.refresh()
    assert {one.tenant for one in copy(standby, tmp_path / "sessions").tenants} == set(TENANTS) - {"gamma"}
    assert not (tmp_path / "sessions" / "gamma").exists()


def test_they_are_given_to_the_user_of_the_service(standby: Standby, tmp_path: Path) -> None:
    # Only root can give files away.
    owner = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    copy(standby, tmp_path / "sessions", owner=owner)
    for path in (tmp_path / "sessions").glob("*/*"):
        assert (path.stat().st_uid, path.stat().st_gid) == owner


def test_two_processes_copy_as_one_would(standby: Standby, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby_copy, "processes_for", lambda *_: 2)
    done = copy(standby, tmp_path / "sessions")
    assert [one.tenant for one in done.tenants] == sorted(TENANTS)
    assert tree(tmp_path / "sessions") == tree(standby.directory)
