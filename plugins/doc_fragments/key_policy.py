# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that say which keys may be deleted by their age, described once."""

from __future__ import annotations


class ModuleDocFragment:
    """What Ansible looks for in a documentation fragment."""

    DOCUMENTATION = r"""
options:
  policy:
    description:
      - V(safe) lets only keys go that Baileys makes again by itself, C(device-list), C(sender-key-memory), and C(tctoken)
        whose own timestamp is old as well.
      - C(pre-key), C(app-state-sync-key), C(app-state-sync-version), C(lid-mapping) and C(identity-key) are then never
        deleted, whatever their age. They are written once and needed for as long as the session lives.
      - V(everything_by_age) lets keys of every known type go once they are older than O(retention_days). B(It breaks
        sessions), for messages can no longer be decrypted. It warns each time.
      - Rows of a type that is not known stay in any case, as do rows without a time.
    type: str
    choices: [safe, everything_by_age]
    default: safe
  retention_days:
    description:
      - Days since a key was last written (C(updated_column) of the O(layout)) after which it is old, by the server's clock.
      - The default is C(DB_CLEANUP_RETENTION_DAYS) of the O(env_file), else of the environment, else 30.
      - Tokens (C(tctoken)) are kept for at least 28 days, as long as they may be valid.
    type: int
  session_days:
    description:
      - Days after which a C(session) goes as well, at least 180. Without it sessions stay.
      - What that device sends next cannot be decrypted until it sends it again. With O(policy=safe) only.
    type: int
  sender_key_days:
    description:
      - Days after which another member's C(sender-key) goes as well, at least 180, together with the
        C(sender-key-memory) of the group. Without it sender keys stay; our own stay in any case.
      - What that member sends to the group next cannot be decrypted until the key is sent again. With O(policy=safe) only.
    type: int
  list_keys:
    description:
      - How many of the keys that may go are listed (tenant, type, id, age), the oldest first. Values are never shown.
      - Identifiers of keys hold phone numbers.
    type: int
    default: 0
"""
