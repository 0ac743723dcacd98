# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The core's steps as a process of their own, without Ansible: what is held against a bare client program.

    python -m benchmarks.core_step backup ROOT ENV_FILE CLIENT_DIRECTORY --format custom --compression zstd:1
    python -m benchmarks.core_step verify ROOT ENV_FILE CLIENT_DIRECTORY
    python -m benchmarks.core_step drill ROOT ENV_FILE CLIENT_DIRECTORY

The interpreter's start and the imports are in the time, as they are in the module's.
"""

from __future__ import annotations

import argparse
import sys

from ansible_collections.baileys.resilience.plugins.module_utils.backup.check import Bounds
from ansible_collections.baileys.resilience.plugins.module_utils.backup.make import BackupRequest, make_backup
from ansible_collections.baileys.resilience.plugins.module_utils.backup.retain import DEFAULT_KEEP
from ansible_collections.baileys.resilience.plugins.module_utils.backup.verify import verify_all
from ansible_collections.baileys.resilience.plugins.module_utils.drill.drill import DrillRequest
from ansible_collections.baileys.resilience.plugins.module_utils.drill.drill_run import run_drills
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import resolve
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("backup", "verify", "drill"))
    parser.add_argument("root", help="backup root")
    parser.add_argument("env_file", help="connection, as an application's .env has it")
    parser.add_argument("client_directory", help="where pg_dump and pg_restore lie")
    parser.add_argument("--format", default="custom")
    parser.add_argument("--compression", default="auto", help="with or without a level: gzip, zstd:1")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    try:
        if given.step == "verify":
            bad = [
                result for result in verify_all(given.root, client_directory=given.client_directory) if result.problems
            ]
            print(*(problem for result in bad for problem in result.problems), sep="\n")
            return 1 if bad else 0
        if given.step == "drill":
            (result,) = run_drills(drill_request(given)).results
            print(*result["problems"], result["obstacle"] or result["verdict"], sep="\n")
            return 0 if result["verdict"] == "proven" else 1
        print(back_up(given))
    except ResilienceError as error:
        print(error.message, error.remedy, error.stderr, file=sys.stderr)
        return 1
    return 0


def drill_request(given: argparse.Namespace) -> DrillRequest:
    """The drill of the newest archive; state and template of the scratch server are kept beside the root."""
    return DrillRequest(
        source="benchmark",
        backup_root=given.root,
        state_directory=f"{given.root}.state",
        client_directory=given.client_directory,
        server_directory=given.client_directory,
    )


def back_up(given: argparse.Namespace) -> str:
    """Make the backup as the module does, with its defaults; returns the archive's path."""
    algorithm, _, level = given.compression.partition(":")
    request = BackupRequest(
        source="benchmark",
        settings=resolve({}, given.env_file),
        backup_root=given.root,
        format=given.format,
        compression=algorithm,
        compression_level=int(level) if level else None,
        jobs=given.jobs,
        client_directory=given.client_directory,
        bounds=Bounds(),
        keep=DEFAULT_KEEP,
    )
    return make_backup(request).archive


if __name__ == "__main__":
    sys.exit(main())
