#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pm2_app_info
short_description: What runs under PM2, and what a boot would bring back
version_added: 0.1.0
description:
  - Lists the apps of one PM2 with their settings and processes, and compares them with what PM2 brings back at boot.
  - It starts no daemon, and shows no value of an environment.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.pm2
  - baileys.resilience.attributes
options:
  name:
    description:
      - Only this app.
    type: str
attributes:
  check_mode:
    support: full
    details:
      - It changes nothing in any mode.
  diff_mode:
    support: N/A
seealso:
  - module: baileys.resilience.pm2_app
"""

EXAMPLES = r"""
- name: What runs under PM2?
  baileys.resilience.pm2_app_info:
    user: app
  register: pm2

- name: Every app must come back at boot as it is now
  ansible.builtin.assert:
    that:
      - item.saved is not none
      - item.saved.differences == []
  loop: "{{ pm2.apps }}"
  loop_control:
    label: "{{ item.app.name }}"
"""

RETURN = r"""
apps:
  description: Every app, by name.
  returned: success
  type: list
  elements: dict
  contains:
    app:
      description: Its settings. Of its environment the names only.
      type: dict
      returned: always
      sample: {"name": "whatsapp", "script": "/opt/app/dist/main.js", "env": ["HOME", "NODE_ENV", "PATH", "PM2_HOME"]}
    job:
      description: Whether it runs at its hours and ends, rather than stays.
      type: bool
      returned: always
      sample: false
    running:
      description: Whether it runs, or is about to.
      type: bool
      returned: always
      sample: true
    processes:
      description: Its processes, as M(baileys.resilience.pm2_app) returns them.
      type: list
      elements: dict
      returned: always
      sample: [{"pm_id": 0, "pid": 4711, "status": "online", "restarts": 0}]
    saved:
      description: How a boot brings it back, and in which settings that differs from now; null when it does not.
      type: dict
      returned: always
      sample: {"runs_at_boot": true, "differences": []}
only_saved:
  description: Apps that a boot would bring back though PM2 does not have them now.
  returned: success
  type: list
  elements: str
  sample: []
saved_private:
  description: Whether only their owner can read what is saved; it holds the environment of every app.
  returned: success
  type: bool
  sample: true
daemon:
  description: PM2's daemon; null when it does not run.
  returned: success
  type: dict
  sample: {"pid": 4700, "pm2_version": "7.0.4", "node_version": "22.21.0", "time_zone": "Etc/UTC", "utc": true}
pm2_home:
  description: PM2's directory.
  returned: success
  type: str
  sample: /home/app/.pm2
program:
  description: The program C(pm2).
  returned: success
  type: str
  sample: /usr/local/bin/pm2
path:
  description: The E(PATH) that PM2's daemon and its apps are started with.
  returned: success
  type: str
  sample: /usr/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin:/bin
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import run_module
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2 import find_pm2
from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_info import survey


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str"},
            "user": {"type": "str"},
            "pm2_home": {"type": "path"},
            "program": {"type": "path"},
        },
        supports_check_mode=True,
    )
    options = module.params

    def work() -> dict[str, Any]:
        pm2 = find_pm2(options["user"], options["pm2_home"], options["program"])
        return {"changed": False, **survey(pm2, options["name"])}

    run_module(module, work)


if __name__ == "__main__":
    main()
