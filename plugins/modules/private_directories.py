#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: private_directories
short_description: Directories that nobody but their owner may enter, many in one task
version_added: 0.1.0
description:
  - Makes each path a directory of mode 0700 that belongs to one user, with such parents as are missing.
  - It looks at all paths first, and changes nothing if one of them cannot be trusted. That is one that is a symbolic link,
    that belongs to another user than O(owner) and root, or that lies in a directory in which others could replace it.
  - A directory of root is handed over to O(owner), with what root owns in it. Of any other user nothing is taken.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.attributes
options:
  paths:
    description:
      - Absolute paths of the directories.
    type: list
    elements: path
    required: true
  owner:
    description:
      - Name of the user they belong to. The group is that user's own.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    details:
      - The user may be one that does not exist yet.
  diff_mode:
    support: full
    details:
      - One line for every directory that is made, closed or handed over.
"""

EXAMPLES = r"""
- name: Make the directories of two databases
  baileys.resilience.private_directories:
    owner: resilience
    paths:
      - /var/backups/postgresql/whatsapp/daily
      - /var/backups/postgresql/billing/daily
"""

RETURN = r"""
changes:
  description: What was done, or in check mode would be, a line for each directory.
  returned: success
  type: list
  elements: str
  sample: ["/var/backups/postgresql/whatsapp: made"]
group:
  description: Name of the group they belong to.
  returned: success, unless in check mode the user does not exist yet
  type: str
  sample: resilience
stage:
  description: The stage that was reached.
  returned: failure
  type: str
  sample: directories
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: Name another directory, or put right what is there.
"""

import grp
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import run_module
from ansible_collections.baileys.resilience.plugins.module_utils.system.commands import Account, user_named
from ansible_collections.baileys.resilience.plugins.module_utils.system.directories import ensure_directories
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError


def account_of(name: str, check_mode: bool) -> Account | None:
    """The user; None for one that check mode has not created. Raises SettingsError."""
    try:
        entry = user_named(name)
    except SettingsError:
        if check_mode:
            return None
        raise
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "owner": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )

    def work() -> dict[str, Any]:
        account = account_of(module.params["owner"], module.check_mode)
        changes = ensure_directories(module.params["paths"], account, dry_run=module.check_mode)
        lines = [str(change) for change in changes]
        answer: dict[str, Any] = {"changed": bool(changes), "changes": lines}
        if account is not None:
            answer["group"] = grp.getgrgid(account.gid).gr_name
        if module._diff:
            answer["diff"] = {"prepared": "".join(f"{line}\n" for line in lines)}
        return answer

    run_module(module, work)


if __name__ == "__main__":
    main()
