# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Client programs that lie, stop half-way, complain, or are not there; and archives of the wrong size."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.backup_job import BackupJob
from tests.support.backups import KINDS
from tests.support.playbooks import SYSTEM_PATH

Wrappers = Callable[..., Path]

# What an archive of nothing at all looks like, and the one of the incident that started it all.
EMPTY = "exit 0"
TWENTY_BYTES = "gzip </dev/null; exit 0"
# Says it all, and then that it failed.
FAILS_AFTERWARDS = '"$real" "$@"; echo "pg_dump: error: something went wrong at the very end" >&2; exit 1'
WARNS = '"$real" "$@" && echo "pg_dump: warning: there are circular foreign-key constraints" >&2'


def truncated(keep: int) -> str:
    """Ends well after this many bytes; of a negative number, short of the end by as many."""
    cut = f"head -c {keep}"
    return f'"$real" "$@" | {cut}; exit 0'


def outcome_of(job: BackupJob, programs: Path, **options: Any) -> str:
    """Run with these programs; the run must fail without harm, and the next one with good programs succeed."""
    before = job.published()
    run = job.run(client_directory=str(programs), **options)
    job.assert_harmless(run, before)
    assert job.last_run() == "failed"
    job.assert_heals()
    return run.message


@pytest.mark.parametrize("kind", ["custom-zstd", "custom-none", "plain-gzip", "plain-none", "plain-zstd"])
def test_dump_that_ends_well_with_no_output(job: BackupJob, wrappers: Wrappers, kind: str) -> None:
    message = outcome_of(job, wrappers({"pg_dump": EMPTY}), **KINDS[kind])

    assert "cannot be decoded" in message or "lacks its end" in message
    assert "is no backup" in message


def test_twenty_bytes_of_gzip(job: BackupJob, wrappers: Wrappers) -> None:
    """The incident: a valid gzip file of nothing, at the final path, with the word "completed"."""
    message = outcome_of(job, wrappers({"pg_dump": TWENTY_BYTES}), **KINDS["plain-gzip"])

    assert "The script lacks its end" in message


@pytest.mark.parametrize("kind", ["custom-zstd", "custom-gzip", "plain-gzip", "plain-zstd", "plain-lz4", "plain-none"])
@pytest.mark.parametrize("keep", [500, 100_000, -40])
def test_dump_that_ends_well_in_the_middle(job: BackupJob, wrappers: Wrappers, kind: str, keep: int) -> None:
    before = job.published()
    run = job.run(client_directory=str(wrappers({"pg_dump": truncated(keep)})), **KINDS[kind])

    job.assert_harmless(run, before)
    assert run.result["stage"] == "verify"


@pytest.mark.parametrize("lines", [5, 60])
def test_script_that_ends_between_two_statements(job: BackupJob, wrappers: Wrappers, lines: int) -> None:
    """All rows are there, and the primary keys, indexes and policies that come last are not."""
    script = f'"$real" "$@" | head -n -{lines}; exit 0'

    message = outcome_of(job, wrappers({"pg_dump": script}), **KINDS["plain-none"])

    assert "The script lacks its end" in message


@pytest.mark.parametrize("file", ["toc.dat", "biggest"])
def test_directory_with_a_truncated_file(job: BackupJob, wrappers: Wrappers, file: str) -> None:
    """pg_dump says it went well, and a file of the archive lacks its end."""
    chosen = "toc.dat" if file == "toc.dat" else '$(ls -S "$target" | head -n 1)'
    script = f"""
    for word in "$@"; do case "$word" in --file=*) target=${{word#--file=}};; esac; done
    "$real" "$@" && truncate --size=-100 "$target/{chosen}"
    """

    message = outcome_of(job, wrappers({"pg_dump": script}), **KINDS["directory-zstd"])

    assert "cannot be decoded" in message or "ends in the middle" in message


def test_directory_without_a_file(job: BackupJob, wrappers: Wrappers) -> None:
    script = """
    for word in "$@"; do case "$word" in --file=*) target=${word#--file=};; esac; done
    "$real" "$@" && rm "$target/$(ls -S "$target" | head -n 1)"
    """

    message = outcome_of(job, wrappers({"pg_dump": script}), **KINDS["directory-none"])

    assert "cannot be decoded" in message


@pytest.mark.parametrize("kind", ["custom-zstd", "plain-gzip", "directory-lz4"])
def test_dump_that_fails_after_complete_output(job: BackupJob, wrappers: Wrappers, kind: str) -> None:
    message = outcome_of(job, wrappers({"pg_dump": FAILS_AFTERWARDS}), **KINDS[kind])

    assert "pg_dump failed with exit status 1" in message
    assert "something went wrong at the very end" in message


@pytest.mark.parametrize("kind", ["custom-zstd", "plain-gzip", "directory-lz4"])
def test_warning_of_a_dump_that_ends_well(job: BackupJob, wrappers: Wrappers, kind: str) -> None:
    run = job.run(client_directory=str(wrappers({"pg_dump": WARNS})), **KINDS[kind])

    assert not run.failed, run.output
    assert "there are circular foreign-key constraints" in run.warnings
    assert "there are circular foreign-key constraints" in run.result["manifest"]["messages"]
    assert run.result["report"]["level"] == "warning"
    assert job.last_run() == "ok"
    job.assert_gone()
    job.assert_all_verify()


def test_dump_of_rows_that_are_not_the_servers(job: BackupJob, wrappers: Wrappers) -> None:
    """A row too few in a dump that is whole in itself: only the server's own count can tell."""
    script = '"$real" "$@" | awk \'!/tctoken/ || seen++\''

    message = outcome_of(job, wrappers({"pg_dump": script}), **KINDS["plain-none"])

    assert "public.whatsapp_keys has 1646 rows where the server counts 1647" in message


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-zstd"])
def test_decoder_that_fails(job: BackupJob, wrappers: Wrappers, kind: str) -> None:
    script = 'echo "pg_restore: error: out of memory" >&2; exit 1'

    message = outcome_of(job, wrappers({"pg_restore": script}), **KINDS[kind])

    assert "cannot be decoded: pg_restore: error: out of memory" in message


def test_decoder_that_warns(job: BackupJob, wrappers: Wrappers) -> None:
    """pg_restore exits 0 after errors it could step over: what it says counts."""
    script = '"$real" "$@"; echo "pg_restore: warning: errors ignored on restore: 1" >&2; exit 0'

    message = outcome_of(job, wrappers({"pg_restore": script}))

    assert "errors ignored on restore" in message


def test_no_pg_dump(job: BackupJob, wrappers: Wrappers) -> None:
    programs = wrappers(missing=("pg_dump",))

    message = outcome_of(job, programs)

    assert f"No pg_dump found in {programs}" in message
    assert "apt-get install -y postgresql-client-18" in message


def test_pg_dump_that_does_not_run(job: BackupJob, wrappers: Wrappers) -> None:
    programs = wrappers(missing=("pg_dump",))
    broken = programs / "pg_dump"
    broken.write_text('#!/bin/sh\necho "error while loading shared libraries: libpq.so.5" >&2\nexit 127\n')
    broken.chmod(0o755)

    message = outcome_of(job, programs)

    assert f"{broken} --version failed: error while loading shared libraries: libpq.so.5" in message
    assert "Repair that installation" in message


@pytest.mark.parametrize("kind", ["custom-zstd", "plain-gzip", "directory-zstd"])
def test_no_pg_restore(job: BackupJob, wrappers: Wrappers, kind: str) -> None:
    programs = wrappers(missing=("pg_restore",))

    message = outcome_of(job, programs, **KINDS[kind])

    assert f"There is no pg_restore beside pg_dump in {programs}" in message
    assert "postgresql-client-18" in message


@pytest.mark.parametrize(("program", "kind"), [("zstd", "plain-zstd"), ("lz4", "plain-lz4"), ("gzip", "plain-gzip")])
def test_no_decompressor(job: BackupJob, tmp_path: Path, program: str, kind: str) -> None:
    """A path of programs that holds everything but this one."""
    before = job.published()
    path = tmp_path / "path"
    path.mkdir()
    for directory in SYSTEM_PATH.split(":"):
        for entry in Path(directory).iterdir() if os.path.isdir(directory) else []:
            if entry.name != program and not (path / entry.name).is_symlink():
                (path / entry.name).symlink_to(entry)

    run = job.run(prefix=("env", f"PATH={path}"), **KINDS[kind])

    job.assert_harmless(run, before)
    assert f"needs the program {program}" in run.message
    assert f"Install the package {program}" in run.message
    job.assert_next_run_heals()


def test_archive_smaller_than_min_size(job: BackupJob) -> None:
    before = job.published()

    run = job.run(min_size=10_000_000)

    job.assert_harmless(run, before)
    assert "less than min_size (10.0 MB)" in run.message
    assert "lower min_size" in run.message
    job.assert_next_run_heals()


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-lz4", "plain-gzip"])
def test_archive_that_shrank(job: BackupJob, kind: str) -> None:
    job.back_up_here(**KINDS[kind])
    before = job.published()
    job.database.execute("DELETE FROM whatsapp_keys WHERE key_type <> 'tctoken'")

    run = job.run(**KINDS[kind])

    job.assert_harmless(run, before)
    assert "shrank from" in run.message
    assert "by more than max_shrink_percent (50 %)" in run.message
    assert "max_shrink_percent=100" in run.message
    assert job.last_run() == "failed"
    job.assert_next_run_heals(max_shrink_percent=100, **KINDS[kind])
    # From then on that is its size.
    job.assert_next_run_heals(**KINDS[kind])


def test_archive_that_shrank_and_changed_its_format(job: BackupJob) -> None:
    """Another format must not be the way around the bound: the rows' own bytes are compared."""
    before = job.published()
    job.database.execute("DELETE FROM whatsapp_keys WHERE key_type <> 'tctoken'")

    run = job.run(**KINDS["plain-none"])

    job.assert_harmless(run, before)
    assert "The rows in the archive shrank" in run.message


def test_archive_larger_than_max_size_warning(job: BackupJob) -> None:
    run = job.run(max_size_warning=1000)

    assert not run.failed, run.output
    assert "more than max_size_warning (1.0 kB)" in run.warnings
    assert run.result["report"]["level"] == "warning"
