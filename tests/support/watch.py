# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch from outside: what stands in `/proc` of every process, and what modes files have when they appear."""

from __future__ import annotations

import base64
import contextlib
import os
import stat
import threading
from pathlib import Path

from inotify_simple import INotify, flags

EVENTS = flags.CREATE | flags.MOVED_TO | flags.MODIFY | flags.ATTRIB | flags.CLOSE_WRITE


class ProcessWatch:
    """Looks at the arguments and the environment of all processes again and again until it is left.

    `needles` are texts that must stand in none of them. This process itself, which knows them, is left out.
    """

    def __init__(self, *needles: str) -> None:
        self._needles = [(needle, form) for needle in needles for form in forms_of(needle)]
        self._looked_at: dict[int, bytes] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.programs: set[str] = set()
        self.found: list[str] = []
        self.rounds = 0

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            self.rounds += 1
            for name in os.listdir("/proc"):
                if name.isdigit() and int(name) != os.getpid():
                    # Gone, or a thread of the kernel: there is nothing to see.
                    with contextlib.suppress(OSError):
                        self._look_at(int(name))
            self._ended.wait(0.001)

    def _look_at(self, process: int) -> None:
        arguments = Path(f"/proc/{process}/cmdline").read_bytes()
        # An environment changes only when a program is started, and with that the arguments do.
        if not arguments or self._looked_at.get(process) == arguments:
            return
        environment = Path(f"/proc/{process}/environ").read_bytes()
        self._looked_at[process] = arguments
        self.programs.add(os.path.basename(arguments.split(b"\0")[0].decode(errors="replace")))
        for place, content in (("arguments", arguments), ("environment", environment)):
            self.found += [
                f"{needle} in the {place} of {arguments!r}" for needle, form in self._needles if form in content
            ]


class ModeWatch:
    """Looks at the mode of every file below the given directories whenever the kernel tells of it.

    The directories themselves may come into being later: then their parent is watched too.
    """

    def __init__(self, *roots: Path) -> None:
        self._inotify = INotify()
        self._paths: dict[int, Path] = {}
        self._roots = roots
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.wrong: list[str] = []
        self.seen: set[str] = set()

    def __enter__(self) -> ModeWatch:
        for root in self._roots:
            if root.is_dir():
                self._add(root)
            else:
                self._paths[self._inotify.add_watch(root.parent, EVENTS)] = root.parent
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._inotify.close()

    def _add(self, directory: Path) -> None:
        with contextlib.suppress(OSError):
            self._paths[self._inotify.add_watch(directory, EVENTS)] = directory
            # What came before the watch stood is looked at now.
            for entry in directory.iterdir():
                self._look_at(entry)

    def _watch(self) -> None:
        while True:
            ending = self._ended.is_set()
            for event in self._inotify.read(timeout=0 if ending else 20):
                self.wrong += ["events were lost"] if event.mask & flags.Q_OVERFLOW else []
                directory = self._paths.get(event.wd)
                if directory is not None and event.name:
                    self._look_at(directory / event.name)
            if ending:
                return

    def _look_at(self, path: Path) -> None:
        if not any(path == root or root in path.parents for root in self._roots):
            return
        known = str(path) in self.seen
        self.seen.add(str(path))
        try:
            status = path.lstat()
        except FileNotFoundError:
            return
        directory = stat.S_ISDIR(status.st_mode)
        if directory and not known:
            self._add(path)
        mode = stat.S_IMODE(status.st_mode)
        # Less than that it may have for a moment, where the umask takes the owner's rights as well.
        if mode & ~(0o700 if directory else 0o600):
            self.wrong.append(f"{path} has mode {mode:04o}")


def forms_of(needle: str) -> tuple[bytes, ...]:
    """The text itself and what any base64 of a text around it must contain."""
    found = [needle.encode()]
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + needle.encode()).rstrip(b"=")
        # The first and last characters depend on what stands around.
        found.append(encoded[4 if shift else 0 : -2])
    return tuple(found)


def holds(content: bytes, *needles: str) -> list[str]:
    """Those of the texts that stand in the content in any form."""
    return [needle for needle in needles if any(form in content for form in forms_of(needle))]


def files_holding(root: Path, *needles: str) -> list[str]:
    """The files below the directory that hold one of the texts in any form, or are called so."""
    found = []
    for path in root.rglob("*"):
        if holds(str(path.relative_to(root)).encode(), *needles):
            found.append(f"the name of {path}")
        if path.is_file() and not path.is_symlink() and holds(path.read_bytes(), *needles):
            found.append(str(path))
    return found
