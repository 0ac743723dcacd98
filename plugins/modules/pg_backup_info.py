#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pg_backup_info
short_description: List the backups of a PostgreSQL database
version_added: 0.1.0
description:
  - Lists every archive below a backup root with its manifest, age and state, and the totals.
  - It reads manifests only. Whether the archives still hold is for M(baileys.resilience.pg_backup_verify) to say.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.attributes
options:
  backup_root:
    description:
      - Directory that holds C(hourly/), C(daily/), C(weekly/) and C(monthly/).
    type: path
    default: /var/backups/postgresql
  manifests:
    description:
      - Whether the whole manifests are returned; they are long where there are many tables.
    type: bool
    default: true
  drill_max_age:
    description:
      - Days after which a drill is overdue; V(0) for no limit.
    type: int
    default: 35
attributes:
  check_mode:
    support: full
    details:
      - It changes nothing in any mode.
  diff_mode:
    support: N/A
seealso:
  - module: baileys.resilience.pg_backup
"""

EXAMPLES = r"""
- name: What backups are there?
  baileys.resilience.pg_backup_info:
    backup_root: /var/backups/postgresql
  register: backups

- name: The newest one must be younger than 26 hours
  ansible.builtin.assert:
    that: backups.statistics.newest_age_seconds | default(999999, true) < 26 * 3600
"""

RETURN = r"""
archives:
  description: Every archive, tier by tier, oldest first.
  returned: success
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
    state:
      description: V(verified), V(proven), V(suspect), or V(foreign) for a file that has no manifest.
      type: str
      returned: always
      sample: verified
    size_bytes:
      description: Its size on disk.
      type: int
      returned: always
      sample: 353000
    age_seconds:
      description: Its age by its name.
      type: int
      returned: always
      sample: 3600
    sha256:
      description: Its SHA-256 as the manifest states it.
      type: str
      returned: when it has a manifest
      sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    sequence:
      description: Number of the run that made it.
      type: int
      returned: when it has a manifest
      sample: 42
    problem:
      description: Why it is suspect.
      type: str
      returned: when it is suspect
      sample: its SHA-256 is not the one it was made with
    manifest:
      description: Its manifest.
      type: dict
      returned: when O(manifests=true) and it has one
      sample: {"manifest_version": 1}
statistics:
  description: Count, sizes in bytes and ages in seconds of the archives that count.
  returned: success
  type: dict
  sample: {"count": 8, "total_bytes": 2824000, "newest_age_seconds": 0, "oldest_age_seconds": 604800}
last_run:
  description: How the latest run went.
  returned: when there was one
  type: dict
  sample: {"outcome": "ok", "at": "2026-11-21T03:00:01Z", "reason": null, "since": "2026-08-01T03:00:01Z"}
drill:
  description: When a backup was last proven by a drill, and whether that is longer ago than O(drill_max_age).
  returned: success
  type: dict
  sample: {"last_proven": "2026-11-01T04:00:00Z", "age_seconds": 1724400, "max_age_days": 35, "overdue": false}
"""

import dataclasses
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import run_module
from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue, tell
from ansible_collections.baileys.resilience.plugins.module_utils.backup.drill_age import drill_standing


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "backup_root": {"type": "path", "default": "/var/backups/postgresql"},
            "manifests": {"type": "bool", "default": True},
            "drill_max_age": {"type": "int", "default": 35},
        },
        supports_check_mode=True,
    )

    def work() -> dict[str, Any]:
        root = module.params["backup_root"]
        archives = catalogue.read_catalogue(root)
        last_run = catalogue.read_last_run(root)
        listed = [tell.archive_dict(archive) for archive in archives]
        if not module.params["manifests"]:
            for entry in listed:
                del entry["manifest"]
        return {
            "changed": False,
            "archives": listed,
            "statistics": tell.statistics(archives),
            "last_run": dataclasses.asdict(last_run) if last_run else None,
            "drill": drill_standing(archives, last_run, module.params["drill_max_age"]).as_dict(),
        }

    run_module(module, work)


if __name__ == "__main__":
    main()
