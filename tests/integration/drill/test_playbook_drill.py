# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restore_drill.yml: every source is drilled whatever becomes of the others, told to the team, and kept on pages."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import read_catalogue
from ansible_collections.baileys.resilience.plugins.module_utils.backup.describe import write_manifest
from tests.support.backups import back_up_days_ago, tree_state
from tests.support.databases import fresh_database
from tests.support.playbooks import Surroundings, Unsafe
from tests.support.stub_servers import CHAT_ID, TOKEN, sentry_stub, telegram_stub


@pytest.fixture(scope="module")
def database(server18):
    with fresh_database(server18) as database:
        database.execute("CREATE TABLE t AS SELECT g, md5(g::text) FROM generate_series(1, 700) g")
        yield database


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return tmp_path_factory.mktemp("template")


class Site:
    """One host with two sources, two archives each, and a team that listens."""

    def __init__(self, directory: Path, database, bin_directory: Path, template: Path) -> None:
        self.roots = {name: directory / "roots" / name for name in ("app", "other")}
        self.state = directory / "state"
        self.surroundings = Surroundings(directory)
        for name, root in self.roots.items():
            for back in (1, 0):
                back_up_days_ago(back, database, root, source=name, keep={"daily": 7, "monthly": 4})
        self.host = {
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
            "drill_server_directory": str(bin_directory),
            "backup_state_directory": str(self.state),
        }
        self.state.mkdir(mode=0o700)
        # The drills of all tests here share the template of a data directory.
        (self.state / "scratch").symlink_to(template)

    def play(self, *arguments, playbook="restore_drill", **variables):
        with telegram_stub() as telegram, sentry_stub() as sentry:
            self.surroundings.write_hosts(
                {"db": {**self.host, **variables}},
                telegram_token=TOKEN,
                telegram_chat_id=CHAT_ID,
                telegram_api_url=telegram.url,
                sentry_dsn=sentry.dsn,
            )
            played = self.surroundings.play(f"playbooks/{playbook}.yml", *arguments)
            self.messages = [message["text"] for message in telegram.messages]
            self.events = {
                (event["tags"]["job"], event["tags"]["source"], event["level"]) for event in sentry.of_type("event")
            }
        return played

    def states(self, name="app"):
        return [archive.state for archive in read_catalogue(str(self.roots[name])) if archive.tier == "daily"]

    def newest(self, name="app"):
        return [archive for archive in read_catalogue(str(self.roots[name])) if archive.tier == "daily"][-1]

    def status(self, job="restore_drill"):
        return json.loads((self.state / "status" / f"{job}.json").read_text())["subjects"]

    def pages(self, name="app"):
        return sorted(path.name for path in (self.state / "reports").glob(f"drill-{name}-*"))


@pytest.fixture
def site(database, bin_full18, template, tmp_path):
    return Site(tmp_path, database, bin_full18, template)


def test_all_is_well(site):
    played = site.play()
    assert played.rc == 0, played
    assert [site.states(name) for name in site.roots] == [["verified", "proven"]] * 2
    assert site.events == {("restore_drill", "app", "info"), ("restore_drill", "other", "info")}
    assert {subject["level"] for subject in site.status().values()} == {"info"}
    name = Path(site.newest().path).name
    assert [page.rpartition(name)[2] for page in site.pages()] == [".html", ".json"]
    data = json.loads((site.state / "reports" / site.pages()[1]).read_text())
    assert (data["verdict"], data["source"], data["drill_version"]) == ("proven", "app", 1)
    metrics = (site.state / "metrics" / "restore_drill.prom").read_text()
    assert 'subject="app"' in metrics or 'source="app"' in metrics
    assert "restore_seconds" in metrics
    # As a person reads it.
    (message,) = site.messages
    assert "restore_drill on db: 2 ok" in message
    assert "app: backup restored and proven" in message
    assert "other: backup restored and proven" in message
    # Alone, it has room to say more.
    assert site.play("-e", "backup_only=app").rc == 0
    (message,) = site.messages
    assert f"daily/{name}" in message
    assert "700 rows in 1 tables" in message
    assert " met; forecast " in message
    assert site.pages()[-2] in message


def test_one_source_fails_and_the_other_is_drilled(site):
    path = Path(site.newest("app").path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)
    played = site.play()
    assert played.rc == 2, played
    assert site.states("app") == ["verified", "suspect"]
    assert site.states("other") == ["verified", "proven"]
    assert site.events == {("restore_drill", "app", "fatal"), ("restore_drill", "other", "info")}
    assert {name: subject["level"] for name, subject in site.status().items()} == {"app": "fatal", "other": "info"}
    ending = played.output[played.output.index("PLAY RECAP") - 3000 :]
    assert f"{path.name} is suspect: its SHA-256 is not the one it was made with" in ending
    (message,) = [text for text in site.messages if "cannot be trusted" in text]
    assert "1 of 1 archives cannot be trusted" in message
    assert "SHA-256" in message
    assert "make a backup now" in message
    assert len(site.pages("app")) == 2


def test_source_without_an_archive(site):
    for path in site.roots["app"].rglob("backup-*"):
        path.unlink()
    played = site.play()
    assert played.rc == 2, played
    assert "There is no archive in" in played.output
    assert ("restore_drill", "app", "fatal") in site.events or ("restore_drill", "app", "error") in site.events
    assert site.states("other") == ["verified", "proven"]


def test_check_mode_marks_nothing(site):
    before = {name: tree_state(root, without=[".lock"]) for name, root in site.roots.items()}
    kept = tree_state(site.state)
    played = site.play("--check")
    assert played.rc == 0, played
    assert {name: tree_state(root, without=[".lock"]) for name, root in site.roots.items()} == before
    assert {name: facts for name, facts in tree_state(site.state).items() if name != "."} == {
        name: facts for name, facts in kept.items() if name != "."
    }
    assert site.messages == []


def test_every_archive(site):
    played = site.play("-e", "drill_every=true", "-e", "backup_only=app")
    assert played.rc == 0, played
    assert site.states("app") == ["proven", "proven"]
    assert site.states("other") == ["verified", "verified"]
    assert len(site.pages()) == 4
    assert "2 drilled, 2 proven" in site.messages[0]


def test_named_archives(site):
    old = read_catalogue(str(site.roots["app"]))[0]
    played = site.play("-e", "backup_only=app", "-e", json.dumps({"drill_archives": [old.path]}))
    assert played.rc == 0, played
    assert site.states("app") == ["proven", "verified"]


@pytest.mark.parametrize("held", [True, False])
def test_checks_and_self_test(site, held):
    checks = [
        {"name": "rows are there", "query": "SELECT count(*) FROM t", "expected": "700"},
        {
            "name": "none is empty",
            "query": "SELECT bool_and(md5 <> '') FROM t",
            "expected": "true" if held else "false",
        },
        {"name": "nothing", "query": "SELECT NULL", "expected": "NULL"},
    ]
    variables = {"drill_checks": checks, "drill_self_test": held}
    played = site.play("-e", "backup_only=app", **variables)
    assert (played.rc == 0) is held, played
    data = json.loads((site.state / "reports" / site.pages()[1]).read_text())
    assert [check["held"] for check in data["checks"]] == [True, held, True]
    if held:
        assert [(one["damage"], one["caught"]) for one in data["self_test"]] == [
            ("truncated file", True),
            ("one flipped bit", True),
            ("missing table (public.t)", True),
            ("one changed value (public.t)", True),
        ]
        assert "4 of 4 kinds of damage caught" in site.messages[0]
        assert site.states("app") == ["verified", "proven"]
    else:
        assert "the check \"none is empty\" gave 'true', 'false' expected" in played.output.replace("\\", "")
        # A check that is wrong takes no backup away.
        assert site.states("app") == ["verified", "verified"]


def test_check_that_writes_or_is_wrong(site):
    checks = [
        {"name": "writes", "query": "DELETE FROM t", "expected": "1"},
        {"name": "wrong", "query": "SELECT * FROM nowhere", "expected": "1"},
        {"name": "no row", "query": "SELECT 1 WHERE false", "expected": "1"},
    ]
    played = site.play("-e", "backup_only=app", drill_checks=checks)
    assert played.rc == 2, played
    data = json.loads((site.state / "reports" / site.pages()[1]).read_text())
    assert [check["held"] for check in data["checks"]] == [False] * 3
    assert data["problems"] == []
    for words in ("everything came back", "read-only transaction", "does not exist", "gave None, '1' expected"):
        assert words in data["obstacle"]
    assert site.states("app") == ["verified", "verified"]


def test_too_slow_for_the_target(site):
    played = site.play("-e", "backup_only=app", drill_rto_target=0.001)
    assert played.rc == 0, played
    assert site.events == {("restore_drill", "app", "warning")}
    assert "too slowly for the RTO" in site.messages[0]
    assert "missed" in site.messages[0]
    assert site.states("app") == ["verified", "proven"]


def test_obstacle_is_no_verdict(site):
    played = site.play("-e", "backup_only=app", drill_server_directory="/nowhere")
    assert played.rc == 2, played
    assert site.events == {("restore_drill", "app", "error")}
    assert "could not be judged: There is no PostgreSQL 18 server here" in played.output
    assert "It says nothing against" in site.messages[0] or "Install the server" in site.messages[0]
    assert site.states("app") == ["verified", "verified"]


def test_overdue_drill_turns_red_and_green_again(site):
    """The backup that runs daily is what notices that the monthly drill does not."""
    first = read_catalogue(str(site.roots["app"]))[0]
    assert first.manifest is not None
    manifest = dict(first.manifest)
    manifest["proofs"] = [
        *manifest["proofs"],
        {"at": "2026-01-01T00:00:00Z", "kind": "drill", "outcome": "held", "problem": None},
    ]
    manifest["state"] = "proven"
    write_manifest(first.path, manifest)
    # What the last drill left says that all was well.
    played = site.play("-e", "backup_only=app", playbook="backup")
    assert played.rc == 0, played
    days = (datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).days
    assert ("backup", "app", "warning") in site.events
    assert f"{days} days ago, the limit is 35 days" in site.messages[0]
    assert site.status("backup")["app"]["level"] == "warning"
    assert site.status()["app"]["level"] == "error"
    assert "overdue" in json.dumps(site.status()["app"])
    assert (site.state / "metrics" / "restore_drill.prom").read_text() != ""

    assert site.play("-e", "backup_only=app").rc == 0
    assert site.status()["app"]["level"] == "info"
    assert site.play("-e", "backup_only=app", playbook="backup").rc == 0
    assert site.status("backup")["app"]["level"] == "info"
    assert site.status()["app"]["level"] == "info"
    assert ("backup", "app", "info") in site.events


def test_no_limit_is_never_overdue(site):
    played = site.play("-e", "backup_only=app", playbook="backup", drill_max_age=0)
    assert played.rc == 0, played
    assert site.status("backup")["app"]["level"] == "info"
    assert not os.path.exists(site.state / "status" / "restore_drill.json")
