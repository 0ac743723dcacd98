#!/usr/bin/python
# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: session_keys_info
short_description: Count the keys of WhatsApp sessions by type and age
version_added: 0.1.0
description:
  - Counts the keys of all sessions in the database by type and by age, and how many of them the policy of
    M(baileys.resilience.session_keys_cleanup) would delete. Reads the table once; writes nothing.
  - Warns when more than O(max_deletable_warning) keys could be deleted. Types that are written once only grow, so how many
    old keys there are in all is no reason to be alarmed.
author:
  - baileys.resilience contributors (@baileys-resilience)
extends_documentation_fragment:
  - baileys.resilience.connection
  - baileys.resilience.session_store
  - baileys.resilience.key_policy
  - baileys.resilience.attributes
options:
  max_deletable_warning:
    description:
      - More keys than this that could be deleted are a warning.
    type: int
    default: 500
attributes:
  check_mode:
    support: full
    details:
      - It never changes anything.
  diff_mode:
    support: none
seealso:
  - module: baileys.resilience.session_keys_cleanup
"""

EXAMPLES = r"""
- name: How old are the keys?
  baileys.resilience.session_keys_info:
    env_file: /opt/app/.env
  register: keys

- name: See which ones could go
  baileys.resilience.session_keys_info:
    env_file: /opt/app/.env
    list_keys: 20
"""

RETURN = r"""
msg:
  description: One sentence.
  returned: always
  type: str
  sample: 60 of 1,647 keys could be deleted.
at:
  description: When they were counted, by the server's clock.
  returned: success
  type: str
  sample: "2026-11-25T03:00:00Z"
keys:
  description: How many keys there are.
  returned: success
  type: int
  sample: 1647
deletable:
  description: How many of them the policy would delete.
  returned: success
  type: int
  sample: 60
deletable_bytes:
  description: About what these take in the table, in bytes.
  returned: success
  type: int
  sample: 21930
ages:
  description: Keys by age. Those whose time is NULL or infinite are C(unknown).
  returned: success
  type: dict
  sample: {"<1d": 300, "1-7d": 320, "7-14d": 240, "14-30d": 330, ">30d": 457, "unknown": 0}
oldest:
  description: When the key was last written that was left alone for the longest time. V(null) where there is none.
  returned: success
  type: str
  sample: "2025-10-22T08:14:03Z"
newest:
  description: When a key was last written.
  returned: success
  type: str
  sample: "2026-11-25T02:59:58Z"
types:
  description: The same for each type, with its rule and what deleting such a key does.
  returned: success
  type: dict
  sample:
    device-list:
      keys: 72
      ages: {"<1d": 18, "1-7d": 18, "7-14d": 11, "14-30d": 11, ">30d": 14, "unknown": 0}
      oldest: "2025-10-30T10:00:00Z"
      newest: "2026-11-25T02:10:00Z"
      deletable: 14
      deletable_bytes: 1290
      rule: goes when older than 30 days
      when_deleted: "nothing: asked of WhatsApp again when it is needed"
sizes:
  description: Bytes on the server's disk. C(database_bytes) is null where the role may not ask.
  returned: success
  type: dict
  sample: {"table_bytes": 1654784, "index_bytes": 401408, "total_bytes": 2056192, "database_bytes": 10458815}
policy:
  description: The policy that was asked.
  returned: success
  type: dict
  sample: {"mode": "safe", "retention_days": 30, "session_days": null, "sender_key_days": null}
overview:
  description: The same in lines for people.
  returned: success
  type: list
  elements: str
  sample: ["device-list: 72 keys, 14 could go; oldest 2025-10-30T10:00:00Z, newest 2026-11-25T02:10:00Z"]
listed_keys:
  description: The keys that may go, up to O(list_keys), the oldest first.
  returned: success
  type: list
  elements: dict
  sample: [{"tenant": "4f1c2a7e", "key_type": "device-list", "key_id": "4915112345678",
            "updated_at": "2026-01-02T03:04:05Z", "age_seconds": 28252555}]
stage:
  description: The stage that was reached.
  returned: failure
  type: str
  sample: layout
remedy:
  description: What to do next.
  returned: failure, where it is known
  type: str
  sample: Name the column that says when a key was last written; without one no key can be told to be old.
report:
  description: What M(baileys.resilience.notify) sends, under the job C(expired_keys). It is not kept as a status.
  returned: success
  type: dict
  sample: {"job": "expired_keys", "subject": "whatsapp", "level": "info",
           "title": "60 of 1,647 keys could be deleted"}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.baileys.resilience.plugins.module_utils.ansible_module import (
    connection_options,
    connection_settings,
    run_module,
    session_options,
)
from ansible_collections.baileys.resilience.plugins.module_utils.sessions import cleanup, tell_cleanup
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import layout_from
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.policy import Policy, retention_from

OPTIONS = {
    "policy": {"type": "str", "choices": ["safe", "everything_by_age"], "default": "safe"},
    "retention_days": {"type": "int"},
    "session_days": {"type": "int"},
    "sender_key_days": {"type": "int", "no_log": False},
    "list_keys": {"type": "int", "default": 0, "no_log": False},
    "max_deletable_warning": {"type": "int", "default": 500},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(connection_options(), **session_options(), **OPTIONS), supports_check_mode=True
    )
    options = module.params

    def work() -> dict[str, Any]:
        started = time.monotonic()
        settings = connection_settings(module)
        policy = Policy(
            options["policy"],
            retention_from(options["retention_days"], options["env_file"]),
            options["session_days"],
            options["sender_key_days"],
        )
        census, listed = cleanup.survey(settings, layout_from(options["layout"]), policy, options["list_keys"])
        source = options["source"] or settings.parameters.get("dbname", "default")
        report = tell_cleanup.census_report(
            source, census, policy, options["max_deletable_warning"], time.monotonic() - started
        )
        problem = tell_cleanup.too_many_deletable(census, options["max_deletable_warning"])
        return {
            **tell_cleanup.census_result(census, policy, listed),
            "changed": False,
            "msg": f"{census.deletable:,} of {census.keys:,} keys could be deleted.",
            "report": report.to_dict(),
            "warnings_": [*tell_cleanup.warnings(policy, census), *([problem] if problem else [])],
        }

    run_module(module, work)


if __name__ == "__main__":
    main()
