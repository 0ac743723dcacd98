# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A child process whose words are kept in memory, and that is always gone afterwards."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from ..system.commands import STDERR_LIMIT, how_it_ended, start
from ..system.errors import ProgramFailedError

POLL_SECONDS = 0.05
KILL_AFTER_SECONDS = 5.0


class Child:
    """A started program. As a context manager it ends the program when the block is left.

    Its standard error goes to an anonymous in-memory file: no thread has to serve it, no full disk can
    swallow it.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        pass_fds: tuple[int, ...] = (),
        death_signal: str = "TERM",
    ) -> None:
        self.command = list(command)
        self._words = os.memfd_create("stderr")
        try:
            self._process = start(
                command,
                environment,
                stdin=stdin,
                stdout=stdout,
                stderr=self._words,
                pass_fds=pass_fds,
                death_signal=death_signal,
            )
        except BaseException:
            os.close(self._words)
            raise

    @property
    def stdout(self) -> int:
        """Descriptor to read its output from."""
        return self._process.stdout.fileno() if self._process.stdout else -1

    @property
    def stdin(self) -> int:
        """Descriptor to write its input to; -1 if it was started without."""
        return self._process.stdin.fileno() if self._process.stdin else -1

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end, for so many seconds at most; tells whether it has ended."""
        if self._process.poll() is not None:
            return True
        try:
            ended = os.pidfd_open(self._process.pid)
        except (AttributeError, OSError):
            # A kernel before 5.3: asked again and again instead.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return self._process.poll() is not None
        try:
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            poll.poll(seconds * 1000)
        finally:
            os.close(ended)
        return self._process.poll() is not None

    def words_from(self, offset: int) -> bytes:
        """What it wrote on standard error from this byte on."""
        return os.pread(self._words, max(0, os.fstat(self._words).st_size - offset), offset)

    def close_stdin(self) -> None:
        """Tell it that its input has ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def wait(self) -> int:
        """Its exit status; negative for the signal that ended it."""
        return self._process.wait()

    def ending(self) -> str:
        """Its end in words."""
        return how_it_ended(self._process.returncode)

    def messages(self) -> str:
        """The last of what it wrote on standard error."""
        size = os.fstat(self._words).st_size
        return os.pread(self._words, STDERR_LIMIT, max(0, size - STDERR_LIMIT)).decode("utf-8", "replace").strip()

    def wait_for_silence(self, stall_timeout: float, watch: str) -> None:
        """Wait for its end, as long as the files below ``watch`` keep growing.

        Raises ProgramFailedError, having stopped it, when nothing grew for ``stall_timeout`` seconds.
        """
        size, since = -1, time.monotonic()
        while self._process.poll() is None:
            now, grown = time.monotonic(), _size_below(watch)
            if grown != size:
                size, since = grown, now
            elif now - since > stall_timeout:
                raise stalled(self.command, stall_timeout)
            time.sleep(POLL_SECONDS)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(KILL_AFTER_SECONDS)
            except subprocess.TimeoutExpired:
                # pg_dump asks the server to stop before it ends, which a dead network never answers. Its
                # workers, which it would have ended, go with it.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass
        os.close(self._words)


def stalled(command: Sequence[str], stall_timeout: float) -> ProgramFailedError:
    """The error for a program that went silent."""
    return ProgramFailedError(
        f"{os.path.basename(command[0])} gave no data for {stall_timeout:g} s and was stopped",
        stage="dump",
        remedy="Look for a lock or a network that swallows packets; raise stall_timeout if the server is that slow.",
        cmd=command,
    )


def _size_below(path: str) -> int:
    total = 0
    try:
        for entry in os.scandir(path):
            total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        # The program makes and renames files while we look.
        return total
    return total
