# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused before a restore begins: everything at once, each with what to do about it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..backup.catalogue import Archive
from ..backup.describe import Manifest
from ..postgres.client import ClientTools, install_remedy, supports_compression
from ..postgres.databases import Database, Rights, locale_of, offers_locale
from ..postgres.settings import ConnectionSettings
from ..postgres.version import Version, from_text
from ..system.errors import IncompatibleVersionError, MissingDependencyError, ResilienceError
from ..system.units import human_size
from .entries import Entries
from .load import LoadOptions
from .swap import Session

MOST_NAMES = 5
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1", "local socket")
# Every server has them; membership of the last depends on the database that one is connected to.
_BUILT_IN_ROLES = "pg_"


@dataclass(frozen=True)
class Obstacle:
    """Something that stands in the way, and what to do about it."""

    message: str
    remedy: str


def refuse(obstacles: Sequence[Obstacle], stage: str = "preflight", so_far: str = "Nothing was touched") -> None:
    """Raise one ResilienceError that names every obstacle; nothing if there is none. ``so_far`` says what was done."""
    if not obstacles:
        return
    messages = [obstacle.message for obstacle in obstacles]
    numbered = messages if len(messages) == 1 else ["%d) %s" % pair for pair in enumerate(messages, 1)]
    raise ResilienceError(
        "{}: {}".format(so_far, "; ".join(numbered)),
        stage=stage,
        remedy=" ".join(dict.fromkeys(obstacle.remedy for obstacle in obstacles)),
    )


def choose_tools(clients: Sequence[ClientTools], manifest: Manifest, server: Version) -> ClientTools:
    """The client that can read the archive and talk to this server: of the server's own major where there is one.

    Raises IncompatibleVersionError or MissingDependencyError, each with what to install.
    """
    made_by, made_from = from_text(manifest["client_version"]), from_text(manifest["server_version"])
    if server.major < made_from.major:
        raise IncompatibleVersionError(
            f"Nothing was touched: the archive is of a PostgreSQL {made_from} server, and this server is {server}, which is older",
            stage="version",
            remedy=f"Restore on a server of version {made_from.major} or newer: an older one may not know what the archive holds.",
        )
    needed = max(server.major, made_by.major)
    recent = [tools for tools in sorted(clients, key=lambda tools: tools.version) if tools.version.major >= needed]
    if not recent:
        raise IncompatibleVersionError(
            f"Nothing was touched: the server is PostgreSQL {server} and the archive was made by pg_dump {made_by}, but the newest "
            f"client here is {clients[0].version} ({clients[0].directory})",
            stage="version",
            remedy=install_remedy(needed),
        )
    for tools in recent:
        if manifest["format"] == "plain" or supports_compression(tools, str(manifest["compression"])):
            return tools
    raise MissingDependencyError(
        "Nothing was touched: the archive is compressed with {}, and the client {} in {} was built without it".format(
            manifest["compression"], recent[-1].version, recent[-1].directory
        ),
        stage="version",
        remedy="Install a client with {}, as the packages of Debian and of the PostgreSQL project are.".format(
            manifest["compression"]
        ),
    )


def refuse_after_trying(obstacles: Sequence[Obstacle]) -> None:
    """The same for what only an attempt could tell: a database was made for it, perhaps, and is dropped again."""
    refuse(obstacles, so_far="Nothing was restored")


def archive_obstacles(archive: Archive) -> Iterator[Obstacle]:
    """What speaks against the archive itself, before it is read."""
    if archive.manifest is None:
        yield Obstacle(
            archive.problem or f"{archive.path} has no manifest: it is not a backup of this collection",
            "Restore an archive that pg_backup made (pg_backup_info lists them), or this one by hand with pg_restore.",
        )
    elif not archive.counted:
        yield Obstacle(
            "the archive {} is {}: {}".format(
                os.path.basename(archive.path), archive.state, archive.problem or "a later check failed"
            ),
            "Restore another one (pg_backup_info lists them). If there is none, allow_unverified=true restores what there is.",
        )


def right_obstacles(role: Rights, old: Database | None, replace: bool) -> Iterator[Obstacle]:
    """What the role may not do where a database is to be made, and one perhaps replaced."""
    if not role.create_database:
        yield Obstacle(
            f"the role {role.role} may not create databases",
            f"Have an administrator run: ALTER ROLE {role.role} CREATEDB; or restore into an empty database that the provider makes.",
        )
    if replace and old is not None and not (old.is_mine or role.superuser):
        yield Obstacle(
            f'the role {role.role} does not own the database "{old.name}"; {old.owner} does',
            f"Connect as {old.owner}, or have an administrator run: GRANT {old.owner} TO {role.role}.",
        )


def database_obstacles(manifest: Manifest, name: str, allowed: bool) -> Iterator[Obstacle]:
    """An archive of another database than the one that is to be replaced by it."""
    if manifest["database"] != name and not allowed:
        yield Obstacle(
            'the archive is a backup of the database "{}", and it is "{}" that would be replaced by it'.format(
                manifest["database"], name
            ),
            "See whether the right source and the right database are named; if they are, say allow_other_database=true.",
        )


def session_obstacles(sessions: Sequence[Session], prepared: int, name: str, terminate: bool) -> Iterator[Obstacle]:
    """Who is connected to the database that is to be replaced, and could not be sent away."""
    staying = [session for session in sessions if not session.endable]
    if staying:
        yield Obstacle(
            f'this role may not end the sessions {_some(s.describe() for s in staying)} in the database "{name}", '
            "and none can be renamed while somebody is connected",
            "Have their owner, or the provider, end them; or grant the role pg_signal_backend. A superuser's only a superuser can end.",
        )
    ending = [session for session in sessions if session.endable]
    if ending and not terminate:
        yield Obstacle(
            'somebody is connected to the database "%s" (%d sessions): %s'
            % (name, len(ending), _some(session.describe() for session in ending)),
            "Stop the application first, or say terminate=true: then they are ended at the switch, not before.",
        )
    if prepared:
        yield Obstacle(
            '%d prepared transactions are open in the database "%s"' % (prepared, name),
            "Commit or roll them back (pg_prepared_xacts lists them).",
        )


def role_obstacles(connection: Any, manifest: Manifest, entries: Entries, options: LoadOptions) -> Iterator[Obstacle]:
    """Roles that the archive names and this server has not got, or that the connected role cannot act for."""
    owners = {text.partition("\n")[0].replace("-- owner: ", "", 1) for texts in entries.values() for text in texts}
    owners = {owner for owner in owners - {"-", ""} if options.owner and not owner.startswith(_BUILT_IN_ROLES)}
    # A superuser stands in every manifest; it is needed only where it owns something.
    named = {item["role"] for item in manifest.get("roles", []) if not item["superuser"]}
    granted = {name for name in named - owners if options.privileges and not name.startswith(_BUILT_IN_ROLES)}
    member = "SET" if connection.server_version >= 160000 else "MEMBER"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname, pg_catalog.pg_has_role(oid, %s) FROM pg_catalog.pg_roles WHERE rolname = ANY (%s)",
            (member, sorted(owners | granted)),
        )
        present = dict(cursor.fetchall())
    missing = sorted((owners | granted) - set(present))
    if missing:
        yield Obstacle(
            "roles that the archive names do not exist on this server: {}".format(_some(missing)),
            "Create them (CREATE ROLE name NOLOGIN), or leave them out: owner=false for owners, privileges=false for grants.",
        )
    foreign = sorted(owner for owner in owners & set(present) if not present[owner])
    if foreign:
        yield Obstacle(
            "objects in the archive belong to roles that the connected one is no member of: {}".format(_some(foreign)),
            "Connect as a member of them, have them granted, or say owner=false: then all belongs to the connected role.",
        )


def extension_obstacles(
    connection: Any, manifest: Manifest, superuser: bool
) -> tuple[list[Obstacle], list[str], list[str]]:
    """Obstacles, extensions that only the attempt will tell of, and warnings.

    By the catalogue only a superuser can create an extension that is not trusted. Providers widen that by hooks of
    their own, so that it is tried, in the new database and before anything is restored into it.
    """
    wanted = {item["extension"]: item.get("version") for item in manifest.get("extensions", [])}
    if not wanted:
        return [], [], []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.name, e.default_version, coalesce(v.superuser AND NOT v.trusted, false)
            FROM pg_catalog.pg_available_extensions e
            LEFT JOIN pg_catalog.pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version
            WHERE e.name = ANY (%s)
            """,
            (sorted(wanted),),
        )
        offered = {name: (version, closed) for name, version, closed in cursor.fetchall()}
    obstacles = []
    missing = sorted(set(wanted) - set(offered))
    if missing:
        obstacles.append(
            Obstacle(
                "extensions of the archive are not available on this server: {}".format(_some(missing)),
                "Have their packages installed there; restore elsewhere otherwise.",
            )
        )
    uncertain = sorted(name for name, (_version, closed) in offered.items() if closed and not superuser)
    warnings = [
        f"the extension {name} will be of version {version}, not {wanted[name]}"
        for name, (version, _closed) in sorted(offered.items())
        if version != wanted[name]
    ]
    return obstacles, uncertain, warnings


def tried_extensions(connection: Any, names: Iterable[str]) -> list[str]:
    """Which of these extensions the role may not create in the connected database; each is tried and taken back."""
    refused = []
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute("BEGIN")
            try:
                quoted = name.replace('"', '""')
                cursor.execute(f'CREATE EXTENSION IF NOT EXISTS "{quoted}" CASCADE')
            except Exception as error:
                if getattr(error, "pgcode", None) is None:
                    raise
                refused.append("{} ({})".format(name, " ".join(str(error).split())))
            finally:
                cursor.execute("ROLLBACK")
    return refused


def extension_refusal(refused: Sequence[str]) -> Obstacle:
    """The obstacle that ``tried_extensions`` found."""
    return Obstacle(
        "this role may not create extensions of the archive: {}".format(_some(refused)),
        "Have the provider or an administrator create them in an empty database, and restore into that one with comments=false.",
    )


def foreign_extension_obstacles(connection: Any, entries: Entries, options: LoadOptions) -> Iterator[Obstacle]:
    """Extensions of somebody else in the connected database: the archive holds a comment on each, which only owners set."""
    if not options.comments:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extname FROM pg_catalog.pg_extension WHERE NOT pg_catalog.pg_has_role(extowner, 'USAGE') ORDER BY 1"
        )
        names = [name for (name,) in cursor.fetchall() if f"COMMENT EXTENSION {name}" in entries]
    if names:
        yield Obstacle(
            "extensions of somebody else are in the database already, and the archive holds comments on them: {}".format(
                _some(names)
            ),
            "Say comments=false, or have these extensions dropped: they are created with the rest.",
        )


def tablespace_obstacles(connection: Any, manifest: Manifest, options: LoadOptions) -> Iterator[Obstacle]:
    """Tablespaces that the archive names and this role cannot use here."""
    wanted = manifest.get("tablespaces", []) if options.tablespaces else []
    if not wanted:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT spcname FROM pg_catalog.pg_tablespace WHERE spcname = ANY (%s) "
            "AND pg_catalog.has_tablespace_privilege(oid, 'CREATE')",
            (list(wanted),),
        )
        usable = {name for (name,) in cursor.fetchall()}
    missing = sorted(set(wanted) - usable)
    if missing:
        yield Obstacle(
            "tablespaces that the archive names do not exist on this server, or this role may not use them: {}".format(
                _some(missing)
            ),
            "Create or grant them, or say tablespaces=false: then all goes into the database's own.",
        )


def collation_obstacles(connection: Any, manifest: Manifest, allowed: bool) -> Iterator[Obstacle]:
    """The collation of the database that was backed up, where this server has not got it."""
    locale = locale_of(manifest)
    why = None if allowed else offers_locale(connection, locale)
    if why:
        yield Obstacle(
            f"this server does not offer the collation of the database, {locale.describe()}: {why}",
            "Have that locale installed there, or say allow_other_collation=true: text is then sorted and compared otherwise.",
        )


def free_space(connection: Any, settings: ConnectionSettings) -> int | None:
    """Bytes free on the server's disk; None where a plain role, or this host, cannot see it."""
    if settings.host not in _LOCAL_HOSTS and not settings.host.startswith("/"):
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE') "
            "THEN pg_catalog.current_setting('data_directory') END"
        )
        directory = cursor.fetchone()[0]
    try:
        status = os.statvfs(directory) if directory else None
    except OSError:
        # That host is another one, reached by a tunnel; or this one, and the directory is closed to us.
        return None
    return status.f_bavail * status.f_frsize if status else None


def space_obstacles(free: int | None, manifest: Manifest) -> Iterator[Obstacle]:
    """A disk that cannot even hold the rows. Indexes and the server's log come on top of them."""
    needed = int(manifest.get("content_bytes") or 0)
    if free is not None and free < needed:
        yield Obstacle(
            f"the server's disk has {human_size(free)} free, and the rows alone have {human_size(needed)}",
            "Free space there, or restore on another server.",
        )


def contents_of_database(connection: Any) -> list[str]:
    """What a user has made in the connected database, at most a few; empty for one as it comes from a template.

    What belongs to an extension does not count: providers put some into every database.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH mine AS (SELECT oid FROM pg_catalog.pg_namespace
                          WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
                 objects (class, oid, words) AS (
                SELECT 'pg_class'::regclass, oid, 'relation ' || oid::regclass FROM pg_catalog.pg_class
                WHERE relnamespace IN (SELECT oid FROM mine) AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
                UNION ALL
                SELECT 'pg_proc'::regclass, oid, 'function ' || oid::regprocedure FROM pg_catalog.pg_proc
                WHERE pronamespace IN (SELECT oid FROM mine)
                UNION ALL
                SELECT 'pg_type'::regclass, oid, 'type ' || oid::regtype FROM pg_catalog.pg_type
                WHERE typnamespace IN (SELECT oid FROM mine) AND typtype IN ('d', 'e', 'r')
                UNION ALL
                SELECT 'pg_namespace'::regclass, oid, 'schema ' || nspname FROM pg_catalog.pg_namespace
                WHERE oid IN (SELECT oid FROM mine) AND nspname <> 'public'
                UNION ALL
                SELECT 'pg_largeobject'::regclass, oid, 'large object ' || oid FROM pg_catalog.pg_largeobject_metadata)
            SELECT words FROM objects o
            WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                              WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e')
            ORDER BY 1 LIMIT %s
            """,
            (MOST_NAMES + 1,),
        )
        return [words for (words,) in cursor.fetchall()]


def _some(words: Iterable[str]) -> str:
    names = list(words)
    shown = ", ".join(names[:MOST_NAMES])
    return shown + (" and %d more" % (len(names) - MOST_NAMES) if len(names) > MOST_NAMES else "")
