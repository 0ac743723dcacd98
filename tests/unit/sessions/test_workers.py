# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in several processes: results, errors, and no process left."""

from __future__ import annotations

import os
import signal
import time

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.workers import (
    in_processes,
    processes_for,
    shares,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError
from tests.support.processes import start_parent, wait_until_gone


def test_every_result_arrives():
    def work(share):
        for number in share:
            yield number, os.getpid()

    results = list(in_processes([[1, 2, 3], [4, 5], []], work))
    assert sorted(number for number, _pid in results) == [1, 2, 3, 4, 5]
    assert len({pid for _number, pid in results} | {os.getpid()}) == 3


def test_an_error_arrives_with_all_it_says_and_ends_the_others(tmp_path):
    def work(share):
        (tmp_path / share).write_text(str(os.getpid()))
        if share == "bad":
            raise ResilienceError("it broke", stage="write", remedy="mend it")
        yield share
        time.sleep(600)

    started = time.monotonic()
    with pytest.raises(ResilienceError) as caught:
        list(in_processes(["good", "bad"], work))
    assert (caught.value.message, caught.value.stage, caught.value.remedy) == ("it broke", "write", "mend it")
    assert time.monotonic() - started < 60
    for path in tmp_path.iterdir():
        wait_until_gone(int(path.read_text()))


def test_a_worker_that_is_killed_is_told():
    def work(share):
        yield share
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ResilienceError, match=r"ended before its work was done \(by signal 9\)"):
        list(in_processes(["a", "b"], work))


def test_a_crash_is_told_and_shows_no_value(capfd):
    def work(share):
        if share:
            raise RuntimeError(share)
        yield share

    with pytest.raises(ResilienceError, match=r"ended before its work was done \(RuntimeError\)"):
        list(in_processes(["secret"], work))
    assert "secret" not in "".join(capfd.readouterr())


def test_ctrl_c_is_left_to_the_parent():
    def work(share):
        os.kill(os.getpid(), signal.SIGINT)
        yield share

    assert list(in_processes(["a"], work)) == ["a"]


def test_a_killed_parent_takes_its_workers_along():
    program = """
        import os, time
        from ansible_collections.baileys.resilience.plugins.module_utils.sessions.workers import in_processes
        def work(share):
            print(os.getpid(), flush=True)
            time.sleep(600)
            yield
        list(in_processes(["a"], work))
    """
    with start_parent(program) as (parent, worker):
        parent.kill()
        wait_until_gone(worker)


def test_shares_are_of_about_the_same_size():
    sizes = {"a": 100, "b": 60, "c": 50, "d": 1, "e": 0}
    parts = shares(sizes, 2)
    assert sorted(name for part in parts for name in part) == sorted(sizes)
    assert sorted(sum(sizes[name] for name in part) for part in parts) == [101, 110]


@pytest.mark.parametrize(
    ("sizes", "most", "number"),
    [({"a": 164_700}, 8, 1), ({"a": 10, "b": 10}, 8, 0), (dict.fromkeys("abcd", 5000), 2, 2)],
)
def test_processes_only_where_they_are_worth_it(sizes, most, number):
    assert processes_for(sizes, most) == number
