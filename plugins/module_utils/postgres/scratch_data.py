# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fresh data directory for a scratch server: made by initdb once, and copied from a template from then on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile

from ..system.commands import Account, minimal_environment, run
from ..system.errors import ProgramFailedError, ResilienceError
from ..system.files import private_directory, remove_tree_or_file
from .scratch_place import DATA_NAME, make_own
from .server_programs import ServerPrograms

SUPERUSER = "postgres"
INITDB_SECONDS = 120.0


def template_path(programs: ServerPrograms, account: Account | None, cache: str) -> str:
    """Where the template of this server, for this account, is kept."""
    owner = account.name if account else str(os.getuid())
    parts = "\n".join([str(programs.version), programs.origin, owner, "wal-segsize=1, no checksums"])
    name = "template-%s-%s" % (programs.version, hashlib.sha256(parts.encode()).hexdigest()[:12])
    return os.path.join(cache, name)


def copy_template(template: str, data: str) -> bool:
    """Copy it to ``data``; tells whether there is one. Raises ProgramFailedError."""
    if not os.path.isdir(template):
        return False
    _copy_tree(template, data)
    return True


def new_data(programs: ServerPrograms, data: str, account: Account | None, template: str) -> None:
    """Make ``data`` anew, and keep a copy as the template. Raises ProgramFailedError."""
    discard(data)
    # initdb may not write beside it.
    make_own(data, account)
    _initdb(programs, data, account)
    discard(template)
    _keep(data, template)


def discard(path: str) -> None:
    """Remove a data directory that serves nobody, if that can be done."""
    with contextlib.suppress(ResilienceError):
        remove_tree_or_file(path)


def _initdb(programs: ServerPrograms, data: str, account: Account | None) -> None:
    command = [
        programs.program("initdb"),
        f"--pgdata={data}",
        f"--username={SUPERUSER}",
        # Only whoever may enter the private directory reaches the socket at all.
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--wal-segsize=1",
        # What reads its data once and forgets them needs no checksums; only since 18 they are the default.
        *(["--no-data-checksums"] if programs.version.major >= 18 else []),
        "--no-sync",
        "--no-instructions",
    ]
    done = run(command, minimal_environment(), timeout=INITDB_SECONDS, account=account)
    if done.rc != 0:
        raise ProgramFailedError(
            f"initdb of PostgreSQL {programs.version} failed: {done.stderr.strip() or done.stdout.strip()}",
            stage="start",
            remedy="Run the command by hand to see more.",
            cmd=command,
            rc=done.rc,
            stderr=done.stderr,
        )


def _keep(data: str, template: str) -> None:
    """Keep a copy in one step: another run never sees half of one. A copy that cannot be kept is only slower."""
    try:
        private_directory(os.path.dirname(template))
        unfinished = tempfile.mkdtemp(prefix="unfinished-", dir=os.path.dirname(template))
    except (OSError, ResilienceError):
        return
    try:
        _copy_tree(data, os.path.join(unfinished, DATA_NAME))
        # Another run may have been quicker; its copy is as good.
        with contextlib.suppress(OSError):
            os.rename(os.path.join(unfinished, DATA_NAME), template)
    except ResilienceError:
        # No room for it.
        return
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _copy_tree(source: str, destination: str) -> None:
    done = run(
        ["cp", "--archive", "--reflink=auto", "--no-target-directory", "--", source, destination], minimal_environment()
    )
    if done.rc != 0:
        with contextlib.suppress(ResilienceError):
            remove_tree_or_file(destination)
        raise ProgramFailedError(
            f"Cannot copy a fresh data directory to {destination}: {done.stderr.strip()}",
            stage="start",
            remedy="Free space there, or name another scratch_directory.",
            rc=done.rc,
        )
