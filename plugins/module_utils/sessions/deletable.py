# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The policy as a condition of SQL: true for the rows that may go, false or NULL for all others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .layout import KEY_TYPES, SessionLayout
from .policy import EVERYTHING_BY_AGE, TCTOKEN_INDEX, Policy
from .taken_apart import over_parts

try:
    from psycopg2 import sql
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# The times in a token's value: when the peer gave it, and when we last sent ours. Both in seconds since 1970, as number
# or text; in a double-stringified value every quote has a backslash. Whatever looks otherwise (1.7e9) does not match, and
# a token without a time that can be read stays.
_TIME = r'\\*"{}\\*"\s*:\s*(?:\\*")?([0-9]+)(?![0-9.eE])'
_GIVEN, _SENT, _ANY = (_TIME.format(name) for name in ("timestamp", "senderTimestamp", "(?:senderT|t)imestamp"))

Groups = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Deletable:
    """What may go at the moment ``at`` of the server.

    ``own_users`` are the users of each tenant itself, as they stand in the names of its own sender keys; the sender keys
    of a tenant that is not among them stay. ``groups`` are, by tenant, those whose sender-key-memory goes at any age.
    """

    layout: SessionLayout
    policy: Policy
    at: datetime
    own_users: Groups = field(default_factory=dict)
    groups: Groups = field(default_factory=dict)

    def updated(self) -> Any:
        """The column that ages are counted from."""
        return sql.Identifier(str(self.layout.updated_column))

    def condition(self) -> Any:
        """True for a row that may go.

        A row without a time, or with an infinite one, has no age and stays. CASE sees to it that a value is looked into
        only where it is a token.
        """
        days = {key_type: self.policy.days(key_type) for key_type in KEY_TYPES}
        # Most rows are too young for any rule; a sender-key-memory may go at any age.
        newest = timedelta(0) if self.groups else timedelta(min(limit for limit in days.values() if limit is not None))

        def rules(row: SessionLayout) -> Any:
            cases = [
                sql.SQL("WHEN {} THEN {}").format(sql.Literal(key_type), self._rule(row, key_type, limit))
                for key_type, limit in days.items()
                if limit is not None
            ]
            return sql.SQL("CASE {} {} ELSE false END").format(row.type_expression(), sql.SQL(" ").join(cases))

        return sql.SQL("pg_catalog.isfinite({0}) AND {0} < {1} AND {2}").format(
            self.updated(), sql.Literal(self.at - newest), over_parts(self.layout, rules)
        )

    def _rule(self, row: SessionLayout, key_type: str, days: int) -> Any:
        limit = self.at - timedelta(days=days)
        old = sql.SQL("{} < {}").format(self.updated(), sql.Literal(limit))
        if self.policy.mode == EVERYTHING_BY_AGE:
            return old
        if key_type == "tctoken":
            return sql.SQL("{} AND {} <> {} AND {}").format(
                old, row.id_expression(), sql.Literal(TCTOKEN_INDEX), self._token_is_old(limit)
            )
        if key_type == "sender-key":
            own = _holds(self.own_users, row.tenant_expression(), self._sender_user(row))
            return sql.SQL("{} AND NOT coalesce({}, true)").format(old, own)
        if key_type == "sender-key-memory" and self.groups:
            return sql.SQL("({} OR {})").format(old, _holds(self.groups, row.tenant_expression(), row.id_expression()))
        return old

    def _token_is_old(self, limit: datetime) -> Any:
        """Both times are old; false where one of them is there more often than Baileys writes it."""
        return sql.SQL(
            "coalesce(GREATEST({given}, {sent}) < {limit} AND {given} IS NOT NULL"
            " AND pg_catalog.regexp_count({text}, {any}) = CASE WHEN {sent} IS NULL THEN 1 ELSE 2 END, false)"
        ).format(
            given=self._time(_GIVEN),
            sent=self._time(_SENT),
            limit=sql.Literal(int(limit.timestamp())),
            text=self._value_text(),
            any=sql.Literal(_ANY),
        )

    def _time(self, pattern: str) -> Any:
        return sql.SQL("substring({} from {})::numeric").format(self._value_text(), sql.Literal(pattern))

    def _value_text(self) -> Any:
        return sql.SQL("{}::text").format(sql.Identifier(self.layout.value_column))

    def _sender_user(self, row: SessionLayout) -> Any:
        """The user in the name of a sender key, ``<group>::<user>[_<domain>]::<device>``; NULL for another name."""
        return _sender_part(row, r"^.*{0}([^:_@-]+)(?:_[0-9]+)?{0}[0-9]+$")

    def sender_group(self) -> Any:
        """The group in the name of a sender key."""
        return over_parts(self.layout, lambda row: _sender_part(row, r"^(.*){0}[^:@-]+{0}[0-9]+$"))


def _sender_part(row: SessionLayout, pattern: str) -> Any:
    separator = "--" if row.escaped_ids else "::"
    return sql.SQL("substring({} from {})").format(row.id_expression(), sql.Literal(pattern.format(separator)))


def _holds(names: Groups, key: Any, name: Any) -> Any:
    """Whether ``name`` is among those of ``key``; NULL for a key without names."""
    listed = sql.Literal(json.dumps({one: sorted(set(many)) for one, many in names.items()}))
    return sql.SQL("pg_catalog.jsonb_exists({}::jsonb -> {}, {})").format(listed, key, name)
