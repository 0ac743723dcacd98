# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a drill restores to: a scratch server of its own, or scratch databases on a given staging server."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..postgres.client import ClientTools, find_clients
from ..postgres.connection import connect, translate
from ..postgres.databases import abandoned, claim, create_database, drop_database, drop_subscriptions
from ..postgres.scratch import ScratchRequest, ScratchServer, scratch_server
from ..postgres.settings import ConnectionSettings
from ..postgres.version import from_number, from_text
from ..restore.load import LoadOptions
from ..system.errors import IncompatibleVersionError, MissingDependencyError, ResilienceError, SettingsError

try:
    import psycopg2
    from psycopg2 import sql
except ImportError:
    # connect says so by name before any statement is put together.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# Databases on a staging server; one that a killed drill left is found by this name and removed by the next.
STAGING_PREFIX = "baileys_drill_"
# A restored database is as large as its origin, plus what sorting for its indexes takes.
SPACE_FACTOR = 1.3
# Definitions that are no tables; and an upper limit of what a table brings along (TOAST, indexes, sequence).
OTHER_OBJECTS = 1000
OBJECTS_PER_TABLE = 2


@dataclass(frozen=True)
class Target:
    """A server to restore into. ``options`` is how, ``facts`` the ``target`` of a drill's result.

    ``limits`` are pairs of what cannot be proven on it and why.
    """

    settings: ConnectionSettings
    options: LoadOptions
    facts: Mapping[str, Any]
    limits: tuple[tuple[str, str], ...]
    scratch: ScratchServer | None = None

    @contextlib.contextmanager
    def database(self, manifest: Mapping[str, Any]) -> Iterator[tuple[ConnectionSettings, list[str]]]:
        """A new empty database for an archive, dropped with the block, and what it cannot offer.

        Raises ResilienceError.
        """
        name = "%s%d_%s" % (STAGING_PREFIX, int(time.time()), secrets.token_hex(4))
        with contextlib.closing(connect(self.settings)) as connection:
            connection.autocommit = True
            claim(connection, name)
            limits = create_database(connection, name, manifest)
            try:
                yield self.settings.with_database(name), limits
            finally:
                # A scratch server goes as a whole, and may be gone already.
                if self.scratch is None:
                    _drop(self.settings, name)

    def explain(self, error: ResilienceError) -> ResilienceError:
        """Add the scratch server's own last words to an error that came from its end."""
        if self.scratch is not None and "server closed the connection" in (error.stderr or error.message):
            error.message += f" The server's last words: {self.scratch.last_words()}"
        return error


@contextlib.contextmanager
def scratch_target(
    manifest: Mapping[str, Any],
    *,
    cache: str,
    server_directory: str | None = None,
    scratch_directory: str | None = None,
    jobs: int = 1,
) -> Iterator[Target]:
    """A scratch server with everything the archive needs. Raises ResilienceError."""
    major = from_text(str(manifest["server_version"])).major
    tables = manifest["tables"]
    large_objects = (manifest.get("large_objects") or {}).get("count", 0)
    request = ScratchRequest(
        major=major,
        needed_bytes=expected_bytes(manifest),
        objects=len(tables) * OBJECTS_PER_TABLE + len(manifest.get("sequences", [])) + large_objects + OTHER_OBJECTS,
        cache=cache,
        server_directory=server_directory,
        scratch_directory=scratch_directory,
    )
    with scratch_server(request) as server:
        _refuse_missing_extensions(server, manifest)
        _make_surroundings(server, manifest)
        facts = {
            "kind": "scratch",
            "server_version": str(server.programs.version),
            "directory": server.programs.directory,
            "origin": server.programs.origin,
            "lacks": list(server.lacks),
        }
        yield Target(server.settings, LoadOptions(jobs=jobs), facts, (), server)


def _drop(settings: ConnectionSettings, name: str) -> None:
    """Drop one of our databases on a staging server. Raises ResilienceError when it is still there."""
    inside = settings.with_database(name)
    try:
        with contextlib.closing(connect(inside)) as connection:
            connection.autocommit = True
            drop_subscriptions(connection)
    except psycopg2.Error as error:
        raise translate(error, inside, "drop the subscriptions of a drill's database") from error
    with contextlib.closing(connect(settings)) as connection:
        connection.autocommit = True
        drop_database(connection, name)


@contextlib.contextmanager
def staging_target(settings: ConnectionSettings, manifest: Mapping[str, Any], *, jobs: int = 1) -> Iterator[Target]:
    """Databases on a given server, made and dropped again. Raises ResilienceError."""
    if manifest["format"] == "plain":
        raise SettingsError(
            "A plain archive is restored with all its owners and privileges, which a staging server has not got",
            stage="settings",
            remedy="Drill it on a scratch server: leave drill_staging out.",
        )
    wanted = from_text(str(manifest["server_version"])).major
    with contextlib.closing(connect(settings)) as connection:
        version = from_number(connection.server_version)
        if version.major < wanted:
            raise IncompatibleVersionError(
                f"The staging server is PostgreSQL {version}, the archive comes from {manifest['server_version']}",
                stage="start",
                remedy="Use a staging server of that version or a newer one, or a scratch server.",
            )
        connection.autocommit = True
        for name in abandoned(connection, STAGING_PREFIX):
            _drop(settings, name)
    facts = {
        "kind": "staging",
        "server_version": str(version),
        "directory": f"{settings.host}:{settings.port}",
        "origin": "staging server",
        "lacks": [],
    }
    limits = (("owners, privileges and tablespaces", "the drill ran on a staging server, whose roles are its own"),)
    options = LoadOptions(jobs=jobs, owner=False, privileges=False, tablespaces=False)
    yield Target(settings, options, facts, limits)


def expected_bytes(manifest: Mapping[str, Any]) -> int:
    """Bytes that the restored database is likely to take."""
    content = int(manifest.get("content_bytes") or 0)
    return int(SPACE_FACTOR * max(int(manifest.get("database_bytes") or 0), content))


def dumping_client(manifest: Mapping[str, Any], directory: str | None, also: Sequence[str] = ()) -> ClientTools:
    """The client that dumps again: as near as possible to the one that made the archive.

    Another version may spell definitions differently. ``also`` are directories to look in besides the usual ones.
    Raises MissingDependencyError when every client is older than the archive's.
    """
    made_by = from_text(str(manifest["client_version"]))
    found: list[ClientTools] = []
    places: Sequence[str | None] = [directory] if directory else [None, *also]
    for place in places:
        with contextlib.suppress(MissingDependencyError):
            found += find_clients(place)
    fitting = [tools for tools in found if tools.version.major >= made_by.major]
    if not fitting:
        raise MissingDependencyError(
            f"The archive was made by pg_dump {made_by}; there is no client here that new",
            stage="version",
            remedy=f"Install postgresql-client-{made_by.major}, or drill on a host that has it.",
        )
    return min(fitting, key=lambda tools: (tools.version.major, abs(tools.version.minor - made_by.minor)))


def _refuse_missing_extensions(server: ScratchServer, manifest: Mapping[str, Any]) -> None:
    wanted = {item["extension"] for item in manifest.get("extensions", [])}
    if not wanted:
        return
    with contextlib.closing(connect(server.settings)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_catalog.pg_available_extensions")
        missing = sorted(wanted - {name for (name,) in cursor.fetchall()})
    if missing:
        raise MissingDependencyError(
            "The database uses extensions that the server in {} has not got: {}".format(
                server.programs.directory, ", ".join(missing)
            ),
            stage="start",
            remedy="Install their packages for PostgreSQL %d here, or drill on a staging server that has them."
            % server.programs.version.major,
        )


def _make_surroundings(server: ScratchServer, manifest: Mapping[str, Any]) -> None:
    """Roles without login and tablespaces, as the database's objects name them."""
    with contextlib.closing(connect(server.settings)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("SELECT rolname FROM pg_catalog.pg_roles")
        there = {name for (name,) in cursor.fetchall()}
        for item in manifest.get("roles", []):
            if item["role"] not in there:
                kind = "SUPERUSER" if item.get("superuser") else "NOSUPERUSER"
                cursor.execute(sql.SQL("CREATE ROLE {} NOLOGIN {}").format(sql.Identifier(item["role"]), sql.SQL(kind)))
        for name in manifest.get("tablespaces", []):
            if name != "pg_default":
                # In place: a directory of the scratch server itself.
                cursor.execute(sql.SQL("CREATE TABLESPACE {} LOCATION ''").format(sql.Identifier(name)))


def template_cache(state_directory: str) -> str:
    """Where fresh data directories of scratch servers are kept."""
    return os.path.join(state_directory, "scratch")
