#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: emergency_rollback
short_description: Bring a WhatsApp service from PostgreSQL to files
version_added: 0.1.0
description:
  - For the hour in which the database is gone. Exports every session to the multi-file format of Baileys, brings up the
    code that reads it, and starts the service there. One that is there already is left alone.
  - The sessions come from the live database if it answers; otherwise from the warm standby or the newest verified
    backup, whichever shows the newer moment.
  - Whatever fails before the service is started again leaves it as it was; whatever fails afterwards is undone. A run
    that was killed is finished by the next one.
  - The steps are preflight, stop (proven), export (read back and equal), fence, start, connect and save.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.connection
  - baileys.resilience.session_store
  - baileys.resilience.emergency
  - baileys.resilience.state
  - baileys.resilience.attributes
options:
  data_source:
    description:
      - Where the sessions are taken from. V(auto) chooses as described above.
      - A database that answers and refuses (a wrong password, an expired certificate, no free connection) stops the run
        unless another source is named here.
    type: str
    choices: [auto, database, standby, backup]
    default: auto
  max_data_age:
    description:
      - Sessions older than this many seconds are refused unless O(accept_stale=true).
    type: float
    default: 900
  accept_stale:
    description:
      - Whether older sessions will do.
    type: bool
    default: false
  server_directory:
    description:
      - Directory of C(postgres) and C(initdb), for the scratch server that a backup is read with. Found by itself where
        PostgreSQL's packages put it.
    type: path
  scratch_directory:
    description:
      - Directory below which the scratch server keeps its data. The default is memory where there is plenty, else
        C(/var/tmp).
    type: path
attributes:
  check_mode:
    support: full
    details:
      - Looks at all sources, the code and the service, and returns the plan. Touches nothing.
  diff_mode:
    support: full
    details:
      - The plan, a sentence each.
seealso:
  - module: baileys.resilience.emergency_rollforward
  - module: baileys.resilience.session_standby
  - module: baileys.resilience.session_export
"""

EXAMPLES = r"""
- name: See what would be done
  baileys.resilience.emergency_rollback:
    source: whatsapp
    env_file: /opt/whatsapp/.env
    service:
      app: whatsapp
      checkout: /opt/whatsapp
      sessions_directory: /var/lib/whatsapp/sessions
  check_mode: true
  diff: true

- name: Bring the service to its files
  baileys.resilience.emergency_rollback:
    source: whatsapp
    env_file: /opt/whatsapp/.env
    confirm: whatsapp
    service:
      app: whatsapp
      checkout: /opt/whatsapp
      sessions_directory: /var/lib/whatsapp/sessions
      sessions_variable: AUTH_FILES_DIRECTORY
"""

RETURN = r"""
plan:
  description: What would be done, in order. Empty where there was nothing to plan.
  returned: success
  type: list
  elements: str
  sample: ["Source of the sessions: live database \"whatsapp\" at db.example.net:5432 as whatsapp"]
page:
  description: What was done, what is true now, and what to do next, in lines. Empty in check mode.
  returned: success
  type: list
  elements: str
  sample: ["WHAT WAS DONE", "  stop           31 ms"]
data:
  description: Where the sessions came from, how many keys of how many tenants they are, and the moment they show.
  returned: success
  type: dict
  sample: {"kind": "standby", "what": "warm standby", "keys": 1647, "tenants": 1, "snapshot_at": "2026-11-25T03:00:00Z"}
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
  sample: export
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: Read the service's log (pm2 logs).
report:
  description: What M(baileys.resilience.notify) sends.
  returned: unless in check mode, or nothing was done
  type: dict
  sample: {"job": "emergency_rollback", "subject": "whatsapp", "level": "warning", "title": "the service runs from files"}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.emergency import rollback
from ansible_collections.baileys.resilience.plugins.module_utils.emergency.journal import ROLLBACK
from ansible_collections.baileys.resilience.plugins.module_utils.emergency_module import COMMON_OPTIONS, run_emergency

OPTIONS = {
    "data_source": {"type": "str", "choices": ["auto", "database", "standby", "backup"], "default": "auto"},
    "max_data_age": {"type": "float", "default": 900},
    "accept_stale": {"type": "bool", "default": False},
    "server_directory": {"type": "path"},
    "scratch_directory": {"type": "path"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=dict(COMMON_OPTIONS, **OPTIONS), supports_check_mode=True)
    given: dict[str, Any] = {name: module.params[name] for name in OPTIONS}
    run_emergency(module, given, ROLLBACK, rollback.preview_rollback, rollback.roll_back)


if __name__ == "__main__":
    main()
