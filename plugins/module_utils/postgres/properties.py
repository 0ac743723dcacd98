# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What belongs to a database itself and stands in no dump of it: connection limit, privileges, settings, comment.

They are read from one database and given to another, within the caller's transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

try:
    import psycopg2
    from psycopg2 import sql
except ImportError:
    # connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# Settings whose value is a list of quoted names (GUC_LIST_QUOTE in the source of PostgreSQL 18, guc_tables.c; pg_dump
# has the same list). As one text such a value would become a list of one odd name.
_LISTS = (
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)
_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,\s"]+))\s*(?:,|\Z)')


@dataclass(frozen=True)
class Statement:
    """One statement that gives a database a property, and the property in words."""

    words: str
    text: Any


@dataclass(frozen=True)
class Properties:
    """``connection_limit`` is -1 for none. ``grants`` are (role or None for PUBLIC, privilege, grantable), None for the
    default privileges; ``settings`` are (role or None for all, name, value)."""

    connection_limit: int
    grants: tuple[tuple[str | None, str, bool], ...] | None
    settings: tuple[tuple[str | None, str, str], ...]
    comment: str | None
    owner: str


def read_properties(connection: Any, name: str) -> Properties:
    """The properties of a database, by a single query. Any role may ask; raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT d.datconnlimit,
                   CASE WHEN d.datacl IS NOT NULL THEN pg_catalog.array_to_json(ARRAY(
                       SELECT pg_catalog.json_build_array(
                           CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee) END, a.privilege_type,
                           pg_catalog.bool_or(a.is_grantable))
                       FROM pg_catalog.aclexplode(d.datacl) a GROUP BY a.grantee, a.privilege_type
                       ORDER BY CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee) END NULLS FIRST,
                                a.privilege_type
                       )) END,
                   pg_catalog.array_to_json(ARRAY(
                       SELECT pg_catalog.json_build_array(
                           CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole) END,
                           pg_catalog.split_part(c, '=', 1), pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1))
                       FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c
                       WHERE s.setdatabase = d.oid
                       ORDER BY CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole) END NULLS FIRST, c)),
                   pg_catalog.shobj_description(d.oid, 'pg_database'), pg_catalog.pg_get_userbyid(d.datdba)
            FROM pg_catalog.pg_database d WHERE d.datname = %s
            """,
            (name,),
        )
        limit, grants, settings, comment, owner = cursor.fetchone()
    return Properties(
        limit,
        None if grants is None else tuple((role, privilege, grantable) for role, privilege, grantable in grants),
        tuple((role, setting, value) for role, setting, value in settings),
        comment,
        owner,
    )


def as_dict(properties: Properties) -> dict[str, Any]:
    """The properties as the manifest holds them.

    Of a setting with a dot in its name only the name: applications keep secrets in such (``app.jwt_secret``).
    """
    grants = properties.grants
    return {
        "owner": properties.owner,
        "connection_limit": properties.connection_limit,
        "grants": None
        if grants is None
        else [{"role": role, "privilege": privilege, "grantable": grantable} for role, privilege, grantable in grants],
        "settings": [
            {"role": role, "name": name, "value": None if "." in name else value}
            for role, name, value in properties.settings
        ],
        "comment": properties.comment,
    }


def from_dict(known: Mapping[str, Any]) -> tuple[Properties, list[str]]:
    """The properties that a manifest holds, and the names of the settings whose values it does not."""
    grants = known["grants"]
    settings = known["settings"]
    properties = Properties(
        known["connection_limit"],
        None if grants is None else tuple((item["role"], item["privilege"], item["grantable"]) for item in grants),
        tuple((item["role"], item["name"], item["value"]) for item in settings if item["value"] is not None),
        known["comment"],
        known["owner"],
    )
    return properties, [item["name"] for item in settings if item["value"] is None]


def statements(properties: Properties, target: str) -> Iterator[Statement]:
    """What gives ``target``, a database fresh from a template, these properties. The owner is not among them."""
    database = sql.Identifier(target)
    if properties.grants is not None:
        revoke = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC, {}").format(database, sql.Identifier(properties.owner))
        grants = [_grant(database, *grant) for grant in properties.grants]
        yield Statement("its privileges", sql.SQL("; ").join([revoke, *grants]))
    for role, name, value in properties.settings:
        yield Statement(
            f"the setting {name}" + (f" of the role {role}" if role else ""), _setting(database, role, name, value)
        )
    if properties.comment is not None:
        comment = sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(properties.comment))
        yield Statement("its comment", comment)
    if properties.connection_limit != -1:
        limit = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(
            database, sql.Literal(properties.connection_limit)
        )
        yield Statement("its connection limit", limit)


def apply(connection: Any, source: str, target: str) -> list[str]:
    """Give ``target`` the properties of ``source`` within the transaction that is open; returns what could not be.

    Each refusal comes with the statement for an administrator, which names ``source``: the name that the target is
    about to get. The same database twice rehearses what a role may do, if the transaction is then rolled back.
    """
    return give(connection, read_properties(connection, source), target, source)


def give(connection: Any, found: Properties, target: str, name: str) -> list[str]:
    """Give ``target`` these properties within the transaction that is open; returns what could not be.

    Each refusal comes with the statement for an administrator, about ``name``: what the target is going to be called.
    """
    refused = []
    with connection.cursor() as cursor:
        for statement, shown in zip(statements(found, target), statements(found, name)):
            cursor.execute("SAVEPOINT property")
            try:
                cursor.execute(statement.text)
                cursor.execute("RELEASE SAVEPOINT property")
            except psycopg2.Error as error:
                if error.pgcode is None:
                    raise
                cursor.execute("ROLLBACK TO SAVEPOINT property")
                written = shown.text.as_string(connection)
                refused.append(f"{statement.words} ({error.diag.message_primary}); as an administrator: {written};")
    return refused


def _grant(database: Any, role: str | None, privilege: str, grantable: bool) -> Any:
    return sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
        sql.SQL(privilege),
        database,
        sql.SQL("PUBLIC") if role is None else sql.Identifier(role),
        sql.SQL(" WITH GRANT OPTION" if grantable else ""),
    )


def _setting(database: Any, role: str | None, name: str, value: str) -> Any:
    values = list_items(value) if name in _LISTS else [value]
    chosen = sql.SQL(", ").join(map(sql.Literal, values))
    # A name of an extension has a dot between its two parts.
    setting = sql.SQL(".").join(map(sql.Identifier, name.split(".")))
    if role is None:
        return sql.SQL("ALTER DATABASE {} SET {} TO {}").format(database, setting, chosen)
    return sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} TO {}").format(sql.Identifier(role), database, setting, chosen)


def list_items(value: str) -> list[str]:
    """The names in the value of a setting such as search_path: ``"$user", public``."""
    items = [(quoted.replace('""', '"') if bare == "" else bare) for quoted, bare in _ITEM.findall(value)]
    return items or [""]
