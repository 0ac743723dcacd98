# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run one playbook of this host as a job: one at a time, with a clean environment, and its end on record.

    resilience                                     # which playbooks there are
    resilience backup                              # run one; further words are options of ansible-playbook
    resilience --job nightly backup -e backup_tier=monthly
    resilience --self-check                        # whether this host can run them
    resilience --version

The exit status is that of ansible-playbook; 75 where the job runs already. docs/runner.md tells the rest.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ansible_collections.baileys.resilience.console import self_check
from ansible_collections.baileys.resilience.console.self_check import COLLECTION, COLLECTION_DIRECTORY, COLLECTIONS_PATH
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import LockedError, ResilienceError
from ansible_collections.baileys.resilience.plugins.module_utils.system.files import private_directory
from ansible_collections.baileys.resilience.plugins.module_utils.system.lock import exclusive_lock
from ansible_collections.baileys.resilience.plugins.module_utils.system.units import human_duration

# As in sysexits.h, which has one for each: used wrongly, cannot be done, to be tried again later.
USAGE, UNAVAILABLE, RUNS_ALREADY = 64, 69, 75
# Told apart by where they come from: at a terminal the kernel gives it to every process in the foreground.
_FROM_KERNEL = 0x80
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# Its file `in-use` holds a release back from being removed while a job runs from it (runner/release.py).
_RELEASE = os.path.dirname(COLLECTIONS_PATH)


def main(words: Sequence[str]) -> int:
    """Do what the words of the command line say; returns the exit status."""
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        return 0
    if words[0] == "--version":
        print(_version())
        return 0
    if words[0] == "--self-check":
        return self_check.main()
    job = None
    if words[0] == "--job":
        if len(words) < 2 or not _JOB_NAME.fullmatch(words[1]):
            return _refuse("--job needs the name of the job: letters, digits, '_', '-' and '.'", USAGE)
        job, words = words[1], words[2:]
    if not words or words[0] not in self_check.playbooks():
        given = f"There is no playbook {words[0]}" if words else "No playbook is named"
        return _refuse(f"{given}. There are: {', '.join(self_check.playbooks())}", USAGE)
    try:
        return _run_alone(job or words[0], words[0], words[1:])
    except LockedError as error:
        return _refuse(f"{job or words[0]} runs already. {error.message}. {error.remedy}", RUNS_ALREADY)
    except (ResilienceError, OSError, ValueError) as error:
        return _refuse(str(error), UNAVAILABLE)


def _run_alone(job: str, playbook: str, options: Sequence[str]) -> int:
    settings = _settings()
    state_directory = str(settings["state_directory"])
    locks = os.path.join(state_directory, "locks")
    private_directory(state_directory)
    private_directory(locks)
    with exclusive_lock(os.path.join(locks, f"{job}.lock"), 0) as lock:
        in_use = os.open(os.path.join(_RELEASE, "in-use"), os.O_RDONLY | os.O_CLOEXEC)
        # Shared by every job of this release.
        fcntl.flock(in_use, fcntl.LOCK_SH)
        for descriptor in (lock, in_use):
            # What outlives this program, such as a worker of Ansible that it could not end, holds both.
            os.set_inheritable(descriptor, True)
        started = time.monotonic()
        _say(job, f"started: {COLLECTION}.{playbook}, release {os.path.basename(_RELEASE)}, process {os.getpid()}")
        signal.pthread_sigmask(signal.SIG_BLOCK, (*_FORWARDED, signal.SIGCHLD))
        rc = _end_of(_start(playbook, options, settings["environment"]))
        _say(job, f"ended after {human_duration(time.monotonic() - started)}, exit status {rc}")
        return rc


def _settings() -> Mapping[str, Any]:
    path = os.path.join(os.path.dirname(os.environ["ANSIBLE_CONFIG"]), "runner.json")
    with open(path, encoding="utf-8") as stream:
        settings: Mapping[str, Any] = json.load(stream)
    return settings


def _start(playbook: str, options: Sequence[str], environment: Mapping[str, str]) -> int:
    """Start ansible-playbook as every program starts, whatever signals are blocked or ignored here; its pid."""
    program = os.path.join(os.path.dirname(sys.executable), "ansible-playbook")
    return os.posix_spawn(
        sys.executable,
        # Not by the program's first line, which may hold neither a blank nor a long path.
        [sys.executable, program, f"{COLLECTION}.{playbook}", *options],
        # Not by the link `current`: an upgrade meanwhile does not change what this job runs.
        {**os.environ, **environment, "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS_PATH},
        setsigmask=(),
        # A shell that starts this in the background has it ignore SIGINT, which is what PM2 ends a job by.
        setsigdef=(signal.SIGINT, signal.SIGTERM),
    )


def _end_of(process: int) -> int:
    """Wait for the process and pass on what asks this one to end; returns its status as a shell gives it."""
    while True:
        told = signal.sigwaitinfo((*_FORWARDED, signal.SIGCHLD))
        if told.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        elif told.si_code != _FROM_KERNEL:
            os.kill(process, told.si_signo)


def _help() -> str:
    lines = [str(__doc__).strip(), "", "Playbooks:"]
    lines += [f"  {name:24}{_first_sentence(name)}" for name in self_check.playbooks()]
    return "\n".join(lines)


def _first_sentence(playbook: str) -> str:
    with open(os.path.join(COLLECTION_DIRECTORY, "playbooks", f"{playbook}.yml"), encoding="utf-8") as stream:
        text = " ".join(line[1:].strip() for line in itertools.takewhile(_is_comment, list(stream)[1:]))
    return re.split(r"(?<=[.;])\s", text, maxsplit=1)[0].rstrip(".;")


def _is_comment(line: str) -> bool:
    return line.startswith("#")


def _version() -> str:
    with open(os.path.join(COLLECTION_DIRECTORY, "MANIFEST.json"), encoding="utf-8") as stream:
        version = json.load(stream)["collection_info"]["version"]
    return f"{COLLECTION} {version}, release {os.path.basename(_RELEASE)}, Python {sys.version.split()[0]}"


def _say(job: str, text: str) -> None:
    # At once: a log that is read while the job runs, or after it was killed, has it.
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {job} {text}", flush=True)


def _refuse(text: str, status: int) -> int:
    print(text.rstrip(".") + ".", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
