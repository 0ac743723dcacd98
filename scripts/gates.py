# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m scripts.gates GATE...: run quality gates together, sharing the processors between them."""

from __future__ import annotations

import sys
from collections.abc import Callable

from scripts import lint, package, sanity
from scripts.check import Check, run
from scripts.tree import STAGE, hold, project_files, stage

_GATES: dict[str, Callable[[], list[Check]]] = {
    # The longest first.
    "sanity": sanity.checks,
    "lint": lint.checks,
    "importer": package.importer_checks,
    "build": package.build_checks,
}


def main(names: list[str]) -> int:
    """Run the gates named; 0 if all of them hold, 1 if not, 2 if there is no such gate."""
    unknown = sorted(set(names) - set(_GATES))
    if unknown or not names:
        print(f"usage: python -m scripts.gates {'|'.join(_GATES)}...", file=sys.stderr)
        return 2
    hold()
    stage(STAGE, project_files())
    return 0 if run([check for name, checks in _GATES.items() if name in names for check in checks()]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
