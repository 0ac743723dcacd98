# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an emergency says: the plan before it, the page after it, the module's result, the report for the team."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..reporting.report import Report
from ..system.errors import ResilienceError
from ..system.units import human_duration
from .ground import Outcome
from .journal import JOBS, ROLLBACK, Journal
from .move import MoveFailedError
from .plan import Plan
from .request import EmergencyRequest
from .rollforward import WayBack
from .way import Run


def plan_lines(request: EmergencyRequest, outcome: Outcome, direction: str) -> list[str]:
    """What was planned, in order; empty where there was nothing to plan."""
    if outcome.plan is None:
        return []
    if direction == ROLLBACK:
        return rollback_plan(request, outcome.plan)
    return rollforward_plan(request, outcome.plan, outcome.journal) if outcome.journal else []


def rollback_plan(request: EmergencyRequest, plan: Plan) -> list[str]:
    """What a rollback would do, a sentence each, with every source and its age."""
    service = request.service
    lines = [f"Source of the sessions: {plan.chosen.describe()}"]
    lines += [f"  also looked at: {other.describe()}" for other in plan.candidates if other is not plan.chosen]
    lines += plan.code_words
    lines.append("Settings in {}: {}".format(service.emergency_env_file, _settings(service.emergency_settings)))
    lines.append(
        f'Stop "{service.app}" and prove it stopped; export to {service.sessions_directory} and read everything back; '
        "give the sessions to the files (fence)"
    )
    lines.append(f"Start {plan.emergency.script} in {plan.emergency.cwd}, and wait for its connection to WhatsApp")
    return lines


def rollforward_plan(request: EmergencyRequest, plan: WayBack, journal: Journal) -> list[str]:
    """What a roll-forward would do, a sentence each."""
    keys = sum(plan.tenants.values())
    safety = f"backup {plan.archive.path}" if plan.archive else "none asked for (require_backup=false)"
    return [
        f"Safety net: {safety}",
        "Mark the database, so that nobody takes what is in it for current",
        f'Stop "{request.service.app}", which runs from {journal.code_directory}, and prove it stopped',
        "Replace the rows of %d tenants by the %d keys in %s, each in one transaction, and read them back"
        % (len(plan.tenants), keys, journal.sessions_directory),
        f"Give the sessions to the database (fence); start the service as it ran before {journal.started_at}",
        "Wait for its connection to WhatsApp",
    ]


def page(request: EmergencyRequest, outcome: Outcome, direction: str) -> list[str]:
    """The last thing a person reads: what was done, what is true now, what to do next."""
    run = outcome.run
    if run is None:
        return []
    app = request.service.app
    lines = ["WHAT WAS DONE", *_steps(run.timings.steps)]
    if run.recovery_seconds is not None:
        lines.append("  the service was away for {}".format(human_duration(run.recovery_seconds)))
    lines += ["", "WHAT IS TRUE NOW"]
    if direction == ROLLBACK:
        lines += _on_files(request, run)
        lines += [
            "",
            "WHAT TO DO NEXT",
            "  1. Send a message to a phone and back; read the log: pm2 logs " + app,
            "  2. Do not start anything else on these sessions: two connections with the same credentials end each other.",
            "  3. Bring the database back (playbook restore, or the provider). Until then these files are the only copy:",
            f"     copy them to another host now and then ({run.journal.sessions_directory}).",
            "  4. Then go back, first with --check --diff in place of the confirmation:",
            f"     ansible-playbook -i inventory baileys.resilience.emergency_rollforward -e emergency_confirm={app}",
        ]
    else:
        lines += [
            f'  "{app}" runs on PostgreSQL ({request.settings.describe()}) and is connected to WhatsApp',
            "  what the files held is in the database; standby, cleanup and export work again",
            "",
            "WHAT TO DO NEXT",
            "  1. Make a backup now: ansible-playbook -i inventory baileys.resilience.backup",
            "  2. Refresh the standby: ansible-playbook -i inventory baileys.resilience.standby",
        ]
    lines += [f"  note: {warning}" for warning in run.warnings]
    return lines


def _on_files(request: EmergencyRequest, run: Run) -> list[str]:
    journal, service = run.journal, request.service
    data = journal.data
    lines = [
        f'  "{service.app}" runs from files ({journal.sessions_directory}) and is connected to WhatsApp',
        f"  its code is {service.tag} ({journal.commit[:12]}) in {journal.code_directory}",
    ]
    if "keys" in data:
        lines.append(
            "  %d keys, tenants %d, as of %s, from the %s"
            % (data["keys"], data["tenants"], data["snapshot_at"], data["what"])
        )
    lines.append("  the sessions belong to the files: standby, cleanup, export and import refuse until the way back")
    return lines


def _steps(steps: Sequence[tuple[str, float]]) -> list[str]:
    return [f"  {name:<10} {human_duration(seconds):>10}" for name, seconds in steps]


def result(request: EmergencyRequest, outcome: Outcome, direction: str, plan: list[str]) -> dict[str, Any]:
    """The result of the module as plain data."""
    run, journal = outcome.run, outcome.journal
    answer: dict[str, Any] = {
        "changed": run is not None or outcome.plan is not None or bool(journal and journal.unfinished),
        "plan": plan,
        "page": page(request, outcome, direction),
        "data": dict(journal.data) if journal else {},
        "timings": _timings(run),
        "recovery_seconds": _rounded(run.recovery_seconds) if run else None,
        "started_seconds": _rounded(run.started_seconds) if run else None,
    }
    answer["msg"] = _message(request, outcome, direction)
    return answer


def _message(request: EmergencyRequest, outcome: Outcome, direction: str) -> str:
    app, run = request.service.app, outcome.run
    there = "files" if direction == ROLLBACK else "PostgreSQL"
    if run is not None:
        away = (
            f", {human_duration(run.recovery_seconds)} after it was stopped" if run.recovery_seconds is not None else ""
        )
        return f'"{app}" runs on {there} and is connected to WhatsApp{away}.'
    if outcome.plan is not None:
        words = f'"{app}" would be brought to {there}; nothing was touched.'
        if outcome.journal is not None and outcome.journal.unfinished:
            words += f" An earlier run was interrupted ({outcome.journal.phase}); look whether the service runs."
        return words
    if outcome.journal is not None and outcome.journal.unfinished:
        return f'An earlier run for "{app}" was interrupted ({outcome.journal.phase}); the next one finishes it.'
    return f'"{app}" runs on {there} already; nothing was done.'


def report(request: EmergencyRequest, outcome: Outcome, direction: str, seconds: float) -> Report | None:
    """The report of a run that ended well; None where there was nothing to do."""
    run = outcome.run
    if run is None:
        return None
    data = run.journal.data
    facts = [("Service", request.service.app), ("Data", str(data.get("what", "the files")))]
    if direction == ROLLBACK:
        facts.append(("Shows", str(data.get("snapshot_at", "unknown"))))
    facts += [(name.capitalize(), human_duration(took)) for name, took in run.timings.steps]
    facts.append(("Options", options(request)))
    facts += [("Note", warning) for warning in run.warnings]
    measurements = {"keys_count": float(data.get("keys", 0)), "tenants_count": float(data.get("tenants", 0))}
    if run.recovery_seconds is not None:
        measurements["recovery_seconds"] = round(run.recovery_seconds, 3)
    rolled_back = direction == ROLLBACK
    return Report(
        job=JOBS[direction],
        subject=request.source,
        # Somebody must bring it back.
        level="warning" if rolled_back else "info",
        title="the service runs from files" if rolled_back else "the service runs on PostgreSQL again",
        facts=tuple(facts),
        remedy="Bring the database back, then run the playbook emergency_rollforward." if rolled_back else None,
        measurements=measurements,
        duration=round(seconds, 3),
    )


def failure_report(job: str, subject: str, error: ResilienceError, seconds: float, asked: str) -> Report:
    """The report of a run that failed: fatal, with what was asked and how long it took."""
    facts = [("Stage", error.stage or "settings")]
    if isinstance(error, MoveFailedError):
        facts.append(("Service", f"runs on {error.running_on}" if error.running_on else "DOES NOT RUN"))
    facts.append(("Options", asked))
    return Report(
        job=job,
        subject=subject,
        level="fatal",
        title=error.message,
        facts=tuple(facts),
        remedy=error.remedy,
        duration=round(seconds, 3),
    )


def options(request: EmergencyRequest) -> str:
    """What was asked for, in one line; no secret is among it."""
    service = request.service
    return ", ".join(
        [
            f"app={service.app}",
            f"tag={service.tag}",
            f"release={service.release}",
            f"data_source={request.data_source}",
            f"max_data_age={request.max_data_age:g} s",
            f"accept_stale={str(request.accept_stale).lower()}",
            f"files={os.path.basename(service.sessions_directory)}",
        ]
    )


def _settings(settings: Any) -> str:
    # Names only: a value may be a secret.
    return ", ".join(sorted(settings))


def _timings(run: Run | None) -> list[dict[str, Any]]:
    return [{"step": name, "seconds": round(seconds, 3)} for name, seconds in run.timings.steps] if run else []


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
