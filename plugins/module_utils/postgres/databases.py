# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole databases as a plain role handles them: make, look at, drop.

Every connection here is to another database than the one it is about, and commits each statement by itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..system.errors import ResilienceError
from .connection import connect, translate
from .settings import ConnectionSettings

try:
    import psycopg2
    from psycopg2 import sql
except ImportError:
    # connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# What a server says that has not got a locale: no such file, wrong object, invalid value, unsupported in this build,
# an encoding that does not go with it, a clause that came with a later version.
_NO_SUCH_LOCALE = ("58P01", "42809", "22023", "0A000", "42P17", "42601")
_IN_USE = "55006"
_PINS = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
}
DROP_ATTEMPTS = 20
DROP_WAIT_SECONDS = 0.1


@dataclass(frozen=True)
class Locale:
    """Encoding and collation of a database. ``locale`` is that of ICU or builtin, None for libc."""

    encoding: str
    provider: str
    collation: str
    ctype: str
    locale: str | None = None
    icu_rules: str | None = None

    def describe(self) -> str:
        """``UTF8, libc "en_US.UTF-8"``, for messages."""
        words = f'{self.encoding}, {self.provider} "{self.locale or self.collation}"'
        return words if self.provider == "libc" else words + f' with LC_COLLATE "{self.collation}"'


@dataclass(frozen=True)
class Database:
    """A database as the catalogue shows it to a plain role. ``bytes`` is None where the role may not ask."""

    name: str
    oid: int
    owner: str
    is_mine: bool
    tablespace: str
    bytes: int | None


@dataclass(frozen=True)
class Rights:
    """What the connected role may do on this server."""

    role: str
    superuser: bool
    create_database: bool


def working_session(settings: ConnectionSettings) -> Any:
    """A connection that commits by itself, and that no setting of the role or the database ends or keeps from writing.

    Raises ConnectionFailedError.
    """
    connection = connect(settings)
    connection.autocommit = True
    pins = dict(_PINS, **({"transaction_timeout": "0"} if connection.server_version >= 170000 else {}))
    # All at once: a timeout of the role may be as short as a way over the network and back.
    every = ", ".join(["pg_catalog.set_config(%s, %s, false)"] * len(pins))
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {every}", [word for pin in pins.items() for word in pin])
    except psycopg2.Error as error:
        connection.close()
        raise translate(error, settings, "work").at_stage("connect") from error
    return connection


def locale_of(manifest: Mapping[str, Any]) -> Locale:
    """The locale a manifest states. Older manifests have fewer keys: the collation then stands for the rest."""
    provider = str(manifest.get("locale_provider") or "libc")
    collation = str(manifest.get("collation") or "C")
    return Locale(
        encoding=str(manifest.get("encoding") or "UTF8"),
        provider=provider,
        collation=collation,
        ctype=str(manifest.get("ctype") or collation),
        locale=None if provider == "libc" else str(manifest.get("locale") or _usual_locale(provider)),
        icu_rules=manifest.get("icu_rules"),
    )


def _usual_locale(provider: str) -> str:
    return "C.UTF-8" if provider == "builtin" else "und"


def create_database(
    connection: Any,
    name: str,
    manifest: Mapping[str, Any],
    owner: str | None = None,
    tablespace: str | None = None,
) -> list[str]:
    """Make an empty database from template0 with the encoding and collation that a manifest states.

    Returns limitations in words: where this server cannot offer that collation, text is compared by C (or by the
    builtin C.UTF-8) of the same encoding. Raises ResilienceError when it cannot be made at all.
    """
    wanted = locale_of(manifest)
    refusal: Exception | None = None
    for candidate in _locales_for(wanted, connection.server_version):
        try:
            with connection.cursor() as cursor:
                cursor.execute(_creation(name, candidate, connection.server_version, owner, tablespace))
        except psycopg2.Error as error:
            if error.pgcode not in _NO_SUCH_LOCALE:
                raise _failed(error, f'create the database "{name}"') from error
            refusal = refusal or error
            continue
        if refusal is None:
            return []
        limitation = (
            f"This server does not offer the collation {wanted.describe()} ({_words(refusal)}); {candidate.describe()} was "
            "taken instead, so text may be sorted and compared otherwise"
        )
        return [limitation]
    raise _failed(refusal or ResilienceError("no locale fits"), f'create the database "{name}"')


def _locales_for(wanted: Locale, server_version: int) -> list[Locale]:
    """The locale wanted, and what comes nearest where the server has not got it."""
    candidates = [wanted]
    if wanted.provider != "libc":
        # Only the C library's part may be what is missing, and it decides little then.
        candidates.append(Locale(wanted.encoding, wanted.provider, "C", "C", wanted.locale, wanted.icu_rules))
    if wanted.encoding == "UTF8" and server_version >= 170000:
        candidates.append(Locale("UTF8", "builtin", "C", "C", "C.UTF-8"))
    if wanted.encoding == "UTF8":
        # Compares by bytes as well, but knows letters beyond ASCII.
        candidates.append(Locale("UTF8", "libc", "C", "C.UTF-8"))
    candidates.append(Locale(wanted.encoding, "libc", "C", "C"))
    return [candidate for place, candidate in enumerate(candidates) if candidate not in candidates[:place]]


def _creation(name: str, locale: Locale, server_version: int, owner: str | None, tablespace: str | None) -> Any:
    clauses: list[Any] = [
        sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)),
        sql.SQL("ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
            sql.Literal(locale.encoding), sql.Literal(locale.collation), sql.Literal(locale.ctype)
        ),
    ]
    if locale.provider == "libc":
        clauses.append(sql.SQL("LOCALE_PROVIDER libc"))
    elif locale.provider == "icu":
        clauses.append(sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE {}").format(sql.Literal(locale.locale)))
        if locale.icu_rules and server_version >= 160000:
            clauses.append(sql.SQL("ICU_RULES {}").format(sql.Literal(locale.icu_rules)))
    else:
        clauses.append(
            sql.SQL("LOCALE_PROVIDER {} BUILTIN_LOCALE {}").format(sql.SQL(locale.provider), sql.Literal(locale.locale))
        )
    if owner is not None:
        clauses.append(sql.SQL("OWNER {}").format(sql.Identifier(owner)))
    if tablespace is not None:
        clauses.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(tablespace)))
    return sql.SQL(" ").join(clauses)


def drop_database(connection: Any, name: str) -> None:
    """Drop a database of ours, with whatever of ours is still connected to it. A missing one is well.

    Raises ResilienceError when it is still there.
    """
    for attempt in range(1, DROP_ATTEMPTS + 1):
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            return
        except psycopg2.Error as error:
            # A session that is just ending, or just beginning, counts as one.
            if error.pgcode != _IN_USE or attempt == DROP_ATTEMPTS:
                raise _failed(error, f'drop the database "{name}"') from error
        time.sleep(DROP_WAIT_SECONDS)


def find_database(connection: Any, name: str) -> Database | None:
    """The database of this name, None if there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT d.datname, d.oid::bigint, pg_catalog.pg_get_userbyid(d.datdba), pg_catalog.pg_has_role(d.datdba, 'USAGE'),
                   t.spcname,
                   CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT')
                        THEN pg_catalog.pg_database_size(d.oid) END
            FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
            WHERE d.datname = %s
            """,
            (name,),
        )
        row = cursor.fetchone()
    return Database(*row) if row else None


def rights(connection: Any) -> Rights:
    """What the connected role may do."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname, rolsuper, rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"
        )
        return Rights(*cursor.fetchone())


def claim(connection: Any, name: str) -> bool:
    """Keep others from taking this database, there or not yet, for abandoned while this connection lasts.

    False if another session has it. Holds between sessions in one and the same database.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_catalog.pg_try_advisory_lock("
            "pg_catalog.hashtext('baileys.resilience database'), pg_catalog.hashtext(%s))",
            (name,),
        )
        return bool(cursor.fetchone()[0])


def abandoned(connection: Any, prefix: str) -> list[str]:
    """Databases of ours whose name begins with ``prefix``, that nobody claims or is connected to, oldest name first.

    They are claimed by this connection from now on.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT d.datname FROM pg_catalog.pg_database d
            WHERE pg_catalog.starts_with(d.datname::text, %s) AND pg_catalog.pg_has_role(d.datdba, 'USAGE')
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid AND a.usesysid IS NOT NULL)
            ORDER BY 1
            """,
            (prefix,),
        )
        return [name for (name,) in cursor.fetchall() if claim(connection, name)]


def drop_subscriptions(connection: Any) -> list[str]:
    """Drop the subscriptions of the connected database, which would keep it from being dropped; returns their names.

    Their publishers are asked for nothing, so that a slot stays there. Raises psycopg2.Error.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
            WHERE d.datname = pg_catalog.current_database()
            """
        )
        names = [name for (name,) in cursor.fetchall()]
        for name in names:
            for action in (
                "ALTER SUBSCRIPTION {} DISABLE",
                "ALTER SUBSCRIPTION {} SET (slot_name = NONE)",
                "DROP SUBSCRIPTION {}",
            ):
                cursor.execute(sql.SQL(action).format(sql.Identifier(name)))
    return names


def offers_locale(connection: Any, locale: Locale) -> str | None:
    """Why this server cannot offer a collation, None when it can, or when only CREATE DATABASE will tell.

    A collation of that locale is made in the temporary schema of the session and forgotten again.
    """
    if locale.provider == "libc":
        if {locale.collation, locale.ctype} <= {"C", "POSIX"}:
            return None
        options = sql.SQL("PROVIDER = libc, LC_COLLATE = {}, LC_CTYPE = {}").format(
            sql.Literal(locale.collation), sql.Literal(locale.ctype)
        )
    elif locale.provider == "builtin" and connection.server_version < 170000:
        return "it is older than PostgreSQL 17, which brought the provider builtin"
    else:
        options = sql.SQL("PROVIDER = {}, LOCALE = {}").format(sql.SQL(locale.provider), sql.Literal(locale.locale))
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            cursor.execute(sql.SQL("CREATE COLLATION pg_temp.resilience_probe ({})").format(options))
        except psycopg2.Error as error:
            return _words(error) if error.pgcode in _NO_SUCH_LOCALE else None
        finally:
            cursor.execute("ROLLBACK")
    return None


def _failed(error: Exception, doing: str) -> ResilienceError:
    state = getattr(error, "pgcode", None)
    remedies = {
        "42501": "Have an administrator allow it (ALTER ROLE ... CREATEDB; the owner's role granted), or use another role.",
        "53100": "The server's disk is full: free space there, then run again.",
        "53400": "A limit of the server is reached; see the message.",
        _IN_USE: "End the sessions that are connected to it, then run again.",
    }
    return ResilienceError(f"Cannot {doing}: {_words(error)}", stage="create", remedy=remedies.get(str(state)))


def _words(error: Exception) -> str:
    diagnostics = getattr(error, "diag", None)
    parts = [getattr(diagnostics, "message_primary", None), getattr(diagnostics, "message_detail", None)]
    return " ".join(filter(None, parts)) or " ".join(str(error).split())
