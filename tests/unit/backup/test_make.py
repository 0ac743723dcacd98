# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a backup beside the database: what is written, what is not, and what a failure at any stage leaves.

The server only answers and pg_dump is a script; runs against real ones are in tests/integration and tests/faults.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue, make, place
from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import (
    read_catalogue,
    read_last_run,
    write_last_run,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup.check import Bounds
from ansible_collections.baileys.resilience.plugins.module_utils.backup.describe import manifest_path, read_manifest
from ansible_collections.baileys.resilience.plugins.module_utils.backup.make import (
    BackupRequest,
    make_backup,
    plan_backup,
)
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.snapshot import Snapshot
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.version import Version
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ArchiveError,
    ConnectionFailedError,
    IncompatibleVersionError,
    LockedError,
    MissingDependencyError,
    ProgramFailedError,
    ResilienceError,
    SettingsError,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.lock import exclusive_lock
from tests.support.archives import put_archive, snapshot_of
from tests.support.fake_clients import fake_clients
from tests.support.fake_server import TABLE, FakeConnection, fake_server, fake_snapshot

ROWS = "1\n2\n3\n"
SCRIPT = f"COPY public.t (id) FROM stdin;\n{ROWS}\\.\n-- PostgreSQL database dump complete\n"
DUMP = f"printf '%s' '{SCRIPT}'"
DAY = timedelta(days=1)
NOW = datetime.now(UTC)


class Setup:
    """A database with one table of three rows, a client, and a backup root."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = directory / "root"
        self.clients = fake_clients(directory / "bin", "18.4", pg_dump=DUMP, pg_restore="exec cat")
        self.connection = FakeConnection()
        self.server = fake_server()
        self.counts: Callable[[], dict[tuple[str, str], int]] = lambda: {TABLE: 3}
        self.patch = monkeypatch

        @contextlib.contextmanager
        def session(*_arguments: Any) -> Iterator[tuple[FakeConnection, Any]]:
            yield self.connection, self.server

        monkeypatch.setattr(make, "server_session", session)
        monkeypatch.setattr(make, "take_snapshot", lambda *_: fake_snapshot(self.server, connection=self.connection))
        monkeypatch.setattr(make, "count_rows", lambda *_: self.counts())

    def request(self, **options: Any) -> BackupRequest:
        known: dict[str, Any] = {
            "source": "app",
            "settings": ConnectionSettings({"host": "db.example"}, "top§secret"),
            "backup_root": str(self.root),
            "client_directory": str(self.clients),
            "bounds": Bounds(min_size=1),
            "keep": {"daily": 7, "weekly": 2, "monthly": 4},
        }
        return BackupRequest(**{**known, **options})

    def dump_is(self, script: str) -> None:
        fake_clients(self.clients, "18.4", pg_dump=script, pg_restore="exec cat")

    def outcome(self) -> tuple[str, str | None]:
        last = read_last_run(str(self.root))
        assert last is not None
        return last.outcome, last.reason


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    return Setup(tmp_path, monkeypatch)


class TestAGoodRun:
    def test_archive_manifest_links_and_record(self, setup: Setup) -> None:
        result = make_backup(setup.request())
        name = Path(result.archive).name
        assert result.archive == f"{setup.root}/daily/{name}"
        assert result.links == (f"{setup.root}/weekly/{name}", f"{setup.root}/monthly/{name}")
        for path in (result.archive, *result.links):
            assert Path(path).read_text() == SCRIPT
        assert result.warnings == ()
        assert not result.dry_run
        assert [archive.tier for archive in result.archives] == ["daily", "weekly", "monthly"]
        assert all(decision.keep for decision in result.decisions)
        assert setup.outcome() == ("ok", None)
        # Waiting for the lock must not hold an old transaction open.
        assert setup.connection.done[0] == "rollback"

    def test_what_the_manifest_says(self, setup: Setup) -> None:
        result = make_backup(setup.request())
        manifest = read_manifest(result.archive)
        assert manifest is not None
        assert {key: manifest[key] for key in result.manifest} == result.manifest
        expected = {
            "manifest_version": 1,
            "sequence": 1,
            "state": "verified",
            "source": "app",
            "tier": "daily",
            "database": "store",
            "role": "app",
            "host": "db.example",
            "port": "5432",
            "server_version": "18.4",
            "client_version": "18.4",
            "encoding": "UTF8",
            "snapshot_at": "2026-11-21T03:00:00.000000Z",
            "lsn": "0/1",
            "format": "custom",
            "compression": "zstd",
            "compression_level": 1,
            "encryption": None,
            "size_bytes": len(SCRIPT),
            "content_bytes": len(ROWS),
            "sha256": hashlib.sha256(SCRIPT.encode()).hexdigest(),
            "files": None,
            "rows": 3,
            "messages": "",
            "proofs": [],
        }
        assert {key: manifest[key] for key in expected} == expected
        digest = hashlib.sha256(ROWS.encode()).hexdigest()
        assert manifest["tables"] == [
            {"schema": "public", "table": "t", "rows": 3, "bytes": len(ROWS), "digest": digest}
        ]
        assert "secret" not in json.dumps(manifest)

    def test_runs_are_numbered_and_prune_themselves(self, setup: Setup) -> None:
        for number in range(1, 4):
            assert make_backup(setup.request(keep={"daily": 1})).manifest["sequence"] == number
        result = make_backup(setup.request(keep={"daily": 1}))
        # All of one day: the newest stays.
        (archive,) = read_catalogue(str(setup.root))
        assert (archive.path, archive.sequence) == (result.archive, 4)
        assert {decision.archive.sequence: decision.keep for decision in result.decisions} == {3: False, 4: True}
        assert [kept.path for kept in result.archives] == [result.archive]

    def test_without_pruning_all_stay(self, setup: Setup) -> None:
        for _ in range(3):
            assert make_backup(setup.request(keep={"daily": 1, "monthly": 1}, prune=False)).decisions == ()
        assert len(os.listdir(setup.root / "daily")) == 6
        # The tiers are filled all the same, by the first of the month.
        assert len(os.listdir(setup.root / "monthly")) == 2

    def test_without_retention_there_are_no_other_tiers(self, setup: Setup) -> None:
        result = make_backup(setup.request(keep=None, tier="hourly"))
        assert (result.links, result.decisions) == ((), ())
        assert sorted(os.listdir(setup.root)) == [".last_run.json", ".lock", "hourly"]

    def test_a_tier_asked_for_is_not_linked_to_itself(self, setup: Setup) -> None:
        result = make_backup(setup.request(tier="monthly", keep={"daily": 1, "monthly": 1}))
        assert result.links == ()
        assert Path(result.archive).parent.name == "monthly"

    def test_a_suspect_link_does_not_stand_for_the_month(self, setup: Setup) -> None:
        put_archive(setup.root, NOW, tier="monthly", state="suspect")
        assert len(make_backup(setup.request(keep={"monthly": 1})).links) == 1

    def test_what_pg_dump_warned_of(self, setup: Setup) -> None:
        setup.dump_is(f"{DUMP}; printf 'pg_dump: warning: odd\\npg_dump: hint: x\\n' >&2")
        result = make_backup(setup.request())
        assert result.warnings == ("pg_dump warned: pg_dump: warning: odd pg_dump: hint: x",)
        assert result.manifest["messages"] == "pg_dump: warning: odd\npg_dump: hint: x"

    def test_a_client_without_zstd(self, setup: Setup) -> None:
        setup.dump_is(
            'case "$*" in *--host=/dev/null/none*) echo "this build does not support compression with zstd" >&2; exit 1;; esac; '
            + DUMP
        )
        result = make_backup(setup.request())
        assert result.manifest["compression"] == "gzip"
        assert "built without zstd" in result.warnings[0]

    def test_very_large(self, setup: Setup) -> None:
        (warning,) = make_backup(setup.request(bounds=Bounds(min_size=1, max_size_warning=5))).warnings
        assert "more than max_size_warning" in warning

    def test_what_a_killed_run_left_is_cleared(self, setup: Setup) -> None:
        make_backup(setup.request())
        stray = setup.root / "daily" / "backup-2020-01-01T000000Z.dump.partial"
        stray.touch()
        write_last_run(str(setup.root), "running")
        make_backup(setup.request())
        assert not stray.exists()
        assert setup.outcome() == ("ok", None)


class TestNames:
    def test_two_runs_in_one_second_do_not_meet(self, setup: Setup) -> None:
        names = [make_backup(setup.request()).archive for _ in range(3)]
        assert len(set(names)) == 3
        assert names == sorted(names)

    @pytest.mark.parametrize("tier", ["daily", "monthly"])
    @pytest.mark.parametrize("suffix", ["", ".partial"])
    def test_a_name_that_is_taken_in_any_tier_is_passed_over(
        self, setup: Setup, tier: str, suffix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime(2026, 11, 21, 23, 59, 59, 999_999, tzinfo=tz)

        monkeypatch.setattr(place, "datetime", Clock)
        (setup.root / tier).mkdir(parents=True)
        (setup.root / tier / f"backup-2026-11-21T235959Z.dump{suffix}").touch()
        result = plan_backup(setup.request())
        assert Path(result.archive).name == "backup-2026-11-22T000000Z.dump"


class TestPlanning:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"keep": {"daily": 1, "weekly": 1}},
            {"keep": None},
            {"tier": "weekly"},
            {"format": "plain", "compression": "none"},
            {"prune": False},
        ],
    )
    def test_it_says_what_the_run_then_does(self, setup: Setup, options: dict[str, Any]) -> None:
        for days in range(1, 12):
            put_archive(setup.root, NOW - days * DAY, b"%d" % days, sequence=12 - days)
        write_last_run(str(setup.root), "ok")
        before = snapshot_of(setup.root)
        plan = plan_backup(setup.request(**options))
        assert snapshot_of(setup.root) == before
        assert plan.dry_run
        done = make_backup(setup.request(**options, bounds=Bounds(min_size=1, max_shrink_percent=100)))
        assert os.path.dirname(plan.archive) == os.path.dirname(done.archive)
        assert [os.path.dirname(link) for link in plan.links] == [os.path.dirname(link) for link in done.links]

        def gone(decisions: Any) -> set[str]:
            return {decision.archive.path for decision in decisions if not decision.keep}

        assert gone(plan.decisions) == gone(done.decisions)
        assert len(plan.decisions) == len(done.decisions)
        for key in ("sequence", "database", "format", "compression", "server_version", "client_version"):
            assert plan.manifest[key] == done.manifest[key]

    def test_a_root_that_is_not_there_is_not_made(self, setup: Setup) -> None:
        assert plan_backup(setup.request()).links
        assert not setup.root.exists()


def fail_snapshot(setup: Setup) -> None:
    def refuse(*_: Any) -> NoReturn:
        raise ResilienceError("The role app may not read public.t", stage="snapshot")

    setup.patch.setattr(make, "take_snapshot", refuse)


def fail_counting(setup: Setup) -> None:
    def lost() -> NoReturn:
        raise ConnectionFailedError("Cannot count rows: server closed the connection", stage="snapshot")

    setup.counts = lost


def fail_publishing(setup: Setup) -> None:
    def full(*_: Any) -> NoReturn:
        raise ResilienceError("Cannot publish: no space left", stage="publish")

    setup.patch.setattr(make, "publish", full)


def fail_last_moment(setup: Setup) -> None:
    real = os.link

    def no_links(source: str, target: str) -> None:
        if "monthly" in target:
            raise OSError(errno.EMLINK, "Too many links")
        real(source, target)

    setup.patch.setattr(os, "link", no_links)


FAILURES: dict[str, tuple[Callable[[Setup], None], type[ResilienceError], str]] = {
    "snapshot": (fail_snapshot, ResilienceError, "may not read"),
    "dump": (lambda setup: setup.dump_is("echo 'pg_dump: error: ouch' >&2; exit 1"), ProgramFailedError, "ouch"),
    "dump half-way": (
        lambda setup: setup.dump_is("printf 'COPY public.t (id) FR'; kill -9 $$"),
        ProgramFailedError,
        "SIGKILL",
    ),
    "dump of nothing": (lambda setup: setup.dump_is("exit 0"), ArchiveError, "lacks its end"),
    "half a script": (lambda setup: setup.dump_is(f"printf '%s' '{SCRIPT[:-3]}'"), ArchiveError, "ends in the middle"),
    "too few rows": (lambda setup: setattr(setup, "counts", lambda: {TABLE: 300_000}), ArchiveError, "300000"),
    "counting": (fail_counting, ConnectionFailedError, "Cannot count rows"),
    "publishing": (fail_publishing, ResilienceError, "no space left"),
}


def test_a_link_that_cannot_be_made_is_a_warning(setup: Setup) -> None:
    fail_last_moment(setup)
    result = make_backup(setup.request(keep={"daily": 1, "weekly": 1, "monthly": 1}))
    assert [Path(link).parent.name for link in result.links] == ["weekly"]
    assert any("Too many links" in warning for warning in result.warnings)
    assert Path(result.archive).exists()


class TestFailing:
    @pytest.fixture
    def earlier(self, setup: Setup) -> dict[str, bytes | None]:
        for days in range(1, 4):
            put_archive(
                setup.root, NOW - days * DAY, b"earlier %d" % days, sequence=days, format="plain", compression="none"
            )
        write_last_run(str(setup.root), "ok")
        return snapshot_of(setup.root / "daily")

    @pytest.mark.parametrize("stage", sorted(FAILURES))
    def test_at_any_stage_earlier_archives_stay_and_nothing_else_does(
        self, setup: Setup, earlier: dict[str, bytes | None], stage: str
    ) -> None:
        act, kind, words = FAILURES[stage]
        act(setup)
        with pytest.raises(kind, match=words) as caught:
            make_backup(setup.request(keep={"daily": 1, "weekly": 1, "monthly": 1}))
        assert snapshot_of(setup.root / "daily") == earlier
        assert os.listdir(setup.root / "weekly") == os.listdir(setup.root / "monthly") == []
        assert setup.outcome() == ("failed", caught.value.message)

    @pytest.mark.parametrize(
        ("bounds", "words"),
        [
            (Bounds(min_size=10**6), "less than min_size"),
            (Bounds(min_size=1, min_rows=4), "less than min_rows"),
            (Bounds(min_size=1, max_shrink_percent=1), "max_shrink_percent"),
        ],
    )
    def test_out_of_bounds(self, setup: Setup, earlier: dict[str, bytes | None], bounds: Bounds, words: str) -> None:
        put_archive(setup.root, NOW - 4 * DAY, b"x" * 5000, sequence=9)
        before = snapshot_of(setup.root / "daily")
        with pytest.raises(ArchiveError, match=words):
            make_backup(setup.request(bounds=bounds))
        assert snapshot_of(setup.root / "daily") == before

    def test_an_interrupt_leaves_no_partial_archive_and_no_good_record(
        self, setup: Setup, earlier: dict[str, bytes | None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_: Any) -> NoReturn:
            raise KeyboardInterrupt

        monkeypatch.setattr(make, "check_contents", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make_backup(setup.request())
        assert snapshot_of(setup.root / "daily") == earlier
        assert setup.outcome() == ("running", None)

    def test_nobody_waits_for_the_counts_of_a_dump_that_failed(
        self, setup: Setup, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        abandoned = threading.Event()
        monkeypatch.setattr(make, "abandon", lambda connection: abandoned.set())

        def slow() -> dict[tuple[str, str], int]:
            assert abandoned.wait(30), "the connection was not abandoned"
            return {}

        setup.counts = slow
        setup.dump_is("exit 1")
        with pytest.raises(ProgramFailedError):
            make_backup(setup.request())

    def test_counts_that_never_come(self, setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
        abandoned = threading.Event()
        monkeypatch.setattr(make, "abandon", lambda connection: abandoned.set())

        def never() -> dict[tuple[str, str], int]:
            assert abandoned.wait(30), "the connection was not abandoned"
            return {}

        setup.counts = never
        with pytest.raises(ConnectionFailedError, match=r"has not counted the rows 0\.5 s after it had dumped them"):
            make_backup(setup.request(stall_timeout=0.5))

    @pytest.mark.parametrize(
        ("options", "kind"),
        [
            ({"format": "custom", "jobs": 2}, SettingsError),
            ({"client_directory": "/nowhere"}, MissingDependencyError),
            ({"format": "plain", "compression": "zstd"}, MissingDependencyError),
        ],
    )
    def test_what_can_be_refused_is_refused_before_anything_is_made(
        self, setup: Setup, options: dict[str, Any], kind: type[ResilienceError], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", os.defpath if "compression" not in options else str(setup.clients))
        with pytest.raises(kind):
            make_backup(setup.request(**options))
        assert not setup.root.exists()

    def test_a_client_without_pg_restore_too(self, setup: Setup) -> None:
        (setup.clients / "pg_restore").unlink()
        with pytest.raises(MissingDependencyError, match="pg_restore"):
            make_backup(setup.request(format="directory"))
        assert not setup.root.exists()

    def test_a_server_newer_than_every_client_touches_no_file(
        self, setup: Setup, earlier: dict[str, bytes | None]
    ) -> None:
        setup.server = replace(setup.server, version=Version(19, 0))
        before = snapshot_of(setup.root)
        with pytest.raises(IncompatibleVersionError):
            make_backup(setup.request())
        assert snapshot_of(setup.root) == before

    def test_another_run_in_progress_keeps_its_own_record(self, setup: Setup) -> None:
        make_backup(setup.request())
        write_last_run(str(setup.root), "running")
        with exclusive_lock(str(setup.root / ".lock"), 0), pytest.raises(LockedError):
            make_backup(setup.request())
        assert setup.outcome() == ("running", None)

    def test_the_root_of_another_source(self, setup: Setup) -> None:
        make_backup(setup.request(source="other"))
        before = snapshot_of(setup.root / "daily")
        with pytest.raises(SettingsError, match='holds backups of "other", not of "app"'):
            make_backup(setup.request())
        assert snapshot_of(setup.root / "daily") == before

    def test_a_disk_too_full_for_the_record_of_a_failure(
        self, setup: Setup, earlier: dict[str, bytes | None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fail_snapshot(setup)
        real = catalogue.write_last_run

        def full(root: str, outcome: str, reason: str | None = None) -> None:
            if outcome == "failed":
                raise ResilienceError("no space left")
            real(root, outcome, reason)

        monkeypatch.setattr(catalogue, "write_last_run", full)
        with pytest.raises(ResilienceError, match="may not read"):
            make_backup(setup.request())
        # Missing counts as failed, while the old record said that all was well.
        assert read_last_run(str(setup.root)) is None

    def test_what_goes_wrong_after_publishing_is_a_warning(
        self, setup: Setup, earlier: dict[str, bytes | None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = catalogue.write_last_run

        def full(root: str, outcome: str, reason: str | None = None) -> None:
            if outcome == "ok":
                raise ResilienceError("Cannot write: no space left")
            real(root, outcome, reason)

        monkeypatch.setattr(catalogue, "write_last_run", full)
        result = make_backup(setup.request(keep={"daily": 1}))
        assert result.warnings == (
            "The archive was published, but nothing was pruned after it: Cannot write: no space left",
        )
        assert Path(result.archive).exists()
        assert Path(manifest_path(result.archive)).exists()
        assert len(read_catalogue(str(setup.root))) == 4


def test_the_snapshot_is_of_the_session_that_stays_open(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Snapshot] = []

    def count(snapshot: Snapshot, settings: Any) -> dict[tuple[str, str], int]:
        seen.append(snapshot)
        return {TABLE: 3}

    monkeypatch.setattr(make, "count_rows", count)
    make_backup(setup.request())
    assert [snapshot.connection for snapshot in seen] == [setup.connection]
