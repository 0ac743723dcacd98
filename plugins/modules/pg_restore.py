#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pg_restore
short_description: Restore a backup of a PostgreSQL database
version_added: 0.1.0
description:
  - Restores an archive that M(baileys.resilience.pg_backup) made. The default is a new database named O(into). It gets
    that name only once it is complete and equal to the archive; if the run fails, it is dropped.
  - With O(replace=true) the restored database takes the place of the one that serves. Both are renamed in one short
    transaction, the old one is kept under a dated name, and the line of SQL that puts it back is returned. What was
    written after the backup is not in the restored database.
  - An existing database that is empty is restored into as it is, for roles that may not create any. It is one
    transaction; if only the comparison after it fails, the data are left to be looked at.
  - Everything that can be known to fail is refused before anything is touched, all at once.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.connection
  - baileys.resilience.state
  - baileys.resilience.attributes
options:
  source:
    description:
      - Name of the source in messages, status and metrics. The default is the name of the database.
    type: str
  backup_root:
    description:
      - Directory whose newest good archive is restored when O(archive) is not given.
    type: path
    default: /var/backups/postgresql
  archive:
    description:
      - Path of the archive to restore. Its manifest must lie beside it.
    type: path
  into:
    description:
      - Name of the database to restore into. The default is O(database).
    type: str
  maintenance_database:
    description:
      - The database that others are created, renamed and dropped from. Some providers call theirs otherwise.
    type: str
    default: postgres
  replace:
    description:
      - Whether a database of that name is replaced. Without it one that is not empty is refused.
      - Where there is none, a new one is made as without it.
    type: bool
    default: false
  terminate:
    description:
      - Whether the sessions in the database that is replaced may be ended, at the switch and not before. Without it
        the restore is refused while somebody is connected.
    type: bool
    default: false
  keep_old:
    description:
      - Whether the database that was replaced is kept, as C(<name>_before_<date>_<time>) in UTC. Without it there is no
        way back. If the old one cannot be dropped, that is a warning, and the way back is returned.
    type: bool
    default: true
  jobs:
    description:
      - Number of processes that restore. One restores in a single transaction. More need a database of their own to
        be made, and an archive of the custom or directory format.
    type: int
    default: 1
  schemas:
    description:
      - Restore only what is in these schemas. Into an existing database only where none of it exists yet.
    type: list
    elements: str
    default: []
  tables:
    description:
      - Restore only these tables, views or sequences, as V(schema.table) or V(table).
      - With a table come its definition, rows, comments and privileges. Keys, indexes, defaults, triggers, policies and
        sequences do not.
    type: list
    elements: str
    default: []
  owner:
    description:
      - Whether objects get the owner they had. Otherwise all belongs to the connected role, or to O(role).
    type: bool
    default: true
  role:
    description:
      - Role to restore as (C(SET ROLE)), which also owns a database that is made.
    type: str
  privileges:
    description:
      - Whether grants are restored.
    type: bool
    default: true
  tablespaces:
    description:
      - Whether objects go into the tablespaces they were in.
    type: bool
    default: true
  comments:
    description:
      - Whether comments are restored. Only its owner may comment on an extension, so that one which a provider has put
        into the database stands in the way of those of the archive.
    type: bool
    default: true
  allow_unverified:
    description:
      - Whether an archive is restored that is suspect, or is not what its manifest says.
    type: bool
    default: false
  allow_other_collation:
    description:
      - Whether a database with another collation may be made where the server does not offer the one that was backed up.
    type: bool
    default: false
  allow_other_database:
    description:
      - Whether a database is replaced by the backup of one of another name.
    type: bool
    default: false
  prove:
    description:
      - Whether what was restored is dumped again and compared with the archive.
    type: bool
    default: true
  analyze:
    description:
      - Whether the planner's statistics are gathered before the database is handed over.
    type: bool
    default: true
  lock_timeout:
    description:
      - How many seconds to wait for another restore to the same database. With V(0) it fails at once.
    type: float
    default: 0
  switch_timeout:
    description:
      - For how many seconds the switch is attempted. No attempt keeps others waiting for more than about a second.
    type: float
    default: 30
  stall_timeout:
    description:
      - How many seconds the server may take to answer a question that any server answers at once.
    type: float
    default: 600
attributes:
  check_mode:
    support: full
    details:
      - It makes every check, reads the archive, and returns the plan.
  diff_mode:
    support: full
    details:
      - The plan, one step a line.
seealso:
  - module: baileys.resilience.pg_backup
  - module: baileys.resilience.pg_backup_info
"""

EXAMPLES = r"""
- name: Restore the newest backup into a new database, to look at it
  baileys.resilience.pg_restore:
    env_file: /opt/app/.env
    into: app_yesterday

- name: Put the newest backup in the place of the database that serves
  baileys.resilience.pg_restore:
    env_file: /opt/app/.env
    replace: true
    terminate: true
  register: restored

- name: Show how to go back
  ansible.builtin.debug:
    var: restored.way_back

- name: One table that was dropped by mistake
  baileys.resilience.pg_restore:
    env_file: /opt/app/.env
    archive: /var/backups/postgresql/daily/backup-2026-11-21T030000Z.dump
    tables: [public.whatsapp_auth]
"""

RETURN = r"""
database:
  description: Name of the database that was restored into, or in check mode would be.
  returned: success
  type: str
  sample: app
archive:
  description: Path of the archive.
  returned: success
  type: str
  sample: /var/backups/postgresql/daily/backup-2026-11-21T030000Z.dump
mode:
  description:
    - V(create) into a new database, V(replace) in the place of one, V(fill) into an empty one, V(part) selected tables
      into one.
  returned: success
  type: str
  sample: replace
snapshot_at:
  description: The moment that the archive shows.
  returned: success
  type: str
  sample: "2026-11-21T03:00:00.741335Z"
snapshot_age_seconds:
  description: How old that is.
  returned: success
  type: float
  sample: 11045.2
old_database:
  description: What the database that was replaced is called now.
  returned: success
  type: str
  sample: app_before_20261121_060405
way_back:
  description: The line of SQL that puts the old database back, one statement, to be run from O(maintenance_database).
  returned: success
  type: str
  sample: DO '... ALTER DATABASE app RENAME TO app_restored_20261121_060405; ...';
lost_writes:
  description: What replacing costs, in words.
  returned: success
  type: str
  sample: What was written to "app" after 2026-11-21T03:00:00.741335Z (3 h 4 min ago) is lost to the restored database.
plan:
  description: The steps, in order.
  returned: success
  type: list
  elements: str
  sample: [Read the archive and check its SHA-256]
sessions_ended:
  description: How many sessions were ended at the switch.
  returned: success
  type: int
  sample: 8
blocked_seconds:
  description: How long nobody could connect at the switch.
  returned: success
  type: float
  sample: 0.11
comparison:
  description: What came back against what went in, table by table and entry by entry of the schema. Null for a part, which
    is compared by its rows, and with O(prove=false).
  returned: success
  type: dict
  sample: {"tables": [{"schema": "public", "table": "t", "rows": 9, "outcome": "equal"}]}
timings:
  description: How long each step took.
  returned: success
  type: list
  elements: dict
  sample: [{"step": "restore", "seconds": 1.2}]
duration_seconds:
  description: How long the run took.
  returned: success
  type: float
  sample: 2.1
stage:
  description: The stage that was reached.
  returned: failure
  type: str
  sample: preflight
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: Stop the application first, or say terminate=true.
report:
  description: What M(baileys.resilience.notify) sends.
  returned: always
  type: dict
  sample: {"job": "restore", "subject": "app", "level": "info", "title": "archive restored into a new database"}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    connection_options,
    connection_settings,
    default_state_directory,
    run_module,
    state_options,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup import tell
from ansible_collections.baileys.resilience.plugins.module_utils.reporting.progress import watched_progress
from ansible_collections.baileys.resilience.plugins.module_utils.restore import restore, tell_restore
from ansible_collections.baileys.resilience.plugins.module_utils.restore.load import LoadOptions
from ansible_collections.baileys.resilience.plugins.module_utils.restore.survey import RestoreRequest

JOB = tell_restore.RESTORE_JOB
LOAD_OPTIONS = {
    "jobs": {"type": "int", "default": 1},
    "schemas": {"type": "list", "elements": "str", "default": []},
    "tables": {"type": "list", "elements": "str", "default": []},
    "owner": {"type": "bool", "default": True},
    "role": {"type": "str"},
    "privileges": {"type": "bool", "default": True},
    "tablespaces": {"type": "bool", "default": True},
    "comments": {"type": "bool", "default": True},
}
PLAIN_OPTIONS = {
    "backup_root": {"type": "path", "default": "/var/backups/postgresql"},
    "archive": {"type": "path"},
    "maintenance_database": {"type": "str", "default": "postgres"},
    "replace": {"type": "bool", "default": False},
    "terminate": {"type": "bool", "default": False},
    "keep_old": {"type": "bool", "default": True},
    "allow_unverified": {"type": "bool", "default": False},
    "allow_other_collation": {"type": "bool", "default": False},
    "allow_other_database": {"type": "bool", "default": False},
    "prove": {"type": "bool", "default": True},
    "analyze": {"type": "bool", "default": True},
    "client_directory": {"type": "path"},
    "lock_timeout": {"type": "float", "default": 0},
    "switch_timeout": {"type": "float", "default": 30},
    "stall_timeout": {"type": "float", "default": 600},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            connection_options(),
            **state_options(),
            source={"type": "str"},
            into={"type": "str"},
            **LOAD_OPTIONS,
            **PLAIN_OPTIONS,
        ),
        supports_check_mode=True,
    )
    options = module.params
    source = [options["source"] or options["database"] or "default"]

    def work() -> dict[str, Any]:
        settings = connection_settings(module)
        # From here on a failure is told under the same name as a success.
        source[:] = [options["source"] or settings.parameters.get("dbname", "default")]
        if options["into"]:
            settings = settings.with_database(options["into"])
        chosen = {name: options[name] for name in LOAD_OPTIONS}
        chosen.update(schemas=tuple(options["schemas"]), tables=tuple(options["tables"]))
        request = RestoreRequest(
            source=source[0],
            settings=settings,
            options=LoadOptions(**chosen),
            **{name: options[name] for name in PLAIN_OPTIONS},
        )
        progress = watched_progress(options["state_directory"] or default_state_directory(), JOB, source[0])
        try:
            result = restore.plan_restore(request) if module.check_mode else restore.restore(request, progress)
        finally:
            progress.close()
        answer = dict(tell_restore.restore_result(request, result), changed=True, warnings_=result.warnings)
        if module._diff:
            answer["diff"] = {"prepared": "".join(f"{line}\n" for line in answer["plan"])}
        if not module.check_mode:
            answer["report"] = tell_restore.restore_report(request, result)
        return answer

    run_module(module, work, lambda error, took: tell.failure_report(JOB, source[0], error, took))


if __name__ == "__main__":
    main()
