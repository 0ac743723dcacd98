# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a long job has come, for whoever looks: a small file while it runs, and one line made of it.

Nobody is obliged to look, and nothing that goes wrong here disturbs the job.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ..system.errors import ResilienceError
from ..system.files import create_private, private_directory
from ..system.units import human_size
from .report import check_job

# Set for a module whose progress somebody watches, to a word that the watcher knows its file by. Without it no file is
# written.
WATCHED_VARIABLE = "BAILEYS_RESILIENCE_PROGRESS"
# The file is written at most so often.
SECONDS_BETWEEN_WRITES = 0.25
# A source may be called anything; its file keeps so many characters of the name.
LONGEST_SOURCE = 150

BAR_CELLS = 12
# Before this much is done, or this long has passed, an estimate is a guess.
FIRST_ESTIMATE_SECONDS = 2.0
FIRST_ESTIMATE_SHARE = 0.01


class Progress:
    """Takes what a job tells of itself. This one drops it."""

    # `bytes` is what the file and the callers call it.
    def step(self, name: str, tables: int = 0, bytes: int = 0) -> None:  # noqa: A002
        """Begin a step whose totals are these, 0 where they are not known."""

    def advance(self, tables: int, bytes: int) -> None:  # noqa: A002
        """So much of the step is done in all."""

    def close(self) -> None:
        """The job has ended."""


SILENT = Progress()


@dataclasses.dataclass(frozen=True)
class State:
    """What the file holds. Times are seconds since the epoch on the host of the job; a total of 0 is not known.

    ``watcher`` is the word of whoever watches: what a killed run left has another.
    """

    job: str
    source: str
    watcher: str
    pid: int
    step: str
    tables_done: int
    tables_total: int
    bytes_done: int
    bytes_total: int
    started_at: float
    step_started_at: float
    updated_at: float


class FileProgress(Progress):
    """Keeps ``<state_directory>/progress/<job>-<source>.json``, of mode 0600, up to date until it is closed.

    ``failure`` says why it could not be; the job goes on all the same.
    """

    def __init__(self, state_directory: str, job: str, source: str, watcher: str = "") -> None:
        self.path = progress_path(state_directory, job, source)
        self.failure: str | None = None
        now = time.time()
        self._state = State(job, source, watcher, os.getpid(), "", 0, 0, 0, 0, now, now, now)
        self._written = -math.inf
        self._attempt(lambda: private_directory(os.path.dirname(self.path)))

    def step(self, name: str, tables: int = 0, bytes: int = 0) -> None:  # noqa: A002  # see Progress
        """Begin a step whose totals are these, 0 where they are not known."""
        now = time.time()
        self._state = dataclasses.replace(
            self._state,
            step=name,
            tables_done=0,
            tables_total=tables,
            bytes_done=0,
            bytes_total=bytes,
            step_started_at=now,
            updated_at=now,
        )
        self._write()

    def advance(self, tables: int, bytes: int) -> None:  # noqa: A002  # see Progress
        """So much of the step is done in all."""
        self._state = dataclasses.replace(self._state, tables_done=tables, bytes_done=bytes, updated_at=time.time())
        if time.monotonic() - self._written >= SECONDS_BETWEEN_WRITES:
            self._write()

    def close(self) -> None:
        """Remove the file: the job has ended."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _write(self) -> None:
        self._written = time.monotonic()
        if self.failure is None:
            self._attempt(lambda: _replace(self.path, (json.dumps(dataclasses.asdict(self._state)) + "\n").encode()))

    def _attempt(self, work: Any) -> None:
        try:
            work()
        except ResilienceError as error:
            self.failure = error.message
        except OSError as error:
            self.failure = str(error)


def _replace(path: str, content: bytes) -> None:
    """Put the content at the path as a whole. Not synced: after a power cut there is no job to tell of."""
    temporary = "%s.%d.partial" % (path, os.getpid())
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    with os.fdopen(create_private(temporary), "wb") as stream:
        stream.write(content)
    os.replace(temporary, path)


def watched_progress(state_directory: str, job: str, source: str) -> Progress:
    """Progress that keeps its file where somebody watches (WATCHED_VARIABLE is set), else ``SILENT``."""
    watcher = os.environ.get(WATCHED_VARIABLE)
    return FileProgress(state_directory, job, source, watcher) if watcher else SILENT


def progress_path(state_directory: str, job: str, source: str) -> str:
    """The file of a job on a source. Raises SettingsError for a job no file can be called after."""
    check_job(job)
    name = "{}-{}.json".format(job, quote(source, safe="", errors="replace")[:LONGEST_SOURCE])
    return os.path.join(state_directory, "progress", name)


def parse(content: str) -> State | None:
    """The state in the content of such a file; None for anything else."""
    try:
        fields = json.loads(content)
        if not isinstance(fields, Mapping) or set(fields) != {field.name for field in dataclasses.fields(State)}:
            return None
        texts = {name: str(fields[name]) for name in ("job", "source", "watcher", "step")}
        numbers = {name: float(value) for name, value in fields.items() if name not in texts}
    except (TypeError, ValueError):
        return None
    if not all(map(math.isfinite, numbers.values())):
        return None
    whole = {name: value if name.endswith("_at") else int(value) for name, value in numbers.items()}
    return State(**texts, **whole)  # type: ignore[arg-type]  # by name: times as they are, the rest whole


def share_done(state: State) -> float | None:
    """How much of the step is done, from 0 to 1; None where no total is known.

    By bytes where their total is known: tables differ in size.
    """
    for done, total in ((state.bytes_done, state.bytes_total), (state.tables_done, state.tables_total)):
        if total > 0:
            return min(1.0, max(0.0, done / total))
    return None


def seconds_left(state: State) -> float | None:
    """How long the step will take from here at the pace it had so far; None while that is a guess."""
    share = share_done(state)
    passed = state.updated_at - state.step_started_at
    if share is None or share < FIRST_ESTIMATE_SHARE or passed < FIRST_ESTIMATE_SECONDS:
        return None
    return passed * (1 - share) / share


def describe(state: State, unicode: bool = True) -> str:
    """The state in one line, without colours and without a line end:

    ``restore  ███████▍░░░░ 61%  12 of 41 tables  1.2 of 2.0 GB  about 14 s left``; ASCII only unless ``unicode``.
    """
    share, left = share_done(state), seconds_left(state)
    parts = [
        f"{state.step:<8}"
        if share is None
        else "{:<8} {} {:3d}%".format(state.step, _bar(share, unicode), int(share * 100)),
        _of(state.tables_done, state.tables_total, "tables"),
        _sizes(state.bytes_done, state.bytes_total),
        f"about {_roughly(left)} left" if left is not None and left >= 1 else "",
    ]
    line = "  ".join(part for part in parts if part).rstrip()
    return line if unicode else line.encode("ascii", "replace").decode()


def _bar(share: float, unicode: bool) -> str:
    full = int(share * BAR_CELLS)
    if unicode:
        return "\u2588" * full + "\u2591" * (BAR_CELLS - full)
    return "[{}{}]".format("#" * full, "-" * (BAR_CELLS - full))


def _of(done: int, total: int, what: str) -> str:
    if total > 0:
        return f"{done:,} of {total:,} {what}"
    return f"{done:,} {what}" if done > 0 else ""


def _sizes(done: int, total: int) -> str:
    if total <= 0:
        return human_size(done) if done > 0 else ""
    # "1.2 of 2.0 GB": the unit once where it is the same.
    amount, unit = human_size(done).split(" ")
    whole = human_size(total)
    return f"{amount} of {whole}" if whole.endswith(" " + unit) else f"{amount} {unit} of {whole}"


def _roughly(seconds: float) -> str:
    """One unit for seconds and minutes, two for hours: an estimate is no more exact than that."""
    if seconds < 60:
        return "%d s" % math.ceil(seconds)
    minutes = round(seconds / 60)
    return "%d min" % minutes if minutes < 60 else "%d h %d min" % divmod(minutes, 60)
