# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module of an emergency that kills itself at a moment of one's choice: `python -m tests.support.killed_emergency`.

Its argument is JSON: `module`, and `point`: the part of `emergency` and the name of a function there, and whether before
or after its call. The module's own arguments come by standard input, as Ansible gives them.
"""

from __future__ import annotations

import importlib
import json
import sys

from tests.support.killed import kill_at

PLUGINS = "ansible_collections.baileys.resilience.plugins"


def main() -> None:
    given = json.loads(sys.argv.pop())
    part, name, when = given["point"]
    kill_at(importlib.import_module(f"{PLUGINS}.module_utils.emergency.{part}"), name, 1, when)
    importlib.import_module(f"{PLUGINS}.modules.{given['module']}").main()


if __name__ == "__main__":
    main()
