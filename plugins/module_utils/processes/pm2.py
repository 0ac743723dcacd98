# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PM2 on this host: where it is, whose it is, its daemon, and one run at a time."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..system.commands import DEFAULT_PATH, Account, how_it_ended, minimal_environment, run, user_named
from ..system.errors import MissingDependencyError, ProgramFailedError, ResilienceError, SettingsError
from ..system.files import PRIVATE_DIRECTORY_MODE, explain_os_error
from ..system.lock import lock_for
from .pm2_socket import Call, NotRunningError, Peer, ask

# What the daemon answers at once takes a few milliseconds.
ANSWER_SECONDS = 10.0
START_SECONDS = 30.0
LOCK_NAME = ".baileys-resilience.lock"


@dataclass(frozen=True)
class Pm2:
    """One PM2: its program, and the directory that holds its socket, its list and its logs."""

    program: str
    node: str
    home: str
    user_home: str
    user: Account | None = None  # None: the user of this process

    @property
    def uid(self) -> int:
        """The user it runs as."""
        return self.user.uid if self.user else os.geteuid()

    @property
    def socket(self) -> str:
        """Where its daemon listens."""
        return os.path.join(self.home, "rpc.sock")

    def environment(self) -> dict[str, str]:
        """What the daemon and every app start with, and nothing of the caller's: it would end up in the saved list."""
        return {"HOME": self.user_home, "PATH": self.path, "PM2_HOME": self.home}

    @property
    def path(self) -> str:
        """The PATH of the apps: Node.js and PM2 first, so that every app finds the same ones."""
        places = [os.path.dirname(self.node), os.path.dirname(self.program), *DEFAULT_PATH.split(":")]
        return ":".join(dict.fromkeys(places))


def find_pm2(user: str | None = None, home: str | None = None, program: str | None = None) -> Pm2:
    """The PM2 of ``user`` (default: this process's own) in ``home`` (default: ``~/.pm2`` of that user).

    Raises MissingDependencyError when PM2 or Node.js is not installed, SettingsError when there is no such user or
    this process may not act for it.
    """
    # First, so that a host without PM2 says so whoever it is asked for.
    program = _find_program(program)
    entry = pwd.getpwuid(os.geteuid())
    account = None
    if user is not None and user != entry.pw_name:
        account, entry = _account(user), pwd.getpwnam(user)
    own_home = None if account else os.environ.get("PM2_HOME")
    return Pm2(
        program=program,
        node=_find_node(program),
        home=os.path.abspath(home or own_home or os.path.join(entry.pw_dir, ".pm2")),
        user_home=entry.pw_dir,
        user=account,
    )


def _account(user: str) -> Account:
    entry = user_named(user, remedy="Correct the name.", stage="settings")
    if os.geteuid() != 0:
        raise SettingsError(
            f"Only root may act for the user {user}",
            stage="settings",
            remedy=f"Run this task as root, or as that user (become_user: {user}).",
        )
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _find_program(program: str | None) -> str:
    searched = minimal_environment()["PATH"] + ":" + DEFAULT_PATH
    found = shutil.which(program or "pm2", path=searched)
    if found is None:
        raise MissingDependencyError(
            f"{program or 'pm2'} is not on this host",
            stage="pm2",
            remedy="Install the npm package pm2 (npm install --global pm2), or give the path of its program.",
        )
    return os.path.abspath(found)


def _find_node(program: str) -> str:
    # Version managers keep both in one directory, which is on no PATH of a job.
    searched = ":".join([os.path.dirname(program), minimal_environment()["PATH"], DEFAULT_PATH])
    found = shutil.which("node", path=searched)
    if found is None:
        raise MissingDependencyError(
            "Node.js (node), which PM2 runs on, is not on this host",
            stage="pm2",
            remedy="Install the package nodejs, or put node beside the program pm2.",
        )
    return os.path.abspath(found)


def ask_daemon(pm2: Pm2, calls: Sequence[Call], work_seconds: float = 0.0) -> list[Any]:
    """The daemon's answers to these calls, which may take so long beyond what every answer takes.

    Raises NotRunningError when there is no daemon.
    """
    peer, answers = ask(pm2.socket, calls, ANSWER_SECONDS + work_seconds)
    _refuse_foreign(pm2, peer)
    return answers


def find_daemon(pm2: Pm2) -> Peer | None:
    """The daemon, if it runs. Looking does not start one."""
    try:
        peer, _answers = ask(pm2.socket, [Call("ping", {})], ANSWER_SECONDS)
    except NotRunningError:
        return None
    _refuse_foreign(pm2, peer)
    return peer


def _refuse_foreign(pm2: Pm2, peer: Peer) -> None:
    if peer.uid != pm2.uid:
        raise SettingsError(
            "The PM2 in %s runs as the user with id %d, not %d" % (pm2.home, peer.uid, pm2.uid),
            stage="pm2",
            remedy="Name the user whose PM2 it is, or another PM2_HOME.",
        )


def ensure_daemon(pm2: Pm2) -> Peer:
    """Start the daemon unless it runs, from an environment that holds nothing of ours."""
    peer = find_daemon(pm2)
    if peer is not None:
        return peer
    make_home(pm2)
    # Its working directory is what the apps of a cluster start in before they change to their own.
    command = ["env", "-C", "/", pm2.program, "ping"]
    done = run(command, pm2.environment(), timeout=START_SECONDS, account=pm2.user)
    peer = find_daemon(pm2)
    if done.rc != 0 or peer is None:
        raise ProgramFailedError(
            f"PM2's daemon did not start in {pm2.home}: pm2 ping ended with {how_it_ended(done.rc)}",
            stage="pm2",
            remedy=f"See {os.path.join(pm2.home, 'pm2.log')}.",
            cmd=done.command,
            rc=done.rc,
            stderr=done.stderr.strip() or done.stdout.strip(),
        )
    return peer


def make_home(pm2: Pm2) -> None:
    """Make the PM2_HOME where there is none, closed to others: what PM2 keeps there holds secrets."""
    with acting_as(pm2.user):
        try:
            os.makedirs(pm2.home, PRIVATE_DIRECTORY_MODE, exist_ok=True)
        except OSError as error:
            raise explain_os_error(error, pm2.home, "create the PM2_HOME").at_stage("pm2") from error


@contextlib.contextmanager
def one_at_a_time(pm2: Pm2, timeout: float, dry_run: bool = False) -> Iterator[None]:
    """Hold off every other run on this PM2 while the block runs; raises LockedError after ``timeout`` seconds."""
    with contextlib.ExitStack() as stack:
        if dry_run and not os.path.isdir(pm2.home):
            yield
            return
        make_home(pm2)
        with acting_as(pm2.user):
            stack.enter_context(lock_for(os.path.join(pm2.home, LOCK_NAME), timeout, dry_run))
        yield


@contextlib.contextmanager
def acting_as(account: Account | None) -> Iterator[None]:
    """Touch files as this user, so that a link planted in its directories leads nowhere it could not go itself."""
    if account is None:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(account.gid)
    os.seteuid(account.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def daemon_report(pm2: Pm2) -> Mapping[str, Any]:
    """What the daemon says of itself: versions, and the environment it runs in."""
    (report,) = ask_daemon(pm2, [Call("getReport", {})])
    if not isinstance(report, dict):
        raise ResilienceError(f"PM2's daemon in {pm2.home} gave no report", stage="pm2")
    return report
