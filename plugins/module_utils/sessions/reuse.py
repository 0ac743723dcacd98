# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take files that did not change over from the directory they are about to replace, as hard links.

Between two exports few keys of many change. And ext4 is slow to make files where many have just been removed (it does not
use their inodes again for minutes): with every export made anew, each one would pay for the one before.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ..system.files import PRIVATE_FILE_MODE


@dataclass(frozen=True)
class Earlier:
    """An open directory whose files may be taken over; ``user`` and ``group`` are those they must belong to."""

    descriptor: int
    user: int
    group: int

    def give(self, name: bytes, content: bytes, modified_ns: int | None, directory: int) -> bool:
        """Link the file into the open directory if it is in all respects the one that would be written there."""
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.descriptor)
            try:
                if not self._alike(os.fstat(descriptor), content, modified_ns):
                    return False
                if os.read(descriptor, len(content) + 1) != content:
                    return False
            finally:
                os.close(descriptor)
            os.link(name, name, src_dir_fd=self.descriptor, dst_dir_fd=directory, follow_symlinks=False)
        except OSError:
            # It is not there, or cannot be linked: the file is written, and if that fails too, it is told.
            return False
        return True

    def _alike(self, status: os.stat_result, content: bytes, modified_ns: int | None) -> bool:
        return (
            stat.S_ISREG(status.st_mode)
            and stat.S_IMODE(status.st_mode) == PRIVATE_FILE_MODE
            and (status.st_uid, status.st_gid) == (self.user, self.group)
            and status.st_size == len(content)
            and modified_ns in (None, status.st_mtime_ns)
        )


@contextlib.contextmanager
def earlier_files(path: str | None, owner: tuple[int, int] | None) -> Iterator[Earlier | None]:
    """The files of the directory at ``path``, None where there is none."""
    descriptor = None
    if path is not None:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    if descriptor is None:
        yield None
        return
    try:
        yield Earlier(descriptor, *(owner or (os.geteuid(), os.getegid())))
    finally:
        os.close(descriptor)
