# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports in which one chosen call that changes files fails, or the process dies at it."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.sessions import place
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError

# Everything by which an export changes files; the C library's own two besides.
CALLS = (
    "open",
    "write",
    "mkdir",
    "chmod",
    "link",
    "rename",
    "unlink",
    "rmdir",
    "utime",
    "fsync",
    "ftruncate",
    "pwrite",
)
PRODUCT = "baileys.resilience.plugins.module_utils"


class Faulty:
    """Counts the product's calls, and strikes at the one of this number (from 1): `kill`, or an error by its name."""

    def __init__(self, kind: str, number: int) -> None:
        self._kind = kind
        self._number = number
        self.calls: list[str] = []

    def install(self) -> None:
        """For good: only in a process made for it."""
        for name in CALLS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        libc = ctypes.CDLL(None, use_errno=True)

        class Library:
            renameat2 = staticmethod(self._wrapped_c("renameat2", libc.renameat2))
            syncfs = staticmethod(self._wrapped_c("syncfs", libc.syncfs))

        place._libc = Library  # type: ignore[assignment]

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if (PRODUCT in caller or caller == "shutil") and self._is_it(name):
                raise OSError(getattr(errno, self._kind), os.strerror(getattr(errno, self._kind)))
            return real(*arguments, **keywords)

        return call

    def _wrapped_c(self, name: str, real: Callable[..., int]) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            if self._is_it(name):
                ctypes.set_errno(getattr(errno, self._kind))
                return -1
            return real(*arguments)

        return call

    def _is_it(self, name: str) -> bool:
        self.calls.append(name)
        if len(self.calls) != self._number:
            return False
        if self._kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return True


def run_with_fault(work: Callable[[], object], kind: str, number: int) -> tuple[str, str, int]:
    """Run `work` in a process of its own. How it ended (`done`, `failed`, `crashed`, `killed`), its words, its calls."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        faulty = Faulty(kind, number)
        ending, words = "done", ""
        try:
            faulty.install()
            work()
        except ResilienceError as error:
            ending, words = "failed", error.message
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test is to see it
            ending, words = "crashed", repr(error)
        with os.fdopen(writing, "w") as stream:
            json.dump([ending, words, len(faulty.calls)], stream)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    ending, words, calls = json.loads(answer or json.dumps(["killed", "", number]))
    return ending, words, calls
