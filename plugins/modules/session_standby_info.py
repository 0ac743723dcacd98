#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: session_standby_info
short_description: Show the warm standby of WhatsApp sessions
version_added: 0.1.0
description:
  - Lists the sessions that M(baileys.resilience.session_standby) keeps, with the moment each shows. No database is asked.
  - Says as well whose sessions count, those of the database or those of the files.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.state
  - baileys.resilience.attributes
options:
  source:
    description:
      - Name of the source, as M(baileys.resilience.session_standby) was given it.
    type: str
    required: true
  verify:
    description:
      - Whether every file is read and compared with what was verified when it was written. Otherwise their number and
        sizes are.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    details:
      - It changes nothing.
  diff_mode:
    support: none
seealso:
  - module: baileys.resilience.session_standby
"""

EXAMPLES = r"""
- name: See how old the standby is, and that it is whole
  baileys.resilience.session_standby_info:
    source: whatsapp
    verify: true
"""

RETURN = r"""
directory:
  description: Directory of the standby of this source.
  returned: success
  type: str
  sample: /var/lib/baileys-resilience/standby/whatsapp
snapshot_at:
  description: The moment the standby shows for certain, in UTC. That of its oldest session, of those the database had at the
    last refresh. Null where there is none.
  returned: success
  type: str
  sample: "2026-11-25T03:05:00Z"
age_seconds:
  description: How long ago that was.
  returned: success
  type: int
  sample: 120
tenants:
  description: The sessions, with the moment each shows, keys by type, digest, and since when it is missing in the database
    (null while it is there).
  returned: success
  type: list
  elements: dict
  sample: [{"tenant": "acme", "directory": "/var/lib/baileys-resilience/standby/whatsapp/acme",
            "snapshot_at": "2026-11-25T03:05:00Z", "age_seconds": 120, "made_at": "2026-11-25T03:05:00Z",
            "missing_since": null, "keys": {"pre-key": 1034, "session": 94}, "digest": "6eea9a46", "size_bytes": 1302441}]
problems:
  description: Directories that are of no use, with the reason.
  returned: success
  type: list
  elements: str
  sample: []
fence:
  description: Whose sessions count (V(postgresql) or V(files)), how often that has changed, since when, and by what.
  returned: success
  type: dict
  sample: {"owner": "postgresql", "epoch": 0, "since": "", "by": ""}
"""

import dataclasses
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    default_state_directory,
    run_module,
    state_options,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.fence import read_fence
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby import read_standby, verify_standby
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.standby_report import state_result


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            state_options(),
            source={"type": "str", "required": True},
            verify={"type": "bool", "default": False},
        ),
        supports_check_mode=True,
    )
    options = module.params

    def work() -> dict[str, Any]:
        state_directory = options["state_directory"] or default_state_directory()
        read = verify_standby if options["verify"] else read_standby
        fence = dataclasses.asdict(read_fence(state_directory, options["source"]))
        return dict(state_result(read(state_directory, options["source"])), changed=False, fence=fence)

    run_module(module, work)


if __name__ == "__main__":
    main()
