# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sign of a connection is read from the log, from the moment of the start on."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.emergency.connection_log import (
    LogFile,
    NotConnectedError,
    Signs,
    wait_for_connection,
)
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.request import (
    CONNECTED_PATTERNS,
    FAILED_PATTERNS,
)

SIGNS = Signs(CONNECTED_PATTERNS, FAILED_PATTERNS)


def well() -> None:
    return None


def append(path: Path, text: str) -> None:
    with path.open("a") as stream:
        stream.write(text)


@pytest.mark.parametrize(
    "line",
    [
        '{"level":30,"msg":"opened connection to WA"}',
        "opened connection to WA",
        "{ connection: 'open' }",
        '{"connection":"open","receivedPendingNotifications":false}',
        'connection update { "connection" : "open" }',
    ],
)
def test_what_baileys_logs_once_it_is_connected_is_a_sign(tmp_path: Path, line: str) -> None:
    log = tmp_path / "out.log"
    append(log, "from before\n")
    file = LogFile.at_end(str(log))
    append(log, line + "\n")
    assert wait_for_connection([file], SIGNS, 5.0, well) == 1


@pytest.mark.parametrize(
    "line",
    [
        '{"msg":"connected to WA"}',
        "{ connection: 'connecting' }",
        "{ connection: 'close' }",
        '{"connection":"opening"}',
        "not yet: opened connection",
    ],
)
def test_what_comes_before_the_login_is_none(tmp_path: Path, line: str) -> None:
    log = tmp_path / "out.log"
    file = LogFile.at_end(str(log))
    append(log, line + "\n")
    with pytest.raises(NotConnectedError, match="no sign of a connection"):
        wait_for_connection([file], SIGNS, 0.2, well)


def test_a_connection_of_before_the_start_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    append(log, "opened connection to WA\n")
    with pytest.raises(NotConnectedError):
        wait_for_connection([LogFile.at_end(str(log))], SIGNS, 0.2, well)


def test_half_a_line_does_not_count_until_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.touch()
    file = LogFile.at_end(str(log))
    append(log, "opened connec")
    assert file.new_lines() == []
    append(log, "tion to WA\nrest")
    assert file.new_lines() == ["opened connection to WA"]


@pytest.mark.parametrize("how", ["renamed", "truncated"])
def test_a_log_that_is_rotated_meanwhile_is_read_from_its_new_beginning(tmp_path: Path, how: str) -> None:
    log = tmp_path / "out.log"
    append(log, "a long line of before\n" * 10)
    file = LogFile.at_end(str(log))
    if how == "renamed":
        log.rename(tmp_path / "out.log.1")
    else:
        os.truncate(log, 0)
    append(log, "opened connection to WA\n")
    assert wait_for_connection([file], SIGNS, 1.0, well) == 1


def test_a_log_that_comes_late_is_read_from_its_first_byte(tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    file = LogFile.at_end(str(log))
    writer = threading.Timer(0.2, append, (log, "opened connection to WA\n"))
    writer.start()
    assert wait_for_connection([file], SIGNS, 5.0, well) == 1
    writer.join()


def test_every_company_must_connect_where_several_are_expected(tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.touch()
    file = LogFile.at_end(str(log))
    append(log, "opened connection to WA\n" * 2)
    # Those that are connected are not taken down for the one that is not.
    assert wait_for_connection([file], Signs(CONNECTED_PATTERNS, FAILED_PATTERNS, 3), 0.2, well) == 2


def test_a_connection_that_is_told_in_two_ways_counts_once(tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.touch()
    file = LogFile.at_end(str(log))
    append(log, 'opened connection to WA\n{"connection":"open"}\n')
    assert wait_for_connection([file], Signs(CONNECTED_PATTERNS, FAILED_PATTERNS, 2), 0.2, well) == 1


def test_one_company_that_is_refused_does_not_take_down_the_others(tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.touch()
    file = LogFile.at_end(str(log))
    append(log, '{"msg":"connection errored","statusCode":401}\nopened connection to WA\n')
    started = time.monotonic()
    assert wait_for_connection([file], Signs(CONNECTED_PATTERNS, FAILED_PATTERNS, 2), 30.0, well) == 1
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "line",
    [
        '{"error":{"output":{"statusCode":401}},"msg":"connection errored"}',
        "lastDisconnect: { statusCode: 440 }",
        '{"qr":"2@aSecretThatPairs"}',
        "connection update { qr: '2@aSecretThatPairs' }",
    ],
)
def test_a_refusal_ends_the_wait_at_once_and_shows_nothing_of_the_log(tmp_path: Path, line: str) -> None:
    log = tmp_path / "out.log"
    log.touch()
    file = LogFile.at_end(str(log))
    append(log, line + "\n")
    started = time.monotonic()
    with pytest.raises(NotConnectedError, match="refused the service's credentials") as caught:
        wait_for_connection([file], SIGNS, 30.0, well)
    assert time.monotonic() - started < 5
    assert "aSecret" not in f"{caught.value.message} {caught.value.remedy}"


def test_a_lost_connection_of_another_kind_is_waited_out(tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.touch()
    file = LogFile.at_end(str(log))
    append(log, '{"msg":"connection closed","statusCode":515}\n{"res":{"statusCode":401}}\nopened connection to WA\n')
    assert wait_for_connection([file], SIGNS, 1.0, well) == 1


def test_a_service_in_trouble_is_not_waited_for(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(NotConnectedError, match="errored"):
        wait_for_connection([LogFile.at_end(str(tmp_path / "x"))], SIGNS, 30.0, lambda: "it is errored")
    assert time.monotonic() - started < 5


def test_a_flood_of_lines_is_read_piece_by_piece(tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.touch()
    file = LogFile.at_end(str(log))
    append(log, "x" * 3_000_000 + "\nopened connection to WA\n")
    assert wait_for_connection([file], SIGNS, 5.0, well) == 1
    assert len(file.rest) <= 1 << 20
