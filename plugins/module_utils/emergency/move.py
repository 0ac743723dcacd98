# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Move the service from one side to the other: stop it, carry the sessions over, fence, start it there, see it connect.

Both ways go by this one sequence. What fails before the start leaves the service where it was; what fails after it
undoes the move. A run that is killed is finished by the next one, which finds in the journal how far it had come.
"""

from __future__ import annotations

import contextlib
import time

from ..processes.pm2_saved import save
from ..reporting.report import Report
from ..reporting.status import record
from ..system.errors import ResilienceError
from . import app
from .journal import JOBS
from .undo import undo
from .way import Run, Way


class MoveFailedError(ResilienceError):
    """The move did not succeed. ``running_on`` is the side the service runs on now, None if on neither."""

    running_on: str | None = None


def move(way: Way) -> None:
    """Bring the service to the other side. Raises MoveFailedError, which says where it runs now."""
    run, service = way.run, way.run.request.service
    resumed = run.journal.switched
    _tell_under_way(run)
    try:
        if not resumed:
            with run.step("stop"):
                run.reach("stopping")
                run.stopped_at = time.monotonic()
                app.stop(run.pm2, service)
            with run.step(way.carry_name):
                run.reach("carrying")
                way.carry()
            with run.step("fence"):
                run.reach("fencing")
                way.fence()
                way.code()
        run.stopped_at = run.stopped_at or time.monotonic()
        with run.step("start"):
            run.reach("starting", written=True)
            logs = app.start(run.pm2, service, way.target.spec)
        run.started_seconds = time.monotonic() - run.stopped_at
        with run.step("connect"):
            run.reach("connecting")
            warning = app.wait_until_connected(run.pm2, service, logs)
            run.warnings += [warning] if warning else []
    except ResilienceError as error:
        raise undone(way, error) from error
    except Exception as error:
        # A fault of ours: the service is not left standing, and it is said what became of it.
        raise undone(way, ResilienceError(f"A fault of the collection itself ({type(error).__name__})")) from error
    except BaseException:
        # Asked to end.
        undo(way)
        raise
    run.recovery_seconds = time.monotonic() - run.stopped_at
    with run.step("save"):
        try:
            save(run.pm2, [service.app])
        except ResilienceError as error:
            run.warnings.append(
                f"The service runs, but PM2 would not bring it back like this at a boot: {error.message}"
            )
        run.reach("done")


def _tell_under_way(run: Run) -> None:
    """Whoever looks at the status of a run that was killed sees that the service may not run at all."""
    underway = Report(
        job=JOBS[run.journal.direction],
        subject=run.request.source,
        level="error",
        title="under way, or killed on the way: the service may not run",
        remedy="If no run is under way, run the same playbook again.",
    )
    with contextlib.suppress(ResilienceError):
        record(run.request.state_directory, underway)


def undone(way: Way, error: ResilienceError) -> MoveFailedError:
    """Undo what this run has done, or one that was killed before the switch; the error to raise."""
    undoing = undo(way)
    failure = MoveFailedError(error.message, stage=error.stage, remedy=error.remedy, cmd=error.cmd, rc=error.rc)
    failure.stderr = error.stderr
    if undoing.started:
        failure.running_on = way.origin.name
        words = f"The service runs on {way.origin.name} as before"
        if way.origin_is_dead:
            words = f"The service was started on {way.origin.name} again, which does not answer: nobody is served"
    elif not undoing.problems:
        words = f"The service is set to run on {way.origin.name} as before; it was not running then, and is not now"
    elif undoing.unknown:
        words = "WHETHER THE SERVICE RUNS IS NOT KNOWN: look with pm2 list before anything is started"
    else:
        words = "THE SERVICE DOES NOT RUN"
    if undoing.problems:
        words += ", and not all could be undone: " + "; ".join(undoing.problems)
        again = "Run the same playbook again: it finishes what was begun. By hand: docs/emergency.md."
        failure.remedy = " ".join(filter(None, (again, error.remedy)))
    notes = "".join(f". {warning}" for warning in way.run.warnings)
    failure.message = f"{error.message.rstrip('.')}. {words}{notes}"
    failure.args = (failure.message,)
    return failure
