#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: session_keys_cleanup
short_description: Delete old keys of WhatsApp sessions that are no longer needed
version_added: 0.1.0
description:
  - Deletes the keys that the policy lets go from the database, in small batches beside the working application. The
    default policy deletes only keys that Baileys makes again by itself.
  - B(It is a dry run unless O(dry_run=false) is given.)
  - A key that the application holds locked is left for the next run, and one that is written meanwhile stays. What was
    to go and did not is counted by its reason.
  - It is refused when more than O(max_delete_percent) of all keys would go, when there is no verified backup younger than
    O(backup_max_age), when the role cannot see or lock every row, and after an emergency rollback, as long as the
    sessions belong to the files.
  - A run that is killed leaves nothing half done; the next one goes on.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.connection
  - baileys.resilience.session_store
  - baileys.resilience.key_policy
  - baileys.resilience.state
  - baileys.resilience.attributes
options:
  dry_run:
    description:
      - Whether it is only said what would be deleted. Check mode is the same.
    type: bool
    default: true
  max_delete_percent:
    description:
      - Nothing is deleted when more than this percentage of all keys would go.
    type: float
    default: 50
  max_deletions_warning:
    description:
      - The report of a run that deletes more keys than this is a warning.
    type: int
    default: 1000
  require_backup:
    description:
      - Whether a verified backup must be there before anything is deleted.
    type: bool
    default: true
  backup_root:
    description:
      - Directory of the backups of this database (M(baileys.resilience.pg_backup)).
    type: path
    default: /var/backups/postgresql
  backup_max_age:
    description:
      - Hours that the snapshot of the newest verified backup may be old.
    type: float
    default: 26
  backup_wait:
    description:
      - Seconds to wait for a backup that is being made when there is none young enough. Backup and cleanup are scheduled
        for the same minute.
    type: float
    default: 600
  batch_size:
    description:
      - About how many keys go in one batch, which is one transaction. A batch never takes more than 512 kB of the table.
    type: int
    default: 1000
  pause:
    description:
      - Seconds to pause after each batch.
    type: float
    default: 0.0001
  statement_timeout:
    description:
      - Seconds after which a batch that is not done is given up, and with it the run.
    type: float
    default: 30
attributes:
  check_mode:
    support: full
    details:
      - The same as O(dry_run=true). Whatever would make a real run refuse is told as a warning.
  diff_mode:
    support: full
    details:
      - The number of keys of each type, before and after.
seealso:
  - module: baileys.resilience.session_keys_info
  - module: baileys.resilience.pg_backup
"""

EXAMPLES = r"""
- name: See what would go
  baileys.resilience.session_keys_cleanup:
    env_file: /opt/app/.env
    list_keys: 50

- name: Delete it
  baileys.resilience.session_keys_cleanup:
    env_file: /opt/app/.env
    backup_root: /var/backups/postgresql/app
    dry_run: false

- name: Also sessions of devices that were silent for a year
  baileys.resilience.session_keys_cleanup:
    env_file: /opt/app/.env
    backup_root: /var/backups/postgresql/app
    session_days: 365
    sender_key_days: 365
    dry_run: false
"""

RETURN = r"""
msg:
  description: One sentence.
  returned: always
  type: str
  sample: 60 of 1,647 keys were deleted.
dry_run:
  description: Whether nothing was deleted because it was a dry run.
  returned: success
  type: bool
  sample: false
deleted:
  description: Keys that were deleted, by type.
  returned: success
  type: dict
  sample: {"device-list": 14, "sender-key-memory": 4, "tctoken": 8}
deleted_keys:
  description: How many these are in all.
  returned: success
  type: int
  sample: 26
reusable_bytes:
  description: About how much space that is. The table uses it again once it is vacuumed; its files do not get smaller.
  returned: success
  type: int
  sample: 10480
held_keys:
  description: Keys that were to go and stay because the application holds them locked.
  returned: success
  type: int
  sample: 0
refreshed_keys:
  description: Keys that were to go and were written or deleted by others meanwhile.
  returned: success
  type: int
  sample: 0
kept_keys:
  description: Keys that were to go and are still there although nobody holds them, as by a trigger of the table.
  returned: success
  type: int
  sample: 0
backup:
  description: The archive that the deletion leaned on. V(null) where none was asked for.
  returned: success
  type: str
  sample: /var/backups/postgresql/daily/backup-2026-11-25T030000Z.dump
obstacles:
  description: Why a real run would be refused; of a dry run only.
  returned: success
  type: list
  elements: str
  sample: []
sizes:
  description: Bytes on the server's disk before. C(database_bytes) is null where the role may not ask.
  returned: success
  type: dict
  sample: {"table_bytes": 1654784, "index_bytes": 401408, "total_bytes": 2056192, "database_bytes": 10458815}
sizes_after:
  description: The same afterwards.
  returned: success
  type: dict
  sample: {"table_bytes": 1654784, "index_bytes": 401408, "total_bytes": 2056192, "database_bytes": 10458815}
at:
  description: The moment, by the server's clock, that ages were counted from.
  returned: success
  type: str
  sample: "2026-11-25T03:00:00Z"
keys:
  description: How many keys there were before.
  returned: success
  type: int
  sample: 1647
deletable:
  description: How many of them were to go.
  returned: success
  type: int
  sample: 26
deletable_bytes:
  description: About what these took in the table, in bytes.
  returned: success
  type: int
  sample: 10480
ages:
  description: Keys by age, before. Those whose time is NULL or infinite are C(unknown).
  returned: success
  type: dict
  sample: {"<1d": 300, "1-7d": 320, "7-14d": 240, "14-30d": 330, ">30d": 457, "unknown": 0}
oldest:
  description: When the key was last written that was left alone for the longest time. V(null) where there is none.
  returned: success
  type: str
  sample: "2025-10-22T08:14:03Z"
newest:
  description: When a key was last written.
  returned: success
  type: str
  sample: "2026-11-25T02:59:58Z"
types:
  description: The same for each type, before, with its rule and what deleting such a key does.
  returned: success
  type: dict
  sample:
    device-list:
      keys: 72
      ages: {"<1d": 18, "1-7d": 18, "7-14d": 11, "14-30d": 11, ">30d": 14, "unknown": 0}
      oldest: "2025-10-30T10:00:00Z"
      newest: "2026-11-25T02:10:00Z"
      deletable: 14
      deletable_bytes: 1290
      rule: goes when older than 30 days
      when_deleted: "nothing: asked of WhatsApp again when it is needed"
policy:
  description: The policy that was followed.
  returned: success
  type: dict
  sample: {"mode": "safe", "retention_days": 30, "session_days": null, "sender_key_days": null}
overview:
  description: The same in lines for people.
  returned: success
  type: list
  elements: str
  sample: ["device-list: 72 keys, 14 deleted; oldest 2025-10-30T10:00:00Z, newest 2026-11-25T02:10:00Z"]
listed_keys:
  description: The keys that were to go, up to O(list_keys), the oldest first.
  returned: success
  type: list
  elements: dict
  sample: [{"tenant": "4f1c2a7e", "key_type": "device-list", "key_id": "4915112345678",
            "updated_at": "2026-01-02T03:04:05Z", "age_seconds": 28252555}]
batches:
  description: In how many batches the table was walked.
  returned: success
  type: int
  sample: 1
duration_seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 0.1
stage:
  description: The stage that was reached.
  returned: failure
  type: str
  sample: backup
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: Make a backup (playbook backup), then run again.
report:
  description: What M(baileys.resilience.notify) sends. A dry run has none, so that it never passes for a cleanup.
  returned: always, unless it was a dry run that went well
  type: dict
  sample: {"job": "cleanup", "subject": "whatsapp", "level": "info", "title": "26 of 1,647 keys were deleted"}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    connection_options,
    connection_settings,
    default_state_directory,
    run_module,
    session_options,
    state_options,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup.fresh import fresh_backup
from ansible_collections.baileys.resilience.plugins.module_utils.sessions import tell_cleanup
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.batches import Pace
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cleanup import CleanupRequest, clean_up
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import layout_from
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.policy import Policy, retention_from

OPTIONS = {
    "policy": {"type": "str", "choices": ["safe", "everything_by_age"], "default": "safe"},
    "retention_days": {"type": "int"},
    "session_days": {"type": "int"},
    "sender_key_days": {"type": "int", "no_log": False},
    "list_keys": {"type": "int", "default": 0, "no_log": False},
    "dry_run": {"type": "bool", "default": True},
    "max_delete_percent": {"type": "float", "default": 50},
    "max_deletions_warning": {"type": "int", "default": 1000},
    "require_backup": {"type": "bool", "default": True},
    "backup_root": {"type": "path", "default": "/var/backups/postgresql"},
    "backup_max_age": {"type": "float", "default": 26},
    "backup_wait": {"type": "float", "default": 600},
    "batch_size": {"type": "int", "default": 1000},
    "pause": {"type": "float", "default": 0.0001},
    "statement_timeout": {"type": "float", "default": 30},
}
HOUR = 3600.0


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(connection_options(), **session_options(), **state_options(), **OPTIONS),
        supports_check_mode=True,
    )
    options = module.params
    dry_run = options["dry_run"] or module.check_mode
    source = [options["source"] or options["database"] or "default"]
    backup: list[str] = []

    def require_backup(database: str) -> None:
        if options["require_backup"]:
            wait = 0.0 if dry_run else options["backup_wait"]
            archive = fresh_backup(options["backup_root"], options["backup_max_age"] * HOUR, wait, database)
            backup.append(archive.path)

    def work() -> dict[str, Any]:
        settings = connection_settings(module)
        # From here on a failure is told under the same name as a success.
        source[:] = [options["source"] or settings.parameters.get("dbname", "default")]
        policy = Policy(
            options["policy"],
            retention_from(options["retention_days"], options["env_file"]),
            options["session_days"],
            options["sender_key_days"],
        )
        request = CleanupRequest(
            source=source[0],
            settings=settings,
            layout=layout_from(options["layout"]),
            policy=policy,
            state_directory=options["state_directory"] or default_state_directory(),
            max_delete_percent=options["max_delete_percent"],
            pace=Pace(options["batch_size"], options["pause"], options["statement_timeout"]),
            listed=options["list_keys"],
            dry_run=dry_run,
        )
        result = clean_up(request, require_backup)
        leaned_on = backup[0] if backup else None
        goes = {key_type: count.deletable for key_type, count in result.before.types.items()}
        answer = {
            **tell_cleanup.cleanup_result(result, policy),
            "changed": bool(result.before.deletable if dry_run else result.deleted_keys),
            "backup": leaned_on,
            "warnings_": tell_cleanup.warnings(policy, result.before, result.obstacles),
        }
        if not options["require_backup"]:
            answer["warnings_"].append("require_backup=false: what is deleted may be in no backup.")
        if module._diff:
            answer["diff"] = tell_cleanup.counts_diff(result.before, goes if dry_run else result.deleted)
        if not dry_run:
            answer["report"] = tell_cleanup.cleanup_report(
                source[0], result, policy, options["max_deletions_warning"], leaned_on
            )
        return answer

    run_module(
        module,
        work,
        lambda error, took: tell_cleanup.failure_report(tell_cleanup.CLEANUP_JOB, source[0], error, took),
    )


if __name__ == "__main__":
    main()
