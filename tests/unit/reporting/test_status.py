# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status file and the metrics made of it: private, whole, and right with two writers or after damage."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.baileys.resilience.plugins.module_utils.reporting import metrics, status
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.report import Report, timestamp
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.status import (
    DamagedStatusError,
    SubjectStatus,
    merge,
    metrics_path,
    read,
    record,
    status_path,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import LockedError, ResilienceError
from ansible_collections.baileys.resilience.plugins.module_utils.system.lock import exclusive_lock
from tests.unit.reporting.samples import REPORT, REPORTS


def at(hour: int, level: str = "info", **changes: Any) -> Report:
    return dataclasses.replace(REPORT, at="2026-01-31T%02d:00:00Z" % hour, level=level, **changes)


def samples(content: str) -> dict[tuple[str, str], float]:
    """Values by metric and source, as Prometheus's own parser reads them."""
    families = list(text_string_to_metric_families(content))
    assert all(family.documentation and family.type == "gauge" for family in families)
    return {
        (sample.name.removeprefix("baileys_resilience_"), sample.labels["source"]): sample.value
        for family in families
        for sample in family.samples
    }


def scrape(state: Path, job: str = "backup") -> dict[tuple[str, str], float]:
    return samples(Path(metrics_path(str(state), job)).read_text(encoding="utf-8"))


def test_success_and_failure_each_leave_their_time(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    assert record(state, at(1)) == ()
    record(state, at(2, "fatal", title="no space left", measurements={}, duration=0.2))
    record(state, at(3, "error", title="still none", measurements={}))
    assert read(state, "backup")["app"] == SubjectStatus(
        level="error",
        title="still none",
        at="2026-01-31T03:00:00Z",
        duration_seconds=1.1,
        last_success="2026-01-31T01:00:00Z",
        last_failure="2026-01-31T03:00:00Z",
        reason="still none",
        consecutive_failures=2,
        measurements={"archive_bytes": 353187.0},
    )
    record(state, at(4, "warning", measurements={"archive_bytes": 9.0}))
    standing = read(state, "backup")["app"]
    assert (standing.last_success, standing.consecutive_failures) == ("2026-01-31T04:00:00Z", 0)
    assert (standing.last_failure, standing.reason) == ("2026-01-31T03:00:00Z", "still none")
    assert standing.measurements == {"archive_bytes": 9.0}


def test_the_file_is_as_documented(tmp_path: Path) -> None:
    record(str(tmp_path), at(1))
    document = json.loads((tmp_path / "status" / "backup.json").read_text(encoding="utf-8"))
    assert document.pop("updated") >= "2026"
    assert document == {
        "status_version": 1,
        "job": "backup",
        "subjects": {
            "app": {
                "level": "info",
                "title": "backup made and verified",
                "at": "2026-01-31T01:00:00Z",
                "duration_seconds": 1.1,
                "last_success": "2026-01-31T01:00:00Z",
                "last_failure": None,
                "reason": None,
                "consecutive_failures": 0,
                "measurements": {"archive_bytes": 353187.0},
            }
        },
    }


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_directories_are_0700_and_files_0600_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        record(str(tmp_path / "state"), at(1))
        (tmp_path / "state" / "status" / "backup.json").write_text("{", encoding="utf-8")
        record(str(tmp_path / "state"), at(2))
    finally:
        os.umask(before)
    for path in (tmp_path / "state").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    # node_exporter reads *.prom only, and finds nothing half-written.
    assert [path.name for path in (tmp_path / "state" / "metrics").iterdir()] == ["backup.prom"]


def test_other_sources_and_other_jobs_stay(tmp_path: Path) -> None:
    state = str(tmp_path)
    record(state, at(1, subject="one"), at(1, subject="two"), at(1, job="prune", subject="one"))
    record(state, at(2, "fatal", subject="two", measurements={}))
    assert {name: entry.at[11:13] for name, entry in read(state, "backup").items()} == {"one": "01", "two": "02"}
    assert list(read(state, "prune")) == ["one"]
    found = scrape(tmp_path)
    assert found["backup_last_run_success", "one"] == 1
    assert found["backup_last_run_success", "two"] == 0
    assert scrape(tmp_path, "prune")["prune_last_run_success", "one"] == 1


def test_entering_a_report_twice_changes_nothing(tmp_path: Path) -> None:
    # A module keeps its own report, and notify passes it on.
    state = str(tmp_path)
    record(state, at(1, "fatal"))
    once = read(state, "backup")
    record(state, at(1, "fatal", title="backup made and ***"))
    assert read(state, "backup") == once
    assert once["app"].consecutive_failures == 1


def test_a_late_report_fills_in_what_it_knows() -> None:
    latest = merge(None, at(5))
    late_failure = merge(latest, at(2, "fatal", title="lock"))
    assert (late_failure.at, late_failure.level) == (latest.at, "info")
    assert (late_failure.last_failure, late_failure.reason) == ("2026-01-31T02:00:00Z", "lock")
    assert late_failure.consecutive_failures == 0
    assert merge(latest, at(2)) == latest
    failed = merge(None, at(5, "fatal", title="now"))
    assert merge(failed, at(2)).last_success == "2026-01-31T02:00:00Z"
    assert merge(failed, at(2, "fatal", title="then")).reason == "now"


DAMAGED: list[bytes] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"subjects": {}}',
    b'{"status_version": 2, "subjects": {}}',
    b'{"status_version": 1, "subjects": []}',
    b'{"status_version": 1, "subjects": {"app": 3}}',
    b'{"status_version": 1, "subjects": {"app": {}}}',
    b'{"status_version": 1, "subjects": {"app": {"level": "odd", "title": "x", "at": "2026-01-31T01:00:00Z"}}}',
    b'{"status_version": 1, "subjects": {"app": {"level": "info", "title": 3, "at": "2026-01-31T01:00:00Z"}}}',
    b'{"status_version": 1, "subjects": {"app": {"level": "info", "title": "x", "at": null}}}',
    b'{"status_version": 1, "subjects": {"app": {"level": "info", "title": "x", "at": "2026-01-31T01:00:00Z", "more": 1}}}',
    b"[" * 100_000,
]
ENTRY = '{"status_version": 1, "subjects": {"app": {"level": "info", "title": "x", "at": "2026-01-31T01:00:00Z", %s}}}'
DAMAGED += [
    (ENTRY % part).encode()
    for part in (
        '"last_success": "yesterday"',
        '"consecutive_failures": "many"',
        '"consecutive_failures": true',
        '"reason": 3',
        '"measurements": {"x": "y"}',
        '"measurements": {"Not a name": 1}',
        '"measurements": {"x": NaN}',
        '"measurements": 3',
        '"duration_seconds": "long"',
    )
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_kept_aside_and_told(tmp_path: Path, content: bytes) -> None:
    record(str(tmp_path), at(1))
    path = Path(status_path(str(tmp_path), "backup"))
    path.write_bytes(content)
    with pytest.raises(DamagedStatusError, match="damaged"):
        read(str(tmp_path), "backup")
    (warning,) = record(str(tmp_path), at(2))
    (aside,) = path.parent.glob("backup.json.corrupt-*")
    assert str(aside) in warning
    assert aside.read_bytes() == content
    assert read(str(tmp_path), "backup")["app"].at == "2026-01-31T02:00:00Z"
    assert scrape(tmp_path)["backup_last_run_success", "app"] == 1


def test_a_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("", encoding="utf-8")
    with pytest.raises(ResilienceError, match="status"):
        record(str(tmp_path), at(1))


def test_a_failed_write_leaves_the_earlier_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(str(tmp_path), at(1))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"}

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResilienceError, match="no space left"):
        record(str(tmp_path), at(2))
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert after == before


def test_a_writer_that_never_ends_does_not_hold_us_up_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "LOCK_SECONDS", 0.3)
    record(str(tmp_path), at(1))
    with exclusive_lock(str(tmp_path / "status" / ".backup.lock"), 0), pytest.raises(LockedError):
        record(str(tmp_path), at(2))


def write_many(state: str, writer: int) -> None:
    for hour in range(12):
        record(
            state, at(hour, "fatal", subject="source-%d" % writer), at(hour, "fatal", subject="shared-%d" % (hour % 3))
        )


def test_two_writers_lose_nothing_of_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(str(tmp_path), number)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    standing = read(str(tmp_path), "backup")
    assert sorted(standing) == ["shared-0", "shared-1", "shared-2", "source-0", "source-1"]
    assert [standing["source-%d" % number].consecutive_failures for number in range(2)] == [12, 12]
    # The metrics are those of the last state, whoever wrote it.
    assert Path(metrics_path(str(tmp_path), "backup")).read_bytes() == metrics.render("backup", standing)


def test_the_metrics_and_their_names(tmp_path: Path) -> None:
    record(str(tmp_path), at(1, measurements={"archive_bytes": 353187.0, "rows_count": 1647.0, "lag_ratio": 0.25}))
    record(str(tmp_path), at(2, "fatal", subject="broken", measurements={}, duration=None))
    one, two = timestamp("2026-01-31T01:00:00Z"), timestamp("2026-01-31T02:00:00Z")
    assert scrape(tmp_path) == {
        ("backup_last_run_timestamp_seconds", "app"): one,
        ("backup_last_run_timestamp_seconds", "broken"): two,
        ("backup_last_success_timestamp_seconds", "app"): one,
        ("backup_last_failure_timestamp_seconds", "broken"): two,
        ("backup_last_run_success", "app"): 1,
        ("backup_last_run_success", "broken"): 0,
        ("backup_last_run_severity", "app"): 0,
        ("backup_last_run_severity", "broken"): 3,
        ("backup_consecutive_failures", "app"): 0,
        ("backup_consecutive_failures", "broken"): 1,
        ("backup_last_run_duration_seconds", "app"): 1.1,
        ("backup_archive_bytes", "app"): 353187,
        ("backup_rows", "app"): 1647,
        ("backup_lag_ratio", "app"): 0.25,
    }
    content = Path(metrics_path(str(tmp_path), "backup")).read_text(encoding="utf-8")
    assert 'baileys_resilience_backup_last_success_timestamp_seconds{source="app"} 1769821200\n' in content
    assert content.count("# TYPE baileys_resilience_backup_rows gauge") == 1


@pytest.mark.parametrize(
    "name", ["plain", 'quo"ted', "back\\slash", "line\nfeed", "\\n", '\\"', "ünïcode 😀", "{a=b}, "]
)
def test_sources_of_any_name_are_labels(name: str) -> None:
    found = samples(metrics.render("backup", {name: merge(None, at(1))}).decode())
    assert {source for _metric, source in found} == {name}


def test_measurements_cannot_break_the_file() -> None:
    clash = {"last_run_success": 7.0, "rows": 1.0, "rows_count": 2.0}
    found = samples(metrics.render("my-job", {"app": merge(None, at(1, measurements=clash))}).decode())
    assert found["my_job_last_run_success", "app"] == 1
    assert found["my_job_rows", "app"] == 1


@given(REPORTS)
def test_any_report_makes_metrics_prometheus_reads(report: Report) -> None:
    content = metrics.render(report.job, {report.subject: merge(None, report)}).decode()
    values = samples(content)
    source = report.subject.encode("utf-8", "replace").decode()
    assert {labels for _name, labels in values} == {source}
    prefix = report.job.replace("-", "_") + "_"
    for key, number in report.measurements.items():
        assert prefix + key.removesuffix("_count") in {name for name, _labels in values}
        assert values.get((prefix + key, source), number) == pytest.approx(number) or key.endswith("_count")


@given(st.lists(REPORTS.map(lambda report: dataclasses.replace(report, subject="app", job="backup")), min_size=1))
def test_any_history_reads_back(reports: list[Report]) -> None:
    standing = None
    for report in reports:
        standing = merge(standing, report)
    assert standing is not None
    document = json.loads(status._serialize("backup", {"app": standing}))  # the form on disk, without the disk
    assert status._parse(document)["app"] == dataclasses.replace(
        standing,
        title=standing.title.encode("utf-8", "replace").decode(),
        reason=standing.reason and standing.reason.encode("utf-8", "replace").decode(),
    )
