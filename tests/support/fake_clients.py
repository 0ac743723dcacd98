# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of PostgreSQL client programs that are shell scripts: for what no real installation offers."""

from __future__ import annotations

from pathlib import Path


def fake_clients(directory: Path, version: str = "18.4", **scripts: str) -> Path:
    """Make a directory with a pg_dump that states this version, and scripts by the names of programs.

    A script runs when its program is asked for anything but its version; pg_dump without one exits 0.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for program, script in {"pg_dump": "exit 0", **scripts}.items():
        path = directory / program
        path.write_text(
            f'#!/bin/sh\nif [ "$*" = --version ]; then echo "{program} (PostgreSQL) {version}"; exit 0; fi\n{script}\n'
        )
        path.chmod(0o755)
    return directory
