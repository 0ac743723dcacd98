# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups in which one chosen call to the file system fails, or the process dies at it.

    with FaultyRuns(request) as runs:
        total = runs.run().calls               # without a fault
        runs.run(Fault("kill", 7))             # killed instead of the seventh call

A helper process imports the product once and forks for every run, which takes no time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.backup.make import BackupRequest, make_backup
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError

# Everything by which the product changes files, and what it must do for them to last.
CALLS = (
    *("open", "write", "pwrite", "ftruncate", "fsync", "mkdir", "chmod"),
    *("replace", "rename", "link", "unlink", "rmdir"),
)


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens at the call of this number (from 1): `kill`, or an error by its name, such as `ENOSPC`."""

    kind: str
    number: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended: `made`, `failed` (as the product fails), `crashed` (otherwise) or `killed`.

    `calls` names every call that was counted, the last one being that of the fault; None when it was killed.
    """

    ending: str
    words: str = ""
    archive: str = ""
    warnings: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


class FaultyRuns:
    """Runs of one request, each with a fault of its own."""

    def __init__(self, request: BackupRequest) -> None:
        self._helper = subprocess.Popen(
            [sys.executable, "-m", "tests.support.storage_faults"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
        )
        # The request holds a password: not in the arguments.
        self._say(pickle.dumps(request).hex())

    def run(self, fault: Fault | None = None) -> Outcome:
        self._say(json.dumps(dataclasses.asdict(fault) if fault else None))
        assert self._helper.stdout is not None
        answer: dict[str, Any] = json.loads(self._helper.stdout.readline())
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in answer.items()
        }
        return Outcome(**fields)

    def _say(self, line: str) -> None:
        assert self._helper.stdin is not None
        self._helper.stdin.write(line.encode() + b"\n")
        self._helper.stdin.flush()

    def __enter__(self) -> FaultyRuns:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._helper.communicate(timeout=60)


class _Saboteur:
    """Stands in for functions of `os`, counts those that touch the backup root, and strikes at one."""

    def __init__(self, root: str, fault: Fault | None) -> None:
        self._root = root
        self._fault = fault
        self.calls: list[str] = []

    def install(self) -> None:
        for name in CALLS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            place = self._place(arguments, keywords)
            if place is not None:
                self.calls.append(f"{name} {place}")
                if self._fault is not None and len(self.calls) == self._fault.number:
                    self._strike()
            return real(*arguments, **keywords)

        return call

    def _place(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str | None:
        for argument in (*arguments, *keywords.values()):
            path = argument
            if isinstance(argument, int) and argument > 2:
                with contextlib.suppress(OSError):
                    path = os.readlink(f"/proc/self/fd/{argument}")
            if isinstance(path, str) and path.startswith(self._root):
                return path[len(self._root) + 1 :]
        return None

    def _strike(self) -> None:
        assert self._fault is not None
        if self._fault.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, self._fault.kind)
        raise OSError(number, os.strerror(number))


def _run_in_child(request: BackupRequest, fault: Fault | None, answer: int) -> None:
    saboteur = _Saboteur(request.backup_root, fault)
    saboteur.install()
    try:
        result = make_backup(request)
        outcome = Outcome("made", archive=result.archive, warnings=tuple(result.warnings))
    except ResilienceError as error:
        outcome = Outcome("failed", f"{error.message} | {error.remedy}")
    except Exception:  # noqa: BLE001 - whatever it is, the test is to see it
        outcome = Outcome("crashed", traceback.format_exc())
    with os.fdopen(answer, "w") as stream:
        json.dump(dataclasses.asdict(dataclasses.replace(outcome, calls=tuple(saboteur.calls))), stream)


def _one_run(request: BackupRequest, fault: Fault | None) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _run_in_child(request, fault, writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return answer or json.dumps(dataclasses.asdict(Outcome("killed")))


def main() -> None:
    lines = sys.stdin
    request = pickle.loads(bytes.fromhex(lines.readline()))  # noqa: S301 - from our own parent
    for line in lines:
        order = json.loads(line)
        print(_one_run(request, Fault(**order) if order else None), flush=True)


if __name__ == "__main__":
    main()
