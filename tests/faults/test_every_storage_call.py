# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every single call to the file system fails in turn, or is the last thing the process does.

Random moments seldom hit the instant between two renames; here each of them is hit.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue
from ansible_collections.baileys.resilience.plugins.module_utils.backup.publish import withdraw
from ansible_collections.baileys.resilience.plugins.module_utils.system.files import remove_tree_or_file
from demo.postgres_server import PostgresServer
from tests.conftest import MakeDatabase
from tests.support.backup_job import ARCHIVE, MANIFEST, BackupJob, IncompleteWatch
from tests.support.backups import KINDS, strays
from tests.support.storage_faults import Fault, FaultyRuns, Outcome

KEEP = {"daily": 1, "monthly": 4}
# A link into another tier, and a predecessor that retention removes, are part of every run.
KIND = {"custom": KINDS["custom-zstd"], "directory": {**KINDS["directory-zstd"], "jobs": 1}}


@pytest.fixture
def small_job(tmp_path: Path, make_database: MakeDatabase, server18: PostgresServer) -> BackupJob:
    """A job with an earlier archive of so little that a run takes no time."""
    database = make_database(server18)
    database.execute("CREATE TABLE t AS SELECT g AS id, md5(g::text) AS value FROM generate_series(1, 500) g")
    job = BackupJob(tmp_path, database)
    job.back_up_here()
    return job


@pytest.mark.parametrize("kind", KIND)
@pytest.mark.parametrize("fault", ["kill", "ENOSPC"])
def test_fault_at_every_call_to_the_file_system(small_job: BackupJob, kind: str, fault: str) -> None:
    job = small_job
    request = job.request(keep=KEEP, **KIND[kind])
    with FaultyRuns(request) as runs, IncompleteWatch(job.root) as watch:
        for number in itertools.count(1):
            forget_links(job)
            before = job.published()
            outcome = runs.run(Fault(fault, number))
            if outcome.ending == "made" and len(outcome.calls) < number:
                break
            when = f"{fault} at call {number} ({outcome.calls[number - 1] if outcome.calls else 'killed'})"
            check_ending(outcome, fault, when)
            check_archives(job, before, outcome, when)
            if outcome.ending == "failed":
                assert strays(job.root) == [], f"{when}: a run that could still clear up did not"
            check_traces(job, when)
    assert number > 30, "a run makes more calls than that"
    assert watch.incomplete == []
    job.assert_gone()
    job.assert_all_verify()
    job.assert_next_run_heals(**KIND[kind])


def forget_links(job: BackupJob) -> None:
    """So that this run is again the first of its month, and makes the link."""
    for path in (job.root / "monthly").glob(f"*{MANIFEST}"):
        withdraw(str(path).removesuffix(MANIFEST))


def check_ending(outcome: Outcome, fault: str, when: str) -> None:
    if fault == "kill":
        assert outcome.ending == "killed", when
        return
    assert outcome.ending in ("made", "failed"), f"{when}: {outcome.words}"
    if outcome.ending == "failed":
        assert "o space left" in outcome.words, f"{when}: {outcome.words}"
    elif ".lock" not in when:
        # The number in the lock is only for a message; whatever else goes wrong is told.
        assert "o space left" in " ".join(outcome.warnings), f"{when}: {outcome.warnings}"


def check_archives(job: BackupJob, before: Mapping[str, tuple[Any, ...]], outcome: Outcome, when: str) -> None:
    after = job.published()
    new = {name for name in after if name not in before and not name.endswith(MANIFEST)}
    gone = {name for name in before if name not in after and not name.endswith(MANIFEST)}
    assert {name for name in before if name in after and before[name] != after[name]} == set(), when
    if outcome.ending == "failed":
        assert not new, f"{when}: a run that failed published {new}"
    if outcome.ending == "made":
        assert outcome.archive.removeprefix(f"{job.root}/") in after, when
    assert not gone or new, f"{when}: {gone} vanished without a new archive"
    assert len([name for name in after if name.startswith("daily/")]) >= 2, f"{when}: no backup is left"


def check_traces(job: BackupJob, when: str) -> None:
    """What is left is of one run, invisible to readers, and all of it known to the next run, which clears it."""
    left = strays(job.root)
    cleared = catalogue.leftovers(str(job.root))
    assert all(any(path == each or path.startswith(each + "/") for each in cleared) for path in left), (
        f"{when}: {left} is left, of which the next run clears {cleared}"
    )
    names = {found.group() for path in cleared if (found := ARCHIVE.match(path.rpartition("/")[2]))}
    assert len(names) <= 1, f"{when}: {cleared}"
    for path in cleared:
        remove_tree_or_file(path)
    assert strays(job.root) == [], when
