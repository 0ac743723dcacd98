# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a realistic WhatsApp session store, the same one from the same seed.

    python -m demo.session_store --dsn "host=... dbname=..." --size small --seed 7

Every company has the same number of keys, so what a backup must find is known beforehand.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2

from demo.session_creds import auth_row
from demo.session_rows import KEYS_BY_TYPE, KEYS_PER_COMPANY, ages_by_type, key_rows

# Companies in each size; `large` comes to 1.1 GB of tables and indexes.
SIZES = {"small": 1, "hundred": 100, "large": 512}
DEFAULT_SEED = 7
SCHEMA_FILE = Path(__file__).with_name("session_store.sql")
COPY_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True)
class LoadedStore:
    """What `populate` made, and how long it took (seconds)."""

    companies: int
    keys: int
    seconds: float


def expected_counts(companies: int = 1) -> dict[str, int]:
    """Return the rows of each table for that many companies."""
    return {"whatsapp_auth": companies, "whatsapp_keys": KEYS_PER_COMPANY * companies}


def expected_key_types(companies: int = 1) -> dict[str, int]:
    """Return the rows of `whatsapp_keys` by key type."""
    return {key_type: count * companies for key_type, count in KEYS_BY_TYPE.items()}


def expected_ages(companies: int = 1) -> dict[str, Counter[str]]:
    """Return the rows by key type and age bucket (`<1d`, `1-7d`, `7-14d`, `14-30d`, `>30d`).

    True at the moment given to `populate` and for an hour after it.
    """
    return {
        key_type: Counter({bucket: count * companies for bucket, count in ages.items()})
        for key_type, ages in ages_by_type().items()
    }


def populate(
    target: str | Mapping[str, Any],
    *,
    size: str = "small",
    companies: int | None = None,
    seed: int = DEFAULT_SEED,
    now: datetime | None = None,
) -> LoadedStore:
    """Create the schema and fill it by COPY, in one transaction, holding one company in memory.

    `target` is a libpq connection string or a mapping of its parameters; the role becomes the
    owner. `companies` overrides `size`. Ages count back from `now` (default: this moment); the
    same seed and `now` give the same rows. Raises psycopg2's errors; then nothing is left.
    """
    count = SIZES[size] if companies is None else companies
    moment_us = int((now or datetime.now(UTC)).timestamp() * 1_000_000)
    started = time.monotonic()
    connection = psycopg2.connect(target) if isinstance(target, str) else psycopg2.connect(**target)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(SCHEMA_FILE.read_text(encoding="utf-8"))
            _copy(
                cursor,
                "public.whatsapp_auth (company_id, creds, created_at, updated_at)",
                (auth_row(seed, number, moment_us) for number in range(count)),
            )
            _copy(
                cursor,
                "public.whatsapp_keys (company_id, key_type, key_id, value, created_at, updated_at, expires_at)",
                (row for n in range(count) for row in key_rows(seed, n, moment_us)),
            )
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE) public.whatsapp_auth, public.whatsapp_keys")
    finally:
        connection.close()
    return LoadedStore(count, count * KEYS_PER_COMPANY, time.monotonic() - started)


def _copy(cursor: Any, table: str, lines: Iterable[str]) -> None:
    cursor.copy_expert(f"COPY {table} FROM STDIN", _Blocks(lines), size=COPY_BLOCK_BYTES)


class _Blocks:
    """The file object COPY reads from: gathers generated lines into blocks."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines: Iterator[str] = iter(lines)
        self._pending = b""

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, and none at the end."""
        if len(self._pending) < size:
            parts, length = [self._pending], len(self._pending)
            for line in self._lines:
                encoded = line.encode()
                parts.append(encoded)
                length += len(encoded)
                if length >= size:
                    break
            self._pending = b"".join(parts)
        block, self._pending = self._pending[:size], self._pending[size:]
        return block


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a realistic WhatsApp session store.")
    parser.add_argument("--dsn", default="", help="libpq connection string (default: PG* variables)")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--companies", type=int, help="instead of --size")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    arguments = parser.parse_args()
    store = populate(
        arguments.dsn,
        size=arguments.size,
        companies=arguments.companies,
        seed=arguments.seed,
    )
    print(f"{store.companies} companies, {store.keys:,} keys in {store.seconds:.1f} s")


if __name__ == "__main__":
    main()
