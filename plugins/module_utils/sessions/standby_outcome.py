# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of each session of the standby: to be exported, right as it is, or left alone, and why."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ..postgres.connection import translate
from ..system.errors import ConnectionFailedError, ResilienceError
from .creds import check_creds
from .export import TenantExport
from .files import read_manifest
from .fingerprint import fingerprints
from .standby import StandbyTenant, Standing, read_back
from .store import SessionSnapshot

try:
    import psycopg2
except ImportError:
    # postgres/connection.py says so by name before there is a snapshot.
    HAS_PSYCOPG2 = False
else:
    HAS_PSYCOPG2 = True

# Files that need not be written again are read in full once a day: a disk may lose what was once right.
READ_BACK_EVERY = timedelta(days=1)

# What became of a session.
REFRESHED = "refreshed"
UNCHANGED = "unchanged"
SKIPPED = "skipped"
MISSING = "missing"
FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What became of one session, and why. ``export`` is what was written, in a dry run what would be."""

    tenant: str
    result: str
    reason: str | None = None
    export: TenantExport | None = None


def rows_of(snapshot: SessionSnapshot) -> dict[str, str]:
    """The fingerprint of each session; where the server cannot read them all, none: each is then exported by itself."""
    _execute(snapshot, "SAVEPOINT standby")
    try:
        return fingerprints(snapshot)
    except ConnectionFailedError as error:
        if error.transient:
            raise
    _execute(snapshot, "ROLLBACK TO SAVEPOINT standby")
    return dict.fromkeys(snapshot.counts(), "")


def _execute(snapshot: SessionSnapshot, statement: str) -> None:
    """A row that cannot be read (a damaged page) ends what came after the savepoint, not the snapshot."""
    try:
        with snapshot.connection.cursor() as cursor:
            cursor.execute(statement)
    except psycopg2.Error as error:
        raise translate(error, snapshot.settings, "read the sessions").at_stage("read") from error


def without_export(
    snapshot: SessionSnapshot,
    tenant: str,
    held: StandbyTenant | None,
    standings: dict[str, Standing],
    fingerprint: str,
) -> Outcome | None:
    """What becomes of a session that need not or must not be exported; None for one to be exported."""
    if held is not None and held.snapshot_at > snapshot.at:
        return Outcome(
            tenant,
            FAILED,
            f"the standby shows {held.snapshot_at.isoformat()}, the server's clock says {snapshot.at.isoformat()}: an older "
            "moment never replaces a newer one. See whether this is the right server and its clock is right; if it is, "
            f"move {held.directory} away",
        )
    standing = standings.get(tenant)
    if held is not None and standing is not None and _still_right(held, standing, fingerprint):
        read_back_at = standing.read_back_at
        if not timedelta(0) <= datetime.now(timezone.utc) - read_back_at < READ_BACK_EVERY:
            read_back_at = datetime.now(timezone.utc)
            if not _reads_back(held):
                return None
        standings[tenant] = dataclasses.replace(
            standing, snapshot_at=snapshot.at, read_back_at=read_back_at, missing_since=None
        )
        return Outcome(tenant, UNCHANGED)
    return _unusable(snapshot, tenant)


def _still_right(held: StandbyTenant, standing: Standing, fingerprint: str) -> bool:
    return fingerprint != "" and (standing.digest, standing.fingerprint) == (held.content.digest, fingerprint)


def _reads_back(held: StandbyTenant) -> bool:
    try:
        manifest = read_manifest(held.directory)
        return manifest is not None and read_back(held.directory, manifest) is None
    except ResilienceError:
        return False


def _unusable(snapshot: SessionSnapshot, tenant: str) -> Outcome | None:
    """A session that cannot be opened with its credentials, or that nobody has paired yet."""
    try:
        if check_creds(snapshot.creds(tenant), tenant).paired:
            return None
    except ConnectionFailedError as error:
        if error.transient:
            raise
        _execute(snapshot, "ROLLBACK TO SAVEPOINT standby")
        return Outcome(tenant, FAILED, error.message)
    except ResilienceError as error:
        return Outcome(tenant, FAILED, error.message)
    if next(iter(snapshot.keys(tenant)), None) is None:
        return Outcome(tenant, SKIPPED, "not paired with a phone yet")
    return Outcome(tenant, FAILED, f"The credentials of the session {tenant} are new ones, and it has keys")
