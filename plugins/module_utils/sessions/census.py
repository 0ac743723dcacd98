# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many keys there are, how old, and how many of them may go. Ages are those of the server's clock."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .deletable import Deletable
from .keys_table import KeysTable, Sizes
from .layout import SessionLayout
from .policy import Policy
from .store import open_snapshot
from .taken_apart import over_parts
from .values import BrokenValueError, normalise

try:
    from psycopg2 import sql
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# From young to old. A key of exactly 30 days is not yet older than 30 days.
AGE_BUCKETS = ("<1d", "1-7d", "7-14d", "14-30d", ">30d")
# Of rows whose time is NULL or infinite.
NO_AGE = "unknown"
# Of rows in a table with combined identifiers whose identifier begins with no type.
NO_TYPE = "(no type)"
# What a row takes besides its identifier and its value: its header, its place on the page, its times.
ROW_OVERHEAD_BYTES = 24 + 4 + 24


@dataclass
class TypeCount:
    """The keys of one type. ``oldest`` and ``newest`` are in UTC; ``deletable_bytes`` is about what they take."""

    keys: int = 0
    ages: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*AGE_BUCKETS, NO_AGE), 0))
    oldest: str | None = None
    newest: str | None = None
    deletable: int = 0
    deletable_bytes: int = 0


@dataclass(frozen=True)
class Census:
    """What the table held at ``at``, by type, and its sizes."""

    at: str
    types: dict[str, TypeCount]
    sizes: Sizes

    @property
    def keys(self) -> int:
        """All keys."""
        return sum(count.keys for count in self.types.values())

    @property
    def deletable(self) -> int:
        """All that the policy would delete."""
        return sum(count.deletable for count in self.types.values())

    @property
    def deletable_bytes(self) -> int:
        """About what these take."""
        return sum(count.deletable_bytes for count in self.types.values())

    @property
    def oldest(self) -> str | None:
        """When the key was last written that was left alone for the longest time."""
        return min((count.oldest for count in self.types.values() if count.oldest), default=None)

    @property
    def newest(self) -> str | None:
        """When a key was last written."""
        return max((count.newest for count in self.types.values() if count.newest), default=None)

    def ages(self) -> dict[str, int]:
        """All keys by age."""
        return {bucket: sum(count.ages[bucket] for count in self.types.values()) for bucket in (*AGE_BUCKETS, NO_AGE)}


@dataclass(frozen=True)
class ListedKey:
    """A key that may go, without its value."""

    tenant: str
    key_type: str
    key_id: str
    updated_at: str
    age_seconds: int


def take_census(table: KeysTable, deletable: Deletable) -> Census:
    """Count the keys, in one pass. Raises ResilienceError."""
    updated, at = deletable.updated(), deletable.at
    limits = [sql.Literal(at - timedelta(days=days)) for days in (1, 7, 14, 30)]
    statement = sql.SQL(
        "SELECT {type}, CASE WHEN NOT coalesce(pg_catalog.isfinite({updated}), false) THEN 5"
        " WHEN {updated} > {} THEN 0 WHEN {updated} > {} THEN 1 WHEN {updated} > {} THEN 2 WHEN {updated} >= {} THEN 3"
        " ELSE 4 END, coalesce({condition}, false), count(*), {earliest}, {latest}, sum({bytes})::bigint"
        " FROM ONLY {keys} WHERE ({creds}) IS NOT TRUE GROUP BY 1, 2, 3"
    ).format(
        *limits,
        type=over_parts(table.layout, SessionLayout.type_expression),
        updated=updated,
        condition=deletable.condition(),
        earliest=utc_text(sql.SQL("min({})").format(updated)),
        latest=utc_text(sql.SQL("max({})").format(updated)),
        bytes=row_bytes(table.layout),
        keys=table.layout.keys_relation(),
        creds=table.layout.creds_condition(),
    )
    types: dict[str, TypeCount] = {}
    for key_type, bucket, may_go, keys, earliest, latest, size in table.query(statement, "count the keys"):
        count = types.setdefault(NO_TYPE if key_type is None else key_type, TypeCount())
        name = (*AGE_BUCKETS, NO_AGE)[bucket]
        count.keys += keys
        count.ages[name] += keys
        if may_go:
            count.deletable += keys
            count.deletable_bytes += size
        if name != NO_AGE:
            count.newest = max(count.newest or latest, latest)
            count.oldest = min(count.oldest or earliest, earliest)
    return Census(at.strftime("%Y-%m-%dT%H:%M:%SZ"), dict(sorted(types.items())), table.sizes())


def list_deletable(table: KeysTable, deletable: Deletable, limit: int) -> list[ListedKey]:
    """The keys that may go, the oldest first, at most so many. Raises ResilienceError."""
    updated, layout = deletable.updated(), table.layout
    statement = sql.SQL(
        "SELECT coalesce({}, ''), {}, {}, {}, pg_catalog.floor(extract(epoch FROM {} - {}))::bigint FROM ONLY {}"
        " WHERE {} ORDER BY {}, 1, 2, 3 LIMIT {}"
    ).format(
        over_parts(table.layout, SessionLayout.tenant_expression),
        over_parts(table.layout, SessionLayout.type_expression),
        over_parts(table.layout, SessionLayout.id_expression),
        utc_text(updated),
        sql.Literal(deletable.at),
        updated,
        layout.keys_relation(),
        deletable.condition(),
        updated,
        sql.Literal(limit),
    )
    return [ListedKey(*row) for row in table.query(statement, "list the keys")]


def deletable_now(table: KeysTable, policy: Policy) -> Deletable:
    """What may go at the moment the table was met. Raises ResilienceError."""
    plain = Deletable(table.layout, policy, table.at)
    if policy.sender_key_days is None:
        return plain
    own = dataclasses.replace(plain, own_users=own_users(table))
    statement = sql.SQL("SELECT DISTINCT {}, {} FROM ONLY {} WHERE {} = 'sender-key' AND ({})").format(
        over_parts(table.layout, SessionLayout.tenant_expression),
        own.sender_group(),
        table.layout.keys_relation(),
        over_parts(table.layout, SessionLayout.type_expression),
        own.condition(),
    )
    groups: dict[str, list[str]] = {}
    for tenant, group in table.query(statement, "look for old sender keys"):
        groups.setdefault(tenant, []).append(group)
    return dataclasses.replace(own, groups=groups)


def own_users(table: KeysTable) -> dict[str, list[str]]:
    """The user parts of each tenant's own phone number and LID; without a tenant whose credentials cannot be read."""
    found: dict[str, list[str]] = {}
    with open_snapshot(table.settings, table.layout) as snapshot:
        for tenant in snapshot.tenants():
            users = _users(snapshot.creds(tenant))
            if users:
                found[tenant] = users
    return found


def _users(creds: str | None) -> list[str]:
    """Of ``49170:12@s.whatsapp.net`` and ``1000:12@lid`` the parts before device and server."""
    try:
        me = json.loads(normalise(creds or "null", double_stringified=True))["me"]
        return [me[name].partition("@")[0].partition(":")[0] for name in ("id", "lid") if me.get(name)]
    except (BrokenValueError, KeyError, TypeError, AttributeError):
        return []


def row_bytes(layout: SessionLayout) -> Any:
    """About what a row takes on its page and in TOAST; not what its index entries take."""
    return sql.SQL("(pg_catalog.pg_column_size({}) + pg_catalog.pg_column_size({}) + {})").format(
        sql.Identifier(layout.value_column), sql.Identifier(layout.id_column), sql.Literal(ROW_OVERHEAD_BYTES)
    )


def utc_text(moment: Any) -> Any:
    """A time as ``2026-01-31T03:00:00Z``."""
    return sql.SQL('pg_catalog.to_char({}::timestamptz, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')').format(moment)
