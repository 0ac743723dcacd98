# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore in a process of its own that kills itself at a moment of one's choice: `python -m tests.support.killed_restore`.

Reads from standard input, as JSON: `parameters` of the connection, `options` of RestoreRequest, and `point`: the name of
a function of the restore, of its how many-th call, and whether before or after that call.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.postgres import properties
from ansible_collections.baileys.resilience.plugins.module_utils.restore import restore, staging, swap
from ansible_collections.baileys.resilience.plugins.module_utils.restore.survey import RestoreRequest
from tests.support.backups import settings_from
from tests.support.killed import kill_at

PLACES: dict[str, Any] = {
    "create_database": staging,
    "load_archive": restore,
    "compare": restore,
    "_analyze": restore,
    "apply": properties,
    "_rename": swap,
    "_attempt": swap,
}


def main() -> None:
    given = json.load(sys.stdin)
    name, number, when = given["point"]
    kill_at(PLACES[name], name, number, when)
    restore.restore(RestoreRequest(settings=settings_from(given["parameters"]), **given["options"]))


if __name__ == "__main__":
    main()
