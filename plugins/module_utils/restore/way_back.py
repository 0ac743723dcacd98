# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line of SQL that undoes a switch, for a person with nothing but a SQL client."""

from __future__ import annotations

from typing import Any

from .swap import name_with

# How often it is tried: a session may just have been let in when the door was closed.
ATTEMPTS = 3

# One session alone cannot end others while its rename waits for them, as the switch does. So it closes the database
# to newcomers first, and that has to be committed. From there on every failure opens it again, a timeout and a cancelled
# query too; only a kill of the server's own process leaves it closed, and then the same line can be run again.
# Its first statement fails where it has been run already: the database that serves must not be closed for nothing.
# What is put aside is opened again by the transaction of the renames.
_LINE = (
    "DECLARE problem text; BEGIN "
    "ALTER DATABASE {before} ALLOW_CONNECTIONS true; "
    "PERFORM {end}; "
    "ALTER DATABASE {now} ALLOW_CONNECTIONS false; "
    "FOR attempt IN 1..{attempts} LOOP "
    "COMMIT; "
    "BEGIN "
    "PERFORM {end}; "
    "ALTER DATABASE {now} RENAME TO {aside}; "
    "ALTER DATABASE {before} RENAME TO {now}; "
    "ALTER DATABASE {aside} ALLOW_CONNECTIONS true; "
    "RETURN; "
    "EXCEPTION WHEN OTHERS OR query_canceled THEN problem := SQLERRM; "
    "EXIT WHEN SQLSTATE <> {in_use}; "
    "END; "
    "END LOOP; "
    "ALTER DATABASE {now} ALLOW_CONNECTIONS true; "
    "COMMIT; "
    "RAISE EXCEPTION USING MESSAGE = {nothing} || problem; "
    "END"
)


def way_back(connection: Any, name: str, old: str, stamp: str) -> str:
    """The line that puts the old database back in its place; one statement, to be run from another database.

    Names are quoted only where they must be: Ansible shows a quotation mark with a backslash before it.
    """
    with connection.cursor() as cursor:
        names = (name, old, name_with(name, "restored", stamp), name, old)
        cursor.execute(
            "SELECT quote_ident(%s), quote_ident(%s), quote_ident(%s), quote_literal(%s), quote_literal(%s)", names
        )
        now, before, aside, *databases = cursor.fetchone()
        # The server has quoted the names.
        end = (
            "pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname IN ({', '.join(databases)}) AND usesysid IS NOT NULL AND pid <> pg_backend_pid()"
        )
        body = _LINE.format(
            now=now,
            before=before,
            aside=aside,
            end=end,
            attempts=ATTEMPTS,
            in_use="'55006'",
            nothing="'The databases are as they were: '",
        )
        cursor.execute("SELECT quote_literal(%s)", (body,))
        return f"DO {cursor.fetchone()[0]};"
