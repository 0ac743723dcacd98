#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pg_version_check
short_description: Compare the versions of a PostgreSQL server and the client programs
version_added: 0.1.0
description:
  - Compares the server's version with those of the installed client programs, and finds the right ones among several.
  - C(pg_dump) refuses a server newer than itself. This module says so before anything is touched, with both versions
    and the commands that install the right client.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.connection
  - baileys.resilience.attributes
options:
  fail_if_incompatible:
    description:
      - Whether the module fails when no client fits. With V(false) it returns RV(compatible) V(false) instead.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    details:
      - It changes nothing in any mode.
  diff_mode:
    support: N/A
seealso:
  - module: baileys.resilience.pg_backup
"""

EXAMPLES = r"""
- name: Is the client new enough for the server?
  baileys.resilience.pg_version_check:
    env_file: /opt/app/.env
"""

RETURN = r"""
compatible:
  description: Whether a client on this host can dump this server.
  returned: when the server answered
  type: bool
  sample: true
server_version:
  description: The server's version.
  returned: when the server answered
  type: str
  sample: "18.0"
client_version:
  description: Version of the client to use; of the newest one there is if none fits.
  returned: when the server answered
  type: str
  sample: "18.6"
client_directory:
  description: Directory of that client.
  returned: when the server answered
  type: str
  sample: /usr/lib/postgresql/18/bin
clients:
  description: Every client found, newest first.
  returned: when the server answered
  type: list
  elements: dict
  contains:
    directory:
      description: Where it is.
      type: str
      returned: always
      sample: /usr/lib/postgresql/16/bin
    version:
      description: Its version.
      type: str
      returned: always
      sample: "16.10"
remedy:
  description: The commands that install the right client.
  returned: when no client fits
  type: str
  sample: "Install the client of version 18 or newer; on Debian and Ubuntu as root: ..."
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    connection_options,
    connection_settings,
    run_module,
)
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.compatibility import check_versions


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(connection_options(), fail_if_incompatible={"type": "bool", "default": True}),
        supports_check_mode=True,
    )

    def work() -> dict[str, Any]:
        found = check_versions(connection_settings(module), module.params["client_directory"])
        if found.error is not None and module.params["fail_if_incompatible"]:
            raise found.error
        return dict(found.as_dict(), changed=False)

    run_module(module, work)


if __name__ == "__main__":
    main()
