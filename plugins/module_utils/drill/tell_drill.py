# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a drill says: the page and the JSON that are kept, and the report for the team."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..backup.drill_age import DRILL_JOB
from ..reporting.report import Report
from ..system.files import private_directory, remove_tree_or_file, write_private
from ..system.units import human_duration, human_size
from .drill import PROVEN, SUSPECT
from .drill_page import drill_page
from .forecast import file_name_of

MOST_PAGES = 100

Result = Mapping[str, Any]


def keep_pages(state_directory: str, result: Result) -> tuple[str, str]:
    """Write a drill's page and JSON below ``reports/``, the oldest giving way; returns both paths.

    Raises ResilienceError when they cannot be written.
    """
    directory = os.path.join(state_directory, "reports")
    private_directory(directory)
    prefix = "drill-%s-" % file_name_of(result["source"])
    stamp = re.sub("[-:]", "", result["at"])
    archive = os.path.basename(result["archive"]["archive"])
    path = os.path.join(directory, f"{prefix}{stamp}-{archive}")
    write_private(path + ".json", (json.dumps(result, indent=1) + "\n").encode("ascii"))
    write_private(path + ".html", drill_page(result).encode("utf-8", "backslashreplace"))
    pattern = re.compile(re.escape(prefix) + r"\d{8}T\d{6}Z-.*\.(html|json)\Z")
    mine = sorted(name for name in os.listdir(directory) if pattern.match(name))
    for name in mine[: -2 * MOST_PAGES]:
        remove_tree_or_file(os.path.join(directory, name))
    return path + ".html", path + ".json"


def drill_failure(results: Sequence[Result]) -> str:
    """One sentence that names every archive that was not proven and why; empty when all were."""
    words = []
    for result in results:
        archive = os.path.basename(result["archive"]["archive"])
        missed = [one["damage"] for one in result["self_test"] or [] if not one["caught"]]
        if result["verdict"] == SUSPECT:
            words.append(f"{archive} is suspect: " + "; ".join(result["problems"][:3]))
        elif result["verdict"] != PROVEN:
            obstacle = str(result["obstacle"]).rstrip(".")
            words.append(f"{archive} could not be judged: {obstacle}. {result['remedy'] or ''}".strip())
        elif missed:
            words.append(f"{archive} was proven, but the drill did not notice planted damage: " + ", ".join(missed))
    return " | ".join(words)


def drill_report(source: str, results: Sequence[Result], duration: float) -> Report:
    """The report of a drill of one source, whatever came of it."""
    suspect = [result for result in results if result["verdict"] == SUSPECT]
    unjudged = [result for result in results if result["verdict"] not in (SUSPECT, PROVEN)]
    missed = [one for result in results for one in result["self_test"] or [] if not one["caught"]]
    late = [result for result in results if result["verdict"] == PROVEN and not result["rto"]["met"]]
    newest = results[0]
    level, title, remedy = "info", "backup restored and proven", None
    if late:
        level, title = "warning", "backup proven, but too slowly for the RTO"
        remedy = "See the page of the drill for what took the time; raise rto_target only if you can wait that long."
    if missed:
        level, title = "error", "the drill did not notice damage that was planted"
        remedy = "Do not trust this drill until its self test passes; see the page for what was missed."
    if unjudged:
        level, title = "error", "%d of %d archives could not be drilled" % (len(unjudged), len(results))
        remedy = unjudged[0]["remedy"] or "Mend what is named and drill again. It says nothing against the archives."
    if suspect:
        level, title = "fatal", "%d of %d archives cannot be trusted" % (len(suspect), len(results))
        remedy = "See that there is a good one (pg_backup_info), make a backup now, and drill that. It is kept."
    return Report(
        job=DRILL_JOB,
        subject=source,
        level=level,
        title=title,
        facts=tuple(_facts(results, suspect, unjudged, duration)),
        remedy=remedy,
        measurements=_measurements(newest, results),
        duration=round(duration, 3),
    )


def _facts(
    results: Sequence[Result], suspect: Sequence[Result], unjudged: Sequence[Result], duration: float
) -> list[tuple[str, str]]:
    newest = results[0]
    archive = newest["archive"]
    facts = [("Archive", "{}/{}".format(archive["tier"], os.path.basename(archive["archive"])))]
    if len(results) > 1:
        proven = sum(result["verdict"] == PROVEN for result in results)
        facts = [("Archives", "%d drilled, %d proven" % (len(results), proven))]
    for result in [*suspect, *unjudged]:
        why = "; ".join(result["problems"][:3]) or str(result["obstacle"])
        facts.append((os.path.basename(result["archive"]["archive"]), why))
    if newest["verdict"] == PROVEN:
        tables = newest["tables"]
        facts.append(("Proven", "%d rows in %d tables" % (sum(table["rows"] or 0 for table in tables), len(tables))))
        facts.append(("Size", human_size(archive["size_bytes"])))
    for step in newest["timings"]:
        if step["step"] in ("restore", "compare"):
            facts.append((str(step["step"]).capitalize(), human_duration(step["seconds"])))
    facts.append(("Took", human_duration(duration)))
    rto = newest["rto"]
    if newest["verdict"] == PROVEN:
        forecast = ", ".join(
            "%s at %d times the size" % (human_duration(item["seconds"]), item["factor"]) for item in rto["forecast"]
        )
        words = "met" if rto["met"] else "missed"
        facts.append(("RTO", f"{human_duration(rto['target_seconds'])} {words}; forecast {forecast}"))
    tested = newest["self_test"]
    if tested:
        facts.append(
            ("Self test", "%d of %d kinds of damage caught" % (sum(one["caught"] for one in tested), len(tested)))
        )
    if newest.get("page"):
        facts.append(("Page", str(newest["page"])))
    return facts


def _measurements(newest: Result, results: Sequence[Result]) -> dict[str, float]:
    measured = {
        "drilled_count": float(len(results)),
        "proven_count": float(sum(result["verdict"] == PROVEN for result in results)),
        "rto_target_seconds": float(newest["rto"]["target_seconds"]),
        "recovery_seconds": float(newest["duration_seconds"]),
    }
    for step in newest["timings"]:
        measured[f"{step['step']}_seconds"] = float(step["seconds"])
    return measured
