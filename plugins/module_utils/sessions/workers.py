# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work shared out among processes that end with the one that started them."""

from __future__ import annotations

import ctypes
import multiprocessing
import multiprocessing.connection
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, TypeVar

from ..system.errors import ResilienceError

Share = TypeVar("Share")
Result = TypeVar("Result")

_PR_SET_PDEATHSIG = 1
# With fewer keys than this another process costs more than it saves.
_KEYS_PER_WORKER = 5000


def processes_for(sizes: Mapping[str, int], most: int) -> int:
    """How many processes are worth it for tenants with so many keys; 0 or 1 for none beside this one."""
    return min(most, len(sizes), sum(sizes.values()) // _KEYS_PER_WORKER)


def shares(sizes: Mapping[str, int], number: int) -> list[list[str]]:
    """The tenants in so many shares of about the same size."""
    parts: list[list[str]] = [[] for _number in range(number)]
    totals = [0] * number
    for tenant in sorted(sizes, key=lambda name: (-sizes[name], name)):
        least = totals.index(min(totals))
        parts[least].append(tenant)
        totals[least] += sizes[tenant] + 1
    return parts


def in_processes(shares: Sequence[Share], work: Callable[[Share], Iterable[Result]]) -> Iterator[Result]:
    """What ``work`` yields for each share, each in a process of its own, in the order it comes.

    The first error of any ends all and is raised here. Whatever happens, no process is left.
    """
    # A fork has what was already imported and read; a module that Ansible runs cannot be imported by name.
    context = multiprocessing.get_context("fork")
    running: dict[Any, Any] = {}
    try:
        for share in shares:
            ours, its = context.Pipe(duplex=False)
            running[ours] = context.Process(target=_run, args=(its, os.getpid(), work, share), daemon=True)
            running[ours].start()
            # Only the worker holds its end now: when it dies, ours ends.
            its.close()
        while running:
            for receiver in list(multiprocessing.connection.wait(list(running))):
                yield from _received(receiver, running)
    finally:
        for left, process in running.items():
            process.kill()
            process.join()
            left.close()


def _received(receiver: Any, running: dict[Any, Any]) -> Iterator[Any]:
    try:
        kind, payload = receiver.recv()
    except EOFError:
        kind, payload = "died", ""
    if kind == "result":
        yield payload
        return
    process = running.pop(receiver)
    receiver.close()
    process.join()
    if kind == "error":
        raise payload
    if kind == "died":
        raise ResilienceError(
            "A worker process ended before its work was done (%s)" % (payload or _how(process.exitcode)),
            remedy="Look into the system's log: the kernel ends processes when memory runs out.",
        )


def _how(status: int) -> str:
    return "by signal %d" % -status if status < 0 else "with status %d" % status


def _run(sender: Any, parent: int, work: Callable[[Any], Iterable[Any]], share: Any) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    # Ctrl-C reaches every process of the terminal; the parent ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for result in work(share):
            sender.send(("result", result))
        sender.send(("end", None))
    except ResilienceError as error:
        # Without its causes: they may hold values, or what cannot be sent.
        error.__cause__ = error.__context__ = None
        sender.send(("error", error))
    except Exception as error:  # noqa: BLE001  # it is told, by its name alone: its words may hold a value
        sender.send(("died", type(error).__name__))
