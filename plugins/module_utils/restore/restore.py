# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The restore of one archive: into a new database, in the place of one, into an empty one, or a part of it.

What makes a database restores into one of another name, which gets its own only once it is complete and proven. A run
that is killed leaves at most such a half database behind, which the next run to the same name removes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..postgres.connection import translate
from ..postgres.databases import drop_database, drop_subscriptions, working_session
from ..postgres.settings import ConnectionSettings
from ..reporting.progress import SILENT, Progress
from ..system.errors import ResilienceError
from . import own_properties, preflight, staging, swap
from .comparison import Comparison
from .judge import comparison_failed, judge
from .load import load_archive
from .part import Part, differing_tables, make_schemas, remove_schemas, schemas_of
from .prove import compare
from .survey import FILL, REPLACE, RestoreRequest, Survey, survey
from .swap import Switch, Switched

try:
    import psycopg2
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# A plain script with large objects brings a transaction of its own.
_OWN_TRANSACTION = ("already a transaction in progress", "no transaction in progress")


@dataclass(frozen=True)
class RestoreResult:
    """What was restored, or (``dry_run``) would be. ``timings`` are pairs of a step and its seconds, in order.

    ``old_database`` and ``way_back`` are None where none was replaced, ``way_back`` also where it was not kept.
    ``age`` is that of the archive's snapshot, in seconds.
    """

    found: Survey
    old_database: str | None
    way_back: str | None
    comparison: Comparison | None
    switched: Switched | None
    timings: tuple[tuple[str, float], ...]
    warnings: tuple[str, ...]
    age: float
    duration: float
    dry_run: bool = False


@dataclass
class _Run:
    """What a run has come to know."""

    timings: list[tuple[str, float]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    comparison: Comparison | None = None
    switched: Switched | None = None
    old_database: str | None = None

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        except psycopg2.Error as error:
            # What nobody closer to it has put into words.
            raise ResilienceError(" ".join(str(error).split()), stage=name) from error
        except ResilienceError as error:
            raise error.at_stage(name) from error
        finally:
            self.timings.append((name, time.monotonic() - started))


def plan_restore(request: RestoreRequest) -> RestoreResult:
    """What ``restore`` would do now: the same checks, the archive's hash among them; nothing is changed anywhere.

    Raises ResilienceError for what ``restore`` would refuse.
    """
    started = time.monotonic()
    with _surveyed(request, dry_run=True) as found:
        run = _Run([("check", found.check_seconds)])
        run.warnings += _foreseen(request, found, dry_run=True)
        run.old_database = found.old_name if request.keep_old else None
        run.warnings += [f"the extension {name} may be refused; it is tried first" for name in found.uncertain]
        return _result(found, run, started, dry_run=True)


def restore(request: RestoreRequest, progress: Progress = SILENT) -> RestoreResult:
    """Restore as asked. Raises ResilienceError with the stage reached; whatever database was there is as it was then."""
    started = time.monotonic()
    with _surveyed(request, dry_run=False) as found:
        run = _Run([("check", found.check_seconds)])
        run.warnings += _foreseen(request, found)
        if found.makes_database:
            _restore_beside(request, found, run, progress)
        elif found.mode == FILL:
            _fill(request, found, run, progress)
        else:
            _add_part(request, found, run, progress)
        return _result(found, run, started)


@contextlib.contextmanager
def _surveyed(request: RestoreRequest, *, dry_run: bool) -> Iterator[Survey]:
    try:
        with survey(request, dry_run=dry_run) as found:
            yield found
    except psycopg2.Error as error:
        raise translate(error, request.maintenance, "look at the server").at_stage("preflight") from error
    except ResilienceError as error:
        raise error.at_stage("preflight") from error


def _foreseen(request: RestoreRequest, found: Survey, *, dry_run: bool = False) -> list[str]:
    warnings = list(found.warnings)
    warnings += [f"not carried over to the restored database: {lost}" for lost in found.lost_properties]
    warnings += own_properties.unknown(found)
    if not found.archive.counted:
        warnings.append(f"the archive is {found.archive.state}; it is restored because it was told so")
    if found.wrong:
        warnings.append(
            f"the archive is not what its manifest says ({found.wrong}); it is restored because it was told so"
        )
    if not request.prove:
        warnings.append("what is restored is not compared with the archive (prove=false)")
    if found.mode == REPLACE and not request.keep_old and dry_run:
        warnings.append("the old database is dropped after the switch (keep_old=false): there is no way back")
    return warnings


def _restore_beside(request: RestoreRequest, found: Survey, run: _Run, progress: Progress) -> None:
    """Into a database of its own, which is dropped again unless all goes well; then the renames."""
    settings = request.settings.with_database(found.staging)
    with run.step("create"):
        staging.collect(found)
        run.warnings += staging.create(request, found, found.staging, found.connection)
    try:
        with run.step("create"), contextlib.closing(working_session(settings)) as connection:
            preflight.refuse_after_trying(_refused_extensions(connection, found))
            if found.part is not None:
                make_schemas(connection, schemas_of(found.part, request.options), request.options.role)
        _load(request, found, settings, run, progress)
        _prove(request, found, settings, run, progress)
        _analyze(request, settings, run)
        _give_properties(request, found, run)
    except BaseException as error:
        staging.discard(request, found, error)
        raise
    _switch(request, found, run)


def _refused_extensions(connection: Any, found: Survey) -> list[preflight.Obstacle]:
    refused = preflight.tried_extensions(connection, found.uncertain)
    return [preflight.extension_refusal(refused)] if refused else []


def _load(request: RestoreRequest, found: Survey, settings: ConnectionSettings, run: _Run, progress: Progress) -> None:
    with run.step("restore"):
        manifest = found.manifest
        progress.step("restore", len(manifest["tables"]), int(manifest.get("content_bytes") or 0))
        words = load_archive(found.archive.path, manifest, found.tools, settings, request.options, progress=progress)
        lines = [line.strip() for line in words.splitlines() if not line.rstrip().endswith(_OWN_TRANSACTION)]
        if lines:
            run.warnings.append("the restore warned: {}".format(" ".join(lines)))


def _prove(request: RestoreRequest, found: Survey, settings: ConnectionSettings, run: _Run, progress: Progress) -> None:
    """Compare what came back with what went in. A part is compared by its rows: much else may be around it."""
    if not request.prove:
        return
    where = (
        "The database was dropped again." if found.makes_database else "What was restored is left for you to look at."
    )
    with run.step("compare"):
        if found.part is not None:
            with contextlib.closing(working_session(settings)) as connection:
                problems = tuple(differing_tables(connection, found.part, found.manifest))
        else:
            run.comparison = _compare(request, found, settings, progress)
            problems, doubts = judge(found, run.comparison)
            run.warnings += doubts
        if problems:
            raise comparison_failed(problems, where)


def _compare(request: RestoreRequest, found: Survey, settings: ConnectionSettings, progress: Progress) -> Comparison:
    second = swap.name_with(found.target, "restoring", found.stamp + "b")

    @contextlib.contextmanager
    def one_more() -> Iterator[ConnectionSettings]:
        with contextlib.closing(staging.reach(request, found)) as connection:
            staging.create(request, found, second, connection)
        try:
            yield request.settings.with_database(second)
        finally:
            with contextlib.closing(staging.reach(request, found)) as connection:
                drop_database(connection, second)

    return compare(
        found.archive.path,
        found.manifest,
        found.tools,
        settings,
        request.options,
        one_more=one_more if found.can_make_another else None,
        progress=progress,
    )


def _analyze(request: RestoreRequest, settings: ConnectionSettings, run: _Run) -> None:
    if request.analyze:
        with (
            run.step("analyze"),
            contextlib.closing(working_session(settings)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("ANALYZE")


def _switch(request: RestoreRequest, found: Survey, run: _Run) -> None:
    """Give the restored database its name. If that fails the work is not thrown away: it stands complete beside."""

    plan = Switch(found.staging, found.target, found.old_name, request.terminate, request.switch_timeout)
    with run.step("switch"):
        try:
            with contextlib.closing(staging.reach(request, found)) as connection:
                run.switched = swap.switch(connection, lambda: staging.reach(request, found), plan)
        except (ResilienceError, psycopg2.Error) as error:
            raise _beside(request, found, error) from error
    run.warnings += [f"not carried over: {lost}" for lost in run.switched.lost if lost not in found.lost_properties]
    if found.old_name is not None and request.keep_old:
        run.old_database = found.old_name
    elif found.old_name is not None:
        _remove_old(request, found, found.old_name, run)


def _remove_old(request: RestoreRequest, found: Survey, name: str, run: _Run) -> None:
    """Drop the old database. The new one serves by then, so what goes wrong here is a warning."""
    try:
        with run.step("remove"):
            with contextlib.closing(working_session(request.settings.with_database(name))) as connection:
                subscriptions = drop_subscriptions(connection)
            run.warnings += [
                f"the subscription {subscription} of the old database was dropped; its slot is left at the publisher"
                for subscription in subscriptions
            ]
            with contextlib.closing(staging.reach(request, found)) as connection:
                drop_database(connection, name)
    except ResilienceError as error:
        run.old_database = name
        run.warnings.append(f'the old database was to be dropped and is still there, as "{name}": {error.message}')
    else:
        run.warnings.append("the old database was dropped after the switch (keep_old=false): there is no way back")


def _beside(request: RestoreRequest, found: Survey, error: Exception) -> ResilienceError:
    """The error of a switch that was not made, with where the restored database stands."""
    told = error if isinstance(error, ResilienceError) else ResilienceError(" ".join(str(error).split()))
    beside = swap.name_with(found.target, "restored", found.stamp)
    where = (
        f'It is complete. See whether it is "{found.target}" already, or still "{found.staging}", which the next restore to '
        "that name would remove"
    )
    with contextlib.suppress(ResilienceError, psycopg2.Error):
        with contextlib.closing(staging.reach(request, found)) as connection:
            swap.rename(connection, found.staging, beside)
        where = f'It is complete and stands as "{beside}"; "{found.target}" is as it was'
    told.message, told.stage = f"{told.message}. {where}", "switch"
    told.args = (told.message,)
    return told


def _fill(request: RestoreRequest, found: Survey, run: _Run, progress: Progress) -> None:
    """Into an empty database that is there, in one transaction."""
    with run.step("create"), contextlib.closing(working_session(request.settings)) as connection:
        preflight.refuse_after_trying(_refused_extensions(connection, found))
    _load(request, found, request.settings, run, progress)
    _prove(request, found, request.settings, run, progress)
    _analyze(request, request.settings, run)
    _give_properties(request, found, run)


def _give_properties(request: RestoreRequest, found: Survey, run: _Run) -> None:
    """At the end: what the database was set to must not disturb the restore itself."""
    if own_properties.wanted(found):
        with run.step("settings"), contextlib.closing(staging.reach(request, found)) as connection:
            run.warnings += own_properties.give_properties(request, found, connection)


def _add_part(request: RestoreRequest, found: Survey, run: _Run, progress: Progress) -> None:
    """Tables that are not there yet, beside those that are, in one transaction."""
    part: Part = found.part  # type: ignore[assignment]  # a part is what this mode is about
    with contextlib.closing(working_session(request.settings)) as connection:
        with run.step("create"):
            made = make_schemas(connection, schemas_of(part, request.options), request.options.role)
        try:
            _load(request, found, request.settings, run, progress)
        except BaseException:
            with contextlib.suppress(psycopg2.Error):
                remove_schemas(connection, made)
            raise
    _prove(request, found, request.settings, run, progress)
    _analyze(request, request.settings, run)


def _result(found: Survey, run: _Run, started: float, dry_run: bool = False) -> RestoreResult:
    return RestoreResult(
        found=replace(found, connection=None),
        old_database=run.old_database,
        way_back=found.way_back if run.old_database else None,
        comparison=run.comparison,
        switched=run.switched,
        timings=_summed(run.timings),
        warnings=tuple(run.warnings),
        age=found.age,
        duration=time.monotonic() - started,
        dry_run=dry_run,
    )


def _summed(timings: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    total: dict[str, float] = {}
    for name, seconds in timings:
        total[name] = total.get(name, 0.0) + seconds
    return tuple(total.items())
