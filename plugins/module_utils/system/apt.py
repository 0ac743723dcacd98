# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""apt and dpkg by their own programs: a fresh host has no Python bindings for them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence

from .commands import Completed, minimal_environment, run
from .errors import ProgramFailedError

# What apt itself reads; on a host behind a proxy it reaches nothing without.
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")
# Seconds to wait for another apt: the host's own upgrades run at night, too.
LOCK_SECONDS = 120
LOCK_PAUSE = 1.0
_LOCKED = "Could not get lock"
# Said after the error that tells the cause.
_NO_CAUSE = ("Some index files failed to download", "The list of sources could not be read")


class AptError(ProgramFailedError):
    """apt refused, or failed at, what it was asked to do."""


def installed(packages: Sequence[str]) -> dict[str, str]:
    """The versions of those packages that are installed, by name."""
    words = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package} ${Version}\n", *packages]
    rows = [line.split() for line in run(words, _environment()).stdout.splitlines()]
    return {row[1]: row[2] for row in rows if len(row) == 3 and row[0] == "installed"}


def update() -> None:
    """Refresh what apt knows. A source that cannot be read now is left as it is known: it may not be needed."""
    apt_get(["update"])


def install(packages: Sequence[str]) -> None:
    """Install these packages, and remove none for them. Raises AptError."""
    done = apt_get(["install", "--yes", "--no-install-recommends", "--no-remove", "--", *packages])
    if done.rc != 0:
        raise failure(
            done,
            "Cannot install {}".format(", ".join(packages)),
            remedy="The sources of apt are as they were. A package that apt cannot locate needs a source that has it; for "
            "all that apt says, run: {}".format(" ".join(done.command)),
        )


def remove(packages: Sequence[str]) -> None:
    """Remove these packages, and no other with them. Raises AptError."""
    words = ["remove", "--yes", "--", *packages]
    planned = apt_get(["--simulate", *words])
    if planned.rc != 0:
        raise failure(planned, "Cannot remove {}".format(", ".join(packages)))
    others = sorted(set(re.findall(r"^Remv (\S+)", planned.stdout, re.MULTILINE)) - set(packages))
    if others:
        raise AptError(
            "Nothing was removed: {} would go with {}".format(", ".join(others), ", ".join(packages)),
            stage="remove",
            remedy="Remove them first if nothing needs them: apt-get remove {}".format(" ".join(others)),
        )
    done = apt_get(words)
    if done.rc != 0:
        raise failure(done, "Cannot remove {}".format(", ".join(packages)))


def apt_get(words: Sequence[str], options: Sequence[str] = ()) -> Completed:
    """Run apt-get, without questions; waits for another one to end."""
    settings = ["DPkg::Lock::Timeout=%d" % LOCK_SECONDS, *options]
    command = ["apt-get", "--quiet", *(word for setting in settings for word in ("-o", setting)), *words]
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        done = run(command, _environment())
        # apt's own waiting is for dpkg's lock only, not for that of the lists.
        if done.rc == 0 or _LOCKED not in done.stderr or time.monotonic() > deadline:
            return done
        time.sleep(LOCK_PAUSE)


def failure(done: Completed, message: str, *, stage: str = "install", remedy: str | None = None) -> AptError:
    """The error for an apt-get that failed, with what it says itself."""
    told = complaints(done)
    return AptError(
        "{}: {}".format(message, "; ".join(told) or "apt-get ended with exit status %d" % done.rc),
        stage=stage,
        remedy=remedy or "Run it by hand to see all that apt says: {}".format(" ".join(done.command)),
        cmd=done.command,
        rc=done.rc,
        stderr=done.stderr,
    )


def complaints(done: Completed) -> list[str]:
    """What apt calls an error, without the rest of what it says."""
    lines = dict.fromkeys(done.stderr.splitlines())
    errors = [" ".join(line[2:].split()) for line in lines if line.startswith("E:")]
    return [error for error in errors if not error.startswith(_NO_CAUSE)] or errors


def _environment() -> dict[str, str]:
    proxies = {name: os.environ[name] for name in PROXIES if name in os.environ}
    return minimal_environment({"DEBIAN_FRONTEND": "noninteractive", **proxies})
