# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an emergency has decided and done so far, written before each step.

A run may be killed at any moment. Whoever comes next finds here which step it was in and how the service was started
before, and finishes it. It is also what the way back goes by, so it stays while the service runs on files.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ..reporting.report import utc_now
from ..system.errors import ResilienceError
from ..system.files import explain_os_error, private_directory, write_private

JOURNAL_VERSION = 1
ROLLBACK, ROLLFORWARD = "rollback", "rollforward"
JOBS = {ROLLBACK: "emergency_rollback", ROLLFORWARD: "emergency_rollforward"}
# In the order of a run. From `starting` on the other side may have begun to write: its data must not be made again.
PHASES = ("stopping", "carrying", "fencing", "starting", "connecting", "done")


class DamagedJournalError(ResilienceError):
    """A journal that cannot be understood."""


@dataclasses.dataclass(frozen=True)
class Journal:
    """The standing of one source. ``original`` and ``emergency`` are how PM2 starts the service on either side.

    Both hold the environment, secrets included; the file has mode 0600. ``set_aside`` is where the directory went that
    stood in the place of the sessions; ``previous`` is what a checkout in place had checked out.
    """

    direction: str
    phase: str
    started_at: str
    original: Mapping[str, Any]
    emergency: Mapping[str, Any]
    was_running: bool
    commit: str
    release: str
    code_directory: str
    sessions_directory: str
    previous: Mapping[str, Any] | None = None
    set_aside: str | None = None
    # Whether the service was ever started on the other side: what lies there may be newer than what it was made from.
    written: bool = False
    # Whether the database was given a mark.
    marked: bool = False
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    updated_at: str = ""

    @property
    def unfinished(self) -> bool:
        """Whether a run began and neither ended nor undid what it did."""
        return self.phase != "done"

    @property
    def switched(self) -> bool:
        """Whether the other side may have been started already."""
        return PHASES.index(self.phase) >= PHASES.index("starting")

    @property
    def switched_back(self) -> bool:
        """Whether a way back may have started the service on the database already."""
        return self.direction == ROLLFORWARD and self.switched


def journal_path(state_directory: str, source: str) -> str:
    """Where the journal of a source lies."""
    return os.path.join(state_directory, "emergency", quote(source, safe="") + ".json")


def read_journal(state_directory: str, source: str) -> Journal | None:
    """The journal of a source, None while its service is where it belongs. Raises DamagedJournalError."""
    path = journal_path(state_directory, source)
    try:
        with open(path, encoding="utf-8") as stream:
            document = json.load(stream)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain_os_error(error, path, "read the journal") from error
    except ValueError as error:
        raise _damaged(path, "it is no JSON") from error
    try:
        if document.pop("journal_version") != JOURNAL_VERSION:
            raise ValueError("it has another version")
        journal = Journal(**document)
        if journal.phase not in PHASES or journal.direction not in (ROLLBACK, ROLLFORWARD):
            raise ValueError("its phase or direction is unknown")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    return journal


def write_journal(state_directory: str, source: str, journal: Journal) -> Journal:
    """Replace the journal; durable once this returns. Returns what was written."""
    journal = dataclasses.replace(journal, updated_at=utc_now())
    path = journal_path(state_directory, source)
    private_directory(os.path.dirname(path))
    document = {"journal_version": JOURNAL_VERSION, **dataclasses.asdict(journal)}
    write_private(path, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())
    return journal


def remove_journal(state_directory: str, source: str) -> None:
    """The service is back where it belongs."""
    path = journal_path(state_directory, source)
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise explain_os_error(error, path, "remove the journal") from error


def _damaged(path: str, why: str) -> DamagedJournalError:
    return DamagedJournalError(
        f"The journal {path} cannot be understood: {why}",
        stage="preflight",
        remedy="See with pm2 which code the service runs, and in fence.json who owns the sessions; then move the "
        "journal away and go on by hand (docs/emergency.md).",
    )
