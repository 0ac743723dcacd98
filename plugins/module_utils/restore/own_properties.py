# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What belonged to the database itself when it was backed up, given to the one that is made or filled.

In the place of a database that one's own are carried over instead: see swap.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..postgres import properties
from ..postgres.properties import Properties
from .survey import CREATE, FILL, RestoreRequest, Survey


def wanted(found: Survey) -> bool:
    """Whether this restore is of a whole database that has no properties of its own yet."""
    return found.mode in (CREATE, FILL) and found.part is None


def unknown(found: Survey) -> list[str]:
    """What the manifest does not tell, each in words: it is known before anything is restored."""
    if not wanted(found):
        return []
    known = found.manifest.get("properties")
    if known is None:
        what = "settings (search_path, for example), privileges, comment and connection limit"
        return [
            f'the manifest does not tell the {what} of the database itself: see whether "{found.target}" needs some'
        ]
    return [
        f'the value of the setting {name} is in no manifest, since it may be a secret: set it for "{found.target}"'
        for name in properties.from_dict(known)[1]
    ]


def give_properties(request: RestoreRequest, found: Survey, connection: Any) -> list[str]:
    """Give them to the restored database, in one transaction; returns what could not be, each in words.

    What was the old owner's is the new owner's. A database that was there keeps its privileges and what it is set to.
    Raises psycopg2.Error.
    """
    known = found.manifest.get("properties")
    if known is None or not wanted(found):
        return []
    present = properties.read_properties(connection, found.staging)
    chosen = _of_owner(properties.from_dict(known)[0], present.owner)
    if not request.options.privileges:
        chosen = replace(chosen, grants=None)
    if found.mode == FILL:
        chosen = _beside(chosen, present)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            refused = properties.give(connection, chosen, found.staging, found.target)
            cursor.execute("COMMIT")
        except BaseException:
            if not connection.closed:
                cursor.execute("ROLLBACK")
            raise
    return [f"not restored: {words}" for words in refused]


def _of_owner(known: Properties, owner: str) -> Properties:
    grants = known.grants
    if grants is not None:
        grants = tuple(
            (owner if role == known.owner else role, privilege, grantable) for role, privilege, grantable in grants
        )
    return replace(known, grants=grants, owner=owner)


def _beside(known: Properties, present: Properties) -> Properties:
    """What of ``known`` a database does not say otherwise itself. Its privileges are the provider's affair."""
    taken = {(role, name) for role, name, _value in present.settings}
    return replace(
        known,
        connection_limit=known.connection_limit if present.connection_limit == -1 else -1,
        grants=None,
        settings=tuple(setting for setting in known.settings if setting[:2] not in taken),
        comment=known.comment if present.comment is None else None,
    )
