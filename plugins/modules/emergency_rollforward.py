#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: emergency_rollforward
short_description: Bring a WhatsApp service back from files to PostgreSQL
version_added: 0.1.0
description:
  - The way back from M(baileys.resilience.emergency_rollback). What happened in the files meanwhile replaces the rows of
    each tenant, in one transaction and read back; then the service is started as it was before the rollback.
  - First of all the database gets a mark, so that nobody takes what is in it for current.
  - Whatever fails leaves the service on its files, or brings it back to them. A run that was killed is finished by the
    next one.
  - The steps are preflight, stop (proven), import (read back and equal), fence, start, connect, save and clear.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.connection
  - baileys.resilience.session_store
  - baileys.resilience.emergency
  - baileys.resilience.state
  - baileys.resilience.attributes
options:
  require_backup:
    description:
      - Whether a verified backup of the database is needed before its rows are replaced.
    type: bool
    default: true
  backup_max_age:
    description:
      - How many hours old that backup may be.
    type: float
    default: 1
attributes:
  check_mode:
    support: full
    details:
      - Looks at the files, the database and the backup, and returns the plan. Touches nothing.
  diff_mode:
    support: full
    details:
      - The plan, a sentence each.
seealso:
  - module: baileys.resilience.emergency_rollback
  - module: baileys.resilience.session_import
"""

EXAMPLES = r"""
- name: Bring the service back to the database
  baileys.resilience.emergency_rollforward:
    source: whatsapp
    env_file: /opt/whatsapp/.env
    confirm: whatsapp
    service:
      app: whatsapp
      checkout: /opt/whatsapp
      sessions_directory: /var/lib/whatsapp/sessions
"""

RETURN = r"""
plan:
  description: What would be done, in order. Empty where there was nothing to plan.
  returned: success
  type: list
  elements: str
  sample: ["Mark the database, so that nobody takes what is in it for current"]
page:
  description: What was done, what is true now, and what to do next, in lines. Empty in check mode.
  returned: success
  type: list
  elements: str
  sample: ["WHAT WAS DONE", "  stop           31 ms"]
data:
  description: What the rollback had exported, and how many rows of how many tenants were imported.
  returned: success
  type: dict
  sample: {"tenants": 1, "imported": {"added": 2, "changed": 5, "removed": 0, "unchanged": 1640}}
timings:
  description: Seconds of each step.
  returned: success
  type: list
  elements: dict
  sample: [{"step": "stop", "seconds": 0.031}]
started_seconds:
  description: Seconds between the stop and the start of the service.
  returned: success
  type: float
  sample: 0.8
recovery_seconds:
  description: Seconds between the stop of the service and its connection to WhatsApp.
  returned: success
  type: float
  sample: 4.1
stage:
  description: The step that was reached.
  returned: failure
  type: str
  sample: import
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: Read the service's log (pm2 logs).
report:
  description: What M(baileys.resilience.notify) sends.
  returned: unless in check mode, or nothing was done
  type: dict
  sample: {"job": "emergency_rollforward", "subject": "whatsapp", "level": "info",
           "title": "the service runs on PostgreSQL again"}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.emergency import rollforward
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.journal import ROLLFORWARD
from ansible_collections.baileys.resilience.plugins.module_utils.emergency_module import COMMON_OPTIONS, run_emergency

OPTIONS = {
    "require_backup": {"type": "bool", "default": True},
    "backup_max_age": {"type": "float", "default": 1},
}


def main() -> None:
    module = AnsibleModule(argument_spec=dict(COMMON_OPTIONS, **OPTIONS), supports_check_mode=True)
    given: dict[str, Any] = {name: module.params[name] for name in OPTIONS}
    run_emergency(module, given, ROLLFORWARD, rollforward.preview_rollforward, rollforward.roll_forward)


if __name__ == "__main__":
    main()
