# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""session_keys_info and session_keys_cleanup as Ansible runs them, and what they say."""

from __future__ import annotations

import ast
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.baileys.resilience.plugins.module_utils.sessions import fence
from ansible_collections.baileys.resilience.plugins.module_utils.system.lock import exclusive_lock
from demo.postgres_server import PostgresServer
from tests.support.backups import back_up, tree_state
from tests.support.databases import fresh_database
from tests.support.key_store import DAY, Key, KeyStore, Name
from tests.support.modules_here import run_here
from tests.support.playbooks import ROOT

CLEANUP, INFO = "session_keys_cleanup", "session_keys_info"
OF_ANSIBLE = {"changed", "diff", "warnings", "invocation", "deprecations"}
SECRET = "the value of a key"
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def store(server18: PostgresServer) -> Iterator[KeyStore]:
    with fresh_database(server18) as database:
        yield KeyStore(database).create()


@pytest.fixture
def present(store: KeyStore) -> set[Name]:
    """Twenty old device lists and old pre-keys, sixty young sessions."""
    store.fill(
        [
            *(Key("device-list", f"device {number}", (40 + number) * DAY, SECRET) for number in range(20)),
            *(Key("pre-key", str(number), 40 * DAY, SECRET) for number in range(20)),
            *(Key("session", str(number), DAY, SECRET) for number in range(60)),
        ]
    )
    return store.names()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def run(store: KeyStore, present: set[Name], tmp_path: Path, root: Path) -> Run:
    """Run a module on the store; never does it show a value."""

    def run_it(module: str, **options: Any) -> dict[str, Any]:
        database = store.database
        arguments = {
            "login_host": "localhost",
            "login_port": database.server.port,
            "login_user": database.user,
            "login_password": database.password,
            "database": database.name,
            "source": "app",
            **({"backup_root": str(root), "state_directory": str(tmp_path / "state")} if module == CLEANUP else {}),
            **options,
        }
        result = run_here(module, {name: value for name, value in arguments.items() if value is not None})
        assert SECRET not in json.dumps(result)
        return result

    return run_it


@pytest.fixture
def backup(store: KeyStore, present: set[Name], root: Path) -> str:
    """A verified backup of the store, made just now."""
    return back_up(store.database, root).archive


def documented(module: str) -> set[str]:
    """What the module's RETURN says it returns."""
    tree = ast.parse((ROOT / f"plugins/modules/{module}.py").read_text(encoding="utf-8"))
    (text,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "RETURN"
    ]
    return set(yaml.safe_load(text))


class TestDryRun:
    @pytest.mark.parametrize("options", [{}, {"_ansible_check_mode": True, "dry_run": False}], ids=["default", "check"])
    def test_nothing_is_deleted_and_all_is_said(
        self, run: Run, store: KeyStore, present: set[Name], backup: str, tmp_path: Path, options: dict[str, Any]
    ) -> None:
        before = tree_state(tmp_path)
        result = run(CLEANUP, _ansible_diff=True, **options)
        assert store.names() == present
        assert tree_state(tmp_path) == before
        assert (result["changed"], result["dry_run"], result["deletable"], result["deleted_keys"]) == (
            True,
            True,
            20,
            0,
        )
        assert result["msg"] == "Dry run: 20 of 100 keys would be deleted. Nothing was."
        assert result["diff"]["before"] == "device-list: 20\npre-key: 20\nsession: 60\ntotal: 100\n"
        assert result["diff"]["after"] == "device-list: 0\npre-key: 20\nsession: 60\ntotal: 80\n"
        # Nothing that could pass for a cleanup.
        assert "report" not in result
        assert "warnings" not in result

    def test_what_a_real_run_would_be_refused_for(self, run: Run) -> None:
        result = run(CLEANUP, max_delete_percent=10)
        assert [warning.split(":")[0] for warning in result["warnings"]] == ["A real run would be refused"] * 2
        assert "20 of 100 keys (20.0 %) would go, and at most 10 % may" in result["warnings"][0]
        assert "There is no verified backup" in result["warnings"][1]

    def test_nothing_to_do(self, run: Run, store: KeyStore, present: set[Name]) -> None:
        store.database.execute("UPDATE whatsapp_keys SET updated_at = now()")
        result = run(CLEANUP)
        assert (result["changed"], result["deletable"], result["obstacles"]) == (False, 0, [])


class TestCleanup:
    def test_what_it_does_and_says(
        self, run: Run, store: KeyStore, present: set[Name], backup: str, tmp_path: Path
    ) -> None:
        result = run(CLEANUP, dry_run=False, list_keys=3, _ansible_diff=True)
        assert present - store.names() == {name for name in present if name[1] == "device-list"}
        assert (result["changed"], result["deleted"], result["backup"]) == (True, {"device-list": 20}, backup)
        assert result["diff"]["after"].endswith("total: 80\n")
        # The oldest first, and no more than were asked for.
        assert [key["key_id"] for key in result["listed_keys"]] == ["device 19", "device 18", "device 17"]
        assert result["listed_keys"][0]["age_seconds"] // 86400 == 59
        assert set(result) - OF_ANSIBLE <= documented(CLEANUP)
        assert documented(CLEANUP) - set(result) == {"stage", "remedy"}
        assert "and 17 more" in result["overview"]
        report = result["report"]
        assert (report["job"], report["subject"], report["level"]) == ("cleanup", "app", "info")
        assert report["title"] == "20 of 100 keys were deleted"
        facts = {fact["label"]: fact["value"] for fact in report["facts"]}
        assert facts["Deleted"] == "device-list 20"
        assert "reusable by the table" in facts["Freed"]
        assert "its files do not get smaller" in facts["Freed"]
        assert facts["Ages"] == "1-7d: 60, >30d: 40"
        assert {"Table", "Indexes", "Total", "Oldest key", "Newest key", "Backup"} <= set(facts)
        assert report["measurements"]["deleted_count"] == 20
        assert report["measurements"]["keys_count"] == 80
        status = json.loads((tmp_path / "state" / "status" / "cleanup.json").read_text())
        assert status["subjects"]["app"]["level"] == "info"
        again = run(CLEANUP, dry_run=False)
        assert (again["changed"], again["deleted_keys"], again["backup"]) == (False, 0, None)

    def test_a_thousand_deletions_are_a_warning(self, run: Run, store: KeyStore, backup: str) -> None:
        assert run(CLEANUP, dry_run=False, max_deletions_warning=19)["report"]["level"] == "warning"
        store.fill(Key("device-list", str(number), 40 * DAY) for number in range(1001))
        assert run(CLEANUP, dry_run=False, max_delete_percent=100)["report"]["level"] == "warning"

    def test_the_unsafe_policy_is_warned_about_every_time(self, run: Run, store: KeyStore, backup: str) -> None:
        dry = run(CLEANUP, policy="everything_by_age")
        real = run(CLEANUP, policy="everything_by_age", dry_run=False)
        assert dry["warnings"] == real["warnings"]
        (warning,) = real["warnings"]
        assert "DELETES KEYS THAT BAILEYS STILL NEEDS" in warning
        assert "20 pre-key" in warning
        assert "Invalid PreKey ID" in warning
        assert real["deleted"] == {"device-list": 20, "pre-key": 20}
        assert real["report"]["level"] == "warning"
        assert warning in [fact["value"] for fact in real["report"]["facts"]]
        # Even when there is nothing to delete.
        assert "warnings" in run(CLEANUP, dry_run=False, policy="everything_by_age")

    def test_a_choice_is_warned_about(self, run: Run) -> None:
        (warning, _backup) = run(CLEANUP, session_days=180)["warnings"]
        assert "No session record" in warning
        assert run(CLEANUP, session_days=179)["msg"].startswith("The cleanup's session_days is 179")

    @pytest.mark.parametrize(("given", "expected"), [(None, 20), (45, 15), (25, 20)])
    def test_retention(self, run: Run, given: int | None, expected: int) -> None:
        assert run(CLEANUP, retention_days=given)["deletable"] == expected

    def test_retention_out_of_the_environment(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DB_CLEANUP_RETENTION_DAYS", "50")
        result = run(CLEANUP)
        assert (result["policy"]["retention_days"], result["deletable"]) == (50, 10)

    def test_a_failure_is_fatal_and_names_the_remedy(self, run: Run, present: set[Name], tmp_path: Path) -> None:
        result = run(CLEANUP, dry_run=False)
        assert result["failed"]
        assert result["stage"] == "backup"
        assert "There is no verified backup" in result["msg"]
        assert result["remedy"] in result["msg"]
        assert (result["report"]["level"], result["report"]["remedy"]) == ("fatal", result["remedy"])
        status = json.loads((tmp_path / "state" / "status" / "cleanup.json").read_text())
        assert status["subjects"]["app"]["level"] == "fatal"

    def test_the_fence(self, run: Run, present: set[Name], store: KeyStore, backup: str, tmp_path: Path) -> None:
        fence.set_fence(str(tmp_path / "state"), "app", fence.FILES, "a test")
        result = run(CLEANUP, dry_run=False)
        assert "emergency_rollforward" in result["remedy"]
        assert store.names() == present


class TestBackup:
    def test_one_that_is_too_old(self, run: Run, store: KeyStore, present: set[Name], backup: str) -> None:
        result = run(CLEANUP, dry_run=False, backup_max_age=1e-6)
        assert "The newest verified backup of the database" in result["msg"]
        assert store.names() == present
        assert run(CLEANUP, dry_run=False, backup_max_age=1)["backup"] == backup

    def test_one_of_another_database(self, run: Run, store: KeyStore, present: set[Name], root: Path) -> None:
        with fresh_database(store.database.server) as other:
            other.execute("CREATE TABLE t AS SELECT 1 n")
            back_up(other, root)
        assert f"no verified backup of the database {store.database.name}" in run(CLEANUP, dry_run=False)["msg"]
        assert store.names() == present

    def test_one_that_is_being_made_is_waited_for(
        self, run: Run, store: KeyStore, present: set[Name], root: Path
    ) -> None:
        root.mkdir(mode=0o700)
        found: list[dict[str, Any]] = []
        waiting = threading.Thread(target=lambda: found.append(run(CLEANUP, dry_run=False, backup_wait=60)))
        with exclusive_lock(str(root / ".lock"), 0):
            waiting.start()
            waiting.join(1)
            assert waiting.is_alive()
            assert store.names() == present
            # As the run that holds the lock would: made elsewhere, and put in place.
            archive = Path(back_up(store.database, root.with_name("elsewhere")).archive)
            (root / "daily").mkdir(mode=0o700)
            for made in archive.parent.iterdir():
                made.rename(root / "daily" / made.name)
        waiting.join(60)
        assert found[0]["backup"] == str(root / "daily" / archive.name)
        assert found[0]["deleted_keys"] == 20

    def test_a_run_that_does_not_end_is_not_waited_for_longer(self, run: Run, root: Path) -> None:
        root.mkdir(mode=0o700)
        started = time.monotonic()
        with exclusive_lock(str(root / ".lock"), 0):
            result = run(CLEANUP, dry_run=False, backup_wait=0.3)
        assert 0.3 < time.monotonic() - started < 10
        assert "Another run" in result["msg"]

    def test_none_at_all_by_choice(self, run: Run) -> None:
        result = run(CLEANUP, dry_run=False, require_backup=False)
        assert (result["deleted_keys"], result["backup"]) == (20, None)
        assert result["warnings"] == ["require_backup=false: what is deleted may be in no backup."]


class TestInfo:
    def test_what_it_says(self, run: Run, store: KeyStore, present: set[Name]) -> None:
        result = run(INFO, list_keys=2)
        assert store.names() == present
        assert (result["changed"], result["keys"], result["deletable"]) == (False, 100, 20)
        assert result["ages"] == {"<1d": 0, "1-7d": 60, "7-14d": 0, "14-30d": 0, ">30d": 40, "unknown": 0}
        assert len(result["listed_keys"]) == 2
        assert set(result) - OF_ANSIBLE <= documented(INFO)
        assert documented(INFO) - set(result) == {"stage", "remedy"}
        assert result["types"]["pre-key"]["rule"] == "stays, whatever its age"
        assert result["types"]["device-list"]["rule"] == "goes when older than 30 days"
        assert result["report"]["level"] == "info"
        assert result["report"]["measurements"]["age_over_30d_count"] == 40
        assert "warnings" not in result

    def test_old_keys_that_may_not_go_ring_no_bell(self, run: Run, store: KeyStore, present: set[Name]) -> None:
        store.fill(Key("pre-key", str(number), 400 * DAY) for number in range(501))
        assert run(INFO)["report"]["level"] == "info"
        store.fill(Key("device-list", str(number), 400 * DAY) for number in range(501))
        result = run(INFO)
        assert result["report"]["level"] == "warning"
        assert "501 keys could be deleted, more than 500" in result["warnings"][0]
        assert run(INFO, max_deletable_warning=501)["report"]["level"] == "info"

    def test_a_layout_that_has_no_such_column(self, run: Run) -> None:
        result = run(INFO, layout={"updated_column": ""})
        assert result["failed"]
        assert "no updated_column" in result["msg"]

    def test_types_that_nobody_knows(self, run: Run, store: KeyStore, present: set[Name]) -> None:
        store.fill([Key("new-type", "1", 400 * DAY), Key("device-list", "1", 400 * DAY)])
        result = run(INFO, policy="everything_by_age")
        assert result["types"]["new-type"]["deletable"] == 0
        assert any("Types that are not known here stay" in warning for warning in result["warnings"])
