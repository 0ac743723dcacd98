# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From Baileys' files to the database: each session in one transaction, compared with its files before it is committed.

A row that holds already what its file holds is not touched, and so keeps its age. The others get that of the file.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..postgres.settings import ConnectionSettings
from ..reporting.progress import SILENT, Progress
from ..system.errors import ResilienceError
from .directory import TenantDirectory, find_tenants, open_tenant
from .files import Content, Tally
from .layout import CREDS, SessionLayout
from .names import CREDS_FILE, escape, file_name
from .rows import Row, RowWriter, creds_identity, creds_writer, key_identity, keys_writer
from .store import KeyRow, SessionSnapshot
from .values import BrokenValueError, stringified
from .workers import in_processes, processes_for, shares
from .writing import importing_alone, open_for_writing, telling

# Rows that are written by one statement.
ROWS_PER_WRITE = 500


@dataclass(frozen=True)
class ImportRequest:
    """What to import from where: ``<directory>/<tenant>/creds.json``.

    ``tenants`` empty: all that are there. ``keep_ages``: what changed is as old as its file, the rest as old as it was;
    without it everything was written now.
    """

    source: str
    settings: ConnectionSettings
    layout: SessionLayout
    directory: str
    tenants: tuple[str, ...] = ()
    keep_ages: bool = True
    workers: int = 2
    dry_run: bool = False


@dataclass(frozen=True)
class TenantImport:
    """One session: keys by type, before and now, and what became of them.

    ``creds`` is ``added``, ``changed`` or ``unchanged``; ``skipped`` the reason why the session was left alone.
    """

    tenant: str
    directory: str
    keys: Mapping[str, int] = field(default_factory=dict)
    keys_before: Mapping[str, int] = field(default_factory=dict)
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    creds: str = "unchanged"
    me: str | None = None
    digest: str = ""
    size_bytes: int = 0
    skipped: str | None = None

    @property
    def differs(self) -> bool:
        """Whether the rows held anything else than the files."""
        return bool(self.added or self.changed or self.removed or self.creds != "unchanged")


@dataclass(frozen=True)
class ImportResult:
    """All sessions that were imported."""

    source: str
    tenants: tuple[TenantImport, ...]
    seconds: float


def import_sessions(request: ImportRequest, progress: Progress = SILENT) -> ImportResult:
    """Import the sessions. Nothing is written before every directory is known to be understood.

    Raises ResilienceError: the session that failed is as it was in the database, others may have been imported.
    """
    started = time.monotonic()
    progress.step("import")
    paths = find_tenants(request.directory, request.tenants)
    sizes = {}
    for tenant, path in paths.items():
        with open_tenant(path, tenant) as files:
            sizes[tenant] = len(files.names)
    if request.dry_run:
        imports = _import_all(request, paths, sizes, progress)
    else:
        with importing_alone(request.settings, request.layout):
            imports = _import_all(request, paths, sizes, progress)
    return ImportResult(request.source, imports, time.monotonic() - started)


def _import_all(
    request: ImportRequest, paths: Mapping[str, str], sizes: Mapping[str, int], progress: Progress
) -> tuple[TenantImport, ...]:
    def work(tenants: Sequence[str]) -> Iterator[TenantImport]:
        with open_for_writing(request.settings, request.layout, request.dry_run) as sessions:
            for tenant in tenants:
                yield _import_tenant(request, sessions, tenant, paths[tenant])

    workers = processes_for(sizes, request.workers)
    imports, size = [], 0
    for done in in_processes(shares(sizes, workers), work) if workers > 1 else work(list(paths)):
        imports.append(done)
        size += done.size_bytes
        progress.advance(0, size)
    return tuple(sorted(imports, key=lambda done: done.tenant))


def _import_tenant(request: ImportRequest, sessions: SessionSnapshot, tenant: str, path: str) -> TenantImport:
    with open_tenant(path, tenant) as files:
        if not files.identity.paired:
            return TenantImport(tenant, path, skipped="not paired with a phone yet")
        with telling(request.settings, tenant), sessions.connection:
            return _Import(request, sessions, files).run()


class _Import:
    """One session on its way into the database, within a transaction."""

    def __init__(self, request: ImportRequest, sessions: SessionSnapshot, files: TenantDirectory) -> None:
        self._request = request
        self._sessions = sessions
        self._files = files
        self._tenant = files.tenant
        self._cursor = sessions.connection.cursor()
        self._tally = Tally()
        self._outcome: Counter[str] = Counter()
        self._waiting: dict[str, list[Row]] = {"insert": [], "replace": [], "delete": []}
        # Until then the transaction sees just the rows that were compared with the files.
        self._wrote = False
        self._writer = keys_writer(self._cursor, sessions, self._tenant)

    def run(self) -> TenantImport:
        """Make the rows what the files are, and see that they are."""
        creds = self._bring_in_creds()
        before = self._bring_in_keys()
        wanted = self._tally.content()
        if self._wrote:
            self._verify(wanted)
        return TenantImport(
            tenant=self._tenant,
            directory=self._files.path,
            keys=wanted.keys,
            keys_before=dict(before),
            added=self._outcome["added"],
            changed=self._outcome["changed"],
            removed=self._outcome["removed"],
            unchanged=self._outcome["unchanged"],
            creds=creds,
            me=self._files.identity.me,
            digest=wanted.digest,
            size_bytes=wanted.size_bytes,
        )

    def _bring_in_creds(self) -> str:
        row = self._sessions.creds_row(self._tenant)
        content = self._files.read(CREDS_FILE)
        text = self._files.text(CREDS_FILE, content)
        self._tally.add(CREDS, CREDS_FILE, text.encode())
        outcome = "added" if row is None else "unchanged" if self._held(row) == text else "changed"
        # A row that was a string of JSON stays one.
        wrapped = self._sessions.layout.double_stringified if row is None else row.value.lstrip().startswith('"')
        writer = creds_writer(self._cursor, self._sessions, self._tenant)
        identity = creds_identity(self._sessions.layout, self._tenant)
        written = [self._row(identity, CREDS_FILE, stringified(text) if wrapped else text)]
        if row is None:
            self._write(writer, "insert", written)
        elif outcome == "changed" or not self._request.keep_ages:
            self._write(writer, "replace", written)
        return outcome

    def _bring_in_keys(self) -> Counter[str]:
        before: Counter[str] = Counter()
        found: set[str] = set()
        for row in self._sessions.keys(self._tenant):
            before[row.key_type] += 1
            name = file_name(row.key_type, row.key_id)
            if name in found:
                raise ResilienceError(
                    f"Two keys of the session {self._tenant} in the database have the same file {name}",
                    stage="read",
                    remedy="Delete the one that is none of the application's.",
                )
            found.add(name)
            self._bring_in(name, row, key_identity(self._sessions.layout, self._tenant, row.key_type, row.key_id))
        for name in sorted(set(self._files.names) - found):
            self._bring_in(name, None, self._new_identity(name))
        for kind in self._waiting:
            self._flush(kind)
        return before

    def _bring_in(self, name: str, row: KeyRow | None, identity: tuple[str, ...]) -> None:
        """Compare a row with its file, and put down what is to be done. Either may be missing."""
        if name not in self._files.names:
            self._outcome["removed"] += 1
            self._put_down("delete", Row(identity))
            return
        content = self._files.read(name)
        held = None if row is None else self._held(row)
        # As a rule the bytes are the same, and the file need not be parsed.
        same = held is not None and held.encode() == content
        text = held if same and held is not None else self._files.text(name, content)
        key_type = row.key_type if row is not None else self._files.names[name][0]
        self._tally.add(key_type, name, text.encode())
        outcome = "added" if row is None else "unchanged" if held == text else "changed"
        self._outcome[outcome] += 1
        if outcome != "unchanged" or not self._request.keep_ages:
            value = stringified(text) if self._sessions.layout.double_stringified else text
            self._put_down("insert" if row is None else "replace", self._row(identity, name, value))

    def _held(self, row: KeyRow) -> str | None:
        """What a row holds, in its one text; None for what is broken, and so to be replaced."""
        try:
            return self._sessions.text(row)
        except BrokenValueError:
            return None

    def _row(self, identity: tuple[str, ...], name: str, value: str) -> Row:
        return Row(identity, value, self._files.modified_at(name) if self._request.keep_ages else None)

    def _new_identity(self, name: str) -> tuple[str, ...]:
        key_type, key_id = self._files.names[name]
        layout = self._sessions.layout
        return key_identity(layout, self._tenant, key_type, escape(key_id) if layout.escaped_ids else key_id)

    def _put_down(self, kind: str, row: Row) -> None:
        self._waiting[kind].append(row)
        if len(self._waiting[kind]) >= ROWS_PER_WRITE:
            self._flush(kind)

    def _flush(self, kind: str) -> None:
        self._write(self._writer, kind, self._waiting[kind])
        self._waiting[kind].clear()

    def _write(self, writer: RowWriter, kind: str, rows: Sequence[Row]) -> None:
        if rows and not self._request.dry_run:
            getattr(writer, kind)(rows)
            self._wrote = True

    def _verify(self, wanted: Content) -> None:
        """Read every row again, in the transaction that wrote them."""
        tally = Tally()
        creds = self._sessions.creds_row(self._tenant)
        rows: Iterator[tuple[str, Any]] = (
            (file_name(r.key_type, r.key_id), r) for r in self._sessions.keys(self._tenant)
        )
        for name, row in rows:
            tally.add(row.key_type, name, (self._held(row) or "").encode())
        if creds is not None:
            tally.add(CREDS, CREDS_FILE, (self._held(creds) or "").encode())
        if tally.content() != wanted:
            raise ResilienceError(
                f"The rows of the session {self._tenant} do not hold what its files hold; nothing of it was committed",
                stage="verify",
                remedy="Look for triggers or rules on the tables that change what is written.",
            )
