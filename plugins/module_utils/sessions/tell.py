# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an export and an import say of themselves: counts and digests, never a value, nor whose phone it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..reporting.report import Report
from ..system.errors import ResilienceError
from ..system.units import human_duration, human_size
from .export import ExportResult, TenantExport
from .import_ import ImportResult, TenantImport

EXPORT_JOB = "session-export"
IMPORT_JOB = "session-import"


def export_result(result: ExportResult) -> dict[str, Any]:
    """The result of ``session_export`` as plain data."""
    return {
        "snapshot_at": result.snapshot_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "duration_seconds": round(result.seconds, 3),
        "sessions": [dict(_session(one), changed=one.changed) for one in result.tenants],
    }


def import_result(result: ImportResult) -> dict[str, Any]:
    """The result of ``session_import`` as plain data."""
    return {
        "duration_seconds": round(result.seconds, 3),
        "sessions": [
            dict(
                _session(one),
                changed=one.differs,
                creds=one.creds,
                rows={name: getattr(one, name) for name in ("added", "changed", "removed", "unchanged")},
            )
            for one in result.tenants
        ],
    }


def _session(one: TenantExport | TenantImport) -> dict[str, Any]:
    return {
        "tenant": one.tenant,
        "directory": one.directory,
        "keys": dict(one.keys),
        "keys_before": dict(one.keys_before),
        "digest": one.digest,
        "size_bytes": one.size_bytes,
        "skipped": one.skipped,
    }


def sessions_diff(sessions: Sequence[TenantExport | TenantImport]) -> dict[str, str]:
    """Keys by type of every session, before and after."""
    there = [one for one in sessions if one.skipped is None]
    return {
        "before": "".join(_counted(one.tenant, one.keys_before) for one in there),
        "after": "".join(_counted(one.tenant, one.keys) for one in there),
    }


def _counted(tenant: str, keys: Mapping[str, int]) -> str:
    if not keys:
        return ""
    lines = ["%s: %d keys\n" % (tenant, sum(keys.values()))]
    lines += ["  %s: %d\n" % (key_type, keys[key_type]) for key_type in sorted(keys)]
    return "".join(lines)


def export_report(result: ExportResult) -> Report:
    """The report of an export that ended well."""
    written = [one for one in result.tenants if one.skipped is None]
    moment = result.snapshot_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return _report(EXPORT_JOB, result, "sessions exported and read back", [("Moment", moment)], written)


def import_report(result: ImportResult) -> Report:
    """The report of an import that ended well."""
    imported = [one for one in result.tenants if one.skipped is None]
    counts = {
        name: sum(getattr(one, name) for one in imported) for name in ("added", "changed", "removed", "unchanged")
    }
    facts = [("Rows", ", ".join("%d %s" % (count, name) for name, count in counts.items()))]
    return _report(IMPORT_JOB, result, "sessions imported and verified", facts, imported)


def _report(
    job: str,
    result: ExportResult | ImportResult,
    title: str,
    facts: list[tuple[str, str]],
    done: Sequence[TenantExport | TenantImport],
) -> Report:
    keys = sum(sum(one.keys.values()) for one in done)
    size = sum(one.size_bytes for one in done)
    skipped = [one for one in result.tenants if one.skipped is not None]
    return Report(
        job=job,
        subject=result.source,
        level="info",
        title=title,
        facts=(
            ("Sessions", "%d with %d keys, %s" % (len(done), keys, human_size(size))),
            *facts,
            *((f"Left out: {one.tenant}", str(one.skipped)) for one in skipped),
            ("Took", human_duration(result.seconds)),
        ),
        measurements={"sessions_count": float(len(done)), "keys_count": float(keys), "files_bytes": float(size)},
        duration=round(result.seconds, 3),
    )


def failure_report(job: str, source: str, error: ResilienceError, duration: float) -> Report:
    """The report of an export or import that failed; the sessions are as they were."""
    return Report(
        job=job,
        subject=source,
        level="error",
        title=error.message,
        facts=(("Stage", error.stage),) if error.stage else (),
        remedy=error.remedy,
        duration=round(duration, 3),
    )
