#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pg_backup
short_description: Make a verified backup of a PostgreSQL database
version_added: 0.1.0
description:
  - Dumps one database with PostgreSQL's own C(pg_dump) and publishes the archive only once it has been verified.
  - While the archive is written it is hashed, decoded, and the rows of every table are counted and digested; the rows
    must be those the server itself counts in the same snapshot.
  - Nothing is visible under the archive's name until it is whole. A failing run touches no earlier archive.
  - The steps are version check, lock, snapshot, dump, verification, publication, and retention if O(prune=true).
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.connection
  - baileys.resilience.retention
  - baileys.resilience.state
  - baileys.resilience.attributes
options:
  source:
    description:
      - Name of the database in messages, status and metrics. The default is the database's own name.
    type: str
  backup_root:
    description:
      - Directory that holds C(hourly/), C(daily/), C(weekly/) and C(monthly/). One for each database.
      - Directories get mode 0700 and files 0600 whatever the umask.
    type: path
    default: /var/backups/postgresql
  tier:
    description:
      - The tier the archive is made in.
      - The first verified archive of an ISO week or a month also appears in C(weekly/) or C(monthly/), as a hard link,
        if that tier keeps any.
    type: str
    choices: [hourly, daily, weekly, monthly]
    default: daily
  format:
    description:
      - V(custom) is one compressed file (C(.dump)) that C(pg_restore) can restore in part.
      - V(plain) is an SQL script (C(.sql), C(.sql.gz), C(.sql.zst), C(.sql.lz4)).
      - V(directory) is a directory (C(.dir)) written by O(jobs) processes, for large databases.
    type: str
    choices: [custom, plain, directory]
    default: custom
  compression:
    description:
      - V(auto) takes zstd, or gzip with a warning where the client was built without zstd; for O(format=plain) it takes
        gzip, which every host can read.
      - Any other choice that the client does not know is refused.
    type: str
    choices: [auto, zstd, lz4, gzip, none]
    default: auto
  compression_level:
    description:
      - Level of the compression. The default is 1 for zstd, the algorithm's own for others.
    type: int
  jobs:
    description:
      - Number of processes that dump, with O(format=directory) only. Each takes a connection, plus two.
    type: int
    default: 1
  min_size:
    description:
      - An archive smaller than this many bytes is refused.
    type: int
    default: 1024
  min_rows:
    description:
      - An archive with fewer rows than this in all its tables is refused. A dump of the wrong, empty database is whole,
        and worthless. Use V(0) for a database that may be empty.
    type: int
    default: 1
  max_size_warning:
    description:
      - An archive larger than this many bytes is published with a warning.
    type: int
    default: 500000000
  max_shrink_percent:
    description:
      - An archive smaller than the previous one by more than this is refused. Use V(100) once after data were deleted
        on purpose.
    type: float
    default: 50
  prune:
    description:
      - Whether retention is applied after the archive was published.
    type: bool
    default: true
  lock_timeout:
    description:
      - How many seconds to wait for another run on the same O(backup_root). With V(0) it fails at once.
    type: float
    default: 60
  table_lock_timeout:
    description:
      - How many seconds to wait for a table that something else holds locked.
    type: float
    default: 60
  stall_timeout:
    description:
      - C(pg_dump) is stopped when it gives no data for this many seconds.
    type: float
    default: 600
  drill_max_age:
    description:
      - Days after which the drill of this source is overdue; V(0) for no limit. The report is then a warning, and the status
        of the drill (M(baileys.resilience.pg_restore_drill)) an error.
    type: int
    default: 35
attributes:
  check_mode:
    support: full
    details:
      - It connects, checks versions and programs, and returns the archive it would make and those it would remove.
  diff_mode:
    support: full
    details:
      - One line for every archive, made, removed or kept, with the reason.
seealso:
  - module: baileys.resilience.pg_backup_info
  - module: baileys.resilience.pg_backup_verify
  - module: baileys.resilience.pg_backup_prune
"""

EXAMPLES = r"""
- name: Back up the application's database
  baileys.resilience.pg_backup:
    env_file: /opt/app/.env
    ssl_mode: verify-full
    ca_cert: /etc/ssl/certs/provider-root.pem

- name: Every hour, kept for two days
  baileys.resilience.pg_backup:
    env_file: /opt/app/.env
    tier: hourly
    keep_hourly: 48

- name: A classic compressed script
  baileys.resilience.pg_backup:
    database: app
    login_unix_socket: /var/run/postgresql
    format: plain
    compression: gzip
"""

RETURN = r"""
archive:
  description: Path of the archive that was made, or in check mode would be.
  returned: success
  type: str
  sample: /var/backups/postgresql/daily/backup-2026-11-21T030000Z.dump
links:
  description: Hard links to it in longer tiers.
  returned: success
  type: list
  elements: str
  sample: [/var/backups/postgresql/monthly/backup-2026-11-01T030000Z.dump]
manifest:
  description: The manifest, as described in the guide to the manifest. In check mode only what is known beforehand.
  returned: success
  type: dict
  sample: {"manifest_version": 1, "state": "verified", "database": "app", "rows": 1648}
duration_seconds:
  description: How long the run took.
  returned: success
  type: float
  sample: 1.1
removed:
  description: Archives that retention removed, or in check mode would remove.
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
  description: Count, sizes in bytes and ages in seconds of the archives that count.
  returned: success
  type: dict
  sample: {"count": 8, "total_bytes": 2824000, "newest_age_seconds": 0, "oldest_age_seconds": 604800}
drill:
  description: When a backup of this source was last proven by a drill.
  returned: success, unless in check mode
  type: dict
  sample: {"last_proven": "2026-11-01T04:00:00Z", "age_seconds": 1724400, "max_age_days": 35, "overdue": false}
stage:
  description: The stage that was reached.
  returned: failure
  type: str
  sample: version
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: Free space on the file system that holds /var/backups/postgresql, then run again.
report:
  description: What M(baileys.resilience.notify) sends.
  returned: always
  type: dict
  sample: {"job": "backup", "subject": "app", "level": "info", "title": "backup made and verified"}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    connection_options,
    connection_settings,
    keep_from,
    keep_report,
    retention_options,
    run_module,
    state_options,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue, make, tell
from ansible_collections.baileys.resilience.plugins.module_utils.backup.check import Bounds
from ansible_collections.baileys.resilience.plugins.module_utils.backup.drill_age import drill_standing, overdue_report

BOUNDS = {
    "min_size": {"type": "int", "default": 1024},
    "max_size_warning": {"type": "int", "default": 500000000},
    "max_shrink_percent": {"type": "float", "default": 50},
    "min_rows": {"type": "int", "default": 1},
}
OPTIONS = {
    "source": {"type": "str"},
    "backup_root": {"type": "path", "default": "/var/backups/postgresql"},
    "tier": {"type": "str", "choices": ["hourly", "daily", "weekly", "monthly"], "default": "daily"},
    "format": {"type": "str", "choices": ["custom", "plain", "directory"], "default": "custom"},
    "compression": {"type": "str", "choices": ["auto", "zstd", "lz4", "gzip", "none"], "default": "auto"},
    "compression_level": {"type": "int"},
    "jobs": {"type": "int", "default": 1},
    "prune": {"type": "bool", "default": True},
    "lock_timeout": {"type": "float", "default": 60},
    "table_lock_timeout": {"type": "float", "default": 60},
    "stall_timeout": {"type": "float", "default": 600},
    "drill_max_age": {"type": "int", "default": 35},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(connection_options(), **retention_options(), **state_options(), **OPTIONS, **BOUNDS),
        supports_check_mode=True,
    )
    options = module.params
    source = [options["source"] or options["database"] or "default"]

    def work() -> dict[str, Any]:
        settings = connection_settings(module)
        # From here on a failure is told under the same name as a success.
        source[:] = [options["source"] or settings.parameters.get("dbname", "default")]
        request = make.BackupRequest(
            source=source[0],
            settings=settings,
            bounds=Bounds(**{name: options[name] for name in BOUNDS}),
            keep=keep_from(options),
            **{name: options[name] for name in make.PLAIN_OPTIONS},
        )
        result = make.plan_backup(request) if module.check_mode else make.make_backup(request)
        answer = dict(tell.backup_result(result), changed=True, warnings_=result.warnings)
        if module._diff:
            made = [result.archive, *result.links]
            answer["diff"] = {"prepared": tell.retention_diff(request.backup_root, result.decisions, made)}
        if not module.check_mode:
            standing = drill_standing(
                result.archives, catalogue.read_last_run(request.backup_root), options["drill_max_age"]
            )
            if standing.overdue:
                keep_report(module, overdue_report(source[0], standing))
            answer["drill"] = standing.as_dict()
            answer["report"] = tell.backup_report(request, result, standing)
        return answer

    run_module(module, work, lambda error, took: tell.failure_report(tell.BACKUP_JOB, source[0], error, took))


if __name__ == "__main__":
    main()
