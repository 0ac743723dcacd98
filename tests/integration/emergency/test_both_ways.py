# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service goes to its files and back, with every key, from the live database, from the standby, from a backup."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.emergency import sources
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.journal import (
    Journal,
    journal_path,
    read_journal,
    write_journal,
)
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.rollback import preview_rollback, roll_back
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.rollforward import (
    preview_rollforward,
    roll_forward,
)
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_saved import saved_processes
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.support import node
from tests.support.emergencies import SOURCE, Host
from tests.support.pm2 import command
from tests.support.service import WHATSAPP

FLAGS = ("USE_REPOSITORY_PATTERN", "USE_DATABASE_AUTH_STATE", "USE_LEGACY_SUPABASE")


def in_database(host: Host) -> dict[str, str]:
    """What the service's own code reads in the database, by company: an oracle that knows nothing of ours."""
    other = host.directory / "oracle"
    (other / "control").mkdir(parents=True, exist_ok=True)
    for name in ("hold-connection", "hold-writes"):
        (other / "control" / name).touch()
    status = other / "whatsapp.json"
    status.unlink(missing_ok=True)
    environment = {"PATH": node.SEARCH_PATH, "STATUS_DIRECTORY": str(other)}
    with subprocess.Popen(
        [node.node(), "whatsapp.mjs"], cwd=host.service.checkout, env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b"connected to WA" in line:
                break
        process.terminate()
    companies: dict[str, Any] = json.loads(status.read_text())["companies"]
    return {company: summary["loaded_digest"] for company, summary in companies.items()}


def ages(host: Host) -> dict[tuple[str, str], datetime]:
    rows = host.database.execute("SELECT key_type, key_id, updated_at FROM whatsapp_keys")
    return {(key_type, key_id): updated_at for key_type, key_id, updated_at in rows}


def test_from_the_live_database_and_back(make_host) -> None:
    host = make_host()
    host.service.wait_for_writes()
    others = host.others()
    ages_before = ages(host)
    env_before = (host.service.checkout / ".env").read_bytes()

    outcome = roll_back(host.request())

    assert host.side() == "files"
    assert host.owner() == "files"
    said = host.service.wait_until_connected()
    assert said["auth"] == "files"
    assert said["commit"] == host.service.tagged
    # Baileys itself has read every key, and it is what the database holds.
    assert host.service.digests("loaded_digest") == in_database(host)
    assert outcome.journal is not None
    assert outcome.journal.data["kind"] == "database"
    assert outcome.journal.data["keys"] == len(ages(host))
    # The other apps of the checkout run on as if nothing had been.
    assert host.others() == others
    assert (host.service.checkout / ".env").read_bytes() == env_before
    assert host.service.git("rev-parse", "HEAD").strip() == host.service.head
    assert host.service.git("status", "--porcelain").strip() == ""

    # Some messages later ...
    host.service.wait_for_writes(3)
    host.service.control("hold-writes")
    written = host.service.status()["writes"]
    in_files = host.service.wait(lambda now: now["writes"] == written, "it goes on writing")["companies"]
    host.back_up()
    roll_forward(host.request())

    assert host.side() == "postgresql"
    assert host.owner() == "postgresql"
    said = host.service.wait_until_connected()
    assert said["auth"] == "postgresql"
    assert said["commit"] == host.service.head
    assert host.service.digests("loaded_digest") == {name: summary["digest"] for name, summary in in_files.items()}
    # What did not change has kept its age; what did is as old as its file, and nothing is as young as the import.
    now = ages(host)
    kept = [key for key, at in ages_before.items() if now.get(key) == at]
    assert len(kept) > 1500
    newer = [at for key, at in now.items() if ages_before.get(key) != at]
    assert newer
    assert max(newer) < datetime.now(UTC)
    assert host.others() == others
    assert not host.emergency_checkout.exists()
    assert read_journal(str(host.state), SOURCE) is None
    (kept_files,) = host.service.state.glob("sessions.rolled-forward-*")
    assert kept_files.is_dir()
    # And on it goes.
    host.service.control("hold-writes", False)
    host.service.wait_for_writes()


def test_with_the_database_gone_and_only_a_standby_older_than_the_cache(make_host) -> None:
    host = make_host(WRITE_MS="600000")
    host.refresh_standby()
    host.age_standby(timedelta(minutes=7))
    held = host.service.digests()
    host.database.server.stop()
    outcome = roll_back(host.request())
    assert outcome.journal is not None
    assert outcome.journal.data["kind"] == "standby"
    assert host.side() == "files"
    assert host.service.digests("loaded_digest") == held
    host.database.server.start()
    host.back_up()
    roll_forward(host.request())
    assert host.side() == "postgresql"
    assert host.service.digests("loaded_digest") == held


def test_with_the_database_gone_and_only_a_backup(make_host) -> None:
    host = make_host(WRITE_MS="600000", companies=2)
    host.back_up()
    held = host.service.digests()
    assert len(held) == 2
    host.database.server.stop()
    outcome = roll_back(host.request(options={"connections": 2}))
    assert outcome.journal is not None
    assert outcome.journal.data["kind"] == "backup"
    # The moment that the backup shows, not that of the server it was restored into.
    (manifest,) = host.backups.glob("daily/*.manifest.json")
    assert json.loads(manifest.read_text())["snapshot_at"].startswith(outcome.journal.data["snapshot_at"][:-1])
    assert host.side() == "files"
    assert host.service.digests("loaded_digest") == held


def test_the_newer_of_standby_and_backup_is_taken(make_host) -> None:
    host = make_host(WRITE_MS="600000")
    host.back_up()
    host.refresh_standby()
    host.database.server.stop()
    plan = preview_rollback(host.request()).plan
    assert plan.chosen.kind == "standby"
    host.age_standby(timedelta(minutes=5))
    assert preview_rollback(host.request()).plan.chosen.kind == "backup"
    assert host.side() == "postgresql"


def test_check_touches_nothing_and_shows_every_source(make_host) -> None:
    host = make_host(WRITE_MS="600000")
    host.back_up()
    host.refresh_standby()
    before = sorted(str(path) for path in host.state.rglob("*"))
    processes = host.service.status()["pid"], host.others()
    outcome = preview_rollback(host.request(confirm=None))
    assert [candidate.kind for candidate in outcome.plan.candidates] == ["database", "standby", "backup"]
    assert all(candidate.usable for candidate in outcome.plan.candidates)
    assert not host.emergency_checkout.exists()
    assert not host.service.sessions.exists()
    assert sorted(str(path) for path in host.state.rglob("*")) == before
    assert (host.service.status()["pid"], host.others()) == processes


def test_running_it_again_changes_nothing(make_host) -> None:
    host = make_host(WRITE_MS="600000")
    roll_back(host.request())
    pid = host.service.status()["pid"]
    again = roll_back(host.request(confirm=None))
    assert (again.run, again.plan) == (None, None)
    assert host.service.status()["pid"] == pid
    host.back_up()
    assert preview_rollforward(host.request()).plan.tenants
    roll_forward(host.request())
    pid = host.service.status()["pid"]
    assert roll_forward(host.request(confirm=None)).run is None
    assert host.service.status()["pid"] == pid


def test_a_flag_that_pm2_captured_at_the_first_start_does_not_win(make_host) -> None:
    host = make_host(WRITE_MS="600000")
    # As if the service had been started from a shell that had the flags: PM2 passes them on ever after.
    command(host.pm2, "delete", WHATSAPP)
    flags: dict[str, Any] = dict.fromkeys(FLAGS, "true")
    command(host.pm2, "start", str(host.service.checkout / "ecosystem.config.cjs"), "--only", WHATSAPP, **flags)
    host.service.wait_until_connected()
    roll_back(host.request())
    said = host.service.wait_until_connected()
    assert said["auth"] == "files"
    written = (host.emergency_checkout / ".env").read_text()
    for flag in FLAGS:
        assert f"{flag}=false" in written.replace('"', "")


def test_both_sides_come_back_after_a_reboot(make_host) -> None:
    host = make_host(WRITE_MS="600000")
    roll_back(host.request())
    (saved,) = saved_processes(host.pm2, WHATSAPP)
    assert saved.cwd == str(host.emergency_checkout)
    host.back_up()
    roll_forward(host.request())
    (saved,) = saved_processes(host.pm2, WHATSAPP)
    assert saved.cwd == str(host.service.checkout)


def test_a_service_that_a_boot_has_brought_back_to_the_database_is_exported_again(make_host) -> None:
    """The journal says that it was being started on files; PM2 has it on the database, which is newer by now."""
    host = make_host()
    roll_back(host.request())
    host.back_up()
    roll_forward(host.request())
    journal = killed_while_connecting(host)
    # What a boot does: PM2 starts what it had saved, the service on the database. Some messages later:
    host.service.wait_for_writes(3)
    host.service.control("hold-writes")
    written = host.service.status()["writes"]
    host.service.wait(lambda now: now["writes"] == written, "it goes on writing")
    outcome = roll_back(host.request())
    assert outcome.plan is not None, journal
    assert host.side() == "files"
    assert host.service.digests("loaded_digest") == in_database(host)


def killed_while_connecting(host: Host) -> Journal:
    """The journal of a rollback that was killed while it waited for the connection, and nothing else of it."""
    outcome = preview_rollback(host.request())
    journal = Journal(
        direction="rollback",
        phase="connecting",
        started_at="2026-11-25T03:00:00Z",
        original=asdict(outcome.plan.original),
        emergency=asdict(outcome.plan.emergency),
        was_running=True,
        commit=outcome.plan.commit.sha,
        release="worktree",
        code_directory=str(host.emergency_checkout),
        sessions_directory=str(host.service.sessions),
        data={"kind": "database", "what": "live database"},
    )
    return write_journal(str(host.state), SOURCE, journal)


def test_a_service_that_somebody_has_started_on_the_database_meanwhile_is_not_overwritten(make_host) -> None:
    """A deploy, say. What it writes there is newer than the files."""
    host = make_host(WRITE_MS="600000")
    roll_back(host.request())
    host.back_up()
    command(host.pm2, "delete", WHATSAPP)
    command(host.pm2, "start", str(host.service.checkout / "ecosystem.config.cjs"), "--only", WHATSAPP)
    host.wait_until_connected("postgresql")
    for move in (roll_back, roll_forward):
        with pytest.raises(ResilienceError, match="PM2 runs it otherwise now"):
            move(host.request())
    assert host.side() == "postgresql"


def test_files_that_do_not_run_are_not_said_to_run(make_host) -> None:
    host = make_host(WRITE_MS="600000")
    roll_back(host.request())
    command(host.pm2, "stop", WHATSAPP)
    with pytest.raises(ResilienceError, match="does not run now"):
        roll_back(host.request())
    host.back_up()
    # Its files are what is current all the same.
    roll_forward(host.request())
    assert host.side() == "postgresql"


@pytest.mark.parametrize("lost", ["journal", "state"])
def test_without_its_journal_a_rollback_does_not_go_by_the_stale_database(make_host, lost: str) -> None:
    host = make_host(WRITE_MS="600000")
    roll_back(host.request())
    if lost == "journal":
        Path(journal_path(str(host.state), SOURCE)).unlink()
    else:
        host.state.rename(host.directory / "lost")
    with pytest.raises(ResilienceError, match="the sessions belong to the files"):
        roll_back(host.request(options={"checkout": str(host.emergency_checkout), "release": "checkout"}))
    assert host.side() == "files"


def test_a_hanging_database_is_as_good_as_gone(make_host, monkeypatch: pytest.MonkeyPatch) -> None:
    host = make_host(WRITE_MS="600000")
    host.refresh_standby()
    monkeypatch.setattr(sources, "ANSWER_SECONDS", 2.0)
    pid = host.database.server.pid
    backends = [int(name) for name in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    try:
        for process in (pid, *backends):
            os.kill(process, signal.SIGSTOP)
        plan = preview_rollback(host.request(settings=host.settings(connect_timeout="2"))).plan
    finally:
        for process in (*backends, pid):
            os.kill(process, signal.SIGCONT)
    assert plan.chosen.kind == "standby"


def test_files_are_the_services_alone(make_host) -> None:
    host = make_host(WRITE_MS="600000")
    before = os.umask(0)
    try:
        roll_back(host.request())
    finally:
        os.umask(before)
    for path in [host.service.sessions, *host.service.sessions.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    for path in (host.state, *host.state.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    assert (host.emergency_checkout / ".env").stat().st_mode & 0o077 == 0


def test_in_place_and_back(make_host) -> None:
    host = make_host(WRITE_MS="600000")
    held = host.service.digests()
    env_before = (host.service.checkout / ".env").read_bytes()
    options = {"release": "checkout"}
    roll_back(host.request(options))
    said = host.service.wait_until_connected()
    assert said["auth"] == "files"
    assert said["commit"] == host.service.tagged
    assert host.service.digests("loaded_digest") == held
    assert host.service.git("rev-parse", "HEAD").strip() == host.service.tagged
    host.back_up()
    roll_forward(host.request(options))
    assert host.service.git("symbolic-ref", "--short", "HEAD").strip() == "main"
    assert (host.service.checkout / ".env").read_bytes() == env_before
    said = host.service.wait_until_connected()
    assert (said["auth"], said["commit"]) == ("postgresql", host.service.head)
    assert host.service.digests("loaded_digest") == held


def test_what_lay_in_the_place_of_the_sessions_is_kept(make_host) -> None:
    host = make_host(WRITE_MS="600000")
    host.service.sessions.mkdir()
    (host.service.sessions / "from-years-ago.json").write_text("{}")
    roll_back(host.request())
    (aside,) = host.service.state.glob("sessions.before-*")
    assert [path.name for path in aside.iterdir()] == ["from-years-ago.json"]


def test_other_code_works_on_the_database_only_where_the_mark_lets_it(make_host) -> None:
    host = make_host(WRITE_MS="600000")
    roll_back(host.request())
    (row,) = host.database.execute("SELECT source, owner FROM baileys_resilience_fence")
    assert row == (SOURCE, "files")
    host.back_up()
    roll_forward(host.request())
    assert host.database.execute("SELECT to_regclass('baileys_resilience_fence')") == [(None,)]


@pytest.mark.parametrize("data_source", ["standby", "backup"])
def test_a_source_that_is_named_is_taken_or_nothing(make_host, data_source: str) -> None:
    host = make_host(WRITE_MS="600000")
    with pytest.raises(ResilienceError, match="cannot be had from the") as caught:
        roll_back(host.request(data_source=data_source))
    assert "Nothing was touched" in str(caught.value.remedy)
    assert host.side() == "postgresql"
    assert Path(host.service.checkout).exists()
