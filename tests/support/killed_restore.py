# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore in a process of its own that kills itself at a moment of one's choice: `python -m tests.support.killed_restore`.

Reads from standard input, as JSON: `parameters` of the connection, `options` of RestoreRequest, and `point`: the name of
a function of the restore, of its how many-th call, and whether before or after that call.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.postgres import properties
from ansible_collections.baileys.resilience.plugins.module_utils.restore import restore, staging, swap
from ansible_collections.baileys.resilience.plugins.module_utils.restore.survey import RestoreRequest
from tests.support.backups import settings_from

PLACES: dict[str, Any] = {
    "create_database": staging,
    "load_archive": restore,
    "compare": restore,
    "_analyze": restore,
    "apply": properties,
    "_rename": swap,
    "_attempt": swap,
}


def kill_at(name: str, number: int, when: str) -> None:
    """Have this process killed before or after the number-th call of this function."""
    place = PLACES[name]
    original = getattr(place, name)
    calls = 0

    def call(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        if (calls, when) == (number, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **keywords)
        if (calls, when) == (number, "after"):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(place, name, call)


def main() -> None:
    given = json.load(sys.stdin)
    kill_at(*given["point"])
    restore.restore(RestoreRequest(settings=settings_from(given["parameters"]), **given["options"]))


if __name__ == "__main__":
    main()
