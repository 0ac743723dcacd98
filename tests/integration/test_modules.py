# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as Ansible runs them: what they return, what they show, and that check mode touches nothing."""

from __future__ import annotations

import importlib
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from tests.support.backups import back_up_days_ago, tree_state
from tests.support.databases import fresh_database
from tests.support.playbooks import MODULES, Surroundings, Unsafe

PREFIX = "baileys.resilience."
# What Ansible itself adds to every result.
OF_ANSIBLE = {"changed", "failed", "msg", "diff", "warnings", "invocation", "exception", "deprecations"}


@pytest.fixture(scope="module")
def life(server18, tmp_path_factory):
    """A root with archives of three days, a foreign file and a suspect, and two runs of every module upon it."""
    directory = tmp_path_factory.mktemp("life")
    with fresh_database(server18) as database:
        database.execute("CREATE TABLE t AS SELECT generate_series(1, 7) n")
        yield Life(database, directory)


class Life:
    def __init__(self, database, directory):
        self.root = directory / "root"
        self.state = directory / "state"
        self.days = [(datetime.now(UTC) - timedelta(days=back)).date().isoformat() for back in (3, 2, 1, 0)]
        for back in (3, 2, 1):
            back_up_days_ago(back, database, self.root, source="app", keep={"daily": 7, "monthly": 4})
        (self.root / "daily" / "by-hand.sql.gz").write_bytes(b"mine")
        self.oldest = next(self.root.glob(f"daily/*{self.days[0]}*.dump"))
        self.surroundings = Surroundings(directory)
        self.surroundings.write_hosts({"db": {}})
        connection = {
            "login_host": "localhost",
            "login_port": database.server.port,
            "login_user": database.user,
            "login_password": Unsafe(database.password),
            "database": database.name,
            "client_directory": str(database.server.bin_directory),
        }
        self.defaults = {
            "group/baileys.resilience.resilience": connection,
            "group/baileys.resilience.archives": {"backup_root": str(self.root)},
        }
        here = {"source": "app", "state_directory": str(self.state), "min_size": 1}
        verify = {
            "source": "app",
            "state_directory": str(self.state),
            "client_directory": connection["client_directory"],
        }
        self.before = tree_state(self.root)
        self.looked, self.look = self.play(
            [
                ("version", "pg_version_check", {}),
                ("info", "pg_backup_info", {}),
                ("backup", "pg_backup", {**here, "keep_daily": 2, "keep_monthly": 4}),
                ("prune", "pg_backup_prune", {"keep_daily": 1}),
                ("verify", "pg_backup_verify", verify),
                ("nowhere", "pg_backup_info", {"backup_root": str(directory / "not there")}),
                ("first", "pg_backup", {**here, "backup_root": str(directory / "new"), "format": "plain"}),
                ("refused", "pg_backup", {**here, "database": "not there"}),
            ],
            "--check",
            "--diff",
        )
        self.after_look = tree_state(self.root)
        self.made_by_look = (directory / "new").exists() or self.state.exists()
        self.done, self.result = self.play(
            [
                ("backup", "pg_backup", {**here, "keep_daily": 3, "keep_monthly": 4}),
                ("prune", "pg_backup_prune", {"keep_daily": 1}),
                ("again", "pg_backup_prune", {"keep_daily": 1}),
                ("verify", "pg_backup_verify", verify),
                ("newest", "pg_backup_verify", {**verify, "newest_only": True}),
                ("info", "pg_backup_info", {}),
                ("brief", "pg_backup_info", {"manifests": False}),
                ("refused", "pg_backup", {**here, "database": "not there"}),
            ],
            "--diff",
        )

    def play(self, steps, *arguments):
        tasks = [
            {"name": name, PREFIX + module: options, "register": f"step_{name}"} for name, module, options in steps
        ]
        played, results = self.surroundings.play_tasks(tasks, *arguments, module_defaults=self.defaults)
        return played, {name.removeprefix("step_"): result for name, result in results.items()}


def test_check_mode_touches_nothing(life):
    assert life.looked.rc == 0, life.looked
    assert life.after_look == life.before
    assert not life.made_by_look


def test_check_mode_says_what_would_be_done(life):
    planned = life.look["backup"]
    assert planned["changed"] is True
    assert os.path.basename(planned["archive"]).startswith(f"backup-{life.days[3]}T")
    assert planned["archive"].endswith("Z.dump")
    assert not os.path.exists(planned["archive"])
    # Of the three older ones the newest stays beside the new one.
    removed = [os.path.basename(entry["archive"])[7:17] for entry in planned["removed"]]
    assert removed == life.days[:2]
    assert life.look["first"]["archive"].endswith(".sql.gz")
    assert life.look["first"]["links"] == [life.look["first"]["archive"].replace("/daily/", "/monthly/")]
    assert life.look["prune"]["changed"] is True, life.look["prune"]
    assert len(life.look["prune"]["removed"]) == 2
    assert life.look["verify"]["changed"] is False


def test_diff_names_what_is_made_and_deleted_and_why_the_rest_stays(life):
    lines = life.looked.output.splitlines()
    day = life.days

    def line(beginning, ending):
        found = [text for text in lines if text.startswith(beginning) and text.endswith(ending)]
        assert found, f"{beginning} ... {ending}\n{life.looked}"

    line(f"+ daily/backup-{day[3]}T", f"made; kept: daily: day {day[3]}, 1 of 2")
    line(f"  daily/backup-{day[2]}T", f"kept: daily: day {day[2]}, 2 of 2")
    line(f"- daily/backup-{day[1]}T", "removed: daily: beyond 2, or an older one of the same day")
    line(f"- daily/backup-{day[0]}T", "removed: daily: beyond 2, or an older one of the same day")
    line("  daily/by-hand.sql.gz", "kept: not made by this collection: never touched")
    line(f"  monthly/backup-{day[0]}T", " of 4")
    assert str(life.root) in life.looked.output


def test_the_run_does_what_check_mode_said(life):
    made = life.result["backup"]
    assert made["changed"] is True
    assert os.path.exists(made["archive"])
    assert [os.path.basename(entry["archive"])[7:17] for entry in made["removed"]] == life.days[:1]
    assert made["manifest"]["rows"] == 7
    assert made["statistics"]["count_by_tier"]["daily"] == 3
    assert made["report"]["level"] == "info"
    assert not life.oldest.exists()
    # The same archive in monthly/ keeps the bytes.
    assert len(list(life.root.glob("monthly/*.dump"))) in (1, 2)


def test_prune_changes_once(life):
    assert life.result["prune"]["changed"] is True
    assert [os.path.basename(entry["archive"])[7:17] for entry in life.result["prune"]["removed"]] == life.days[1:3]
    assert life.result["again"]["changed"] is False
    assert life.result["again"]["removed"] == []
    assert {entry["archive"] for entry in life.result["again"]["kept"]} == {
        str(path) for tier in ("daily", "monthly") for path in (life.root / tier).iterdir() if path.suffix != ".json"
    }
    assert (life.root / "daily" / "by-hand.sql.gz").read_bytes() == b"mine"


def test_verify_and_info(life):
    verified = life.result["verify"]
    assert verified["changed"] is False
    assert all(entry["holds"] for entry in verified["archives"])
    assert verified["newest_corrupt"] is False
    assert len(life.result["newest"]["archives"]) == 1
    assert life.result["newest"]["archives"][0]["archive"] == life.result["backup"]["archive"]
    info = life.result["info"]
    assert info["last_run"]["outcome"] == "ok"
    states = {os.path.basename(entry["archive"]): entry["state"] for entry in info["archives"]}
    assert states.pop("by-hand.sql.gz") == "foreign"
    assert set(states.values()) == {"verified"}
    assert info["statistics"]["newest"] == life.result["backup"]["archive"]
    assert 0 <= info["statistics"]["newest_age_seconds"] < 120
    assert all("manifest" not in entry for entry in life.result["brief"]["archives"])
    assert life.look["nowhere"]["archives"] == []
    assert life.look["nowhere"]["statistics"]["newest"] is None


def test_a_refused_run_says_what_why_and_what_next(life):
    for results in (life.look, life.result):
        refused = results["refused"]
        assert refused["failed"] is True
        assert 'database "not there" does not exist' in refused["msg"]
        assert refused["stage"] == "connect"
        assert refused["remedy"] in refused["msg"]
    assert life.result["refused"]["report"]["level"] == "fatal"
    status = json.loads((life.state / "status" / "backup.json").read_text())["subjects"]["app"]
    assert status["consecutive_failures"] == 1
    assert "does not exist" in status["reason"]
    assert status["last_success"] is not None


@pytest.mark.parametrize(
    ("module", "steps", "failed"),
    [
        ("pg_version_check", ["version"], []),
        ("pg_backup", ["backup"], ["refused"]),
        ("pg_backup_info", ["info", "nowhere"], []),
        ("pg_backup_prune", ["prune", "again"], []),
        ("pg_backup_verify", ["verify", "newest"], []),
    ],
)
def test_return_values_are_the_documented_ones(life, module, steps, failed):
    documented = yaml.safe_load(importlib.import_module(f"{MODULES}.{module}").RETURN)
    for results, names in ((life.look, steps + failed), (life.result, steps + failed)):
        for name in names:
            if name not in results:
                continue
            result = results[name]
            always = {key for key, entry in documented.items() if needed(entry["returned"], name in failed)}
            # A report is not made in check mode: nothing happened.
            always -= {"report"} if results is life.look and module == "pg_backup" and name not in failed else set()
            assert always <= set(result), f"{name}: {sorted(always - set(result))} missing"
            assert set(result) - OF_ANSIBLE <= set(documented), f"{name}: {sorted(set(result) - set(documented))}"
            for key, entry in documented.items():
                for element in result.get(key) or [] if "contains" in entry else []:
                    inner = {word for word, value in entry["contains"].items() if value["returned"] == "always"}
                    assert inner <= set(element)
                    assert set(element) <= set(entry["contains"])


def needed(returned, failed):
    if returned == "always":
        return True
    if failed:
        return returned.startswith("failure") and "where it is known" not in returned
    return returned == "success" or returned.startswith(("when archives could be", "when the server answered"))
