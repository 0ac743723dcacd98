# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a database needs of its server and does not bring along in a dump: roles, extensions, tablespaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BOOTSTRAP_SUPERUSER_OID = 10


@dataclass(frozen=True)
class Needs:
    """Lists of plain data as the manifest holds them; ``docs/manifest.md`` describes the keys."""

    roles: tuple[dict[str, Any], ...] = ()
    extensions: tuple[dict[str, Any], ...] = ()
    tablespaces: tuple[str, ...] = ()


def read_needs(cursor: Any) -> Needs:
    """Ask the connected database. Any role may; raises psycopg2.Error."""
    # Owners, those who were granted something, and those a policy names. The server keeps no such note of the
    # role it was made with, which may own things all the same.
    cursor.execute(
        """
        SELECT r.rolname, r.rolsuper FROM pg_catalog.pg_roles r
        WHERE r.oid = %s OR r.oid IN (
            SELECT s.refobjid FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_database d ON d.oid = s.dbid
            WHERE d.datname = pg_catalog.current_database() AND s.refclassid = 'pg_catalog.pg_authid'::regclass)
        ORDER BY 1
        """,
        (BOOTSTRAP_SUPERUSER_OID,),
    )
    roles = tuple({"role": name, "superuser": superuser} for name, superuser in cursor.fetchall())
    cursor.execute(
        """
        SELECT e.extname, e.extversion, n.nspname
        FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname <> 'plpgsql' ORDER BY 1
        """
    )
    extensions = tuple(
        {"extension": name, "version": version, "schema": schema} for name, version, schema in cursor.fetchall()
    )
    cursor.execute(
        """
        SELECT DISTINCT t.spcname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_tablespace t ON t.oid = c.reltablespace
        WHERE t.spcname <> 'pg_global' ORDER BY 1
        """
    )
    return Needs(roles, extensions, tuple(name for (name,) in cursor.fetchall()))
