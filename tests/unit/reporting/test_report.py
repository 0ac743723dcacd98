# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports: what they accept, and how Ansible's results become them."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given

from ansible_collections.baileys.resilience.plugins.module_utils.reporting.notification import gather
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.report import (
    Report,
    as_utc,
    from_dict,
    redact_report,
    timestamp,
    utc_now,
    worst_level,
)
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.results import from_result, subject_of
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError, SettingsError
from tests.unit.reporting.samples import REPORT, REPORTS

TRACE = "Traceback (most recent call last):\n  File \"/tmp/x.py\", line 3, in main\nKeyError: 'rows'"


@given(REPORTS)
def test_a_report_survives_the_way_through_json(report: Report) -> None:
    assert from_dict(json.loads(json.dumps(report.to_dict()))) == report


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("job", "../../etc/cron"),
        ("job", "Backup"),
        ("job", ""),
        ("subject", ""),
        ("subject", 3),
        ("level", "critical"),
        ("title", ""),
        ("title", None),
        ("at", "yesterday"),
        ("at", "2026-13-31T03:00:02Z"),
        ("at", "2026-01-31T03:00:02"),
        ("duration", -1),
        ("duration", "long"),
        ("duration", True),
        ("measurements", [1]),
        ("measurements", {"Rows": 1}),
        ("measurements", {"rows": math.nan}),
        ("measurements", {"rows": "many"}),
        ("facts", "text"),
        ("facts", [["one"]]),
        ("colour", "red"),
    ],
)
def test_what_no_channel_could_use_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        from_dict(dict(REPORT.to_dict(), **{key: value}))
    assert key.rstrip("s") in caught.value.message or next(iter(value)) in caught.value.message  # type: ignore[call-overload]  # a dict here


def test_a_refusal_holds_no_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        from_dict(dict(REPORT.to_dict(), title={"password": "hunter2hunter2"}))
    assert "hunter2" not in caught.value.message


def test_a_handwritten_report_needs_four_keys_and_may_hold_texts_for_numbers() -> None:
    least = from_dict({"job": "drill", "subject": "app", "level": "warning", "title": "slow"})
    assert (least.facts, least.remedy, least.duration) == ((), None, None)
    assert abs(timestamp(least.at) - timestamp(utc_now())) < 60
    templated = from_dict(
        {
            "job": "drill",
            "subject": "app",
            "level": "info",
            "title": "ok",
            "duration": "1.5",
            "measurements": {"rows_count": "7"},
            "facts": {"Rows": 7},
        }
    )
    assert (templated.duration, templated.measurements, templated.facts) == (1.5, {"rows_count": 7.0}, (("Rows", "7"),))


def test_times_are_kept_in_utc_so_that_text_order_is_time_order() -> None:
    assert as_utc("2026-01-31T06:00:02.75+03:00") == as_utc("2026-01-31T03:00:02Z") == "2026-01-31T03:00:02Z"
    assert dataclasses.replace(REPORT, at="2026-01-31T00:00:00-0500").at == "2026-01-31T05:00:00Z"
    assert timestamp("1970-01-02T00:00:00Z") == 86400


def test_the_worst_level() -> None:
    reports = [dataclasses.replace(REPORT, level=level) for level in ("info", "error", "warning")]
    assert worst_level(reports) == "error"
    assert worst_level([]) == "info"


def test_redaction_keeps_the_identity() -> None:
    report = dataclasses.replace(REPORT, title="login app/hunter22 failed", subject="hunter22", remedy="PGPASSWORD=x")
    clean = redact_report(report, ["hunter22"])
    assert (clean.title, clean.subject, clean.remedy) == ("login app/*** failed", "hunter22", "PGPASSWORD=***")


CRASH = {"failed": True, "changed": False, "rc": 1, "msg": "MODULE FAILURE: no start of JSON", "module_stderr": TRACE}


@pytest.mark.parametrize(
    ("result", "title"),
    [
        (
            {"failed": True, "msg": "pg_dump 16.10 is older than the server 18.0"},
            "pg_dump 16.10 is older than the server 18.0",
        ),
        ({"failed": True, "msg": "two\n  lines"}, "two lines"),
        ({"failed": True}, "the task failed without a message"),
        ({"unreachable": True, "msg": "Failed to connect via ssh"}, "host unreachable: Failed to connect via ssh"),
        (CRASH, "the module crashed: KeyError: 'rows'"),
        ({"failed": True, "msg": "Task failed: 'rows'", "exception": TRACE}, "Task failed: 'rows'"),
        ({"failed": True, "msg": "it broke\n" + TRACE}, "it broke"),
        ({"failed": True, "msg": TRACE}, "KeyError: 'rows'"),
    ],
)
def test_a_failed_result_becomes_a_fatal_report_without_a_stack_trace(result: dict[str, Any], title: str) -> None:
    report = from_result("backup", "app", result)
    assert (report.job, report.subject, report.level, report.title) == ("backup", "app", "fatal", title)
    assert "File" not in repr(report)


def test_what_a_failed_result_knows_more() -> None:
    result = {
        "failed": True,
        "msg": "pg_dump failed",
        "stage": "dump",
        "rc": 1,
        "stderr": "a\nb\n\nc\nd\n",
        "remedy": "Grant it.",
    }
    report = from_result("backup", "app", result)
    assert report.facts == (("Stage", "dump"), ("Exit status", "1"), ("Standard error", "b / c / d"))
    assert report.remedy == "Grant it."
    assert len(from_result("backup", "app", {"failed": True, "msg": "x" * 10**6}).title) == 1000


@pytest.mark.parametrize(
    ("result", "subject"),
    [
        ({"ansible_loop_var": "item", "item": "app"}, "app"),
        ({"ansible_loop_var": "source", "source": {"name": "app", "login_password": "x"}}, "app"),
        ({"item": {"name": "app"}}, "app"),
        ({"ansible_loop_var": "item", "item": {"nom": "app"}}, None),
        ({"ansible_loop_var": "item", "item": ["app"]}, None),
        ({}, None),
    ],
)
def test_the_subject_is_the_item_of_the_loop(result: dict[str, Any], subject: str | None) -> None:
    assert subject_of(result) == subject


def test_gathering_a_loop_where_everything_happens() -> None:
    loop = [
        {"ansible_loop_var": "item", "item": {"name": "good"}, "changed": True, "report": REPORT.to_dict()},
        {
            "ansible_loop_var": "item",
            "item": {"name": "told"},
            "failed": True,
            "report": dict(REPORT.to_dict(), level="fatal"),
        },
        {
            "ansible_loop_var": "item",
            "item": {"name": "broken"},
            "changed": False,
            "failed": True,
            "msg": "no space left",
        },
        {"ansible_loop_var": "item", "item": {"name": "skipped"}, "skipped": True, "changed": False},
        {"ansible_loop_var": "item", "item": {"name": "quiet"}, "changed": False, "msg": "All items completed"},
        {"ansible_loop_var": "item", "item": {"name": "away"}, "unreachable": True, "changed": False, "msg": "ssh"},
        {"ansible_loop_var": "item", "item": {"name": "odd"}, "changed": False, "report": {"job": "backup"}},
    ]
    gathered = gather("backup", "db1", loop)
    assert [(report.subject, report.level) for report in gathered.reports] == [
        ("app", "info"),
        ("app", "fatal"),
        ("broken", "fatal"),
        ("away", "fatal"),
        ("odd", "error"),
    ]
    assert "malformed" in gathered.reports[-1].title
    # A host that was not reached is not this host.
    assert [report.subject for report in gathered.local] == ["app", "app", "broken", "odd"]
    # The variable of the task instead of its list comes to the same.
    whole = gather(
        "backup", "db1", [{"results": loop, "changed": True, "failed": True, "msg": "One or more items failed"}]
    )
    assert [report.subject for report in whole.reports] == [report.subject for report in gathered.reports]


def test_gathering_a_single_task_and_reports() -> None:
    single = gather("backup", "db1", [{"changed": False, "failed": True, "msg": "no such role"}])
    assert [(report.subject, report.title) for report in single.reports] == [("db1", "no such role")]
    assert gather("backup", "db1", [REPORT.to_dict()]).reports == (REPORT,)
    # A module's own `results` are not a loop's.
    own = gather("verify", "db1", [{"changed": False, "results": [{"archive": "x"}], "report": REPORT.to_dict()}])
    assert own.reports == (REPORT,)
    assert gather("backup", "db1", []).reports == ()


def test_a_job_that_cannot_name_a_file_is_refused_before_anything_fails() -> None:
    with pytest.raises(ResilienceError, match="job"):
        gather("../backup", "db1", [])
