# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows a person at a terminal how far a module has come, while it runs.

The module runs as any other does. Beside it a thread reads the small file the module keeps (reporting/progress.py),
over a connection of its own with the same rights, and shows it as one line. Where no person looks there is no
thread, no file, nothing.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import os
import shlex
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible.utils.display import Display

from ..module_utils.reporting.progress import WATCHED_VARIABLE, State, describe, parse, share_done

# Asked when this file is read, which is in Ansible's main process (its strategies look at the class of an action
# before they start a worker). A worker has no terminal: since ansible-core 2.19 it is detached from it.
AT_A_TERMINAL = sys.stdout is not None and sys.stdout.isatty()
UNICODE = AT_A_TERMINAL and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
COLUMNS = os.get_terminal_size(sys.stdout.fileno()).columns if AT_A_TERMINAL else 0
CAN_REWRITE = os.environ.get("TERM", "dumb") not in ("", "dumb")

# What is over sooner needs no progress.
FIRST_LOOK_SECONDS = 1.0
# A look is a small program; over a network or with sudo (which logs it) it costs more.
NEAR_SECONDS, FAR_SECONDS = 1.0, 3.0
LAST_LOOK_SECONDS = 2.0
# Where lines follow one another: no more often than this, and then at each new step, each further tenth, or this late.
LINE_SECONDS, LATE_SECONDS, LINE_SHARE = 5.0, 30.0, 0.1
# Other connections may not bear a second command beside the first.
CONNECTIONS = ("local", "ssh")

# Back to the start of the line, and that emptied. The carriage return also makes Python's line-buffered output send
# what has no line end yet, so this is in order with whatever else is written.
TAKE_BACK = "\r\x1b[K"

display = Display()


class WatchedAction(NormalAction):  # type: ignore[misc]  # Ansible publishes no types
    """Runs the module of the same name and shows its progress. ``job`` is what the module calls its work."""

    job = ""

    def run(self, tmp: Any = None, task_vars: Any = None) -> Any:
        """As of any module."""
        with self._watched(task_vars or {}):
            return super().run(tmp, task_vars)

    @contextlib.contextmanager
    def _watched(self, task_vars: dict[str, Any]) -> Iterator[None]:
        if not AT_A_TERMINAL or self._task.async_val or self._connection_name() not in CONNECTIONS:
            yield
            return
        watcher_word = uuid.uuid4().hex
        self._task.environment = [*(self._task.environment or []), {WATCHED_VARIABLE: watcher_word}]
        ended = threading.Event()
        alone = len(task_vars.get("ansible_play_hosts_all") or []) <= 1
        screen = Screen("" if alone else str(task_vars.get("inventory_hostname", "")), alone)
        # Ansible keeps the task it works on in a context variable, which a thread would not have.
        arguments = (self._watch, ended, screen, watcher_word)
        watcher = threading.Thread(target=contextvars.copy_context().run, args=arguments, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            # A look that hangs does not hold up the result.
            watcher.join(LAST_LOOK_SECONDS)
            screen.clear()

    def _connection_name(self) -> str:
        return str(self._connection.transport).rpartition(".")[2]

    def _watch(self, ended: threading.Event, screen: Screen, watcher_word: str) -> None:
        look = self._second_look()
        near = self._connection_name() == "local" and self._connection.become is None
        wait = FIRST_LOOK_SECONDS
        while not ended.wait(wait):
            wait = NEAR_SECONDS if near else FAR_SECONDS
            try:
                answer = look()
            except (AnsibleError, OSError, ValueError):
                # Whatever it is, the module's own connection will tell; the work goes on unseen.
                return
            for state in filter(None, map(parse, answer.splitlines())):
                if state.watcher == watcher_word and not ended.is_set():
                    screen.show(state)

    def _second_look(self) -> Any:
        """What reads the file: this action over a copy of its connection, so that neither disturbs the other."""
        other = copy.copy(self)
        other._connection = copy.copy(self._connection)
        if other._connection.become is not None:
            other._connection.become = copy.copy(other._connection.become)
        command = read_command(self._task.args.get("state_directory"), self.job)
        return lambda: other._low_level_execute_command(command).get("stdout", "")


def read_command(state_directory: str | None, job: str) -> str:
    """Shell words that write every progress file of the job to their output, a line each.

    If no directory is given it is the module's default (``default_state_directory`` in ansible_module.py) on the host,
    for the user they run as.
    """
    if state_directory:
        where = shlex.quote(str(state_directory))
        if state_directory.startswith("~/"):
            where = "~/" + shlex.quote(state_directory[2:])
        find = f"d={where}"
    else:
        home = '"${XDG_STATE_HOME:-$HOME/.local/state}/baileys-resilience"'
        find = f'if [ "$(id -u)" = 0 ]; then d=/var/lib/baileys-resilience; else d={home}; fi'
    return f'{find}; cat "$d"/progress/{job}-*.json 2>/dev/null || true'


class Screen:
    """One line that is rewritten in place; or, where others write too, lines at sensible intervals."""

    def __init__(self, host: str, alone: bool) -> None:
        self.host = host
        # With -vvv Ansible tells of every command, that of a look too.
        self.in_place = alone and CAN_REWRITE and display.verbosity < 3
        self._last: State | None = None
        self._last_at = 0.0

    def show(self, state: State) -> None:
        """Show this state, unless it is no news."""
        if state == self._last or not (self.in_place or self._is_due(state)):
            return
        label = f"{self.host} {state.source}".strip()
        # A name, or a host that is not to be trusted, shall not steer the terminal.
        line = "".join(filter(str.isprintable, f"{label}: {describe(state, UNICODE)}"))
        if self.in_place:
            display.display(TAKE_BACK + line[: COLUMNS - 1], screen_only=True, newline=False)
        else:
            display.display(line, screen_only=True)
        self._last, self._last_at = state, time.monotonic()

    def clear(self) -> None:
        """Take back the line that is rewritten: what follows stands where it stood."""
        if self.in_place and self._last:
            display.display(TAKE_BACK, screen_only=True, newline=False)

    def _is_due(self, state: State) -> bool:
        if self._last is None:
            return True
        passed = time.monotonic() - self._last_at
        if passed < LINE_SECONDS:
            return False
        further = (share_done(state) or 0.0) - (share_done(self._last) or 0.0)
        return state.step != self._last.step or further >= LINE_SHARE or passed >= LATE_SECONDS
