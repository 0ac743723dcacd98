# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems that are small, full or read-only: a tmpfs of its own.

Root mounts it. Anybody else gets it in a user and mount namespace of an own (`unshare`), which a process
holds open; programs are then started inside it, and the test reaches the files through /proc.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


class NoMountError(RuntimeError):
    """This host lets us mount nothing."""


@dataclass(frozen=True)
class SmallDisk:
    """`path` is where a program started with `prefix` sees it, `here` where this process does."""

    path: Path
    here: Path
    prefix: tuple[str, ...]

    @property
    def free(self) -> int:
        """Bytes that may still be written."""
        status = os.statvfs(self.here)
        return status.f_bavail * status.f_frsize

    def fill(self, leave: int) -> None:
        """Write a ballast file that leaves this many bytes (whole pages) free, shrinking an earlier one if need be."""
        ballast = self.here / "ballast"
        size = ballast.stat().st_size if ballast.exists() else 0
        wanted = max(0, size + self.free - leave)
        with ballast.open("ab") as stream:
            if wanted < size:
                stream.truncate(wanted)
            else:
                os.posix_fallocate(stream.fileno(), 0, wanted)

    def make_read_only(self) -> None:
        # Of the mount, not of the file system: in a namespace its other options cannot be set again.
        self._mount("remount,bind,ro")

    def make_writable(self) -> None:
        self._mount("remount,bind,rw")

    def _mount(self, options: str) -> None:
        subprocess.run([*self.prefix, "mount", "-o", options, str(self.path)], check=True, capture_output=True)


@contextlib.contextmanager
def small_disk(directory: Path, size: int) -> Iterator[SmallDisk]:
    """Mount a tmpfs of `size` bytes on `directory` while the block runs. Raises NoMountError where that is forbidden."""
    directory.mkdir(mode=0o700)
    options = f"size={size},mode=0700"
    if os.geteuid() == 0:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)], capture_output=True, check=False
        )
        if done.returncode == 0:
            try:
                yield SmallDisk(directory, directory, ())
            finally:
                subprocess.run(["umount", "--lazy", str(directory)], check=True)
            return
    with _held_namespace(directory, options) as pid:
        enter = ("nsenter", f"--target={pid}", "--user", "--mount", "--preserve-credentials", "--")
        yield SmallDisk(directory, Path(f"/proc/{pid}/root{directory}"), enter)


@contextlib.contextmanager
def _held_namespace(directory: Path, options: str) -> Iterator[int]:
    script = 'mount -t tmpfs -o "$1" tmpfs "$2" && echo mounted && exec cat'
    holder = subprocess.Popen(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", options, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != b"mounted\n":
            raise NoMountError(holder.stderr.read().decode().strip())
        try:
            yield holder.pid
        finally:
            holder.stdin.close()
