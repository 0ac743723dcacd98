#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: apt_packages
short_description: Install Debian packages, from a repository of their own whose key is checked
version_added: 0.1.0
description:
  - Installs packages with C(apt-get), and with O(source) the repository they come from, with its key.
  - The key is taken only when the file holds one public key and its fingerprint is O(source.fingerprint). apt then reads
    the repository with that key in a directory of its own. The source and the keyring are written below C(/etc/apt) only
    when the repository is signed by that key, can be read, and has the packages. So a wrong key, a repository that is not
    signed or not reached, and a missing package leave the host as it was.
  - No installed package is removed to install another, and none to remove another.
  - Where the packages, the source and the keyring are in place, nothing is downloaded and apt is not asked.
  - It needs neither C(python3-apt) nor C(gpg) on the host, in check mode neither.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.attributes
options:
  name:
    description:
      - Names of the packages.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(present) installs what is missing, and upgrades nothing.
      - V(absent) removes the packages, the source and the keyring. What was installed because a package needed it stays;
        C(apt-get autoremove) removes it.
    type: str
    choices: [present, absent]
    default: present
  source:
    description:
      - The repository. Without it, the packages come from what the host has.
    type: dict
    suboptions:
      name:
        description:
          - The file is C(/etc/apt/sources.list.d/<name>.sources). What is in it is replaced.
        type: str
        required: true
      url:
        description:
          - Address of the repository, with C(https://), C(http://) or C(file://).
        type: str
        required: true
      suite:
        description:
          - The suite in it.
        type: str
        required: true
      components:
        description:
          - The components of the suite.
        type: list
        elements: str
        default: [main]
      keyring:
        description:
          - File for the key. One whose name ends in C(.asc) is written as text, one in C(.gpg) binary, as apt reads them.
          - Where it holds the right key, it is left as it is. Any other is replaced.
        type: path
        required: true
      fingerprint:
        description:
          - The whole fingerprint of the key, with spaces or without.
        type: str
        required: true
      key:
        description:
          - The key itself, as text. This or O(source.key_url) is needed only where the keyring is not in place.
        type: str
      key_url:
        description:
          - Where the host gets the key, text or binary. V(file:///...) is a file of the host.
        type: str
  files_meanwhile:
    description:
      - Files, by their paths, that are there only while packages are installed, with this content. It is for what a
        package's own scripts look at.
    type: dict
    default: {}
  timeout:
    description:
      - Seconds to wait for an answer when the key is fetched.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    details:
      - Nothing is downloaded, so whether the key is right and the repository has the packages is not known then.
  diff_mode:
    support: full
    details:
      - The file of the source, and the names of the packages.
seealso:
  - module: ansible.builtin.apt
  - module: ansible.builtin.deb822_repository
"""

EXAMPLES = r"""
- name: PostgreSQL's client from the repository of the PostgreSQL project
  baileys.resilience.apt_packages:
    name:
      - postgresql-client-18
    source:
      name: pgdg
      url: https://apt.postgresql.org/pub/repos/apt
      suite: "{{ ansible_facts['distribution_release'] }}-pgdg"
      keyring: /etc/apt/keyrings/pgdg.gpg
      key_url: https://www.postgresql.org/media/keys/ACCC4CF8.asc
      fingerprint: B97B 0AFC AA1A 47F0 44F2 44A0 7FCC 7D46 ACCC 4CF8
"""

RETURN = r"""
installed:
  description: The versions of the packages of O(name) that are installed now.
  returned: success
  type: dict
  sample:
    postgresql-client-18: 18.6-1.pgdg13+1
added:
  description: The packages that were installed, or would be.
  returned: success
  type: list
  elements: str
  sample: [postgresql-client-18]
removed:
  description: The packages that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: []
files:
  description: The files of the source that were written or removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/apt/keyrings/pgdg.gpg, /etc/apt/sources.list.d/pgdg.sources]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import run_module
from ansible_collections.baileys.resilience.plugins.module_utils.system import packages
from ansible_collections.baileys.resilience.plugins.module_utils.system.apt_source import Source
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError, SettingsError
from ansible_collections.baileys.resilience.plugins.module_utils.system.openpgp import KeyFileError, plain_fingerprint

SOURCE_OPTIONS = {
    "name": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "suite": {"type": "str", "required": True},
    "components": {"type": "list", "elements": "str", "default": ["main"]},
    "keyring": {"type": "path", "required": True},
    "fingerprint": {"type": "str", "required": True},
    "key": {"type": "str", "no_log": False},
    "key_url": {"type": "str", "no_log": False},
}
# A key is some kilobytes; whatever is longer is not one.
KEY_LIMIT = 1 << 20


def source_of(given: dict[str, Any]) -> Source:
    """The source that was asked for. Raises SettingsError."""
    try:
        fingerprint = plain_fingerprint(given["fingerprint"])
    except KeyFileError as error:
        raise SettingsError(error.message, stage="settings", remedy="Give all digits of it.") from error
    return Source(
        name=given["name"],
        url=given["url"],
        suite=given["suite"],
        components=tuple(given["components"]),
        keyring=given["keyring"],
        fingerprint=fingerprint,
    )


def fetch_key(given: dict[str, Any], timeout: int) -> bytes:
    """The key that was given, or that the host gets from where it was told to. Raises ResilienceError."""
    if given["key"]:
        return str(given["key"]).encode()
    if not given["key_url"]:
        raise SettingsError(
            "{} does not hold the key {}, and none is given".format(given["keyring"], given["fingerprint"]),
            stage="key",
            remedy="Give the key, or where to get it.",
        )
    try:
        data: bytes = open_url(given["key_url"], timeout=timeout).read(KEY_LIMIT)
    except Exception as error:  # open_url raises what urllib, ssl and the socket raise
        raise ResilienceError(
            "Cannot get the key from {}: {}".format(given["key_url"], error),
            stage="key",
            remedy="Nothing was changed. Let the host reach it, or give the key itself.",
        ) from error
    return data


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "source": {"type": "dict", "options": SOURCE_OPTIONS},
            "files_meanwhile": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    names, given = module.params["name"], module.params["source"]

    def work() -> dict[str, Any]:
        source = source_of(given) if given else None
        if module.params["state"] == "absent":
            outcome = packages.absent(names, source, dry_run=module.check_mode)
        else:
            outcome = packages.present(
                names,
                source,
                lambda: fetch_key(given, module.params["timeout"]),
                meanwhile=module.params["files_meanwhile"],
                dry_run=module.check_mode,
            )
        return {
            "changed": outcome.changed,
            "installed": outcome.installed,
            "added": outcome.added,
            "removed": outcome.removed,
            "files": outcome.files,
            "diff": [
                {"header": source.path if source else "source", "before": outcome.before, "after": outcome.after},
                {
                    "header": "packages",
                    "before": "".join(f"{name}\n" for name in outcome.removed),
                    "after": "".join(f"{name}\n" for name in outcome.added),
                },
            ],
        }

    run_module(module, work)


if __name__ == "__main__":
    main()
