# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails on the way: the service runs on one of the two sides, never on both, or it is said that it does not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.emergency import app, rollback, rollforward
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.journal import journal_path, read_journal
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.move import MoveFailedError
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.rollback import roll_back
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.rollforward import roll_forward
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.support.emergencies import SOURCE, Host, host_with_service
from tests.support.pm2 import command
from tests.support.service import TAG, WHATSAPP


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, bin_full18: Path) -> Iterator[Host]:
    """One host for all tests here: each leaves it on PostgreSQL again."""
    directory = tmp_path_factory.mktemp("host")
    for path in (directory, *directory.parents):
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o755)
    with host_with_service(directory, bin_full18, WRITE_MS="600000") as host:
        yield host


def standing(host: Host) -> tuple[Any, ...]:
    """All that a rollback which does not come about must leave alone."""
    return (
        host.service.status()["pid"],
        host.others(),
        host.owner(),
        host.emergency_checkout.exists(),
        sorted(path.name for path in host.service.state.iterdir()),
        (host.service.checkout / ".env").read_bytes(),
        host.service.git("rev-parse", "HEAD"),
        read_journal(str(host.state), SOURCE),
    )


# What is refused before anything is touched.


def refused(host: Host, match: str, options: dict[str, Any] | None = None, **changes: Any) -> ResilienceError:
    before = standing(host)
    with pytest.raises(ResilienceError, match=match) as caught:
        roll_back(host.request(options, **changes))
    assert not isinstance(caught.value, MoveFailedError)
    assert standing(host) == before
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("given", [None, "", "yes", "true", "WhatsApp", "worker"])
def test_without_its_confirmation_by_name(host: Host, given: str | None) -> None:
    error = refused(host, "not confirmed", confirm=given)
    assert "emergency_confirm=whatsapp" in str(error.remedy)


def test_a_tag_that_is_missing(host: Host) -> None:
    # The old script asked `git tag -l`, which ends well either way.
    host.service.git("tag", "--delete", TAG)
    try:
        refused(host, "There is no tag emergency-file-fallback-v1")
    finally:
        host.service.git("tag", TAG, host.service.tagged)


def test_a_dirty_checkout_in_place(host: Host) -> None:
    path = host.service.checkout / "worker.mjs"
    content = path.read_text()
    path.write_text(content + "// a quick fix that nobody has committed\n")
    try:
        refused(host, "changed files: worker.mjs", {"release": "checkout"})
    finally:
        path.write_text(content)


def test_a_directory_in_the_place_of_the_worktree(host: Host, tmp_path: Path) -> None:
    place = tmp_path / "taken"
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    refused(host, "is no worktree of", {"release_directory": str(place)})
    assert (place / "mine.txt").read_text() == "mine"


def test_an_app_that_pm2_does_not_know(host: Host) -> None:
    error = refused(host, 'no app "watsapp"; it has api, whatsapp, worker', {"app": "watsapp"}, confirm="watsapp")
    assert "pm2_home" in str(error.remedy)


def test_a_checkout_that_the_service_does_not_run_from(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(host.service.checkout, other, symlinks=True)
    refused(host, "neither is below", {"checkout": str(other)})
    assert not Path(f"{other}-emergency").exists()


def test_a_pm2_that_is_not_there(host: Host) -> None:
    refused(host, "is not on this host", {"pm2_program": "/nowhere/pm2"})


def test_nothing_to_start_from(host: Host) -> None:
    host.database.server.stop()
    try:
        error = refused(host, "cannot be had from anywhere")
        assert "there is none" in error.message
    finally:
        host.database.server.start()


def test_sessions_that_are_too_old(host: Host) -> None:
    host.back_up()
    host.database.server.stop()
    try:
        error = refused(host, "more than max_data_age allows", max_data_age=0.0)
        assert "accept_stale=true" in str(error.remedy)
    finally:
        host.database.server.start()


def test_a_wrong_password_is_no_reason_to_leave_the_database(host: Host) -> None:
    host.refresh_standby()
    settings = host.settings()
    settings = type(settings)(settings.parameters, "wrong")
    error = refused(host, "password authentication failed", settings=settings)
    assert "data_source=standby" in str(error.remedy)
    assert "wrong" not in error.message


def test_a_database_without_a_free_connection_is_none_either(host: Host) -> None:
    name = host.database.user
    host.database.execute(f'ALTER ROLE "{name}" CONNECTION LIMIT 0', superuser=True)
    try:
        refused(host, "too many connections")
    finally:
        host.database.execute(f'ALTER ROLE "{name}" CONNECTION LIMIT -1', superuser=True)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("creds - 'noiseKey'", "noiseKey"),
        ("jsonb_set(creds, '{me}', '{}')", "me.id"),
        ("'{}'", "noiseKey"),
        ("'\"not even an object\"'", "no JSON object|broken"),
    ],
)
def test_broken_credentials_stop_everything_before_the_service_is_touched(host: Host, damage: str, why: str) -> None:
    (creds,) = host.database.execute("SELECT creds::text FROM whatsapp_auth")[0]
    host.database.execute(f"UPDATE whatsapp_auth SET creds = {damage}")
    try:
        error = refused(host, why)
        assert "data_source=" in str(error.remedy)
    finally:
        escaped = creds.replace("'", "''")
        host.database.execute(f"UPDATE whatsapp_auth SET creds = '{escaped}'")


def test_a_damaged_journal_is_not_taken_for_none(host: Host) -> None:
    path = Path(journal_path(str(host.state), SOURCE))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text("{")
    try:
        with pytest.raises(ResilienceError, match="cannot be understood"):
            roll_back(host.request())
        with pytest.raises(ResilienceError, match="cannot be understood"):
            roll_forward(host.request())
    finally:
        path.unlink()
    assert host.side() == "postgresql"


# What fails after the service was stopped is undone.


def undone(host: Host, match: str, options: dict[str, Any] | None = None) -> MoveFailedError:
    held, others = host.service.digests(), host.others()
    with pytest.raises(MoveFailedError, match=match) as caught, host.never_two():
        roll_back(host.request(options))
    error = caught.value
    assert error.running_on == "PostgreSQL"
    assert "The service runs on PostgreSQL as before" in error.message
    assert host.side() == "postgresql"
    assert host.owner() == "postgresql"
    host.wait_until_connected("postgresql")
    assert host.service.digests("loaded_digest") == held
    assert host.others() == others
    assert host.database.execute("SELECT to_regclass('baileys_resilience_fence')") == [(None,)]
    assert read_journal(str(host.state), SOURCE) is None
    assert not host.emergency_checkout.exists()
    return error


def clean(host: Host) -> None:
    for left in host.service.state.glob("sessions*"):
        shutil.rmtree(left)


def test_a_service_that_never_connects(host: Host) -> None:
    host.service.control("hold-connection")
    try:
        with pytest.raises(MoveFailedError, match="the logs show no sign of a connection") as caught, host.never_two():
            roll_back(host.request({"connected_timeout": 4.0}))
    finally:
        host.service.control("hold-connection", False)
    assert caught.value.running_on == "PostgreSQL"
    assert caught.value.stage == "connect"
    host.wait_until_connected("postgresql")
    assert host.owner() == "postgresql"
    # It may have written to them: they are kept, and not where anything takes them for current.
    (kept,) = host.service.state.glob("sessions*")
    assert "undone" in kept.name
    clean(host)


def test_a_service_that_whatsapp_refuses(host: Host) -> None:
    host.service.control("logged-out")
    try:
        with pytest.raises(MoveFailedError, match="WhatsApp refused the service's credentials"), host.never_two():
            roll_back(host.request())
    finally:
        host.service.control("logged-out", False)
    command(host.pm2, "restart", WHATSAPP)
    assert host.side() == "postgresql"
    host.wait_until_connected("postgresql")
    clean(host)


def test_a_service_that_crashes_again_and_again(host: Host) -> None:
    host.service.control("crash")
    try:
        with pytest.raises(MoveFailedError, match="started again") as caught, host.never_two():
            roll_back(host.request())
    finally:
        host.service.control("crash", False)
    assert host.owner() == "postgresql"
    assert "runs on PostgreSQL" in caught.value.message
    host.wait_until_connected("postgresql")
    clean(host)


def test_a_stale_flag_that_makes_the_code_ask_the_database_again(host: Host) -> None:
    """One of the three flags left true: the code at the tag then runs on the database, and is not taken for connected."""
    settings = {"USE_REPOSITORY_PATTERN": "false", "USE_DATABASE_AUTH_STATE": "true", "USE_LEGACY_SUPABASE": "false"}
    with pytest.raises(ResilienceError, match="USE_DATABASE_AUTH_STATE"):
        roll_back(host.request({"settings": settings}))
    assert host.side() == "postgresql"


def test_a_full_disk_during_the_export(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any, **_keywords: Any) -> Any:
        raise ResilienceError("Cannot write sessions: no space left", stage="write", remedy="Free space.")

    monkeypatch.setattr(rollback, "carry_to_files", full)
    error = undone(host, "no space left")
    assert error.remedy == "Free space."
    assert not list(host.service.state.glob("sessions*"))


def test_an_unexpected_fault_is_undone_as_well(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any, **_keywords: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(rollback, "set_fence", broken)
    with pytest.raises(MoveFailedError, match="ZeroDivisionError") as caught, host.never_two():
        roll_back(host.request())
    assert caught.value.running_on == "PostgreSQL"
    assert "the sessions could not be given back" in caught.value.message
    monkeypatch.undo()
    # The fence could not be given back either, so the journal stays and the next run sees to it.
    host.wait_until_connected("postgresql")
    roll_back(host.request())
    assert host.side() == "files"
    host.back_up()
    roll_forward(host.request())
    assert host.side() == "postgresql"


def test_if_even_the_undoing_fails_it_is_said_and_the_next_run_finishes(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = host.service.digests()

    def broken(*_arguments: Any, **_keywords: Any) -> Any:
        raise ResilienceError("PM2 is gone", stage="start", remedy="Start PM2.")

    monkeypatch.setattr(app, "start_app", broken)
    with pytest.raises(MoveFailedError, match="THE SERVICE DOES NOT RUN") as caught:
        roll_back(host.request())
    assert caught.value.running_on is None
    assert "same playbook again" in str(caught.value.remedy)
    assert host.side() == "neither"
    monkeypatch.undo()
    roll_back(host.request())
    assert host.side() == "files"
    assert host.service.digests("loaded_digest") == held
    host.back_up()
    roll_forward(host.request())
    assert host.service.digests("loaded_digest") == held


def test_a_service_that_did_not_run_is_not_started_by_an_undo(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    command(host.pm2, "stop", WHATSAPP)

    def full(*_arguments: Any, **_keywords: Any) -> Any:
        raise ResilienceError("no space left")

    monkeypatch.setattr(rollback, "carry_to_files", full)
    with pytest.raises(MoveFailedError, match="it was not running then, and is not now"):
        roll_back(host.request())
    assert host.running()[WHATSAPP] == "stopped"
    command(host.pm2, "restart", WHATSAPP)
    host.wait_until_connected("postgresql")


# The way back.


def test_without_a_backup_the_database_is_not_overwritten(host: Host) -> None:
    roll_back(host.request())
    shutil.rmtree(host.backups, ignore_errors=True)
    pid = host.service.status()["pid"]
    with pytest.raises(ResilienceError, match="no verified backup"):
        roll_forward(host.request())
    assert host.service.status()["pid"] == pid
    assert host.side() == "files"
    host.back_up()
    roll_forward(host.request())


def test_a_roll_forward_that_fails_leaves_the_service_on_its_files(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    held = host.service.digests()
    roll_back(host.request())
    host.back_up()
    rows = host.database.execute("SELECT md5(string_agg(k::text, '' ORDER BY key_type, key_id)) FROM whatsapp_keys k")

    def full(*_arguments: Any, **_keywords: Any) -> Any:
        raise ResilienceError("The server ended the session")

    monkeypatch.setattr(rollforward, "import_sessions", full)
    with pytest.raises(MoveFailedError, match="The service runs on files as before"), host.never_two():
        roll_forward(host.request())
    monkeypatch.undo()
    assert host.side() == "files"
    assert host.owner() == "files"
    host.wait_until_connected("files")
    now = host.database.execute("SELECT md5(string_agg(k::text, '' ORDER BY key_type, key_id)) FROM whatsapp_keys k")
    assert now == rows
    (row,) = host.database.execute("SELECT owner FROM baileys_resilience_fence")
    assert row == ("files",)
    roll_forward(host.request())
    assert host.side() == "postgresql"
    assert host.service.digests("loaded_digest") == held


def test_a_service_that_does_not_connect_on_the_database_goes_back_to_its_files(host: Host) -> None:
    held = host.service.digests()
    roll_back(host.request())
    host.back_up()
    host.service.control("hold-connection")
    try:
        with pytest.raises(MoveFailedError, match="The service runs on files as before"), host.never_two():
            roll_forward(host.request({"connected_timeout": 4.0}))
    finally:
        host.service.control("hold-connection", False)
    assert host.side() == "files"
    assert host.owner() == "files"
    host.wait_until_connected("files")
    roll_forward(host.request())
    assert host.service.digests("loaded_digest") == held


def test_files_that_were_damaged_meanwhile_are_not_brought_into_the_database(host: Host) -> None:
    held = host.service.digests()
    roll_back(host.request())
    host.back_up()
    (creds,) = host.service.sessions.glob("*/creds.json")
    content = creds.read_text()
    creds.write_text("")
    pid = host.service.status()["pid"]
    with pytest.raises(ResilienceError) as caught:
        roll_forward(host.request())
    assert not isinstance(caught.value, MoveFailedError)
    assert host.service.status()["pid"] == pid
    assert host.side() == "files"
    creds.write_text(content)
    roll_forward(host.request())
    assert host.service.digests("loaded_digest") == held


def test_a_lost_journal_is_said(host: Host) -> None:
    roll_back(host.request())
    path = Path(journal_path(str(host.state), SOURCE))
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(ResilienceError, match="the journal of the rollback is gone"):
        roll_forward(host.request())
    path.write_bytes(kept)
    host.back_up()
    roll_forward(host.request())
    assert host.side() == "postgresql"
