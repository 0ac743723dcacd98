#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: runner_release
short_description: Install this collection and what it needs on a host, beside the release in use
version_added: 0.1.0
description:
  - Makes a host able to run the playbooks of this collection itself. It gets a release of its own - a virtual environment
    with pinned packages, and the very files of the collection that run on the controller - and a link C(current) to it.
  - A release is named after all that it is made of, so nothing is done where it is in use already.
  - Another release is built beside the one in use and checks itself. Only then is the link moved. If anything fails, the
    link stays where it was and the half release is removed.
  - The collection's files are sent only if the host does not have them.
  - The role P(baileys.resilience.runner#role) uses it, and adds the command, the inventory and the log files.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.attributes
options:
  directory:
    description:
      - Where the releases are kept.
    type: path
    default: /opt/baileys-resilience
  requirements:
    description:
      - What to install, as the content of a requirements file of pip, every package pinned with its hashes.
    type: str
    required: true
  python:
    description:
      - The Python of the host to make the environment with, 3.11 to 3.14. The default is the one the module runs under.
    type: path
  user:
    description:
      - The user who will run the playbooks; the release checks itself as this user.
    type: str
    default: root
  configuration:
    description:
      - The C(ansible.cfg) that the playbooks will be run with. The self check reads the inventory that it names.
    type: path
  keep:
    description:
      - How many releases stay, the one in use included. One that a job still runs from stays in any case.
    type: int
    default: 2
  pip_index_url:
    description:
      - Index that pip takes packages from, for example a mirror. A password in it is not shown.
    type: str
  pip_find_links:
    description:
      - Directories of the host, or addresses of pages, that hold packages.
    type: list
    elements: str
    default: []
  pip_no_index:
    description:
      - Whether pip asks no index, only O(pip_find_links).
    type: bool
    default: false
  pip_arguments:
    description:
      - Further arguments for C(pip install), for example C(--cert) and a file.
    type: list
    elements: str
    default: []
  collection_digest:
    description:
      - Digest of the collection's files. Set by the action plugin of the same name.
    type: str
  collection_archive:
    description:
      - The collection's files, on the host. Set by the action plugin of the same name.
    type: path
attributes:
  check_mode:
    support: full
    details:
      - It says whether another release would be taken into use. Whether pip could install it shows only when it does.
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Install this collection and what it needs
  baileys.resilience.runner_release:
    requirements: "{{ lookup('ansible.builtin.file', 'requirements.txt') }}"

- name: The same where no index is reached
  baileys.resilience.runner_release:
    requirements: "{{ lookup('ansible.builtin.file', 'requirements.txt') }}"
    pip_find_links:
      - /srv/wheels
    pip_no_index: true
"""

RETURN = r"""
release:
  description: The release that is in use now, or in check mode would be.
  returned: success
  type: str
  sample: 4b0c7d1f9a25
previous:
  description: The release that was in use before; null if there was none.
  returned: success
  type: str
  sample: 91e3c8a07d44
removed:
  description: Releases that were removed, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: []
stage:
  description: The stage that was reached.
  returned: failure
  type: str
  sample: install
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: Install the package python3-venv (or python3.13-venv).
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import run_module
from ansible_collections.baileys.resilience.plugins.module_utils.runner.python import PackageSource
from ansible_collections.baileys.resilience.plugins.module_utils.runner.release import (
    ReleaseOutcome,
    ReleaseRequest,
    bring_up,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.commands import Account, user_named
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError


def request_of(options: dict[str, Any], check_mode: bool) -> ReleaseRequest:
    """What the module was asked for. Raises SettingsError."""
    if not options["collection_digest"]:
        raise SettingsError(
            "runner_release was started without its action plugin, which sends the collection",
            remedy="Call it by its full name, baileys.resilience.runner_release.",
        )
    # In check mode the user may be one that would have been created by now.
    entry = None if check_mode else user_named(options["user"])
    is_other = entry is not None and entry.pw_uid != os.geteuid()
    return ReleaseRequest(
        directory=options["directory"],
        collection_digest=options["collection_digest"],
        collection_archive=options["collection_archive"],
        requirements=options["requirements"],
        python=options["python"],
        packages=PackageSource(
            index_url=options["pip_index_url"],
            find_links=tuple(options["pip_find_links"]),
            no_index=options["pip_no_index"],
            arguments=tuple(options["pip_arguments"]),
        ),
        account=Account(entry.pw_name, entry.pw_uid, entry.pw_gid) if entry and is_other else None,
        home=entry.pw_dir if entry else "/",
        configuration=options["configuration"],
        keep=options["keep"],
    )


def answer_of(outcome: ReleaseOutcome) -> dict[str, Any]:
    """The outcome as the module returns it."""
    return {
        "changed": outcome.changed,
        "release": outcome.release,
        "previous": outcome.previous,
        "removed": list(outcome.removed),
        "needs_collection": outcome.needs_collection,
        "warnings_": outcome.warnings,
        "diff": {
            "before": f"release {outcome.previous or 'none'}\n",
            "after": f"release {outcome.release}\n",
        },
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "default": "/opt/baileys-resilience"},
            "requirements": {"type": "str", "required": True},
            "python": {"type": "path"},
            "user": {"type": "str", "default": "root"},
            "configuration": {"type": "path"},
            "keep": {"type": "int", "default": 2},
            "pip_index_url": {"type": "str", "no_log": True},
            "pip_find_links": {"type": "list", "elements": "str", "default": []},
            "pip_no_index": {"type": "bool", "default": False},
            "pip_arguments": {"type": "list", "elements": "str", "default": []},
            "collection_digest": {"type": "str"},
            "collection_archive": {"type": "path"},
        },
        supports_check_mode=True,
    )
    # Every task of it would show some hundred lines.
    requirements, module.params["requirements"] = module.params["requirements"], "not shown"
    options = {**module.params, "requirements": requirements}
    run_module(module, lambda: answer_of(bring_up(request_of(options, module.check_mode), dry_run=module.check_mode)))


if __name__ == "__main__":
    main()
