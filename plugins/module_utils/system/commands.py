# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run programs: a list of words, a minimal environment, and an end that is noticed."""

from __future__ import annotations

import errno
import functools
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import MissingDependencyError, ProgramFailedError, SettingsError

# What a PostgreSQL client may need of its surroundings; everything else stays behind.
KEPT_VARIABLES = ("HOME", "PATH", "TMPDIR", "LD_LIBRARY_PATH", "KRB5CCNAME", "KRB5_CONFIG")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# util-linux's; path sockets are reached all the same.
_WITHOUT_NETWORK = ("unshare", "--net", "--")
# Enough for every message a person reads; the end is what tells the cause.
STDERR_LIMIT = 8000


def minimal_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every child: the few kept variables, ``LC_ALL=C``, and ``extra``."""
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    environment.setdefault("PATH", DEFAULT_PATH)
    environment["LC_ALL"] = "C"
    environment.update(extra or {})
    return environment


@dataclass(frozen=True)
class Account:
    """A user of this host."""

    name: str
    uid: int
    gid: int


def user_named(name: str, remedy: str = "Create the user first.", stage: str | None = None) -> pwd.struct_passwd:
    """The user of this host with this name. Raises SettingsError."""
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise SettingsError(f"This host has no user {name}", stage=stage, remedy=remedy) from error


def service_account(names: Sequence[str]) -> Account | None:
    """The first of these users that exists, for what refuses to run as root; None unless this is root.

    Raises MissingDependencyError when none of them exists.
    """
    if os.geteuid() != 0:
        return None
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise MissingDependencyError(
        "This host has no user {} to run a server as, and PostgreSQL refuses root".format(" or ".join(names)),
        remedy="Run as a plain user, or add such a user.",
    )


def _find(program: str) -> str | None:
    return shutil.which(program, path=minimal_environment()["PATH"])


@functools.cache
def can_cut_network() -> bool:
    """Whether this process may start others without a network: it is root, and no container keeps it from that."""
    if os.geteuid() != 0 or None in (_find("unshare"), _find("setpriv")):
        return False
    probe = subprocess.run([*_WITHOUT_NETWORK, "true"], capture_output=True, check=False, env=minimal_environment())
    return probe.returncode == 0


def ending_with_parent(command: Sequence[str], death_signal: str = "TERM", account: Account | None = None) -> list[str]:
    """The command, run so that the kernel ends it by this signal when its parent dies, however that dies.

    With ``account`` it runs as that user, and can never gain rights by a setuid program.

    By util-linux's setpriv rather than by code between fork and exec, which is unsafe beside threads. Where
    there is no setpriv, the end of the pipes does the same for every program that reads or writes one.
    """
    setpriv = _find("setpriv")
    if setpriv is None:
        return list(command)
    words = [setpriv, "--pdeathsig", death_signal]
    if account is not None:
        words += ["--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups", "--no-new-privs"]
    return [*words, "--", *command]


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    pass_fds: tuple[int, ...] = (),
    death_signal: str = "TERM",
    account: Account | None = None,
    network: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a program whose streams the caller serves; it never outlives this process.

    It runs as ``account``, this process's own unless given (which only root may do), and then in ``/``, which every
    account may enter. Without ``network`` it reaches no other host, where this process may arrange that.

    It leads a process group of its own, so that it can be killed together with all it has started.
    Call it from the main thread: the kernel ties the child's end to the thread that started it.
    Raises MissingDependencyError when the program is not there, ProgramFailedError when this host cannot start it.
    """
    try:
        if shutil.which(command[0], path=environment.get("PATH")) is None:
            # setpriv would be started in its place and only say so on its standard error.
            raise FileNotFoundError(errno.ENOENT, "no such program")
        if account is not None and not network and can_cut_network():
            # Only root may cut it, so the account is changed afterwards.
            words = [*_WITHOUT_NETWORK, *ending_with_parent(command, death_signal, account)]
            account = None
        else:
            words = ending_with_parent(command, death_signal)
        return subprocess.Popen(
            words,
            env=dict(environment),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            start_new_session=True,
            cwd="/" if account or not network else None,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except OSError as error:
        message = f"Cannot run {command[0]}: {error.strerror or error}"
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM):
            raise ProgramFailedError(
                message,
                remedy="Raise this user's limits (ulimit -a) or free memory, then run again.",
                cmd=command,
            ) from error
        raise MissingDependencyError(
            message, remedy="Install the package that provides it, or correct the path.", cmd=command
        ) from error


@dataclass(frozen=True)
class Completed:
    """What a program left behind: its exit status (negative: the signal that ended it) and its words."""

    command: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    timeout: float | None = None,
    pass_fds: tuple[int, ...] = (),
    account: Account | None = None,
) -> Completed:
    """Run a short program to its end. ``timeout`` is in seconds; a program that exceeds it is killed with its children.

    Raises MissingDependencyError when it is not there, ProgramFailedError on the timeout. Its exit status
    is for the caller to judge.
    """
    process = start(command, environment, pass_fds=pass_fds, account=account)
    with process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            # With all it has started: a grandchild would hold the pipes open, and go on.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise ProgramFailedError(
                f"{os.path.basename(command[0])} did not end within {timeout or 0:g} s and was stopped",
                remedy="See why it hangs by running it by hand.",
                cmd=command,
            ) from error
    return Completed(
        command=tuple(command),
        rc=process.returncode,
        stdout=out.decode("utf-8", "replace"),
        stderr=err.decode("utf-8", "replace"),
    )


def how_it_ended(rc: int) -> str:
    """Exit status in words: ``exit status 1`` or ``killed by SIGKILL``."""
    if rc >= 0:
        return "exit status %d" % rc
    try:
        return f"killed by {signal.Signals(-rc).name}"
    except ValueError:
        return "killed by signal %d" % -rc
