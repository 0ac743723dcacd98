#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: dotenv
short_description: Set and remove variables of a .env file
version_added: 0.1.0
description:
  - Sets and removes variables of a C(.env) file that Node's dotenv reads. Comments, order, quotes, line ends, owner, mode
    and access lists stay as they are, and the file is replaced as a whole or not at all.
  - What was written is read back as dotenv reads it before the file is replaced. A value that dotenv cannot read, or
    that would change what it reads elsewhere in the file, is refused.
  - Of a variable that is given more than once every occurrence gets the value. dotenv goes by the last one.
  - A process that runs goes on with what it has read. PM2 passes on what it captured when the app was first started, and
    dotenv does not override that; M(baileys.resilience.pm2_app) sets the environment of an app.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.attributes
options:
  path:
    description:
      - The C(.env) file. Where a symbolic link leads to it, the file itself is replaced.
    type: path
    required: true
  set:
    description:
      - Variables to set. V(true), V(false) and numbers become text as JSON writes them.
      - The values are treated as secrets, also those that are none.
    type: dict
    default: {}
  unset:
    description:
      - Variables to remove, each with its line.
    type: list
    elements: str
    default: []
  create:
    description:
      - Whether a file that is missing is made, with mode 0600. Otherwise it is an error.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - One line for every variable that is added, changed or removed, without any value.
seealso:
  - module: baileys.resilience.pm2_app
"""

EXAMPLES = r"""
- name: Point the application at the restored database
  baileys.resilience.dotenv:
    path: /opt/app/.env
    set:
      POSTGRES_DATABASE: whatsapp_restored

- name: A new password, and a setting that is no longer used
  baileys.resilience.dotenv:
    path: /opt/app/.env
    set:
      POSTGRES_PASSWORD: "{{ vault_whatsapp_password }}"
    unset:
      - POSTGRES_URL
"""

RETURN = r"""
path:
  description: The file, where a symbolic link was given the one that it leads to.
  returned: success
  type: str
  sample: /opt/app/.env
added:
  description: Names of the variables that were added, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: []
modified:
  description: Names of the variables that have another value now, or in check mode would have.
  returned: success
  type: list
  elements: str
  sample: [POSTGRES_PASSWORD]
removed:
  description: Names of the variables that were removed, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [POSTGRES_URL]
created:
  description: Whether the file was made, or in check mode would be.
  returned: success
  type: bool
  sample: false
stage:
  description: The stage that was reached.
  returned: failure
  type: str
  sample: dotenv
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: Run as root or as the owner of the file.
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import run_module
from ansible_collections.baileys.resilience.plugins.module_utils.processes.dotenv import write_env_file
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError


def as_text(name: str, value: Any) -> str:
    """A value of the option ``set`` as it stands in the file. Raises SettingsError."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise SettingsError(
        "The value of {} is {}, and an environment variable is a text".format(
            name, "empty (null)" if value is None else "a list or a dict"
        ),
        stage="settings",
        remedy="Quote it, write '' for an empty text, or name it under unset to remove it.",
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "set": {"type": "dict", "default": {}, "no_log": True},
            "unset": {"type": "list", "elements": "str", "default": []},
            "create": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options = module.params

    def work() -> dict[str, Any]:
        given = options["set"]
        # Ansible shows the arguments again, and blots out every value given here wherever it occurs in the answer: "1",
        # "true", the name of a database. They occur nowhere else, so it is enough not to show them there.
        options["set"] = dict.fromkeys(given, "not shown")
        module.no_log_values.clear()
        change = write_env_file(
            options["path"],
            {name: as_text(name, value) for name, value in given.items()},
            options["unset"],
            create=options["create"],
            dry_run=module.check_mode,
        )
        answer = {
            "changed": change.changed,
            "path": change.path,
            "added": list(change.added),
            "modified": list(change.modified),
            "removed": list(change.removed),
            "created": change.created,
            "warnings_": change.warnings,
        }
        if module._diff:
            answer["diff"] = {"prepared": change.diff}
        return answer

    run_module(module, work)


if __name__ == "__main__":
    main()
