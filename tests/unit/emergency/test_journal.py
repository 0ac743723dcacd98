# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of an emergency: written whole, read back, never misunderstood."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.emergency.journal import (
    PHASES,
    ROLLBACK,
    ROLLFORWARD,
    DamagedJournalError,
    Journal,
    journal_path,
    read_journal,
    remove_journal,
    write_journal,
)

JOURNAL = Journal(
    direction=ROLLBACK,
    phase="stopping",
    started_at="2026-11-25T03:00:00Z",
    original={"name": "whatsapp", "env": {"POSTGRES_PASSWORD": "s3cret"}},
    emergency={"name": "whatsapp"},
    was_running=True,
    commit="0" * 40,
    release="worktree",
    code_directory="/opt/whatsapp-emergency",
    sessions_directory="/var/lib/whatsapp/sessions",
)


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = write_journal(str(tmp_path), "whatsapp", JOURNAL)
    assert read_journal(str(tmp_path), "whatsapp") == written
    assert dataclasses.replace(written, updated_at="") == JOURNAL


def test_nobody_else_can_read_it_for_it_holds_the_environment(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_journal(str(tmp_path), "whatsapp", JOURNAL)
    finally:
        os.umask(before)
    path = Path(journal_path(str(tmp_path), "whatsapp"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_sources_do_not_share_one(tmp_path: Path) -> None:
    write_journal(str(tmp_path), "a/b", JOURNAL)
    assert read_journal(str(tmp_path), "a") is None
    assert read_journal(str(tmp_path), "b") is None
    assert Path(journal_path(str(tmp_path), "a/b")).parent == tmp_path / "emergency"


def test_removing_it_twice_is_fine(tmp_path: Path) -> None:
    write_journal(str(tmp_path), "whatsapp", JOURNAL)
    remove_journal(str(tmp_path), "whatsapp")
    remove_journal(str(tmp_path), "whatsapp")
    assert read_journal(str(tmp_path), "whatsapp") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: "",
        lambda document: "[]",
        lambda document: "{",
        lambda document: json.dumps({**document, "journal_version": 2}),
        lambda document: json.dumps({**document, "phase": "dancing"}),
        lambda document: json.dumps({**document, "direction": "sideways"}),
        lambda document: json.dumps({key: value for key, value in document.items() if key != "original"}),
        lambda document: json.dumps({**document, "unknown": 1}),
    ],
)
def test_a_damaged_one_is_an_error_and_never_none(tmp_path: Path, damage) -> None:
    write_journal(str(tmp_path), "whatsapp", JOURNAL)
    path = Path(journal_path(str(tmp_path), "whatsapp"))
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(DamagedJournalError) as caught:
        read_journal(str(tmp_path), "whatsapp")
    assert "s3cret" not in str(caught.value)
    assert "by hand" in str(caught.value.remedy)


@pytest.mark.parametrize(("phase", "switched"), [(phase, PHASES.index(phase) >= 3) for phase in PHASES])
def test_from_the_start_on_the_other_side_may_have_written(phase: str, switched: bool) -> None:
    journal = dataclasses.replace(JOURNAL, phase=phase)
    assert journal.switched is switched
    assert journal.unfinished is (phase != "done")
    assert not journal.switched_back
    assert dataclasses.replace(journal, direction=ROLLFORWARD).switched_back is switched
