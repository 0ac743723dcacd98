# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One family of exceptions: what each carries reaches whoever catches it."""

from __future__ import annotations

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.system import errors


def test_everything_told_is_there() -> None:
    error = errors.ProgramFailedError("it broke", stage="dump", remedy="mend it", cmd=("a", "b"), rc=3, stderr="ouch")
    assert (str(error), error.message, error.stage, error.remedy) == ("it broke", "it broke", "dump", "mend it")
    assert (error.cmd, error.rc, error.stderr) == (["a", "b"], 3, "ouch")


def test_what_was_not_told_is_none() -> None:
    error = errors.ResilienceError("it broke")
    assert [error.stage, error.remedy, error.cmd, error.rc, error.stderr] == [None] * 5


def test_the_deepest_layer_names_the_stage() -> None:
    error = errors.ArchiveError("it broke")
    assert error.at_stage("verify") is error
    assert error.at_stage("publish").stage == "verify"


def test_a_connection_failure_is_lasting_unless_said_otherwise() -> None:
    assert not errors.ConnectionFailedError("refused").transient
    error = errors.ConnectionFailedError("refused", transient=True, stage="connect", remedy="wait", stderr="x")
    assert (error.transient, error.stage, error.remedy, error.stderr) == (True, "connect", "wait", "x")


@pytest.mark.parametrize(
    "kind", [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
)
def test_one_handler_catches_them_all(kind: type[errors.ResilienceError]) -> None:
    with pytest.raises(errors.ResilienceError, match="it broke"):
        raise kind("it broke")
