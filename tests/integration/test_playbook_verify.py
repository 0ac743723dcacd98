# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""verify.yml: a damaged archive is marked, shouted about, and made again if it was the newest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import read_catalogue
from tests.support.backups import back_up_days_ago, tree_state
from tests.support.databases import fresh_database
from tests.support.playbooks import Surroundings, Unsafe
from tests.support.stub_servers import CHAT_ID, TOKEN, sentry_stub, telegram_stub


@pytest.fixture(scope="module")
def database(server18):
    with fresh_database(server18) as database:
        database.execute("CREATE TABLE t AS SELECT g, md5(g::text) FROM generate_series(1, 700) g")
        yield database


class Site:
    """One host with two sources, three archives each, and a team that listens."""

    def __init__(self, directory: Path, database, bin_directory: Path) -> None:
        self.roots = {name: directory / "roots" / name for name in ("app", "other")}
        self.state = directory / "state"
        self.surroundings = Surroundings(directory)
        for name, root in self.roots.items():
            for back in (2, 1, 0):
                back_up_days_ago(back, database, root, source=name, keep={"daily": 7, "monthly": 4})
        self.hosts = {
            "db": {
                "backup_sources": [
                    {
                        "name": name,
                        "backup_root": str(root),
                        "login_host": "localhost",
                        "login_port": database.server.port,
                        "login_user": database.user,
                        "login_password": Unsafe(database.password),
                        "database": database.name,
                    }
                    for name, root in self.roots.items()
                ],
                "backup_client_directory": str(bin_directory),
                "backup_state_directory": str(self.state),
            }
        }

    def play(self, *arguments):
        with telegram_stub() as telegram, sentry_stub() as sentry:
            self.surroundings.write_hosts(
                self.hosts,
                telegram_token=TOKEN,
                telegram_chat_id=CHAT_ID,
                telegram_api_url=telegram.url,
                sentry_dsn=sentry.dsn,
            )
            played = self.surroundings.play("playbooks/verify.yml", *arguments)
            self.messages = [message["text"] for message in telegram.messages]
            self.events = {
                (event["tags"]["job"], event["tags"]["source"], event["level"]) for event in sentry.of_type("event")
            }
        return played

    def archives(self, name="app", tier="daily"):
        return [archive for archive in read_catalogue(str(self.roots[name])) if archive.tier == tier]

    def status(self, job):
        return json.loads((self.state / "status" / f"{job}.json").read_text())["subjects"]


@pytest.fixture
def site(database, bin_full18, tmp_path):
    return Site(tmp_path, database, bin_full18)


def flip(path):
    """Change one bit in the middle of a file; its times stay, as they would on a bad disk."""
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 8
    with open(path, "r+b") as file:
        file.write(content)


def test_all_is_well(site):
    before = {name: tree_state(root, without=[".lock"]) for name, root in site.roots.items()}
    played = site.play()
    assert played.rc == 0, played
    assert {name: tree_state(root, without=[".lock"]) for name, root in site.roots.items()} == before
    assert site.events == {("verify", "app", "info"), ("verify", "other", "info")}
    assert {subject["level"] for subject in site.status("verify").values()} == {"info"}
    assert not (site.state / "status" / "backup.json").exists()


def test_a_corrupt_newest_archive_is_marked_and_made_again(site):
    newest = site.archives()[-1]
    flip(newest.path)
    damaged = Path(newest.path).read_bytes()
    played = site.play()
    assert played.rc == 2, played
    after = site.archives()
    assert [archive.state for archive in after] == ["verified", "verified", "suspect", "verified"]
    assert after[2].path == newest.path
    assert "SHA-256 is not the one it was made with" in str(after[2].problem)
    # Kept for a person to look at.
    assert Path(newest.path).read_bytes() == damaged
    assert after[3].manifest is not None
    assert after[3].manifest["rows"] == 700
    # The other source is as it was.
    assert [archive.state for archive in site.archives("other")] == ["verified"] * 3
    # Named where the run ends, in what the team reads, and in the files.
    ending = played.output[played.output.index("End with the failure that was found") :]
    assert f"1 of 4 archives in {site.roots['app']} do not hold" in ending
    assert newest.path in ending
    assert site.events == {("verify", "app", "fatal"), ("verify", "other", "info"), ("backup", "app", "warning")}
    assert "1 of 4 archives are corrupt" in site.messages[0]
    assert Path(newest.path).name in site.messages[0]
    assert "backup made and verified" in site.messages[1]
    assert site.status("verify")["app"]["level"] == "fatal"
    assert site.status("verify")["other"]["level"] == "info"
    assert site.status("backup")["app"]["level"] == "warning"
    assert (site.state / "metrics" / "verify.prom").read_text().count("corrupt") > 0
    # The next run still tells of the suspect, and does not make yet another.
    again = site.play()
    assert again.rc == 2, again
    assert [archive.state for archive in site.archives()] == ["verified", "verified", "suspect", "verified"]
    # Once is enough to have said it.
    assert len((site.archives()[2].manifest or {})["proofs"]) == 1


def test_a_corrupt_older_archive_is_not_made_again(site):
    older = site.archives()[1]
    flip(older.path)
    played = site.play()
    assert played.rc == 2, played
    assert [archive.state for archive in site.archives()] == ["verified", "suspect", "verified"]
    assert site.events == {("verify", "app", "fatal"), ("verify", "other", "info")}
    assert not (site.state / "status" / "backup.json").exists()


def test_a_corrupt_archive_is_suspect_in_every_tier(site):
    """The first of the month lies in two tiers: the same bytes, one state."""
    oldest = site.archives()[0]
    monthly = site.archives(tier="monthly")
    assert Path(monthly[0].path).name == Path(oldest.path).name
    flip(oldest.path)
    assert site.play().rc == 2
    assert site.archives(tier="monthly")[0].state == "suspect"
    # The others, made in the same second of a quiet database, are equal to it byte for byte: they hold.
    assert [archive.state for archive in site.archives()] == ["suspect", "verified", "verified"]
    assert re.search("2 of [45] archives", site.messages[0])


def test_check_mode_finds_it_and_touches_nothing(site):
    flip(site.archives()[-1].path)
    before = tree_state(site.roots["app"])
    played = site.play("--check")
    assert played.rc == 2, played
    assert "do not hold" in played.output
    assert tree_state(site.roots["app"]) == before
    assert site.messages == []
    assert not site.state.exists()


def test_the_server_is_gone_as_well(site):
    """The newest archive is corrupt and cannot be made again: both are told, and the older ones stay as they are."""
    flip(site.archives()[-1].path)
    site.hosts["db"]["backup_sources"][0]["login_port"] = 1
    played = site.play()
    assert played.rc == 2, played
    assert site.events == {("verify", "app", "fatal"), ("verify", "other", "info"), ("backup", "app", "fatal")}
    assert [archive.state for archive in site.archives()] == ["verified", "verified", "suspect"]
    assert "Connection refused" in "".join(site.messages)
    assert "do not hold" in played.output[played.output.index("End with the failure") :]


def test_a_root_that_is_not_there(site):
    site.hosts["db"]["backup_sources"][0]["backup_root"] = "/nowhere/at/all"
    played = site.play()
    assert played.rc == 2, played
    assert "There is no backup root /nowhere/at/all" in played.output
    assert ("verify", "app", "fatal") in site.events
    assert ("verify", "other", "info") in site.events
