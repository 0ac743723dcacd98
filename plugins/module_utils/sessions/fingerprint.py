# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Has a session changed? The server says so in a few bytes, instead of sending all its rows every five minutes."""

from __future__ import annotations

from ..postgres.connection import translate
from .store import SessionSnapshot

try:
    import psycopg2
    from psycopg2 import sql
except ImportError:
    # postgres/connection.py says so by name before there is a snapshot.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True


def fingerprints(snapshot: SessionSnapshot) -> dict[str, str]:
    """A short text for each tenant that differs when any column of any of its rows does. Raises ResilienceError.

    It is good for nothing else: another version of PostgreSQL may make another one of the same rows.
    """
    layout = snapshot.layout
    found = dict.fromkeys(snapshot.counts(), "")
    relations = [(layout.tenant_expression(), layout.keys_relation())]
    if layout.auth_table is not None:
        relations.append(
            (sql.SQL("{}::text").format(sql.Identifier(str(layout.tenant_column))), layout.auth_relation())
        )
    try:
        with snapshot.connection.cursor() as cursor:
            for tenant, relation in relations:
                # Sums do not depend on the order of rows.
                cursor.execute(
                    sql.SQL(
                        "SELECT {}, count(*) || ' ' || sum(hashtextextended(session_row::text, 0))"
                        " FROM {} AS session_row GROUP BY 1"
                    ).format(tenant, relation)
                )
                for name, words in cursor.fetchall():
                    found[name] += f"{relation.strings[-1]} {words};"
    except psycopg2.Error as error:
        raise translate(error, snapshot.settings, "compare the sessions").at_stage("read") from error
    return found
