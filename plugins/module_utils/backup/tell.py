# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run says: the module's result, the diff a person reads, the report for the team."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from ..reporting.report import Report
from ..system.errors import ResilienceError
from ..system.units import human_duration, human_size
from .catalogue import Archive, newest
from .drill_age import DrillStanding
from .make import BackupRequest, BackupResult
from .retain import Decision
from .verify import Verification

BACKUP_JOB = "backup"
VERIFY_JOB = "verify"


def archive_dict(archive: Archive, now: datetime | None = None) -> dict[str, Any]:
    """One archive as plain data; ``age_seconds`` counts from ``now``, the current time unless given."""
    now = now or datetime.now(timezone.utc)
    return {
        "archive": archive.path,
        "tier": archive.tier,
        "state": archive.state,
        "size_bytes": archive.size_bytes,
        "age_seconds": int((now - archive.time).total_seconds()) if archive.time else None,
        "sha256": archive.sha256 or None,
        "sequence": archive.sequence or None,
        "problem": archive.problem,
        "manifest": archive.manifest,
    }


def statistics(archives: Sequence[Archive], now: datetime | None = None) -> dict[str, Any]:
    """Counts, sizes and ages of the archives that count. Links to the same bytes are counted once in the size."""
    now = now or datetime.now(timezone.utc)
    good = [archive for archive in archives if archive.counted]
    ages = [(now - archive.time).total_seconds() for archive in good if archive.time]
    sizes = {(archive.sequence, archive.sha256): archive.size_bytes for archive in good}
    best = newest(archives)
    return {
        "count": len(good),
        "count_by_tier": {
            tier: sum(archive.tier == tier for archive in good) for tier in ("hourly", "daily", "weekly", "monthly")
        },
        "suspect_count": sum(archive.state == "suspect" for archive in archives),
        "foreign_count": sum(archive.state == "foreign" for archive in archives),
        "total_bytes": sum(sizes.values()),
        "newest": best.path if best else None,
        "newest_age_seconds": int(min(ages)) if ages else None,
        "oldest_age_seconds": int(max(ages)) if ages else None,
    }


def backup_result(result: BackupResult) -> dict[str, Any]:
    """The result of ``pg_backup`` as plain data."""
    return {
        "archive": result.archive,
        "links": list(result.links),
        "manifest": dict(result.manifest),
        "duration_seconds": round(result.duration, 3),
        "statistics": statistics(result.archives),
        **retention_result(result.decisions),
    }


def retention_result(decisions: Sequence[Decision]) -> dict[str, Any]:
    """What retention removes and keeps, with reasons."""
    return {
        "removed": [_decision(decision) for decision in decisions if not decision.keep],
        "kept": [_decision(decision) for decision in decisions if decision.keep],
    }


def retention_diff(backup_root: str, decisions: Sequence[Decision], made: Sequence[str] = ()) -> str:
    """A line an archive: ``+`` made, ``-`` removed, blank kept; each with its reason."""
    rows = []
    for decision in decisions:
        path = decision.archive.path
        sign, words = (" ", "kept: ") if decision.keep else ("-", "removed: ")
        if path in made:
            sign, words = "+", "made; kept: "
        rows.append((sign, os.path.relpath(path, backup_root), words + decision.reason))
    for path in made:
        if path not in {decision.archive.path for decision in decisions}:
            rows.append(("+", os.path.relpath(path, backup_root), "made"))
    width = max((len(row[1]) for row in rows), default=0)
    lines = [f"{sign} {name.ljust(width)}  {words}" for sign, name, words in rows]
    return "".join(line + "\n" for line in [backup_root, *lines])


def backup_report(request: BackupRequest, result: BackupResult, standing: DrillStanding | None = None) -> Report:
    """The report of a run that ended well. An overdue drill makes it a warning."""
    manifest, totals = result.manifest, statistics(result.archives)
    facts = [
        ("Database", "{} (PostgreSQL {})".format(manifest["database"], manifest["server_version"])),
        ("Archive", os.path.relpath(result.archive, request.backup_root)),
        ("Size", human_size(manifest["size_bytes"])),
        ("Rows", "%d in %d tables" % (manifest["rows"], len(manifest["tables"]))),
        ("SHA-256", str(manifest["sha256"])),
        ("Took", human_duration(result.duration)),
        ("Kept", "%d archives, %s" % (totals["count"], human_size(totals["total_bytes"]))),
    ]
    removed = [decision for decision in result.decisions if not decision.keep]
    if removed:
        facts.append(("Removed", "%d by retention" % len(removed)))
    facts += [("Warning", warning) for warning in result.warnings]
    if totals["suspect_count"]:
        facts.append(("Suspect", "%d archives failed a later check" % totals["suspect_count"]))
    overdue = standing is not None and standing.overdue
    if standing is not None and overdue:
        facts.append(("Drill overdue", "%s, the limit is %d days" % (standing.words(), standing.max_age_days)))
    return Report(
        job=BACKUP_JOB,
        subject=request.source,
        level="warning" if result.warnings or totals["suspect_count"] or overdue else "info",
        title="backup made and verified",
        facts=tuple(facts),
        measurements={
            "archive_bytes": float(manifest["size_bytes"]),
            "rows_count": float(manifest["rows"]),
            "archives_count": float(totals["count"]),
            "archives_bytes": float(totals["total_bytes"]),
        },
        duration=round(result.duration, 3),
    )


def verify_report(
    source: str, results: Sequence[Verification], duration: float, strangers: Sequence[Archive] = ()
) -> Report:
    """The report of a verification of one source. ``strangers`` have the name of an archive and no manifest."""
    corrupt = [result for result in results if result.problems]
    unjudged = [result for result in results if result.obstacle is not None]
    facts = [("Archives", "%d read, %d hold" % (len(results), sum(result.holds for result in results)))]
    facts += [(os.path.basename(one.archive.path), "; ".join(one.findings[:3])) for one in [*corrupt, *unjudged]]
    facts += [("No manifest", os.path.basename(archive.path)) for archive in strangers]
    facts.append(("Took", human_duration(duration)))
    level, title, remedy = "info", "every archive holds", None
    if strangers:
        level, title = "warning", "every archive with a manifest holds"
        remedy = "Without its manifest a file is no backup to anybody: see where it went, or move the file away."
    if unjudged:
        level, title = "error", "%d of %d archives could not be verified" % (len(unjudged), len(results))
        remedy = "Mend what is named above and verify again. It says nothing against the archives themselves."
    if corrupt:
        level, title = "fatal", "%d of %d archives are corrupt" % (len(corrupt), len(results))
        remedy = "See that there is a newer good one, or make it now, and look at the disk. The corrupt ones are kept."
    return Report(
        job=VERIFY_JOB,
        subject=source,
        level=level,
        title=title,
        facts=tuple(facts),
        remedy=remedy,
        measurements={"archives_count": float(len(results)), "corrupt_count": float(len(corrupt))},
        duration=round(duration, 3),
    )


def failure_report(job: str, source: str, error: ResilienceError, duration: float) -> Report:
    """The report of a run that failed."""
    facts: list[Any] = []
    if error.stage:
        facts.append(("Stage", error.stage))
    if error.rc is not None:
        facts.append(("Exit status", str(error.rc)))
    return Report(
        job=job,
        subject=source,
        level="fatal",
        title=error.message,
        facts=tuple(facts),
        remedy=error.remedy,
        duration=round(duration, 3),
    )


def _decision(decision: Decision) -> dict[str, Any]:
    return {"archive": decision.archive.path, "tier": decision.archive.tier, "reason": decision.reason}


def verify_result(results: Sequence[Verification]) -> dict[str, Any]:
    """The result of ``pg_backup_verify`` as plain data."""
    # By name, not by run: an archive whose manifest is broken no longer tells its run.
    latest = max((result.archive.time for result in results if result.archive.time), default=None)
    return {
        "archives": [
            {
                "archive": result.archive.path,
                "tier": result.archive.tier,
                "holds": result.holds,
                "state": result.archive.state,
                "problems": list(result.problems),
                "obstacle": result.obstacle,
                "duration_seconds": round(result.duration, 3),
            }
            for result in results
        ],
        "newest_corrupt": latest is not None
        and any(result.problems and result.archive.time == latest for result in results),
    }


def verify_failure(backup_root: str, results: Sequence[Verification]) -> str:
    """One sentence that names every archive that does not hold."""
    bad = ["{}: {}".format(r.archive.path, "; ".join(r.findings[:3])) for r in results if not r.holds]
    return "%d of %d archives in %s do not hold: %s" % (len(bad), len(results), backup_root, " | ".join(bad))
