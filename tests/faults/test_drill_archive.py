# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills of archives that are not what they should be, and of state that cannot be kept."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import read_catalogue
from ansible_collections.baileys.resilience.plugins.module_utils.backup.describe import write_manifest
from ansible_collections.baileys.resilience.plugins.module_utils.drill import drill_run, forecast
from ansible_collections.baileys.resilience.plugins.module_utils.drill.drill import drill_archive
from ansible_collections.baileys.resilience.plugins.module_utils.drill.drill_run import run_drills
from tests.support.backup_job import MANIFEST, BackupJob
from tests.support.backups import KINDS, only_archive, tree_state
from tests.support.drilling import Result, assert_suspect, only_drill, request_of, run_drill


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of data directories that the drills here share."""
    return tmp_path_factory.mktemp("template")


@pytest.fixture(autouse=True)
def shared_template(monkeypatch: pytest.MonkeyPatch, template: Path) -> None:
    monkeypatch.setattr(
        "ansible_collections.baileys.resilience.plugins.module_utils.drill.drill.template_cache",
        lambda _: str(template),
    )


def drill_here(job: BackupJob, **options: Any) -> Result:
    """The one result of a run in this process, archive and state marked and kept as the module does."""
    request = request_of(job.root, job.state, job.database.server.bin_directory, **options)
    (result,) = run_drills(request).results
    return result


def notes(job: BackupJob) -> list[dict[str, Any]]:
    manifest = only_archive(job.root).manifest
    assert manifest is not None
    return [note for note in manifest["proofs"] if note["kind"] == "drill"]


def flip(path: Path, place: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def edit_manifest(job: BackupJob, **changes: Any) -> None:
    """Change a manifest and seal it again, as nobody but the product should."""
    archive = only_archive(job.root)
    assert archive.manifest is not None
    write_manifest(archive.path, {**archive.manifest, **changes})


def test_good_archive(job: BackupJob) -> None:
    result = drill_here(job)
    assert result["verdict"] == "proven"
    assert only_archive(job.root).state == "proven"
    assert [note["outcome"] for note in notes(job)] == ["held"]
    assert notes(job)[0]["at"] == result["at"]


@pytest.mark.parametrize("spoil", [flip, truncate])
@pytest.mark.parametrize("kind", ["custom-zstd", "plain-gzip", "directory-zstd"])
def test_damaged_archive(job: BackupJob, kind: str, spoil: Any) -> None:
    shutil.rmtree(job.root)
    job.back_up_here(**KINDS[kind])
    archive = Path(only_archive(job.root).path)
    victim = max(archive.iterdir(), key=lambda path: path.stat().st_size) if archive.is_dir() else archive
    spoil(victim)
    result = drill_here(job)
    assert_suspect(result, "SHA-256" if spoil is flip else "bytes")
    assert only_archive(job.root).state == "suspect"
    assert [note["outcome"] for note in notes(job)] == ["failed"]
    # No server was started for it.
    assert [timing["step"] for timing in result["timings"]] == ["check"]


def test_proven_archive_that_is_damaged_later(job: BackupJob) -> None:
    drill_here(job)
    flip(Path(only_archive(job.root).path))
    assert_suspect(drill_here(job), "SHA-256")
    assert only_archive(job.root).state == "suspect"
    assert [note["outcome"] for note in notes(job)] == ["held", "failed"]
    # Whatever state a drill that could judge finds, it is the one that stands.
    flip(Path(only_archive(job.root).path))
    assert drill_here(job)["verdict"] == "proven"


@pytest.mark.parametrize("what", ["rows", "digest", "table", "sequence", "large objects"])
def test_manifest_that_says_something_else(job: BackupJob, what: str) -> None:
    """The archive is whole by its hash, and restores to something else than its manifest claims."""
    manifest = only_archive(job.root).manifest
    assert manifest is not None
    tables = [dict(table) for table in manifest["tables"]]
    keys = next(table for table in tables if table["table"] == "whatsapp_keys")
    changes: dict[str, Any] = {"tables": tables}
    words = ["table public.whatsapp_keys"]
    if what == "rows":
        keys["rows"] += 1
        keys["digest"] = "0" * 64
        words.append("1648 expected")
    elif what == "digest":
        keys["digest"] = "0" * 64
        words.append("other content")
    elif what == "table":
        tables.append({**keys, "table": "more"})
        words = ["table public.more is missing"]
    elif what == "sequence":
        changes = {"sequences": [{"sequence": "public.gone", "value": 3, "called": True}]}
        words = ["sequence public.gone", "no such sequence"]
    else:
        changes = {"large_objects": {"count": 2, "bytes": 3, "digest": "0" * 64}}
        words = ["there are 0 large objects", "2 expected"]
    edit_manifest(job, **changes)
    assert_suspect(drill_here(job), *words)


def test_manifest_that_was_edited(job: BackupJob) -> None:
    path = Path(only_archive(job.root).path + MANIFEST)
    path.write_text(path.read_text().replace("1647", "1646"))
    assert_suspect(drill_here(job), "it was edited")


def test_manifest_that_cannot_be_read(job: BackupJob) -> None:
    path = Path(only_archive(job.root).path + MANIFEST)
    path.write_text(path.read_text()[:200])
    before = tree_state(job.root, without=[".lock"])
    run = run_drill(job)
    assert run.failed
    assert "suspect" in run.message
    assert "manifest" in run.message
    # Nothing can be marked in a manifest that is none.
    assert tree_state(job.root, without=[".lock"]) == before


def test_foreign_file_is_no_archive(job: BackupJob) -> None:
    foreign = job.root / "daily" / "backup-2099-01-01T000000Z.dump"
    foreign.write_bytes(b"somebody else's")
    assert drill_here(job)["verdict"] == "proven"
    assert drill_here(job, only=[str(foreign)])["problems"] == ["it has no manifest"]
    assert foreign.read_bytes() == b"somebody else's"


@pytest.mark.parametrize("missing", ["root", "archive", "empty"])
def test_nothing_to_drill(job: BackupJob, missing: str) -> None:
    """Most likely the backup disk is not mounted: that is a failure and not a success with no archives."""
    if missing != "archive":
        shutil.rmtree(job.root)
    if missing == "empty":
        (job.root / "daily").mkdir(parents=True)
    options = {"archives": ["/nowhere/backup-2026-01-01T000000Z.dump"]} if missing == "archive" else {}
    run = run_drill(job, **options)
    assert run.failed
    assert {"root": "no backup root", "empty": "no archive", "archive": "/nowhere"}[missing] in run.message
    assert not list(job.state.rglob("*.html"))


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_archive_that_goes_meanwhile(job: BackupJob, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Retention may remove it, and another archive may get its name: only what was read is marked."""
    real = drill_archive

    def drill_and_lose(*arguments: Any) -> Result:
        result = real(*arguments)
        if how == "removed":
            shutil.rmtree(job.root / "daily")
        else:
            edit_manifest(job, sha256="0" * 64)
        return result

    monkeypatch.setattr(drill_run, "drill_archive", drill_and_lose)
    assert drill_here(job)["verdict"] == "proven"
    assert [archive.state for archive in read_catalogue(str(job.root))] == ([] if how == "removed" else ["verified"])


@pytest.mark.parametrize("kind", ["custom-zstd", "plain-zstd", "directory-zstd"])
def test_archive_removed_while_it_is_restored(job: BackupJob, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """What is in the way then is no fault of the archive's, and nothing of it comes back by being marked."""
    shutil.rmtree(job.root)
    job.back_up_here(**KINDS[kind])
    real = drill_archive

    def drill_and_lose(request: Any, archive: Any, progress: Any) -> Result:
        return real(request, archive, progress, lambda _settings: shutil.rmtree(job.root / "daily"))

    monkeypatch.setattr(drill_run, "drill_archive", drill_and_lose)
    result = drill_here(job)
    assert result["verdict"] == "unjudged", result["problems"]
    assert "o such file" in result["obstacle"]
    assert read_catalogue(str(job.root)) == ()


@pytest.mark.parametrize(
    "content", ["", "[", '{"a": 1}', '[{"at": "x"}]', "[1, 2]", "null", '[{"at": 1, "content_bytes": "x"}]']
)
def test_damaged_history(job: BackupJob, content: str) -> None:
    path = Path(forecast.history_path(str(job.state), "app"))
    path.parent.mkdir(parents=True)
    path.write_text(content)
    result = drill_here(job)
    assert result["verdict"] == "proven"
    assert [entry["at"] for entry in json.loads(path.read_text())] == [result["at"]]


def test_state_directory_that_cannot_be_written(job: BackupJob) -> None:
    """The drill stands, and its archive is proven; what could not be kept is a warning."""
    job.state.write_text("no directory")
    run = run_drill(job)
    assert not run.failed, run.output
    assert only_drill(run)["verdict"] == "proven"
    assert "The drill's page could not be kept" in run.warnings
    assert str(job.state) in run.warnings
    assert only_archive(job.root).state == "proven"


def test_what_is_kept_is_private(job: BackupJob) -> None:
    old = os.umask(0)
    try:
        result = drill_here(job)
    finally:
        os.umask(old)
    files = [path for path in job.state.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {Path(result["page"]).name, Path(result["data"]).name, "drill-app.json"}
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    assert {oct(path.stat().st_mode & 0o777) for path in job.state.rglob("*") if path.is_dir()} == {"0o700"}


def test_no_value_of_a_row_is_told(job: BackupJob) -> None:
    """A restore that fails on a row shows its value in PostgreSQL's words. It is in none of ours."""
    secret = "top-secret-value"
    job.database.execute("CREATE FUNCTION fine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'")
    job.database.execute("CREATE TYPE mood AS ENUM ('low')")
    job.database.execute(f"ALTER TYPE mood ADD VALUE '{secret}'")
    job.database.execute(
        f"CREATE TABLE held (a text CHECK (fine(a)), m mood); INSERT INTO held VALUES ('{secret}', '{secret}')"
    )
    # What the check is in the archive is not what it was when the row came.
    job.database.execute(
        "CREATE OR REPLACE FUNCTION fine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false'"
    )
    shutil.rmtree(job.root)
    for kind in ("custom-zstd", "plain-zstd"):
        shutil.rmtree(job.root, ignore_errors=True)
        job.back_up_here(**KINDS[kind])
        run = run_drill(job)
        assert run.failed
        assert "held" in run.message
        assert "violates check constraint" in run.message
        assert secret not in run.output
        for path in job.state.rglob("*"):
            assert not path.is_file() or secret not in path.read_text(errors="replace"), path
        assert secret not in Path(only_archive(job.root).path + MANIFEST).read_text()
