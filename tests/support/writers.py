# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that never stop: each writes, and connects again as soon as it was sent away."""

from __future__ import annotations

import itertools
import threading
import time
from types import TracebackType
from typing import Any

import psycopg2

PAUSE_S = 0.005


class Writers:
    """`number` threads that insert into the table `beat` of a database, from `with` on to its end."""

    def __init__(self, parameters: dict[str, Any], number: int = 4) -> None:
        self._parameters = {**parameters, "application_name": "writer", "connect_timeout": 10}
        self._ended = threading.Event()
        self._times: list[list[float]] = [[] for _ in range(number)]
        self._threads = [threading.Thread(target=self._write, args=(times,), daemon=True) for times in self._times]
        self.refused: set[str] = set()

    def _write(self, times: list[float]) -> None:
        connection = None
        while not self._ended.is_set():
            try:
                if connection is None:
                    connection = psycopg2.connect(**self._parameters)
                    connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO beat DEFAULT VALUES")
                times.append(time.monotonic())
            except psycopg2.Error as error:
                self.refused.add(str(error).strip().splitlines()[0])
                connection = None
            self._ended.wait(PAUSE_S)
        if connection is not None:
            connection.close()

    @property
    def written(self) -> int:
        """How many rows all of them wrote."""
        return sum(map(len, self._times))

    def longest_gap(self) -> float:
        """The longest time, in seconds, that one of them could not write."""
        return max(later - sooner for times in self._times for sooner, later in itertools.pairwise(times))

    def wait_for_writes(self, timeout: float = 5.0) -> float:
        """Wait until every one of them has written once more; returns how long that took, in seconds."""
        started = time.monotonic()
        while not all(times and times[-1] > started for times in self._times):
            assert time.monotonic() - started < timeout, f"nobody can write: {self.refused}"
            time.sleep(0.002)
        return time.monotonic() - started

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        self.wait_for_writes()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
