#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: session_import
short_description: Import WhatsApp sessions from the files of Baileys into PostgreSQL
version_added: 0.1.0
description:
  - Makes the rows of each session in the database what its files are. Rows without a file go; rows that hold what
    their file holds already are not touched.
  - Each session is one transaction, in which the rows are read again and compared with the files before it is
    committed. If it fails, the rows are as they were.
  - Rows keep their age even where a trigger sets it with every update. What is new or changed is as old as its file.
  - Stop the service first. Sessions that are not in the directory are left alone.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.connection
  - baileys.resilience.session_store
  - baileys.resilience.state
  - baileys.resilience.attributes
options:
  directory:
    description:
      - Directory that holds a directory for each session, C(<directory>/<session>/creds.json).
    type: path
    required: true
  tenants:
    description:
      - The sessions (companies) to import. The default is all that are in O(directory).
    type: list
    elements: str
    default: []
  keep_ages:
    description:
      - Whether ages are kept as described above. With V(false) every row counts as written now.
    type: bool
    default: true
  workers:
    description:
      - How many processes share the work where it is much. Each takes a connection, plus one.
    type: int
    default: 2
  require_backup:
    description:
      - Whether there must be a verified backup of the database that is young enough.
    type: bool
    default: true
  backup_root:
    description:
      - Where its backups lie.
    type: path
    default: /var/backups/postgresql
  backup_max_age:
    description:
      - How many hours old the newest verified backup may be.
    type: float
    default: 26
  lock_timeout:
    description:
      - How many seconds to wait for a backup that is being made.
    type: float
    default: 60
attributes:
  check_mode:
    support: full
    details:
      - It compares every file with its row and says what would change, and writes nothing. A backup is not asked for.
  diff_mode:
    support: full
    details:
      - Keys by type of every session, before and after.
seealso:
  - module: baileys.resilience.session_export
  - module: baileys.resilience.pg_backup
"""

EXAMPLES = r"""
- name: See what an import would change
  baileys.resilience.session_import:
    env_file: /opt/whatsapp/.env
    directory: /var/lib/whatsapp/sessions
  check_mode: true
  diff: true

- name: Bring what happened in the files into the database
  baileys.resilience.session_import:
    env_file: /opt/whatsapp/.env
    directory: /var/lib/whatsapp/sessions
    backup_root: /var/backups/postgresql/whatsapp
"""

RETURN = r"""
sessions:
  description: Every session, in order of their names.
  returned: success
  type: list
  elements: dict
  contains:
    tenant:
      description: Name of the session.
      type: str
      returned: always
      sample: 6f1c2b6e-6a0e-4b55-8b3f-6c0e1a3f9a10
    directory:
      description: Where its files are.
      type: str
      returned: always
      sample: /var/lib/whatsapp/sessions/6f1c2b6e-6a0e-4b55-8b3f-6c0e1a3f9a10
    keys:
      description: Keys by type, as the files have them and now the database.
      type: dict
      returned: always
      sample: {"pre-key": 1034, "session": 94}
    keys_before:
      description: Keys by type in the database before.
      type: dict
      returned: always
      sample: {"pre-key": 1034, "session": 93}
    rows:
      description: How many keys were C(added), C(changed), C(removed) and C(unchanged).
      type: dict
      returned: always
      sample: {"added": 1, "changed": 3, "removed": 0, "unchanged": 1124}
    creds:
      description: What became of the credentials, V(added), V(changed) or V(unchanged).
      type: str
      returned: always
      sample: changed
    digest:
      description: Digest of the content, as M(baileys.resilience.session_export) gives it.
      type: str
      returned: always
      sample: 0c7e6c1ba4bd2c0b1f70be31a5d2a6d86cf8c8ad5fd80f8f6d5f3df90a1f7e55
    size_bytes:
      description: Bytes of all values.
      type: int
      returned: always
      sample: 1223000
    changed:
      description: Whether the rows held anything else than the files.
      type: bool
      returned: always
      sample: true
    skipped:
      description: Why the session was left out; null if it was not.
      type: str
      returned: always
      sample: not paired with a phone yet
backup:
  description: The backup that holds the rows as they were.
  returned: success, if one is required and not in check mode
  type: str
  sample: /var/backups/postgresql/whatsapp/daily/backup-2026-11-21T030000Z.dump
duration_seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 0.4
stage:
  description: The stage that was reached.
  returned: failure
  type: str
  sample: backup
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: Stop the application first, then run again.
report:
  description: What M(baileys.resilience.notify) sends.
  returned: always
  type: dict
  sample: {"job": "session-import", "subject": "app", "level": "info", "title": "sessions imported and verified"}
"""

import contextlib
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    connection_options,
    connection_settings,
    default_state_directory,
    ending_cleanly,
    run_module,
    session_options,
    state_options,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup.fresh import fresh_backup
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.connection import connect
from ansible_collections.baileys.resilience.plugins.module_utils.sessions import fence, import_, layout, tell
from ansible_collections.baileys.resilience.plugins.module_utils.system.units import HOUR

OPTIONS = {
    "directory": {"type": "path", "required": True},
    "tenants": {"type": "list", "elements": "str", "default": []},
    "keep_ages": {"type": "bool", "default": True},
    "workers": {"type": "int", "default": 2},
    "require_backup": {"type": "bool", "default": True},
    "backup_root": {"type": "path", "default": "/var/backups/postgresql"},
    "backup_max_age": {"type": "float", "default": 26},
    "lock_timeout": {"type": "float", "default": 60},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(connection_options(), **session_options(), **state_options(), **OPTIONS),
        supports_check_mode=True,
    )
    options = module.params
    source = [options["source"] or options["database"] or "default"]

    def work() -> dict[str, Any]:
        settings = connection_settings(module)
        source[:] = [options["source"] or settings.parameters.get("dbname", "default")]
        request = import_.ImportRequest(
            source=source[0],
            settings=settings,
            layout=layout.layout_from(options["layout"]),
            directory=options["directory"],
            tenants=tuple(options["tenants"]),
            keep_ages=options["keep_ages"],
            workers=options["workers"],
            dry_run=module.check_mode,
        )
        state = options["state_directory"] or default_state_directory()
        fence.require_database(state, request.source, "import sessions")
        with contextlib.closing(connect(settings)) as connection:
            fence.require_unmarked(connection, request.layout, "import sessions")
        answer: dict[str, Any] = {}
        if options["require_backup"] and not module.check_mode:
            archive = fresh_backup(
                options["backup_root"],
                options["backup_max_age"] * HOUR,
                options["lock_timeout"],
                settings.parameters.get("dbname"),
            )
            answer["backup"] = archive.path
        with ending_cleanly():
            result = import_.import_sessions(request)
        answer.update(
            tell.import_result(result),
            changed=any(one.differs for one in result.tenants) or not request.keep_ages,
            report=tell.import_report(result),
            warnings_=[
                f"The session {one.tenant} was left out: {one.skipped}" for one in result.tenants if one.skipped
            ],
        )
        if module._diff:
            answer["diff"] = tell.sessions_diff(result.tenants)
        return answer

    run_module(module, work, lambda error, took: tell.failure_report(tell.IMPORT_JOB, source[0], error, took))


if __name__ == "__main__":
    main()
