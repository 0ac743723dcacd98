# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions of SQL over tenant, type and id of a row, with the row's identifier taken apart only once.

In a table with combined identifiers each of the three is an expression over the others, down to a regular expression.
Written out wherever they are needed they cost a millisecond a row.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable

from .layout import SessionLayout

try:
    from psycopg2 import sql
except ImportError:
    # postgres/connection.py says so by name before anything here is reached.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# Names that no column of the table has.
_TENANT, _NAME, _TYPE, _ID = (f"resilience {part}" for part in ("tenant", "name", "type", "id"))


def over_parts(layout: SessionLayout, expression: Callable[[SessionLayout], Any]) -> Any:
    """The expression that ``expression`` makes of a layout, to be evaluated for a row of the table."""
    if layout.ids == "separate":
        return expression(layout)
    named = dataclasses.replace(layout, ids="combined", tenant_column=_TENANT, id_column=_NAME)
    parts = dataclasses.replace(
        layout, ids="separate", auth_table="elsewhere", tenant_column=_TENANT, type_column=_TYPE, id_column=_ID
    )
    # OFFSET 0 keeps the server from putting each expression back to where it is used.
    return sql.SQL(
        "(SELECT {expression} FROM"
        " (SELECT {tenant}, {of_type} AS {type}, {of_id} AS {id} FROM"
        " (SELECT {tenant}, {of_name} AS {name} FROM"
        " (SELECT {of_tenant} AS {tenant} OFFSET 0) AS a OFFSET 0) AS b OFFSET 0) AS c)"
    ).format(
        expression=expression(parts),
        of_tenant=layout.tenant_expression(),
        of_name=_name(layout),
        of_type=named.type_expression(),
        of_id=named.id_expression(),
        tenant=sql.Identifier(_TENANT),
        name=sql.Identifier(_NAME),
        type=sql.Identifier(_TYPE),
        id=sql.Identifier(_ID),
    )


def _name(layout: SessionLayout) -> Any:
    column = sql.SQL("{}::text").format(sql.Identifier(layout.id_column))
    if layout.tenant_column is not None:
        return column
    return sql.SQL("substr({}, length({}) + {})").format(
        column, sql.Identifier(_TENANT), sql.Literal(len(layout.tenant_separator) + 1)
    )
