# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollback of the fixture application, a real service under a real PM2, to its files and back.

    python -m benchmarks.emergencies ARGUMENTS.json

rolls back once as a process of its own, to be watched: for its memory.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.emergency.request import EmergencyRequest, Service
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.rollback import roll_back
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.rollforward import roll_forward
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.way import Run
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout
from benchmarks.figures import Outage, Target
from benchmarks.measure import Side, profile
from benchmarks.stores import cache_directory
from demo.session_rows import KEYS_PER_COMPANY
from demo.session_store import SIZES
from tests.conftest import memory_directory
from tests.support import full_postgres
from tests.support.emergencies import Host, host_with_service

# design.md, "Speed": our own steps, from the stop to the start of the service, in seconds.
TARGETS = {"small": Target(3.0, 1.0), "hundred": Target(30.0, 8.0)}
RUNS = {"small": 5, "hundred": 3}
# How long the service takes to load its keys is not what is measured: it loads those of one company.
SERVICE = {"WRITE_MS": "86400000", "MOST_COMPANIES": "1"}


def outage(name: str, work: Path) -> Outage:
    """Roll back and forward several times, the database serving; then once more, watched."""
    companies = SIZES[name]
    programs = full_postgres.ensure(18).bin_directory
    # In memory where there is plenty: a hundred companies are 164,800 small files, and how fast a disk makes those differs
    # more between machines than anything that is measured here.
    with tempfile.TemporaryDirectory(prefix="work-", dir=memory_directory() or cache_directory()) as directory:
        Path(directory).chmod(0o755)
        with host_with_service(Path(directory), programs, companies=companies, **SERVICE) as host:
            request = host.request(require_backup=False)
            runs = []
            # The first is the warm-up.
            for _ in range(RUNS[name] + 1):
                runs.append(_once(request, companies))
            watched = profile(_side(host, request, work))
            roll_forward(request)
    steps = {step: sorted(dict(run.timings.steps)[step] for run in runs[1:])[len(runs[1:]) // 2] for step in _STEPS}
    return Outage(
        name=f"rollback-{name}",
        work=f"rollback, {name} ({companies * KEYS_PER_COMPANY:,} keys), live database: our own steps, stop to started",
        started=tuple(run.started_seconds or 0.0 for run in runs[1:]),
        recovered=tuple(run.recovery_seconds or 0.0 for run in runs[1:]),
        steps=tuple(steps.items()),
        peak=max(watched.largest.peak, watched.python),
        target=TARGETS[name],
    )


_STEPS = ("stop", "export", "fence", "start", "connect")


def _once(request: EmergencyRequest, companies: int) -> Run:
    outcome = roll_back(request)
    run = outcome.run
    assert run is not None
    assert run.journal.data["keys"] == companies * KEYS_PER_COMPANY, run.journal.data
    roll_forward(request)
    return run


def _side(host: Host, request: EmergencyRequest, work: Path) -> Side:
    arguments = work / "emergency.json"
    given = {
        "parameters": dict(request.settings.parameters),
        "password": request.settings.password,
        "service": dataclasses.asdict(request.service),
        "request": {name: getattr(request, name) for name in ("source", "state_directory", "backup_root", "confirm")},
    }
    arguments.touch(mode=0o600)
    arguments.write_text(json.dumps(given))
    return Side(
        label="rollback",
        command=[sys.executable, "-m", "benchmarks.emergencies", str(arguments)],
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        server=host.database.server.pid,
        log=work / "emergency.log",
        python=("python3",),
    )


def main() -> None:
    given: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    roll_back(
        EmergencyRequest(
            settings=ConnectionSettings(given["parameters"], given["password"]),
            layout=SessionLayout(),
            service=Service(**given["service"]),
            **given["request"],
        )
    )


if __name__ == "__main__":
    main()
