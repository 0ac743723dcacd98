# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cleanup as a process of its own, as the module runs it, without Ansible.

    python -m benchmarks.cleanup_step CONNECTION_STRING STATE_DIRECTORY

The interpreter's start and the imports are in the time, as they are in the module's.
"""

from __future__ import annotations

import sys

import psycopg2.extensions

from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import resolve
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.cleanup import CleanupRequest, clean_up
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.policy import Policy


def main() -> int:
    settings = resolve(psycopg2.extensions.parse_dsn(sys.argv[1]), environment={})
    request = CleanupRequest(
        source="benchmark",
        settings=settings,
        layout=SessionLayout(),
        policy=Policy(),
        state_directory=sys.argv[2],
        dry_run=False,
    )
    result = clean_up(request, lambda _database: None)
    print(result.deleted_keys, result.batches)
    return 0 if result.deleted_keys == result.before.deletable else 1


if __name__ == "__main__":
    sys.exit(main())
