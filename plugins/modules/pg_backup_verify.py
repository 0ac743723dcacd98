#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pg_backup_verify
short_description: Verify the backups of a PostgreSQL database again
version_added: 0.1.0
description:
  - Reads every retained archive in full and compares it with its manifest. That is size, SHA-256, the rows and digest of
    every table, the values of sequences and the large objects.
  - Fails if any archive does not hold or could not be read, and names each with the reason. Fails if there is none.
  - An archive that does not hold is marked V(suspect) in its manifest. It no longer counts as a backup, and retention
    keeps it for a person to look at. This mark is bookkeeping; RV(ignore:changed) stays V(false).
  - An archive that could not be judged here (no client new enough, an unreadable disk) is not marked. One that was
    suspect because of an earlier verification, and holds, counts again.
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
      - Paths of the archives to verify. The default is all of them.
    type: list
    elements: path
  newest_only:
    description:
      - Whether only the archive of the latest run is verified.
    type: bool
    default: false
  client_directory:
    description:
      - Directory of PostgreSQL's client programs, as in M(baileys.resilience.pg_backup).
    type: path
  lock_timeout:
    description:
      - How many seconds to wait for a backup that is running on the same O(backup_root). The lock is held for one
        archive at a time.
    type: float
    default: 600
attributes:
  check_mode:
    support: full
    details:
      - Verifies all the same, but marks nothing.
  diff_mode:
    support: N/A
seealso:
  - module: baileys.resilience.pg_backup
"""

EXAMPLES = r"""
- name: Verify every retained archive
  baileys.resilience.pg_backup_verify:
    backup_root: /var/backups/postgresql
"""

RETURN = r"""
archives:
  description: The outcome for every archive.
  returned: when archives could be verified
  type: list
  elements: dict
  contains:
    archive:
      description: Its path.
      type: str
      returned: always
      sample: /var/backups/postgresql/daily/backup-2026-11-21T030000Z.dump
    tier:
      description: Its tier.
      type: str
      returned: always
      sample: daily
    holds:
      description: Whether it is what its manifest says.
      type: bool
      returned: always
      sample: true
    state:
      description: Its state before this run.
      type: str
      returned: always
      sample: verified
    problems:
      description: What is wrong with it.
      type: list
      elements: str
      returned: always
      sample: []
    obstacle:
      description: Why it could not be verified here, which says nothing against it.
      type: str
      returned: always
      sample: null
    duration_seconds:
      description: How long it took.
      type: float
      returned: always
      sample: 0.1
newest_corrupt:
  description: Whether the archive of the latest run is among those that do not hold, so that a new one should be made.
  returned: when archives could be verified
  type: bool
  sample: false
report:
  description: What M(baileys.resilience.notify) sends.
  returned: always
  type: dict
  sample: {"job": "verify", "subject": "app", "level": "info", "title": "every archive holds"}
"""

import os
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    keep_report,
    run_module,
    state_options,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue, tell, verify


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            state_options(),
            source={"type": "str"},
            backup_root={"type": "path", "default": "/var/backups/postgresql"},
            archives={"type": "list", "elements": "path"},
            newest_only={"type": "bool", "default": False},
            client_directory={"type": "path"},
            lock_timeout={"type": "float", "default": 600},
        ),
        mutually_exclusive=[("archives", "newest_only")],
        supports_check_mode=True,
    )
    options = module.params
    source = options["source"] or os.path.basename(options["backup_root"].rstrip("/")) or "default"

    def work() -> dict[str, Any]:
        started = time.monotonic()
        results = verify.verify_all(
            options["backup_root"],
            only=options["archives"],
            newest_only=options["newest_only"],
            client_directory=options["client_directory"],
            lock_timeout=options["lock_timeout"],
            dry_run=module.check_mode,
        )
        strangers = catalogue.without_manifest(catalogue.read_catalogue(options["backup_root"]))
        report = tell.verify_report(source, results, time.monotonic() - started, strangers)
        answer = dict(tell.verify_result(results), changed=False, report=report)
        if report.failed:
            answer["report"] = keep_report(module, report)
            module.fail_json(msg=tell.verify_failure(options["backup_root"], results), remedy=report.remedy, **answer)
        return answer

    run_module(module, work, lambda error, took: tell.failure_report(tell.VERIFY_JOB, source, error, took))


if __name__ == "__main__":
    main()
