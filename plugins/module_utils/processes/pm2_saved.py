# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list that PM2 brings back at boot (dump.pm2): written whole, closed to others, and safe to bring back.

``pm2 save`` writes what runs as running, so that a job which happens to run then is run by every boot; it writes in
place, with mode 0644, and the file holds every secret of every app.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection
from typing import Any

from ..system.errors import ResilienceError
from ..system.files import explain_os_error, write_private
from .pm2 import Pm2, acting_as, find_daemon
from .pm2_processes import STOPPED, Process, list_processes, processes_from
from .pm2_spec import AppSpec, spec_of

# Numbers that hold only as long as this daemon lives; PM2 leaves the same ones out.
_NOT_SAVED = ("instances", "pm_id", "prev_restart_delay")


def dump_path(pm2: Pm2) -> str:
    """Where PM2 keeps what it brings back at boot."""
    return os.path.join(pm2.home, "dump.pm2")


def save(pm2: Pm2, names: Collection[str] | None = None) -> bool:
    """Have PM2 bring back at boot what it has now; tells whether that changed what is saved.

    With ``names`` only these apps are changed in what is saved: one that PM2 no longer has is taken out, and
    whatever others were saved as stays. A job is always saved as stopped, whether or not it runs at this moment: its
    schedule comes back, and the boot itself runs nothing.

    Raises ResilienceError when PM2 does not run: an empty list is not what anybody means to save.
    """
    before = read_saved(pm2)
    if names is None and find_daemon(pm2) is None:
        raise ResilienceError(
            f"PM2 does not run in {pm2.home}, so there is nothing to save",
            stage="save",
            remedy="Bring back what is saved with pm2 resurrect.",
        )
    now = [_entry(process) for process in list_processes(pm2)]
    if names is None:
        after = now
    else:
        kept = [entry for entry in before or [] if entry["name"] not in names]
        after = kept + [entry for entry in now if entry["name"] in names]
    nothing_yet = before is None and not after
    if nothing_yet or (before is not None and _brought_back(before) == _brought_back(after) and is_private(pm2)):
        return False
    _write(pm2, after)
    return True


def _entry(process: Process) -> dict[str, Any]:
    entry = {key: value for key, value in process.raw.items() if key not in _NOT_SAVED}
    if process.is_job:
        entry["status"] = STOPPED
    return entry


def read_saved(pm2: Pm2) -> list[dict[str, Any]] | None:
    """What is saved; None when nothing ever was. Raises ResilienceError when the file is damaged."""
    path = dump_path(pm2)
    with acting_as(pm2.user):
        try:
            with open(path, encoding="utf-8") as stream:
                saved = json.load(stream)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise explain_os_error(error, path, "read").at_stage("save") from error
        except ValueError:
            saved = None
    if not isinstance(saved, list) or not all(isinstance(entry, dict) and "name" in entry for entry in saved):
        raise ResilienceError(
            f"{path} does not hold a list of apps",
            stage="save",
            remedy="See that PM2 has all apps that belong here (pm2 list), remove the file and run pm2 save.",
        )
    return saved


def saved_processes(pm2: Pm2, name: str) -> list[Process]:
    """The app as it is saved; none when it is not."""
    return _processes(read_saved(pm2) or [], name)


def is_private(pm2: Pm2) -> bool:
    """Whether nobody else may read what is saved, nor the copy of it that PM2 makes before it writes.

    PM2 keeps the mode of a file that is there; one that it makes can be read by everybody.
    """
    modes = [_mode(path) for path in (dump_path(pm2), _copy_path(pm2))]
    return modes[0] is None or all(mode is not None and not mode & 0o077 for mode in modes)


def _mode(path: str) -> int | None:
    try:
        return stat.S_IMODE(os.lstat(path).st_mode)
    except FileNotFoundError:
        return None


def _copy_path(pm2: Pm2) -> str:
    return dump_path(pm2) + ".bak"


def _brought_back(entries: list[dict[str, Any]]) -> list[tuple[AppSpec, bool]]:
    """What a boot makes of these entries, in whatever order they stand, without what every second changes."""
    processes = sorted(_processes(entries), key=lambda process: process.name)
    return [(spec_of([process]), process.running) for process in processes]


def _processes(entries: list[dict[str, Any]], name: str | None = None) -> list[Process]:
    return processes_from(entries, [None] * len(entries), name)


def _write(pm2: Pm2, entries: list[dict[str, Any]]) -> None:
    path = dump_path(pm2)
    with acting_as(pm2.user):
        try:
            with open(path, "rb") as stream:
                previous = stream.read()
        except FileNotFoundError:
            previous = None
        except OSError as error:
            raise explain_os_error(error, path, "read").at_stage("save") from error
        data = json.dumps(entries, indent=2).encode("utf-8")
        write_private(_copy_path(pm2), previous or data)
        write_private(path, data)
