# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drill: take an archive as if the database were gone, restore it, prove what came back, and measure it all."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Callable

from ..backup.catalogue import Archive
from ..backup.verify import wrong_bytes
from ..postgres.connection import translate
from ..postgres.settings import ConnectionSettings
from ..reporting.progress import SILENT, Progress
from ..restore.load import LoadError, load_archive
from ..restore.prove import compare
from ..system.errors import ResilienceError
from ..system.timings import Timings
from . import forecast
from .queries import Query, run_queries
from .target import Target, dumping_client, scratch_target, staging_target, template_cache

try:
    import psycopg2
except ImportError:
    # connect says so by name before any server is asked.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

DRILL_VERSION = 1
PROVEN, SUSPECT, UNJUDGED = "proven", "suspect", "unjudged"


@dataclass(frozen=True)
class DrillRequest:
    """Which archives to drill, where, and how it is judged.

    The newest archive unless ``only`` names others or ``every`` is set. ``staging`` is a server to use instead of a
    scratch server. ``rto_target`` and ``lock_timeout`` are in seconds.
    """

    source: str
    backup_root: str
    state_directory: str
    only: Sequence[str] | None = None
    every: bool = False
    staging: ConnectionSettings | None = None
    client_directory: str | None = None
    server_directory: str | None = None
    scratch_directory: str | None = None
    jobs: int = 1
    queries: tuple[Query, ...] = ()
    rto_target: float = 1800.0
    lock_timeout: float = 600.0
    dry_run: bool = False


@dataclass
class Removal:
    """When the removal of what a drill made began, on the monotonic clock."""

    began: float | None = None

    def begin(self) -> None:
        """It begins now."""
        self.began = time.monotonic()


class DrillTimings(Timings):
    """The steps of a drill."""

    @contextlib.contextmanager
    def removal(self) -> Iterator[Removal]:
        """Measure from the call of ``begin`` to the end of the block, by which everything is gone."""
        removal = Removal()
        try:
            yield removal
        finally:
            if removal.began is not None:
                self.steps.append(("remove", time.monotonic() - removal.began))


# Called between restore and comparison, with the restored database: where the self test plants its damage.
Between = Callable[[ConnectionSettings], None]


def drill_archive(
    request: DrillRequest, archive: Archive, progress: Progress = SILENT, between: Between | None = None
) -> dict[str, Any]:
    """Drill one archive and return the result; marks nothing."""
    started, at = time.monotonic(), datetime.now(timezone.utc)
    timings = DrillTimings()
    result: dict[str, Any] = {
        "drill_version": DRILL_VERSION,
        "source": request.source,
        "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verdict": UNJUDGED,
        "problems": [],
        "obstacle": None,
        "remedy": None,
        "archive": _describe(archive, at),
        "target": None,
        **_NOTHING,
        "self_test": None,
    }
    try:
        result["problems"] = _run(request, archive, timings, result, progress, between)
        result["verdict"] = SUSPECT if result["problems"] else PROVEN
        _judge_checks(result)
    except LoadError as error:
        _fail(result, error, error.obstacle)
    except ResilienceError as error:
        _fail(result, error, True)
    result["timings"] = [{"step": name, "seconds": round(seconds, 3)} for name, seconds in timings.steps]
    result["duration_seconds"] = round(time.monotonic() - started, 3)
    _judge_time(request, result, timings)
    return result


_NOTHING: dict[str, Any] = {
    "tables": [],
    "schema": {"entries": 0, "equal": 0, "missing": [], "unexpected": [], "changed": [], "rewritten": []},
    "sequences": {"count": 0, "problems": []},
    "large_objects": {"count": 0, "bytes": 0, "problems": []},
    "checks": [],
    "not_covered": [],
}


def _run(
    request: DrillRequest,
    archive: Archive,
    timings: DrillTimings,
    result: dict[str, Any],
    progress: Progress,
    between: Between | None,
) -> list[str]:
    """The steps of a drill; returns the problems found. Raises ResilienceError for what stops it."""
    manifest = archive.manifest
    with timings.step("check"):
        progress.step("check", bytes=archive.size_bytes)
        problems = [archive.problem or "it has no manifest"] if manifest is None else wrong_bytes(archive, manifest)
    if problems or manifest is None:
        return problems
    with contextlib.ExitStack() as stack:
        removal = stack.enter_context(timings.removal())
        with timings.step("start"):
            progress.step("start")
            target = stack.enter_context(_target(request, manifest))
            result["target"] = dict(target.facts)
            tools = dumping_client(manifest, request.client_directory, [str(target.facts["directory"])])
            settings, limits = stack.enter_context(target.database(manifest))
        try:
            with timings.step("restore"):
                progress.step("restore", len(manifest["tables"]), archive.size_bytes)
                try:
                    load_archive(archive.path, manifest, tools, settings, target.options, progress=progress)
                except LoadError as error:
                    if error.obstacle or target.options.jobs == 1:
                        raise
                    # Several processes may come to a constraint before what it depends on: that says nothing yet.
                    alone = dataclasses.replace(target.options, jobs=1)
                    settings, limits = stack.enter_context(target.database(manifest))
                    load_archive(archive.path, manifest, tools, settings, alone, progress=progress)
            if between is not None:
                between(settings)
            with timings.step("compare"):
                comparison = compare(
                    archive.path,
                    manifest,
                    tools,
                    settings,
                    target.options,
                    one_more=lambda: _one_more(target, manifest),
                    progress=progress,
                )
            result.update(comparison.as_dict())
            result["not_covered"][:0] = [
                *({"what": what, "why": why} for what, why in target.limits),
                *({"what": "the order of text", "why": limit} for limit in limits),
            ]
            if request.queries:
                with timings.step("checks"):
                    progress.step("checks")
                    result["checks"] = run_queries(settings, request.queries)
        except ResilienceError as error:
            raise target.explain(error) from error.__cause__
        except psycopg2.Error as error:
            raise target.explain(translate(error, settings, "look into the restored database")) from error
        finally:
            removal.begin()
    return list(comparison.problems)


def _target(request: DrillRequest, manifest: Mapping[str, Any]) -> contextlib.AbstractContextManager[Target]:
    if request.staging is not None:
        return staging_target(request.staging, manifest, jobs=request.jobs)
    return scratch_target(
        manifest,
        cache=template_cache(request.state_directory),
        server_directory=request.server_directory,
        scratch_directory=request.scratch_directory,
        jobs=request.jobs,
    )


@contextlib.contextmanager
def _one_more(target: Target, manifest: Mapping[str, Any]) -> Iterator[ConnectionSettings]:
    with target.database(manifest) as (settings, _limits):
        yield settings


def _judge_checks(result: dict[str, Any]) -> None:
    """A check that does not hold fails the drill. It says nothing against an archive of which everything came back."""
    failed = [check["problem"] for check in result["checks"] if not check["held"]]
    if failed and result["verdict"] == PROVEN:
        result["verdict"] = UNJUDGED
        result["obstacle"] = "everything came back, but " + "; ".join(failed)
        result["remedy"] = "See whether the check is right, and what the database held when it was backed up."


def _fail(result: dict[str, Any], error: ResilienceError, obstacle: bool) -> None:
    result["remedy"] = error.remedy
    if obstacle:
        result["obstacle"] = error.message
    else:
        result["verdict"] = SUSPECT
        result["problems"] = [f"it cannot be restored: {error.message}"]


def _describe(archive: Archive, now: datetime) -> dict[str, Any]:
    manifest = archive.manifest or {}
    names = (
        "content_bytes",
        "rows",
        "snapshot_at",
        "database",
        "server_version",
        "client_version",
        "format",
        "compression",
    )
    return {
        "archive": archive.path,
        "tier": archive.tier,
        "sha256": archive.sha256 or None,
        "size_bytes": archive.size_bytes,
        "age_seconds": int((now - archive.time).total_seconds()) if archive.time else None,
        **{name: manifest.get(name) for name in names},
    }


def _judge_time(request: DrillRequest, result: dict[str, Any], timings: DrillTimings) -> None:
    path = forecast.history_path(request.state_directory, request.source)
    entry = {
        "at": result["at"],
        "duration_seconds": result["duration_seconds"],
        "content_bytes": int(result["archive"]["content_bytes"] or 0),
        "verdict": result["verdict"],
    }
    result["history"] = [*forecast.read_history(path), entry][-forecast.MOST_ENTRIES :]
    result["rto"] = forecast.judge_rto(
        result["history"],
        timings.of("start"),
        result["duration_seconds"],
        entry["content_bytes"],
        request.rto_target,
    )
