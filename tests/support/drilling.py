# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills of real archives by calling the core directly."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg2

from ansible_collections.baileys.resilience.plugins.module_utils.drill.drill import (
    Between,
    DrillRequest,
    drill_archive,
)
from ansible_collections.baileys.resilience.plugins.module_utils.postgres import scratch_place
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from tests.support.backup_job import BackupJob, ModuleRun
from tests.support.backups import only_archive

Result = dict[str, Any]
BASES = (scratch_place.MEMORY_DIRECTORY, scratch_place.DISK_DIRECTORY)


def request_of(root: Path, state: Path, bin_directory: Path, **options: Any) -> DrillRequest:
    """A request to drill the newest archive of the root with these programs as client and server."""
    return DrillRequest(
        **{
            "source": "app",
            "backup_root": str(root),
            "state_directory": str(state),
            "client_directory": str(bin_directory),
            "server_directory": str(bin_directory),
            **options,
        }
    )


def drill(root: Path, state: Path, bin_directory: Path, between: Between | None = None, **options: Any) -> Result:
    """Drill the only archive of the root; `between` may change the restored database before it is compared."""
    return drill_archive(request_of(root, state, bin_directory, **options), only_archive(root), between=between)


def planting(*statements: str) -> Between:
    """What a drill calls between restore and comparison, to run these statements in one transaction."""

    def between(settings: ConnectionSettings) -> None:
        with contextlib.closing(psycopg2.connect(settings.driver_dsn())) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    return between


def assert_proven(result: Result) -> None:
    """Everything is as it was, and nothing stood in the way."""
    assert (result["verdict"], result["problems"], result["obstacle"]) == ("proven", [], None), differences(result)


def assert_unjudged(result: Result, *words: str) -> None:
    """The archive was not judged, and the obstacle says all of these words."""
    assert (result["verdict"], result["problems"]) == ("unjudged", []), result["problems"]
    told = f"{result['obstacle']} {result['remedy']}"
    assert [word for word in words if word not in told] == [], told


def assert_suspect(result: Result, *words: str) -> None:
    """The archive is suspect, and one of its problems says all of these words."""
    assert result["verdict"] == "suspect", (result["verdict"], result["obstacle"])
    assert any(all(word in problem for word in words) for problem in result["problems"]), result["problems"]


def differences(result: Result) -> str:
    """What a failed comparison found, for the message of an assertion."""
    changed = ["{entry}\n{archive}\n{restored}".format(**change) for change in result["schema"]["changed"][:3]]
    return "\n".join([*result["problems"][:10], str(result["obstacle"]), *changed])


def reordered(result: Result) -> dict[str, str]:
    """The tables that came back in another order, with what of them is in another order."""
    return {
        f"{table['schema']}.{table['table']}": str(table["detail"]).removeprefix("the same rows ")
        for table in result["tables"]
        if table["outcome"] == "reordered"
    }


def rewritten(result: Result) -> list[str]:
    """The entries that the server spells its own way."""
    return [change["entry"] for change in result["schema"]["rewritten"]]


def scratch_directories(bases: Sequence[str] = BASES) -> set[str]:
    """Directories of scratch servers that there are now, whosever they are."""
    return {
        os.path.join(base, name) for base in bases for name in os.listdir(base) if name.startswith(scratch_place.PREFIX)
    }


def module_options(job: BackupJob, **options: Any) -> dict[str, Any]:
    """The options of pg_restore_drill for the backup root of a job."""
    bin_directory = str(job.database.server.bin_directory)
    return {
        "source": "app",
        "backup_root": str(job.backup_root),
        "state_directory": str(job.state),
        "client_directory": bin_directory,
        "server_directory": bin_directory,
        **options,
    }


def run_drill(job: BackupJob, **options: Any) -> ModuleRun:
    """Run the module to its end."""
    return job.run("pg_restore_drill", **module_options(job, **options))


def only_drill(run: ModuleRun) -> Result:
    """The one result of a run."""
    assert run.result.get("drills"), run.output
    (result,) = run.result["drills"]
    return dict(result)
