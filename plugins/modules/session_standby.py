#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: session_standby
short_description: Refresh the warm standby of WhatsApp sessions
version_added: 0.1.0
description:
  - Keeps the last verified export of every session in Baileys' own files, in C(standby/<source>/<session>/) of the state
    directory. An emergency rollback uses it when the database is dead, and the application can read it.
  - A session is written beside its place, read back, and takes its place by one rename. It is kept until a newer verified
    one replaces it, however old it grows. An older one never replaces it.
  - The server tells in a few bytes which sessions have changed, and only those are read. Files that stay are read in full
    once a day.
  - A session that cannot be exported does not hold up the others; the task then fails and has named it.
  - A session that the database has no more is kept and reported.
  - It refuses while the sessions belong to the files (after an emergency rollback).
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.connection
  - baileys.resilience.session_store
  - baileys.resilience.state
  - baileys.resilience.attributes
options:
  lock_timeout:
    description:
      - How many seconds to wait for another refresh of the same standby.
    type: float
    default: 60
attributes:
  check_mode:
    support: full
    details:
      - It reads and checks what it would export, and writes nothing.
  diff_mode:
    support: full
    details:
      - The number of keys of each type, of each session that is written.
seealso:
  - module: baileys.resilience.session_standby_info
  - module: baileys.resilience.session_export
"""

EXAMPLES = r"""
- name: Refresh the standby
  baileys.resilience.session_standby:
    source: whatsapp
    env_file: /opt/app/.env
    ssl_mode: verify-full
    ca_cert: /etc/ssl/certs/provider-root.pem
"""

RETURN = r"""
directory:
  description: Directory of the standby of this source.
  returned: when the database could be read
  type: str
  sample: /var/lib/baileys-resilience/standby/whatsapp
snapshot_at:
  description: The moment the standby shows for certain, in UTC. That of its oldest session, of those the database has.
  returned: when the database could be read
  type: str
  sample: "2026-11-25T03:05:00Z"
age_seconds:
  description: How long ago that was.
  returned: when the database could be read
  type: int
  sample: 0
tenants:
  description: The sessions of the standby, with the moment each shows, keys by type, digest, and since when it is missing in
    the database (null while it is there).
  returned: when the database could be read
  type: list
  elements: dict
  sample: [{"tenant": "acme", "directory": "/var/lib/baileys-resilience/standby/whatsapp/acme",
            "snapshot_at": "2026-11-25T03:05:00Z", "age_seconds": 0, "made_at": "2026-11-25T03:05:00Z",
            "missing_since": null, "keys": {"pre-key": 1034, "session": 94}, "digest": "6eea9a46", "size_bytes": 1302441}]
problems:
  description: Directories of the standby that are of no use, with the reason.
  returned: when the database could be read
  type: list
  elements: str
  sample: []
outcomes:
  description: What became of each session (V(refreshed), V(unchanged), V(skipped), V(missing) or V(failed)), and why.
  returned: when the database could be read
  type: list
  elements: dict
  sample: [{"tenant": "acme", "result": "refreshed", "reason": null}]
duration_seconds:
  description: How long the run took.
  returned: when the database could be read
  type: float
  sample: 0.4
news:
  description: Whether the team should hear of it. It is the first run, or better or worse than the one before, or a failure
    that has lasted for twelve runs more.
  returned: always
  type: bool
  sample: false
stage:
  description: The stage that was reached.
  returned: failure
  type: str
  sample: connect
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: Check host and port, and that the server is running.
report:
  description: What M(baileys.resilience.notify) sends.
  returned: always
  type: dict
  sample: {"job": "standby", "subject": "whatsapp", "level": "info", "title": "the standby is up to date"}
"""

import contextlib
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    connection_options,
    connection_settings,
    default_state_directory,
    failure_result,
    keep_report,
    run_module,
    session_options,
    state_options,
)
from ansible_collections.baileys.resilience.plugins.module_utils.reporting import status
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.report import Report
from ansible_collections.baileys.resilience.plugins.module_utils.sessions import standby_report
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import layout_from
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby import read_standby
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby_outcome import REFRESHED
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby_refresh import (
    RefreshRequest,
    refresh_standby,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            connection_options(),
            **session_options(),
            **state_options(),
            lock_timeout={"type": "float", "default": 60},
        ),
        supports_check_mode=True,
    )
    options = module.params
    state_directory = options["state_directory"] or default_state_directory()
    source = [options["source"] or options["database"] or "default"]

    def told(report: Report) -> dict[str, Any]:
        """The report, kept as the status, and whether it is news beside the one before."""
        before = None
        with contextlib.suppress(ResilienceError):
            before = status.read(state_directory, standby_report.STANDBY_JOB).get(report.subject)
        return {"news": standby_report.is_news(report, before), "report": keep_report(module, report)}

    def refresh() -> dict[str, Any]:
        settings = connection_settings(module)
        source[:] = [options["source"] or settings.parameters.get("dbname", "default")]
        done = refresh_standby(
            RefreshRequest(
                source=source[0],
                settings=settings,
                layout=layout_from(options["layout"]),
                state_directory=state_directory,
                lock_timeout=options["lock_timeout"],
                dry_run=module.check_mode,
            )
        )
        report = standby_report.refresh_report(done)
        answer = dict(standby_report.refresh_result(done), changed=bool(done.of(REFRESHED)), **told(report))
        if module._diff:
            answer["diff"] = standby_report.refresh_diff(done)
        if report.failed:
            problems = standby_report.problems_of(done)
            module.fail_json(msg="{}: {}".format(report.title, " | ".join(problems)), remedy=report.remedy, **answer)
        return answer

    def work() -> dict[str, Any]:
        started = time.monotonic()
        try:
            return refresh()
        except ResilienceError as error:
            held = None
            with contextlib.suppress(ResilienceError):
                held = read_standby(state_directory, source[0])
            report = standby_report.failure_report(source[0], error, held, time.monotonic() - started)
            module.fail_json(**failure_result(error), **told(report))
            raise

    run_module(module, work)


if __name__ == "__main__":
    main()
