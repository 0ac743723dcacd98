#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pg_backup_prune
short_description: Apply retention to the backups of a PostgreSQL database
version_added: 0.1.0
description:
  - Removes the archives that no tier keeps any more.
  - Each tier keeps the newest archive of each of its latest distinct hours, days, ISO weeks or months.
  - Never removed are the newest verified archive, the newest proven one, suspect archives, and files without a manifest.
  - Nothing at all is removed while the latest backup run failed or did not finish.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.retention
  - baileys.resilience.attributes
options:
  backup_root:
    description:
      - Directory that holds C(hourly/), C(daily/), C(weekly/) and C(monthly/).
    type: path
    default: /var/backups/postgresql
  lock_timeout:
    description:
      - How many seconds to wait for a run on the same O(backup_root).
    type: float
    default: 0
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - One line for every archive, removed or kept, with the reason.
seealso:
  - module: baileys.resilience.pg_backup
"""

EXAMPLES = r"""
- name: What would go, and why does the rest stay?
  baileys.resilience.pg_backup_prune:
    keep_daily: 30
    keep_monthly: 12
  check_mode: true
  diff: true
"""

RETURN = r"""
removed:
  description: Archives that were removed, or in check mode would be, with the reason.
  returned: success
  type: list
  elements: dict
  sample: []
kept:
  description: Every other archive, with the reason why it stays.
  returned: success
  type: list
  elements: dict
  sample: [{"archive": "/var/backups/postgresql/daily/backup-2026-11-21T030000Z.dump", "tier": "daily",
            "reason": "the newest verified archive"}]
statistics:
  description: Count, sizes in bytes and ages in seconds of the archives that stay and count.
  returned: success
  type: dict
  sample: {"count": 8, "total_bytes": 2824000, "newest_age_seconds": 0, "oldest_age_seconds": 604800}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    keep_from,
    retention_options,
    run_module,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup import prune, tell


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            retention_options(),
            backup_root={"type": "path", "default": "/var/backups/postgresql"},
            lock_timeout={"type": "float", "default": 0},
        ),
        supports_check_mode=True,
    )
    options = module.params

    def work() -> dict[str, Any]:
        root = options["backup_root"]
        decisions = prune.prune(root, keep_from(options), options["lock_timeout"], dry_run=module.check_mode)
        answer = tell.retention_result(decisions)
        kept = [decision.archive for decision in decisions if decision.keep]
        answer.update(changed=bool(answer["removed"]), statistics=tell.statistics(kept))
        if module._diff:
            answer["diff"] = {"prepared": tell.retention_diff(root, decisions)}
        return answer

    run_module(module, work)


if __name__ == "__main__":
    main()
