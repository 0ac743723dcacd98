# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restore says: the plan before it, the module's result, the report for the team."""

from __future__ import annotations

import os
from typing import Any

from ..postgres.databases import locale_of
from ..reporting.report import Report
from ..system.units import human_duration, human_size
from . import own_properties
from .restore import RestoreResult
from .survey import FILL, PART, REPLACE, RestoreRequest

RESTORE_JOB = "restore"
MOST_SESSIONS = 5


def plan_lines(request: RestoreRequest, result: RestoreResult) -> list[str]:
    """The steps of this restore, in order, each in a sentence; those that are still to come and those done."""
    found = result.found
    manifest, target = found.manifest, found.target
    what = "%d tables with %d rows" % (len(manifest["tables"]), manifest.get("rows", 0))
    if found.part is not None:
        relations = [relation.replace(" ", ".", 1) for relation in found.part.relations]
        what = "{} ({} rows)".format(", ".join(relations), found.part.contents.rows)
    way = "in one transaction" if request.options.jobs == 1 else f"by {request.options.jobs} processes"
    lines = [
        'Read {} (database "{}", {}, PostgreSQL {}, snapshot of {}, {} old) and check its SHA-256'.format(
            found.archive.path,
            manifest["database"],
            human_size(manifest["size_bytes"]),
            manifest["server_version"],
            manifest["snapshot_at"],
            human_duration(max(0.0, result.age)),
        )
    ]
    if found.makes_database:
        lines.append(f'Create the database "{found.staging}" ({locale_of(manifest).describe()})')
    lines.append(f'Restore {what} into "{found.staging}", {way}')
    if request.prove:
        lines.append("Compare what is there then with the archive, and stop if anything differs")
    if request.analyze:
        lines.append("ANALYZE it")
    if own_properties.wanted(found) and manifest.get("properties"):
        lines.append("Give it the settings, privileges, comment and connection limit that the database had")
    lines += _switch_lines(request, result)
    lines.append(
        f"The server's disk has {human_size(found.free)} free"
        if found.free is not None
        else "The free space of the server's disk cannot be seen by this role from here"
    )
    if found.mode in (FILL, PART):
        lines.append(f'The database "{target}" keeps its name, its owner, its privileges and what it is set to')
    return lines


def _switch_lines(request: RestoreRequest, result: RestoreResult) -> list[str]:
    found = result.found
    if not found.makes_database:
        return []
    if found.mode != REPLACE:
        return [f'Rename "{found.staging}" to "{found.target}"']
    lines = []
    if found.sessions:
        shown = ", ".join(session.describe() for session in found.sessions[:MOST_SESSIONS])
        more = len(found.sessions) - MOST_SESSIONS
        lines.append(
            'End the sessions in "%s" at the switch, now %d: %s%s'
            % (found.target, len(found.sessions), shown, f" and {more} more" if more > 0 else "")
        )
    lines.append(
        f'In one transaction: give "{found.staging}" the connection limit, privileges and settings of "{found.target}", '
        f'rename "{found.target}" to "{found.old_name}", and "{found.staging}" to "{found.target}"'
    )
    if not request.keep_old:
        lines.append(f'Drop "{found.old_name}"')
    return lines


def lost_writes(result: RestoreResult) -> str | None:
    """What replacing a database costs, in words; None where none was replaced."""
    found = result.found
    if found.mode != REPLACE:
        return None
    where = f'It is in "{result.old_database}" only.' if result.old_database else "It is gone with the old database."
    return 'What was written to "{}" after {} ({} ago) is lost to the restored database. {}'.format(
        found.target, found.manifest["snapshot_at"], human_duration(max(0.0, result.age)), where
    )


def restore_result(request: RestoreRequest, result: RestoreResult) -> dict[str, Any]:
    """The result of ``pg_restore`` as plain data."""
    found, switched = result.found, result.switched
    return {
        "msg": _message(request, result),
        "database": found.target,
        "archive": found.archive.path,
        "mode": found.mode,
        "snapshot_at": found.manifest["snapshot_at"],
        "snapshot_age_seconds": round(result.age, 3),
        "old_database": result.old_database,
        "way_back": result.way_back,
        "lost_writes": lost_writes(result),
        "plan": plan_lines(request, result),
        "sessions_ended": switched.ended if switched else 0,
        "blocked_seconds": round(switched.blocked, 3) if switched else 0.0,
        "comparison": result.comparison.as_dict() if result.comparison else None,
        "timings": [{"step": name, "seconds": round(seconds, 3)} for name, seconds in result.timings],
        "duration_seconds": round(result.duration, 3),
    }


def _message(request: RestoreRequest, result: RestoreResult) -> str:
    found = result.found
    proven = ", equal to the archive" if request.prove and not result.dry_run else ""
    verb = "would be" if result.dry_run else "was"
    words = {
        FILL: f'The archive {verb} restored into the empty database "{found.target}"{proven}.',
        PART: f'The tables asked for {"would be" if result.dry_run else "were"} restored into "{found.target}"{proven}.',
        REPLACE: f'The database "{found.target}" {verb} replaced by the restored one{proven}.',
    }
    parts = [words.get(found.mode, f'The archive {verb} restored into the new database "{found.target}"{proven}.')]
    lost = lost_writes(result)
    if lost:
        parts.append(lost)
    if result.way_back and not result.dry_run:
        parts.append(f'The way back, from the database "{request.maintenance_database}": {result.way_back}')
    return " ".join(parts)


def restore_report(request: RestoreRequest, result: RestoreResult) -> Report:
    """The report of a restore that ended well."""
    found = result.found
    facts = [
        ("Database", f"{found.target} (PostgreSQL {found.server.version})"),
        ("Archive", os.path.basename(found.archive.path)),
        ("Snapshot", "{} ({} old)".format(found.manifest["snapshot_at"], human_duration(max(0.0, result.age)))),
        ("Compared", "equal to the archive" if request.prove else "not compared (prove=false)"),
    ]
    lost = lost_writes(result)
    if lost:
        facts.append(("Lost", lost))
    if result.old_database:
        facts.append(("Old database", result.old_database))
    if result.way_back:
        facts.append(("Way back", result.way_back))
    if result.switched and found.mode == REPLACE:
        facts.append(
            (
                "Switch",
                "%d sessions ended, %s without connections"
                % (result.switched.ended, human_duration(result.switched.blocked)),
            )
        )
    facts += [(name.capitalize(), human_duration(seconds)) for name, seconds in result.timings]
    facts += [("Warning", warning) for warning in result.warnings]
    facts.append(("Took", human_duration(result.duration)))
    titles = {
        REPLACE: "database replaced by the restored one",
        FILL: "archive restored into an empty database",
        PART: "tables restored",
    }
    return Report(
        job=RESTORE_JOB,
        subject=request.source,
        level="warning" if result.warnings or found.mode == REPLACE else "info",
        title=titles.get(found.mode, "archive restored into a new database"),
        facts=tuple(facts),
        measurements={
            "snapshot_age_seconds": max(0.0, result.age),
            "restored_bytes": float(found.manifest.get("content_bytes") or 0),
            "blocked_seconds": result.switched.blocked if result.switched else 0.0,
        },
        duration=round(result.duration, 3),
    )
