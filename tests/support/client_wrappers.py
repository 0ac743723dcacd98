# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of client programs in which one of them misbehaves: a script around the real one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

# "$real" is the real program. What `find_clients` and the probes ask goes to the real one untouched.
_HEAD = """#!/bin/sh
real={real}
case "$*" in
    *--version*|*--host=/dev/null/none*) exec "$real" "$@" ;;
esac
"""


def wrap_clients(directory: Path, real: Path, scripts: Mapping[str, str], missing: tuple[str, ...] = ()) -> Path:
    """Make `directory` look like `real`, with a shell script in place of some programs, and without others.

    A script is what runs once a program is asked for real work; it has the program's arguments, and `$real`.
    """
    directory.mkdir()
    for program in ("pg_dump", "pg_restore", "pg_isready", "psql"):
        path = directory / program
        if program in scripts:
            path.write_text(_HEAD.format(real=real / program) + scripts[program] + "\n")
            path.chmod(0o755)
        elif program not in missing:
            path.symlink_to(real / program)
    return directory
