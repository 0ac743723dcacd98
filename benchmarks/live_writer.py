# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that writes: one key after the other, with a pause of 2 ms, until its standard input ends.

    python -m benchmarks.live_writer CONNECTION_STRING

It then prints, as JSON, the moment of each write and how long it took, both in seconds.
"""

from __future__ import annotations

import json
import random
import select
import sys
import time

import psycopg2

PAUSE_SECONDS = 0.002
KEYS = 3000


def main() -> None:
    connection = psycopg2.connect(sys.argv[1])
    connection.autocommit = True
    written = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT company_id, key_type, key_id FROM whatsapp_keys WHERE key_type = 'session'"
            " AND updated_at > now() - interval '20 days' LIMIT %s",
            (KEYS,),
        )
        keys = cursor.fetchall()
        chosen = random.Random(7)
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            started = time.perf_counter()
            cursor.execute(
                "UPDATE whatsapp_keys SET value = value WHERE company_id = %s AND key_type = %s AND key_id = %s",
                chosen.choice(keys),
            )
            written.append((time.time(), time.perf_counter() - started))
            time.sleep(PAUSE_SECONDS)
    json.dump(written, sys.stdout)


if __name__ == "__main__":
    main()
