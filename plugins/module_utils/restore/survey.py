# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ground of a restore: which archive, which server, what is there, and what stands in the way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from ..backup.catalogue import Archive
from ..backup.describe import Manifest
from ..postgres.client import ClientTools, find_clients
from ..postgres.databases import Database, Rights, find_database, rights, working_session
from ..postgres.settings import ConnectionSettings
from ..postgres.snapshot import Server, server_session
from ..system.errors import ArchiveError, ConnectionFailedError, SettingsError
from . import preflight, swap
from .chosen import find_archive, snapshot_time, wrong_bytes
from .entries import Entries
from .load import LoadOptions
from .one_at_a_time import take_lock
from .part import Part, part_obstacles, present_relations, read_part
from .preflight import Obstacle
from .prove import archive_entries
from .swap import Session
from .way_back import way_back

# What a restore is, from the target that it finds.
CREATE, FILL, PART, REPLACE = "create", "fill", "part", "replace"


@dataclass(frozen=True)
class RestoreRequest:
    """What to restore, where to, and how. All timeouts are in seconds.

    ``archive`` is a path, None for the newest good one of ``backup_root``. ``maintenance_database`` is where
    databases are made and renamed from. ``terminate``: whether sessions in a database that is replaced may be ended.
    """

    source: str
    settings: ConnectionSettings
    backup_root: str
    archive: str | None = None
    maintenance_database: str = "postgres"
    replace: bool = False
    options: LoadOptions = field(default_factory=LoadOptions)
    allow_unverified: bool = False
    allow_other_collation: bool = False
    allow_other_database: bool = False
    prove: bool = True
    analyze: bool = True
    terminate: bool = False
    keep_old: bool = True
    client_directory: str | None = None
    lock_timeout: float = 0.0
    switch_timeout: float = 30.0
    stall_timeout: float = 600.0

    @property
    def database(self) -> str:
        """Name of the database to restore into."""
        return self.settings.parameters["dbname"]

    @property
    def maintenance(self) -> ConnectionSettings:
        """How to reach the database that others are made and renamed from."""
        return self.settings.with_database(self.maintenance_database)


@dataclass(frozen=True)
class Survey:
    """What was found. ``target`` is the name of the database in the end. ``connection`` commits by itself, and holds
    the lock of this name.

    ``uncertain`` are extensions that only the attempt will tell of; ``free`` is None where the disk cannot be seen;
    ``wrong`` is what is wrong with the archive's bytes, where one is restored all the same.
    """

    mode: str
    target: str
    archive: Archive
    manifest: Manifest
    tools: ClientTools
    server: Server
    connection: Any
    role: Rights
    old: Database | None
    sessions: tuple[Session, ...]
    part: Part | None
    uncertain: tuple[str, ...]
    lost_properties: tuple[str, ...]
    free: int | None
    from_database: str
    stamp: str
    way_back: str | None
    warnings: tuple[str, ...]
    wrong: str | None = None
    check_seconds: float = 0.0

    @property
    def staging(self) -> str:
        """Name of the database until it is complete; the database itself where none is made."""
        return swap.name_with(self.target, "restoring", self.stamp) if self.makes_database else self.target

    @property
    def makes_database(self) -> bool:
        """Whether a database is made, and renamed at the end."""
        return self.mode in (CREATE, REPLACE)

    @property
    def can_make_another(self) -> bool:
        """Whether a second database can be restored into, to tell what this server only spells its own way."""
        return self.role.create_database and (self.makes_database or not self.uncertain)

    @property
    def old_name(self) -> str | None:
        """What the database that is replaced is called afterwards."""
        return swap.name_with(self.target, "before", self.stamp) if self.mode == REPLACE else None

    @property
    def age(self) -> float:
        """Seconds since the moment that the archive shows."""
        return (datetime.now(timezone.utc) - snapshot_time(self.manifest)).total_seconds()


@contextlib.contextmanager
def survey(request: RestoreRequest, *, dry_run: bool) -> Iterator[Survey]:
    """Look at everything and refuse what cannot go well, before anything is touched.

    Holds, but for ``dry_run``, a lock on the server against a second restore to the same name. Raises ResilienceError.
    """
    check_settings(request)
    archive = find_archive(request.backup_root, request.archive)
    if not request.allow_unverified or archive.manifest is None:
        preflight.refuse(list(preflight.archive_obstacles(archive)))
    manifest: Manifest = archive.manifest or {}
    request.options.check(manifest["format"])
    clients = find_clients(request.client_directory)
    with _meet(request, clients) as (connection, server):
        tools = preflight.choose_tools(clients, manifest, server.version)
        if not dry_run:
            take_lock(connection, request.database, request.lock_timeout)
        started = time.monotonic()
        # Before any program reads it: pg_restore believes what stands in an archive.
        wrong = wrong_bytes(archive.path, manifest)
        if wrong is not None and not request.allow_unverified:
            raise ArchiveError(
                f"Nothing was touched: {archive.path} is not what its manifest says: {wrong}",
                stage="check",
                remedy="Restore another archive (pg_backup_info lists them), and run verify.yml. If there is no other, "
                "allow_unverified=true restores what there is.",
            )
        found = _look(request, archive, manifest, tools, connection, server)
        yield replace(found, wrong=wrong, check_seconds=time.monotonic() - started)


def check_settings(request: RestoreRequest) -> None:
    """Raise SettingsError for what contradicts itself."""

    def refuse(message: str, remedy: str) -> None:
        raise SettingsError(message, stage="settings", remedy=remedy)

    parameters = request.settings.parameters
    if "service" in parameters:
        refuse("A restore cannot connect by a service", "Give login_host and the other options instead.")
    if not parameters.get("dbname"):
        refuse("No database is named to restore into", "Give into, or database (POSTGRES_DATABASE in the env_file).")
    if len(request.database.encode()) > swap.NAME_BYTES:
        refuse(
            'The name "%s" has %d bytes, and PostgreSQL cuts names after %d: another database than this would be meant'
            % (request.database, len(request.database.encode()), swap.NAME_BYTES),
            "Give a shorter name.",
        )
    if request.replace and request.options.selects:
        refuse(
            "replace=true cannot be combined with schemas or tables: the database would then hold only these",
            "Restore them into a new database, or where they do not exist yet.",
        )
    if request.replace and request.maintenance_database == request.database:
        refuse(
            f'The database "{request.database}" cannot be replaced from a connection to itself',
            "Give another one as maintenance_database.",
        )
    if request.options.jobs < 1:
        refuse("jobs is %d" % request.options.jobs, "Give a number of at least 1.")


@contextlib.contextmanager
def _meet(request: RestoreRequest, clients: Sequence[ClientTools]) -> Iterator[tuple[Any, Server]]:
    """A session in the maintenance database; in the target where that is out of reach, and nothing is replaced."""
    with contextlib.ExitStack() as stack:
        timeouts = (swap.ATTEMPT_SECONDS, request.stall_timeout)
        try:
            connection, server = stack.enter_context(server_session(request.maintenance, clients, *timeouts))
        except ConnectionFailedError as error:
            if error.transient or request.replace:
                raise
            try:
                connection, server = stack.enter_context(server_session(request.settings, clients, *timeouts))
            except ConnectionFailedError:
                raise error from None
        connection.rollback()
        connection.set_session(isolation_level="READ COMMITTED", readonly=False, autocommit=True)
        yield connection, server


def _look(
    request: RestoreRequest, archive: Archive, manifest: Manifest, tools: ClientTools, connection: Any, server: Server
) -> Survey:
    role, old = rights(connection), find_database(connection, request.database)
    part = read_part(archive.path, tools, request.options) if request.options.selects else None
    obstacles: list[Obstacle] = list(part_obstacles(part, request.options)) if part else []
    mode = CREATE if old is None else REPLACE
    entries: Entries = part.entries if part else archive_entries(archive.path, manifest, tools, request.options)
    if old is not None and not request.replace:
        mode, more = _look_inside(request, manifest, part, entries)
        obstacles += more
    sessions: tuple[Session, ...] = ()
    lost: tuple[str, ...] = ()
    if mode in (CREATE, REPLACE):
        obstacles += preflight.right_obstacles(role, old, request.replace)
        obstacles += preflight.collation_obstacles(connection, manifest, request.allow_other_collation)
    if mode == REPLACE:
        obstacles += preflight.database_obstacles(manifest, request.database, request.allow_other_database)
        sessions = tuple(swap.sessions(connection, request.database))
        prepared = swap.prepared_transactions(connection, request.database)
        obstacles += preflight.session_obstacles(sessions, prepared, request.database, request.terminate)
        if not obstacles:
            lost = tuple(swap.rehearse_properties(connection, request.database))
    obstacles += preflight.role_obstacles(connection, manifest, entries, request.options)
    obstacles += preflight.tablespace_obstacles(connection, manifest, request.options)
    uncertain: list[str] = []
    warnings: list[str] = []
    if part is None:
        more, uncertain, warnings = preflight.extension_obstacles(connection, manifest, role.superuser)
        obstacles += more
    free = preflight.free_space(connection, request.settings)
    obstacles += preflight.space_obstacles(free, manifest)
    preflight.refuse(obstacles)
    stamp = swap.free_stamp(connection, request.database)
    line = None
    if mode == REPLACE:
        line = way_back(connection, request.database, swap.name_with(request.database, "before", stamp), stamp)
    return Survey(
        mode=mode,
        target=request.database,
        archive=archive,
        manifest=manifest,
        tools=tools,
        server=server,
        connection=connection,
        role=role,
        old=old,
        sessions=sessions,
        part=part,
        uncertain=tuple(uncertain),
        lost_properties=lost,
        free=free,
        from_database=server.database,
        stamp=stamp,
        way_back=line,
        warnings=tuple(warnings),
    )


def _look_inside(
    request: RestoreRequest, manifest: Manifest, part: Part | None, entries: Entries
) -> tuple[str, list[Obstacle]]:
    """What a restore into a database that exists is, and what is in its way there."""
    mode = FILL if part is None else PART
    obstacles = []
    piecemeal = []
    if request.options.jobs > 1:
        piecemeal.append(("several jobs", "Leave jobs at 1"))
    if manifest["format"] == "plain" and (manifest.get("large_objects") or {}).get("count"):
        # The script commits in the middle: around its large objects.
        piecemeal.append(("a plain archive with large objects", "Restore an archive of another format"))
    for what, instead in piecemeal:
        message = (
            f'the database "{request.database}" exists, and {what} could not take back on a failure what was done in it'
        )
        obstacles.append(Obstacle(message, f"{instead}, or restore into a new database."))
    with contextlib.closing(working_session(request.settings)) as connection:
        if part is None:
            held = preflight.contents_of_database(connection)
            obstacles += preflight.foreign_extension_obstacles(connection, entries, request.options)
            what = "is not empty; it holds {}".format(", ".join(held[:5]) + (", ..." if len(held) > 5 else ""))
            remedy = (
                "Name a database that does not exist yet, or say replace=true to put the restored one in its place."
            )
        else:
            held = present_relations(connection, part)
            what = "has already: {}".format(", ".join(name.replace(" ", ".", 1) for name in held))
            remedy = "Restore them into a new database, or rename or drop those that are there."
    if held:
        obstacles.append(Obstacle(f'the database "{request.database}" {what}', remedy))
    return mode, obstacles
