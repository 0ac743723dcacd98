# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our reader of schedules beside PM2's own: what we let through, PM2 can read, or its daemon would die of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_cron import check_cron
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError
from tests.support import node
from tests.support.pm2 import MANIFEST_DIRECTORY

ORACLE = """
const Cron = require('croner');
require('readline').createInterface({input: process.stdin}).on('line', line => {
  let answer = true;
  try { Cron(JSON.parse(line)); } catch (error) { answer = false; }
  console.log(JSON.stringify(answer));
});
"""


@pytest.fixture(scope="module")
def pm2_can_read() -> Iterator[Callable[[str], bool]]:
    directory = node.packages(MANIFEST_DIRECTORY)
    with subprocess.Popen(
        [node.node(), "-e", ORACLE], cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        questions, answers = process.stdin, process.stdout
        assert questions is not None
        assert answers is not None

        def ask(pattern: str) -> bool:
            questions.write(json.dumps(pattern) + "\n")
            questions.flush()
            return bool(json.loads(answers.readline()))

        yield ask
        questions.close()


def accepted(pattern: str) -> bool:
    try:
        check_cron("app", pattern)
    except SettingsError:
        return False
    return True


@pytest.mark.parametrize(
    "pattern",
    [
        "0 3 * * *",
        "*/5 * * * *",
        "* * * * * *",
        "0 0 1,15 * MON",
        "30 4 L * *",
        "0 9-17 * * mon-fri",
        "0 9-17/2 * jan-mar 1-5",
        "  0   3  *  *  7  ",
        "59 23 31 12 6",
        "10/20 * * * *",
    ],
)
def test_a_schedule_in_use_is_accepted_by_both(pm2_can_read, pattern):
    assert pm2_can_read(pattern)
    assert accepted(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "every day",
        "@daily",
        "0 3 * *",
        "0 0 0 3 * * *",
        "60 3 * * *",
        "0 24 * * *",
        "0 3 0 * *",
        "0 3 * 13 *",
        "0 3 * * 8",
        "0 3 * * 1-3,5",
        "0 3 * * 5,1-3",
        "*/0 * * * *",
        "5-1 * * * *",
        "1-5/ * * * *",
        "0 3 * * foo",
        "0 3 * * \u0661",
    ],
)
def test_what_would_end_pm2s_daemon_is_refused(pm2_can_read, pattern):
    assert not pm2_can_read(pattern), "PM2 has learnt to read it"
    assert not accepted(pattern)


FIELD = st.one_of(
    st.sampled_from(
        ["*", "L", "MON", "jan", "?", "*/2", "1-5", "5-1", "1,2", "1-2,5", "0", "60", "*/61", "70/2", "1/0"]
    ),
    st.text("0123456789*/,-LW#?", min_size=1, max_size=6),
    st.integers(0, 70).map(str),
    st.tuples(st.integers(0, 62), st.integers(0, 62), st.integers(0, 62)).map(lambda n: "%d-%d/%d" % n),
    st.lists(st.integers(0, 62), min_size=1, max_size=3).map(lambda n: ",".join(map(str, n))),
)


@settings(max_examples=600, deadline=None)
@given(st.one_of(st.lists(FIELD, min_size=5, max_size=6), st.lists(FIELD, max_size=8)))
def test_whatever_is_accepted_can_be_read_by_pm2(pm2_can_read, fields):
    pattern = " ".join(fields)
    assert not accepted(pattern) or pm2_can_read(pattern)


def test_the_message_names_the_field(pm2_can_read):
    with pytest.raises(SettingsError, match=r'PM2 cannot read the cron_restart "0 25 \* \* \*" of app: its hour is 25'):
        check_cron("app", "0 25 * * *")
    with pytest.raises(SettingsError, match="it has 2 fields and not five, or six with seconds"):
        check_cron("app", "every day")
