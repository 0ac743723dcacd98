# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database with an archive of it, restores by the core and by the module, and what must hold afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from psycopg2 import sql

from ansible_collections.baileys.resilience.plugins.module_utils.backup import describe
from ansible_collections.baileys.resilience.plugins.module_utils.restore import restore as core
from ansible_collections.baileys.resilience.plugins.module_utils.restore.load import LoadOptions
from ansible_collections.baileys.resilience.plugins.module_utils.restore.survey import RestoreRequest
from tests.support.backup_job import BackupJob, ModuleRun, RunningModule
from tests.support.backups import back_up, only_archive, settings_from
from tests.support.databases import TestDatabase, run_sql

LOAD_OPTIONS = ("jobs", "owner", "privileges", "tablespaces", "comments", "role", "schemas", "tables")
# Rows look the same in every database then, and a hostile setting of one does not stop us.
AS_EVER = " ".join(
    f"-c {setting}"
    for setting in (
        "default_transaction_read_only=off",
        "quote_all_identifiers=off",
        "statement_timeout=0",
        "lock_timeout=0",
        "search_path=public",
        "datestyle=ISO",
        "intervalstyle=postgres",
        "timezone=UTC",
        "bytea_output=hex",
        "extra_float_digits=1",
    )
)


class RestoreJob:
    """`database` is what was backed up, by its owner; restores go to the same server as that role unless told else."""

    def __init__(self, directory: Path, database: TestDatabase) -> None:
        self.database = database
        self.server = database.server
        self.jobs = BackupJob(directory, database)
        self.root = self.jobs.root

    def back_up(self, **options: Any) -> str:
        """Make an archive of the database; returns its path."""
        return back_up(self.database, self.root, source="app", **options).archive

    def request(self, **options: Any) -> RestoreRequest:
        """A request to the core; `into` is the database, `parameters` replaces the connection."""
        parameters = dict(options.pop("parameters", None) or self.database.parameters())
        parameters["dbname"] = options.pop("into", self.database.name)
        load = LoadOptions(**{name: options.pop(name) for name in LOAD_OPTIONS if name in options})
        return RestoreRequest(
            **{
                "source": "app",
                "settings": settings_from(parameters),
                "backup_root": str(self.root),
                "client_directory": str(self.server.bin_directory),
                "options": load,
                **options,
            }
        )

    def restore(self, **options: Any) -> core.RestoreResult:
        return core.restore(self.request(**options))

    def plan(self, **options: Any) -> core.RestoreResult:
        return core.plan_restore(self.request(**options))

    def arguments(self, **options: Any) -> dict[str, Any]:
        """Those of the module pg_restore."""
        mine = self.jobs.arguments()
        return {**mine, **options}

    def start_module(self, **options: Any) -> RunningModule:
        return self.jobs.start("pg_restore", **self.arguments(**options))

    def run_module(self, **options: Any) -> ModuleRun:
        return self.jobs.run("pg_restore", **self.arguments(**options))

    def edit_manifest(self, **changes: Any) -> None:
        """Change what the manifest says, its own checksum too."""
        archive = only_archive(self.root)
        assert archive.manifest is not None
        describe.write_manifest(archive.path, {**archive.manifest, **changes})

    # What there is.

    def databases(self) -> list[str]:
        """Every database of the role, by name."""
        query = f"SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = '{self.database.user}' ORDER BY 1"
        return [name for (name,) in run_sql(self.server.parameters(), query)]

    def ask(self, query: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Ask a database as superuser, whatever it is set to."""
        return run_sql(self.server.parameters(dbname=database or self.database.name, options=AS_EVER), query)

    def contents(self, database: str | None = None) -> dict[str, tuple[int, str]]:
        """Rows and a hash of every table, by a way of its own: not that of the product."""
        tables = self.ask(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
            database,
        )
        return {
            name: tuple(
                self.ask(f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} t", database)[0]
            )
            for (name,) in tables
        }


@contextlib.contextmanager
def restore_job(directory: Path, database: TestDatabase) -> Iterator[RestoreJob]:
    """A job whose databases are gone afterwards, all but the first, which belongs to who made it."""
    job = RestoreJob(directory, database)
    try:
        yield job
    finally:
        drop_others(database)


def drop_others(database: TestDatabase) -> None:
    """Drop every other database of the role."""
    maintenance: Mapping[str, Any] = database.server.parameters()
    query = f"SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = '{database.user}'"
    for (name,) in run_sql(dict(maintenance), query):
        if name != database.name:
            run_sql(dict(maintenance), sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
