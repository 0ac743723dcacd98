# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A schedule for PM2 and for systemd: the same minutes, said by PM2's own reader and by systemd itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.filter.cron_to_calendar import cron_to_calendar
from tests.support import node
from tests.support.playbooks import ROOT
from tests.support.pm2 import MANIFEST_DIRECTORY

COUNT = 8
# Before the end of a February without a 29th, and of a day: see test_pm2_begins_late for other hours.
START = "2027-02-26T23:59:00"
ORACLE = """
const Cron = require('croner');
require('readline').createInterface({input: process.stdin}).on('line', line => {
  const {pattern, start, count} = JSON.parse(line);
  const times = [];
  let at = new Date(start + 'Z');
  const job = Cron(pattern, {paused: true});
  while (times.length < count && (at = job.next(at))) times.push(at.toISOString().slice(0, 16));
  console.log(JSON.stringify(times));
});
"""


@pytest.fixture(scope="module")
def pm2_runs_at() -> Iterator[Callable[..., list[str]]]:
    """When PM2 runs a job, by the library that it reads schedules with."""
    with subprocess.Popen(
        [node.node(), "-e", ORACLE],
        cwd=node.packages(MANIFEST_DIRECTORY),
        env={"TZ": "UTC"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        questions, answers = process.stdin, process.stdout
        assert questions is not None
        assert answers is not None

        def ask(pattern: str, start: str = START) -> list[str]:
            questions.write(json.dumps({"pattern": pattern, "start": start, "count": COUNT}) + "\n")
            questions.flush()
            times: list[str] = json.loads(answers.readline())
            return times

        yield ask
        questions.close()


@pytest.fixture(scope="module")
def systemd_runs_at() -> Callable[[str], list[str]]:
    """When systemd starts a timer; it need not be what this machine has started with."""
    if shutil.which("systemd-analyze") is None:
        subprocess.run(["sh", "scripts/debian_packages.sh", "systemd"], cwd=ROOT, check=True)

    def ask(calendar: str) -> list[str]:
        base = START.replace("T", " ") + " UTC"
        command = ["systemd-analyze", "calendar", f"--iterations={COUNT}", f"--base-time={base}", calendar]
        done = subprocess.run(
            command,
            env={"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = re.findall(r"(?:Next elapse|Iteration #\d+|Iter\. #\d+): \w+ (\S+ \S+) UTC", done.stdout)
        assert found or "never" in done.stdout, done.stdout
        return [datetime.fromisoformat(time).isoformat(timespec="minutes") for time in found]

    return ask


@pytest.mark.parametrize(
    ("pattern", "calendar"),
    [
        ("0 3 * * *", "*-*-* 03:00:00 UTC"),
        ("*/5 * * * *", "*-*-* *:00,05,10,15,20,25,30,35,40,45,50,55:00 UTC"),
        ("0 5 1 * *", "*-*-01 05:00:00 UTC"),
        ("30 4 * * 1-5", "Mon,Tue,Wed,Thu,Fri *-*-* 04:30:00 UTC"),
        ("0 0 * * sun", "Sun *-*-* 00:00:00 UTC"),
        ("0 0 * * 7", "Sun *-*-* 00:00:00 UTC"),
        ("0 0 * * 0-7", "*-*-* 00:00:00 UTC"),
        ("15 */6 1,15 jan-mar *", "*-01,02,03-01,15 00,06,12,18:15:00 UTC"),
        ("0 0 L * *", "*-*~01 00:00:00 UTC"),
        ("0 0 29 2 *", "*-02-29 00:00:00 UTC"),
        ("0 0 31 */2 *", "*-01,03,05,07,09,11-31 00:00:00 UTC"),
        ("0 22/1 * * *", "*-*-* 22,23:00:00 UTC"),
    ],
)
def test_a_schedule_in_use_has_the_same_minutes_for_both(pm2_runs_at, systemd_runs_at, pattern, calendar):
    assert cron_to_calendar(pattern) == calendar
    times = pm2_runs_at(pattern)
    assert len(times) == COUNT
    assert systemd_runs_at(calendar) == times


FIELDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]


def field(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.lists(number, min_size=1, max_size=4).map(lambda found: ",".join(map(str, found))),
        st.tuples(number, number).map(lambda ends: "%d-%d" % (min(ends), max(ends))),
        st.tuples(number, number, st.integers(1, 9)).map(lambda found: "%d-%d/%d" % (*sorted(found[:2]), found[2])),
        st.integers(1, 70).map(lambda step: f"*/{step}"),
        st.tuples(number, st.integers(1, 20)).map(lambda found: "%d/%d" % found),
    )


PATTERN = st.tuples(*(field(*bounds) for bounds in FIELDS), st.booleans()).map(
    # Both kinds of days together are refused, and shall not be most of the examples.
    lambda found: " ".join([*found[:2], found[2] if found[5] else "*", found[3], "*" if found[5] else found[4]])
)


@settings(max_examples=100, deadline=None)
@given(PATTERN)
def test_whatever_is_accepted_has_the_same_minutes_for_both(pm2_runs_at, systemd_runs_at, pattern):
    try:
        calendar = cron_to_calendar(pattern)
    except AnsibleFilterError:
        return
    assert systemd_runs_at(calendar) == pm2_runs_at(pattern)


def test_pm2_runs_a_job_on_days_that_are_both(pm2_runs_at):
    """The reason why such a schedule is refused: cron takes either. If PM2 learns that, this notices."""
    times = pm2_runs_at("0 3 13 * 5")
    assert {datetime.fromisoformat(time).isoweekday() for time in times} == {5}
    assert {time[8:10] for time in times} == {"13"}


def test_pm2_takes_a_step_from_a_day_or_month_one_too_late(pm2_runs_at):
    """The reason why such a schedule is refused. If PM2 learns better, this notices."""
    assert {time[5:7] for time in pm2_runs_at("0 3 1 4/12 *")} == {"05"}
    assert {time[8:10] for time in pm2_runs_at("0 3 4/31 * *")} == {"05"}


def test_pm2_begins_late_when_it_is_started_on_a_day_without_a_run(pm2_runs_at):
    """What docs/jobs.md says of PM2. If PM2 learns better, this notices."""
    friday = "2027-02-26T21:58:00"
    assert pm2_runs_at("*/5 * * * 1", friday)[:2] == ["2027-03-01T22:00", "2027-03-01T22:05"]
    assert pm2_runs_at("0 3 * * 1", friday)[0] == "2027-03-01T03:00"


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (
            "0 3 13 * 5",
            "it names days of the month and days of the week; cron runs it on either, PM2 on such as are both",
        ),
        ("0 3 */2 * 5", "it names days of the month and days of the week"),
        ("0 25 * * *", r"its hour is 25. A field is \*, a number"),
        ("0 3 * * 1-3,5", "its day of the week is 1-3,5"),
        ("every day", "it has 2 fields and not five"),
        ("@daily", "it has 1 fields and not five"),
        ("0 0 3 * * *", "it has seconds, which cron does not"),
        ("0 3 30 2 *", "none of its months has a day 30, so it would never run"),
        ("0 3 1/2 * *", "its day of the month is 1/2, which PM2 takes one too late. Write the end too: 1-31/2"),
        ("0 3 1 jan/3 *", "its month is jan/3, which PM2 takes one too late. Write the end too: 1-12/2"),
        ("0 3 31 4,6,9,11 *", "none of its months has a day 31"),
        (5, "it is no text but of type int"),
    ],
)
def test_the_rest_is_refused_with_the_reason(pattern, why):
    with pytest.raises(AnsibleFilterError, match=f'The schedule "{re.escape(str(pattern))}" cannot be used: {why}'):
        cron_to_calendar(pattern)
