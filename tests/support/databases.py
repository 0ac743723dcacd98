# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fresh databases and roles on a server under test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from demo.postgres_server import PostgresServer

# Everything that has broken a shell, a URL, a pgpass file, a keyword string or a template before.
UGLY_PASSWORD = "p<a>s|s?w%o'r\"d\\ with spaces:@/#&=$HOME `id` {{ jinja }} ünïcødé ✓"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class TestDatabase:
    """A database of one test with its owner, a plain role with a password."""

    __test__ = False  # pytest would otherwise collect it for its name

    server: PostgresServer
    name: str
    user: str
    password: str

    def parameters(self, **overrides: Any) -> dict[str, Any]:
        """Return libpq's parameters for the owner, over TCP unless overridden."""
        mine = {
            "host": "localhost",
            "dbname": self.name,
            "user": self.user,
            "password": self.password,
        }
        return self.server.parameters(**{**mine, **overrides})

    def superuser_parameters(self, **overrides: Any) -> dict[str, Any]:
        """Return libpq's parameters for the superuser, by the socket."""
        return self.server.parameters(**{"dbname": self.name, **overrides})

    def connect(self, **overrides: Any) -> psycopg2.extensions.connection:
        """Connect as the owner."""
        connection: psycopg2.extensions.connection = psycopg2.connect(**self.parameters(**overrides))
        return connection

    def execute(self, statement: str, *, superuser: bool = False) -> list[tuple[Any, ...]]:
        """Run one statement in its own transaction and return its rows, if it has any."""
        chosen = self.superuser_parameters() if superuser else self.parameters()
        return run_sql(chosen, statement)


def run_sql(parameters: dict[str, Any], statement: str | sql.Composable) -> list[tuple[Any, ...]]:
    """Connect, run one statement with autocommit, and return its rows, if it has any."""
    connection = psycopg2.connect(**parameters)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def unique_name(prefix: str) -> str:
    """Return a name no other test uses on any server."""
    return f"{prefix}_{os.getpid()}_{next(_numbers)}"


def create_role(server: PostgresServer, *, password: str = UGLY_PASSWORD, options: str = "", name: str = "") -> str:
    """Create a role that may log in and return its name. `options` is SQL such as CREATEDB."""
    name = name or unique_name("role")
    statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} " + options).format(
        sql.Identifier(name), sql.Literal(password)
    )
    run_sql(server.parameters(), statement)
    return name


@contextmanager
def fresh_database(
    server: PostgresServer,
    *,
    template: str = "template1",
    name: str = "",
    password: str = UGLY_PASSWORD,
    role_options: str = "",
    database_options: str = "",
) -> Iterator[TestDatabase]:
    """Create a database owned by a new plain role; both are dropped at the end.

    `template` is a database nobody is connected to; what the superuser owns in it goes to the new
    owner. `database_options` is SQL that follows CREATE DATABASE.
    """
    name = name or unique_name("db")
    user = create_role(server, password=password, options=role_options)
    creation = "CREATE DATABASE {} OWNER {} TEMPLATE {} " + database_options
    identifiers = [sql.Identifier(name), sql.Identifier(user)]
    run_sql(server.parameters(), sql.SQL(creation).format(*identifiers, sql.Identifier(template)))
    if template != "template1":
        _hand_over(server.parameters(dbname=name), user)
    try:
        yield TestDatabase(server, name, user, password)
    finally:
        database, role = identifiers
        maintenance = server.parameters()
        run_sql(maintenance, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))
        run_sql(maintenance, sql.SQL("DROP OWNED BY {}").format(role))
        run_sql(maintenance, sql.SQL("DROP ROLE {}").format(role))


def _hand_over(parameters: dict[str, Any], user: str) -> None:
    """Make `user` the owner of the tables and functions in the schema public."""
    owner = sql.Identifier(user)
    tables = run_sql(parameters, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    functions = run_sql(
        parameters,
        "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace",
    )
    for (table,) in tables:
        run_sql(
            parameters,
            sql.SQL("ALTER TABLE public.{} OWNER TO {}").format(sql.Identifier(table), owner),
        )
    for (function,) in functions:
        run_sql(parameters, sql.SQL("ALTER FUNCTION " + function + " OWNER TO {}").format(owner))
