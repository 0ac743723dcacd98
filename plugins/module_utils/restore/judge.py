# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the comparison of a restored database means for the restore: a failure, or worth a look."""

from __future__ import annotations

from collections.abc import Sequence

from ..postgres.version import from_text
from ..system.errors import ResilienceError
from .comparison import Comparison
from .survey import Survey

# How the versions call the entry of a large object.
_LARGE_OBJECT = ("BLOB ", "BLOB METADATA ")


def judge(found: Survey, comparison: Comparison) -> tuple[tuple[str, ...], list[str]]:
    """What is wrong with what came back, and what is only worth a look.

    A definition that reads otherwise may only be spelled so by this server: where no second database could be made
    to tell the two apart, and where the server is of another major version, it is no reason to give up a restore.
    """
    schema = comparison.schema
    another = found.server.version.major != from_text(found.manifest["server_version"]).major
    doubtful: list[str] = []
    if another or not found.can_make_another:
        doubtful += [change.entry for change in schema.changed]
    if another:
        doubtful += [*schema.unexpected, *(entry for entry in schema.missing if entry.startswith(_LARGE_OBJECT))]
    problems = tuple(
        problem for problem in comparison.problems if not any(problem.startswith(f"{entry} is ") for entry in doubtful)
    )
    if found.wrong:
        # "In another order" is told by the archive itself, which is not the one that was made.
        names = ["{}.{}".format(*table.name) for table in comparison.tables if table.outcome == "reordered"]
        problems += tuple(f"table {name} has other content than the manifest says" for name in names)
    words = {
        f"{entry} reads otherwise than in the archive" for entry in doubtful if not entry.startswith(_LARGE_OBJECT)
    }
    return problems, sorted(words)


def comparison_failed(problems: Sequence[str], where: str) -> ResilienceError:
    """The error for a restored database that is not what was backed up."""
    shown = "; ".join(problems[:5]) + ("; and %d more" % (len(problems) - 5) if len(problems) > 5 else "")
    return ResilienceError(
        f"What was restored is not what was backed up: {shown}",
        stage="compare",
        remedy=f"{where} Run a drill of this archive (pg_restore_drill), and restore another one; if there is none, "
        "prove=false restores what there is.",
    )
