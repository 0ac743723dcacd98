# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says: plain data, the diff a person reads, and the report for the team."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import tell
from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import Archive
from ansible_collections.baileys.resilience.plugins.module_utils.backup.make import BackupRequest, BackupResult
from ansible_collections.baileys.resilience.plugins.module_utils.backup.retain import Decision
from ansible_collections.baileys.resilience.plugins.module_utils.backup.verify import Verification
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    LockedError,
    ProgramFailedError,
)
from tests.support.archives import NOON, manifest_of

NOW = NOON + timedelta(hours=10)


def archive(
    tier: str = "daily", days: int = 0, state: str = "verified", content: bytes = b"archive", **manifest: Any
) -> Archive:
    described = manifest_of(content, state=state, **manifest) if state != "foreign" else None
    moment = NOON - timedelta(days=days)
    name = f"backup-{moment:%Y-%m-%dT%H%M%SZ}.dump"
    return Archive(f"/root/{tier}/{name}", tier, moment, state, len(content), described)


NEW = archive(sequence=4)
WEEKLY = archive("weekly", sequence=4)
OLD = archive(days=1, content=b"older", sequence=3)
GONE = archive(days=2, content=b"oldest!!", sequence=2)
BAD = archive(days=3, content=b"bad", state="suspect", sequence=1)
FOREIGN = Archive("/root/daily/notes.txt", "daily", None, "foreign", 99)


def result(**changes: Any) -> BackupResult:
    known: dict[str, Any] = {
        "archive": NEW.path,
        "links": (WEEKLY.path,),
        "manifest": {**manifest_of(), "rows": 1648, "tables": [{}, {}], "size_bytes": 353_000},
        "decisions": (Decision(NEW, True, "daily: day"), Decision(GONE, False, "daily: beyond 2")),
        "archives": (NEW, OLD, WEEKLY),
        "warnings": (),
        "duration": 1.23456,
    }
    return BackupResult(**{**known, **changes})


REQUEST = BackupRequest("app", ConnectionSettings({"host": "db"}, "top§secret"), "/root")


class TestArchive:
    def test_as_plain_data(self) -> None:
        assert tell.archive_dict(OLD, NOW) == {
            "archive": OLD.path,
            "tier": "daily",
            "state": "verified",
            "size_bytes": 5,
            "age_seconds": 34 * 3600,
            "sha256": OLD.sha256,
            "sequence": 3,
            "problem": None,
            "manifest": OLD.manifest,
        }

    def test_a_foreign_one_has_nothing_to_tell(self) -> None:
        told = tell.archive_dict(FOREIGN, NOW)
        assert [told[key] for key in ("age_seconds", "sha256", "sequence", "manifest")] == [None] * 4

    def test_the_age_counts_from_now(self) -> None:
        assert tell.archive_dict(OLD)["age_seconds"] != 34 * 3600


class TestStatistics:
    def test_of_several(self) -> None:
        assert tell.statistics([NEW, OLD, BAD, FOREIGN, WEEKLY], NOW) == {
            "count": 3,
            "count_by_tier": {"hourly": 0, "daily": 2, "weekly": 1, "monthly": 0},
            "suspect_count": 1,
            "foreign_count": 1,
            # The bytes of a link are there once.
            "total_bytes": 7 + 5,
            "newest": NEW.path,
            "newest_age_seconds": 10 * 3600,
            "oldest_age_seconds": 34 * 3600,
        }

    def test_equal_archives_of_two_runs_take_their_space_twice(self) -> None:
        assert tell.statistics([NEW, archive(days=1, sequence=3)], NOW)["total_bytes"] == 14

    def test_of_none(self) -> None:
        told = tell.statistics([BAD, FOREIGN])
        assert (told["count"], told["total_bytes"]) == (0, 0)
        assert [told[key] for key in ("newest", "newest_age_seconds", "oldest_age_seconds")] == [None] * 3


class TestBackupResult:
    def test_as_plain_data(self) -> None:
        told = tell.backup_result(result())
        assert told["archive"] == NEW.path
        assert told["links"] == [WEEKLY.path]
        assert told["manifest"]["rows"] == 1648
        assert told["duration_seconds"] == 1.235
        assert told["statistics"]["count"] == 3
        assert told["kept"] == [{"archive": NEW.path, "tier": "daily", "reason": "daily: day"}]
        assert told["removed"] == [{"archive": GONE.path, "tier": "daily", "reason": "daily: beyond 2"}]


class TestDiff:
    def test_a_line_for_each_with_its_reason(self) -> None:
        decisions = [
            Decision(FOREIGN, True, "not ours"),
            Decision(GONE, False, "beyond 2"),
            Decision(NEW, True, "day 1"),
        ]
        assert tell.retention_diff("/root", decisions, [NEW.path]) == (
            "/root\n"
            "  daily/notes.txt                       kept: not ours\n"
            "- daily/backup-2026-11-19T120000Z.dump  removed: beyond 2\n"
            "+ daily/backup-2026-11-21T120000Z.dump  made; kept: day 1\n"
        )

    def test_what_is_made_without_retention(self) -> None:
        assert tell.retention_diff("/root", [], [NEW.path, WEEKLY.path]) == (
            "/root\n+ daily/backup-2026-11-21T120000Z.dump   made\n+ weekly/backup-2026-11-21T120000Z.dump  made\n"
        )

    def test_of_an_empty_root(self) -> None:
        assert tell.retention_diff("/root", []) == "/root\n"


class TestBackupReport:
    def test_a_good_run(self) -> None:
        report = tell.backup_report(REQUEST, result())
        assert (report.job, report.subject, report.level, report.title) == (
            "backup",
            "app",
            "info",
            "backup made and verified",
        )
        assert dict(report.facts) == {
            "Database": "store (PostgreSQL 18.4)",
            "Archive": "daily/backup-2026-11-21T120000Z.dump",
            "Size": "353.0 kB",
            "Rows": "1648 in 2 tables",
            "SHA-256": manifest_of()["sha256"],
            "Took": "1.2 s",
            "Kept": "3 archives, 12 B",
            "Removed": "1 by retention",
        }
        assert report.measurements == {
            "archive_bytes": 353_000.0,
            "rows_count": 1648.0,
            "archives_count": 3.0,
            "archives_bytes": 12.0,
        }
        assert report.duration == 1.235
        assert "secret" not in str(report)

    def test_nothing_removed_is_not_mentioned(self) -> None:
        assert "Removed" not in dict(tell.backup_report(REQUEST, result(decisions=())).facts)

    def test_warnings(self) -> None:
        report = tell.backup_report(REQUEST, result(warnings=("one", "two")))
        assert report.level == "warning"
        assert [value for label, value in report.facts if label == "Warning"] == ["one", "two"]

    def test_a_suspect_archive_is_not_forgotten(self) -> None:
        report = tell.backup_report(REQUEST, result(archives=(NEW, BAD)))
        assert report.level == "warning"
        assert dict(report.facts)["Suspect"] == "1 archives failed a later check"


class TestVerification:
    GOOD = Verification(OLD, (), 0.12345)
    CORRUPT = Verification(NEW, ("one", "two", "three", "four"), 0.5)

    def test_all_well(self) -> None:
        report = tell.verify_report("app", [self.GOOD], 2.0)
        assert (report.job, report.subject, report.level, report.title) == (
            "verify",
            "app",
            "info",
            "every archive holds",
        )
        assert dict(report.facts) == {"Archives": "1 read, 1 hold", "Took": "2.0 s"}
        assert report.measurements == {"archives_count": 1.0, "corrupt_count": 0.0}
        assert report.remedy is None

    def test_some_corrupt(self) -> None:
        report = tell.verify_report("app", [self.GOOD, self.CORRUPT], 2.0)
        assert (report.level, report.title) == ("fatal", "1 of 2 archives are corrupt")
        assert dict(report.facts)["backup-2026-11-21T120000Z.dump"] == "one; two; three"
        assert dict(report.facts)["Archives"] == "2 read, 1 hold"
        assert report.measurements == {"archives_count": 2.0, "corrupt_count": 1.0}
        assert report.remedy is not None

    def test_one_that_could_not_be_judged_is_no_corrupt_one(self) -> None:
        unjudged = Verification(NEW, (), 0.1, "no client is new enough")
        report = tell.verify_report("app", [self.GOOD, unjudged], 2.0)
        assert (report.level, report.title) == ("error", "1 of 2 archives could not be verified")
        assert dict(report.facts)[os.path.basename(NEW.path)] == "it could not be verified: no client is new enough"
        assert not tell.verify_result([unjudged])["newest_corrupt"]
        assert "no client is new enough" in tell.verify_failure("/backups", [unjudged])

    def test_a_file_without_its_manifest_is_a_warning(self) -> None:
        report = tell.verify_report("app", [self.GOOD], 2.0, [FOREIGN])
        assert report.level == "warning"
        assert dict(report.facts)["No manifest"] == os.path.basename(FOREIGN.path)

    def test_as_plain_data(self) -> None:
        told = tell.verify_result([self.GOOD, self.CORRUPT])
        assert told["archives"][0] == {
            "archive": OLD.path,
            "tier": "daily",
            "holds": True,
            "state": "verified",
            "problems": [],
            "obstacle": None,
            "duration_seconds": 0.123,
        }
        assert told["archives"][1]["problems"] == ["one", "two", "three", "four"]

    @pytest.mark.parametrize(
        ("results", "expected"),
        [
            ([GOOD, CORRUPT], True),
            ([GOOD, Verification(NEW, (), 0.1)], False),
            ([Verification(OLD, ("bad",), 0.1), Verification(NEW, (), 0.1)], False),
            ([Verification(FOREIGN, ("it has no manifest",), 0.1)], False),
            ([Verification(FOREIGN, ("it has no manifest",), 0.1), Verification(NEW, (), 0.1)], False),
            ([], False),
        ],
    )
    def test_whether_the_newest_is_among_the_corrupt(self, results: list[Verification], expected: bool) -> None:
        assert tell.verify_result(results)["newest_corrupt"] is expected

    def test_in_one_sentence(self) -> None:
        assert tell.verify_failure("/root", [self.GOOD, self.CORRUPT]) == (
            f"1 of 2 archives in /root do not hold: {NEW.path}: one; two; three"
        )


class TestFailureReport:
    def test_everything_known(self) -> None:
        error = ProgramFailedError(
            "pg_dump failed", stage="dump", remedy="run again", rc=1, cmd=["pg_dump"], stderr="x"
        )
        report = tell.failure_report("backup", "app", error, 0.5)
        assert (report.job, report.subject, report.level, report.title) == ("backup", "app", "fatal", "pg_dump failed")
        assert report.facts == (("Stage", "dump"), ("Exit status", "1"))
        assert (report.remedy, report.duration) == ("run again", 0.5)

    def test_hardly_anything_known(self) -> None:
        assert tell.failure_report("backup", "app", LockedError("held"), 0).facts == ()
