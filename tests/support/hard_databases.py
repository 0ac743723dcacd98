# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases that are hard to back up and to restore: one part for each kind of object, as SQL in `hard/`.

A part is the file `hard/<name>.sql`. Its first comment line says what it makes; the lines after it may say

    -- by: superuser            who makes it (and has to back it up); without it the plain owner of the database
    -- since: 17                the oldest major version that has it
    -- needs: icu xml lz4       what the build must offer; `extension:hstore` for an extension
    -- roles: reader writer     roles to be made for it; the SQL says @reader@, @writer@ (and @owner@, @database@)

`-- then` on a line of its own begins a new transaction, and what follows `-- undo` is run before the database
is dropped. Each part is in a schema of its own name, which is where its objects are made; its name is also part
of the names of what belongs to no schema. So any choice of parts fits into one database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql

from demo.postgres_server import PostgresServer
from tests.support.databases import TestDatabase, fresh_database, run_sql

DIRECTORY = Path(__file__).parent / "hard"
# Their files lie in a place of their own on the server's disk: a restore elsewhere must do without, or refuse.
APART = ("tablespaces",)
# Tables made in one transaction: each takes five locks of the 6,400 a server with default settings has.
TABLES_PER_TRANSACTION = 500

_SETTINGS = ("by", "since", "needs", "roles")
THEN = "\n-- then\n"


@dataclass(frozen=True)
class Part:
    """One kind of hard object. `script` is its transactions in order, `undo` what has to go before the database."""

    name: str
    about: str
    superuser: bool
    since: int
    needs: tuple[str, ...]
    roles: tuple[str, ...]
    script: tuple[str, ...]
    undo: tuple[str, ...]


@dataclass(frozen=True)
class Loaded:
    """What `load` made: names of parts, and why the others were left out."""

    names: tuple[str, ...]
    left_out: Mapping[str, str]
    superuser: bool  # whether only the superuser can read all of it


@dataclass(frozen=True)
class HardDatabase:
    """A database with parts in it."""

    database: TestDatabase
    loaded: Loaded

    def parameters(self, **overrides: Any) -> dict[str, Any]:
        """Return libpq's parameters for a role that can read everything: the owner, if that one can."""
        if self.loaded.superuser:
            return self.database.superuser_parameters(**overrides)
        return self.database.parameters(**overrides)


def _read_part(path: Path) -> Part:
    text = path.read_text(encoding="utf-8")
    lines = [line.removeprefix("-- ") for line in text.splitlines()[:6] if line.startswith("-- ")]
    settings = dict(line.split(": ", 1) for line in lines[1:] if line.partition(": ")[0] in _SETTINGS)
    body, _, undo = text.partition("\n-- undo\n")
    return Part(
        name=path.stem,
        about=lines[0],
        superuser=settings.get("by") == "superuser",
        since=int(settings.get("since", "0")),
        needs=tuple(settings.get("needs", "").split()),
        roles=tuple(settings.get("roles", "").split()),
        script=tuple(body.split(THEN)),
        undo=tuple(undo.split(THEN)) if undo else (),
    )


PARTS: Mapping[str, Part] = {path.stem: _read_part(path) for path in sorted(DIRECTORY.glob("*.sql"))}
# All that go into one database; last what would change the others' sessions.
TOGETHER = tuple(sorted((name for name in PARTS if name not in APART), key=lambda name: name == "database_settings"))


def obstacles(server: PostgresServer) -> dict[str, str]:
    """Return the parts this server cannot have, and why."""
    features = _features(server)
    found = {}
    for part in PARTS.values():
        missing = [need for need in part.needs if need not in features]
        if part.since > server.major:
            found[part.name] = f"PostgreSQL {server.major} is older than {part.since}"
        elif missing:
            found[part.name] = f"this build is without {', '.join(missing)}"
    return found


def _features(server: PostgresServer) -> set[str]:
    parameters = server.parameters()
    features = {f"extension:{name}" for (name,) in run_sql(parameters, "SELECT name FROM pg_available_extensions")}
    if run_sql(parameters, "SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu'"):
        features.add("icu")
    if run_sql(
        parameters, "SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
    ):
        features.add("lz4")
    try:
        run_sql(parameters, "SELECT '<a/>'::xml")
        features.add("xml")
    except psycopg2.errors.FeatureNotSupported:
        pass
    return features


@contextmanager
def load(database: TestDatabase, *names: str) -> Iterator[Loaded]:
    """Put parts into a database: the named ones, or all of `TOGETHER`. What the server cannot have is left out.

    What of them outlives a database (roles, tablespaces) or prevents its removal (subscriptions) is gone at the end.
    """
    chosen = [PARTS[name] for name in names or TOGETHER]
    cannot = obstacles(database.server)
    parts = [part for part in chosen if part.name not in cannot]
    with ExitStack() as stack:
        for part in parts:
            _load_part(stack, database, part)
        yield Loaded(
            names=tuple(part.name for part in parts),
            left_out={part.name: cannot[part.name] for part in chosen if part.name in cannot},
            superuser=any(part.superuser for part in parts),
        )


def _load_part(stack: ExitStack, database: TestDatabase, part: Part) -> None:
    maintenance = database.superuser_parameters(options=_session_options(part))
    roles = [sql.Identifier(_role_name(database, part, role)) for role in part.roles]
    for role in roles:
        run_sql(maintenance, sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
    if roles:
        every = sql.SQL(", ").join(roles)
        stack.callback(run_sql, maintenance, sql.SQL("DROP ROLE {}").format(every))
        stack.callback(run_sql, maintenance, sql.SQL("DROP OWNED BY {} CASCADE").format(every))
    maker = maintenance if part.superuser else database.parameters(options=_session_options(part))
    run_sql(maker, sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(part.name)))
    _run(maker, part.script, database, part)
    if part.undo:
        stack.callback(_run, maintenance, part.undo, database, part)


def _run(parameters: Mapping[str, Any], script: tuple[str, ...], database: TestDatabase, part: Part) -> None:
    connection = psycopg2.connect(**{**parameters, "client_encoding": "UTF8"})
    try:
        # The server makes one transaction of several statements that come at once.
        connection.autocommit = True
        with connection.cursor() as cursor:
            for transaction in script:
                cursor.execute(_filled_in(transaction, database, part))
    finally:
        connection.close()


def _session_options(part: Part) -> str:
    # What the part with settings of the database makes of a session must not disturb the others.
    settings = {
        "search_path": f"{part.name},public",
        "default_transaction_read_only": "off",
        "standard_conforming_strings": "on",
        "timezone": "UTC",
        "datestyle": "ISO",
        "statement_timeout": "0",
        "client_min_messages": "error",
    }
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def _role_name(database: TestDatabase, part: Part, role: str) -> str:
    return f"{database.name}_{part.name}_{role}"


def _filled_in(script: str, database: TestDatabase, part: Part) -> str:
    names = {role: _role_name(database, part, role) for role in part.roles}
    for placeholder, name in {**names, "owner": database.user, "database": database.name}.items():
        script = script.replace(f"@{placeholder}@", f'"{name}"')
    return script


@contextmanager
def hard_database(server: PostgresServer, *names: str, **options: Any) -> Iterator[HardDatabase]:
    """A fresh database with parts in it, as `load` has them. `options` are those of `fresh_database`."""
    with fresh_database(server, **options) as database, load(database, *names) as loaded:
        yield HardDatabase(database, loaded)


def many_tables(database: TestDatabase, count: int = 5000, rows: int = 3) -> None:
    """Make tables `many.t00001`, ...: each with a primary key, a sequence of its own and some rows.

    5,000 take about 3 seconds. To dump them takes a lock each, and to restore them in one transaction several each:
    the default of 64 for `max_locks_per_transaction` makes room for 6,400 in all.
    """
    database.execute("CREATE SCHEMA many")
    database.execute(
        f"""
        DO $$ BEGIN FOR n IN 1..{count} LOOP
            EXECUTE format('CREATE TABLE many.t%s (id bigserial PRIMARY KEY, name varchar(20) NOT NULL)',
                           lpad(n::text, 5, '0'));
            EXECUTE format('INSERT INTO many.t%s (name) SELECT ''row '' || g FROM generate_series(1, {rows}) g',
                           lpad(n::text, 5, '0'));
            IF n % {TABLES_PER_TRANSACTION} = 0 THEN COMMIT; END IF;
        END LOOP; END $$
        """
    )
