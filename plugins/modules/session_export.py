#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: session_export
short_description: Export WhatsApp sessions from PostgreSQL to the files of Baileys
version_added: 0.1.0
description:
  - Writes each session into a directory of its own, as C(useMultiFileAuthState) of Baileys reads it. Bytes are written
    as base64 whatever form they have in the database, so that Baileys 6 and 7 read them.
  - All sessions show one moment (one repeatable-read snapshot). They are written beside, read back, and only then put
    into place, each by one rename. If the credentials of one session are broken, nothing is put into place.
  - What an export replaces must itself be an export of the same session, and of no later moment.
  - While the service runs on files after an emergency, nothing is exported.
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
      - Directory that gets a directory for each session, C(<directory>/<session>/creds.json). It is made if need be, of
        mode 0700. A session whose name is no plain file name is percent-encoded.
    type: path
    required: true
  tenants:
    description:
      - The sessions (companies) to export. The default is all of them.
    type: list
    elements: str
    default: []
  owner:
    description:
      - User the files are given to. It takes root to give them to another user.
    type: str
  group:
    description:
      - Group the files are given to. The default is the one that O(owner) logs in with.
    type: str
  workers:
    description:
      - How many processes share the work where it is much. Each takes a connection, plus one.
    type: int
    default: 2
attributes:
  check_mode:
    support: full
    details:
      - It reads the sessions from the database and says what would change, and writes nothing.
  diff_mode:
    support: full
    details:
      - Keys by type of every session, before and after.
seealso:
  - module: baileys.resilience.session_import
"""

EXAMPLES = r"""
- name: Export every session for the service
  baileys.resilience.session_export:
    env_file: /opt/whatsapp/.env
    directory: /var/lib/whatsapp/sessions
    owner: whatsapp

- name: Export one session from a table with combined ids
  baileys.resilience.session_export:
    env_file: /opt/bot/.env
    directory: /root/sessions
    tenants: [main]
    layout:
      keys_table: auth_state
      id_column: session_key
      value_column: data
      ids: tenant_combined
      created_column: null
      updated_column: null
      expires_column: null
"""

RETURN = r"""
snapshot_at:
  description: The moment the sessions show, by the clock of the server, in UTC.
  returned: success
  type: str
  sample: "2026-11-21T03:00:00.123456Z"
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
      description: Where it is.
      type: str
      returned: always
      sample: /var/lib/whatsapp/sessions/6f1c2b6e-6a0e-4b55-8b3f-6c0e1a3f9a10
    keys:
      description: Keys by type.
      type: dict
      returned: always
      sample: {"pre-key": 1034, "session": 94}
    keys_before:
      description: Keys by type in the export that was there before; empty if there was none.
      type: dict
      returned: always
      sample: {"pre-key": 1034, "session": 93}
    digest:
      description: Digest of the content of all files. Equal digests are equal sessions.
      type: str
      returned: always
      sample: 0c7e6c1ba4bd2c0b1f70be31a5d2a6d86cf8c8ad5fd80f8f6d5f3df90a1f7e55
    size_bytes:
      description: Bytes in all files.
      type: int
      returned: always
      sample: 1223000
    changed:
      description: Whether the files hold anything else than before.
      type: bool
      returned: always
      sample: true
    skipped:
      description: Why the session was left out; null if it was not.
      type: str
      returned: always
      sample: not paired with a phone yet
duration_seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 0.2
stage:
  description: The stage that was reached.
  returned: failure
  type: str
  sample: creds
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: Move it away, or name another directory.
report:
  description: What M(baileys.resilience.notify) sends.
  returned: always
  type: dict
  sample: {"job": "session-export", "subject": "app", "level": "info", "title": "sessions exported and read back"}
"""

import contextlib
import grp
import pwd
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
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.connection import connect
from ansible_collections.baileys.resilience.plugins.module_utils.sessions import export, fence, layout, tell
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError

OPTIONS = {
    "directory": {"type": "path", "required": True},
    "tenants": {"type": "list", "elements": "str", "default": []},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "workers": {"type": "int", "default": 2},
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
        request = export.ExportRequest(
            source=source[0],
            settings=settings,
            layout=layout.layout_from(options["layout"]),
            directory=options["directory"],
            tenants=tuple(options["tenants"]),
            owner=_owner(options["owner"], options["group"]),
            workers=options["workers"],
            dry_run=module.check_mode,
        )
        state = options["state_directory"] or default_state_directory()
        fence.require_database(state, request.source, "export the sessions")
        with contextlib.closing(connect(settings)) as connection:
            fence.require_unmarked(connection, request.layout, "export the sessions")
        with ending_cleanly():
            result = export.export_sessions(request)
        answer = dict(
            tell.export_result(result),
            changed=any(one.changed for one in result.tenants),
            report=tell.export_report(result),
            warnings_=[
                f"The session {one.tenant} was left out: {one.skipped}" for one in result.tenants if one.skipped
            ],
        )
        if module._diff:
            answer["diff"] = tell.sessions_diff(result.tenants)
        return answer

    run_module(module, work, lambda error, took: tell.failure_report(tell.EXPORT_JOB, source[0], error, took))


def _owner(user: str | None, group: str | None) -> tuple[int, int] | None:
    """Ids of user and group. Raises SettingsError for one that this host does not know."""
    if user is None:
        if group is not None:
            raise SettingsError("A group is given without an owner", stage="settings", remedy="Give the owner too.")
        return None
    try:
        account = pwd.getpwnam(user)
        return account.pw_uid, account.pw_gid if group is None else grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise SettingsError(
            "This host has no user {}{}".format(user, "" if group is None else f", or no group {group}"),
            stage="settings",
            remedy="Name the user that the service runs as.",
        ) from error


if __name__ == "__main__":
    main()
