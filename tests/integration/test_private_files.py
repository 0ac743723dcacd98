# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""0700 for directories and 0600 for files at every moment, whatever the umask: the kernel tells of each change."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from tests.support.backups import KINDS
from tests.support.databases import fresh_database
from tests.support.playbooks import run_module
from tests.support.watch import ModeWatch


@pytest.fixture(scope="module")
def database(server18):
    with fresh_database(server18) as database:
        for number in range(4):
            database.execute(
                f"CREATE TABLE t{number} AS SELECT repeat(md5(g::text), 30) FROM generate_series(1, 500) g"
            )
        database.execute("SELECT lo_from_bytea(0, 'x')")
        yield database


@pytest.fixture
def backup(database, tmp_path):
    """Run the module pg_backup in a process of its own, with an umask, watched."""

    def run(umask, kind, **options):
        root, state = tmp_path / "root", tmp_path / "state"
        arguments = {
            "source": "app",
            "backup_root": str(root),
            "state_directory": str(state),
            "login_host": "localhost",
            "login_port": database.server.port,
            "login_user": database.user,
            "login_password": database.password,
            "database": database.name,
            "client_directory": str(database.server.bin_directory),
            "keep_weekly": 2,
            **KINDS[kind],
            **options,
        }
        with ModeWatch(root, state) as watch:
            result = run_module("pg_backup", arguments, umask=umask)
        return result, watch

    return run


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("kind", ["custom-zstd", "plain-gzip", "directory-zstd"])
def test_every_file_is_private_from_its_first_moment(backup, database, umask, kind, tmp_path):
    first, watch = backup(umask, kind)
    assert first.get("changed"), first
    assert watch.wrong == []
    assert_saw(watch, tmp_path, first)
    # A run among what is there already, one archive of which it removes again. (Not if it is equal to the new one.)
    database.execute("INSERT INTO t0 VALUES ('another')")
    second, watch = backup(umask, kind, keep_weekly=0)
    assert second.get("removed"), second.get("kept", second)
    assert watch.wrong == []
    for path in tmp_path.rglob("*"):
        assert oct(path.stat().st_mode & 0o7777) == ("0o700" if path.is_dir() else "0o600"), path


def assert_saw(watch, tmp_path, result):
    """The watch was awake: it saw every kind of file there is, the unfinished ones too."""
    names = {os.path.relpath(path, tmp_path) for path in watch.seen}
    archive = os.path.basename(result["archive"])
    for path in (
        "root/.lock",
        "root/.last_run.json",
        f"root/daily/{archive}.partial",
        f"root/daily/{archive}",
        f"root/daily/{archive}.manifest.json",
        f"root/weekly/{archive}",
        f"root/monthly/{archive}.manifest.json",
        "state/status/backup.json",
        "state/metrics/backup.prom",
    ):
        assert path in names, (path, sorted(names))
    assert any("partial" in name and ".last_run.json." in name for name in names)
    if archive.endswith(".dir"):
        assert f"root/daily/{archive}.partial/toc.dat" in names


def test_a_run_that_fails_is_as_private(backup, tmp_path):
    result, watch = backup(0o000, "directory-none", min_size=10**9)
    assert result["failed"] is True
    assert watch.wrong == []
    assert any(path.endswith(".dir.partial") for path in watch.seen)
    assert "status" in {path.name for path in (tmp_path / "state").iterdir()}


def test_an_open_directory_is_closed(backup, tmp_path):
    """What somebody made beforehand with mkdir is made private before the first byte comes into it."""
    (tmp_path / "root" / "daily").mkdir(parents=True)
    (tmp_path / "root").chmod(0o755)
    (tmp_path / "root" / "daily").chmod(0o777)
    result, watch = backup(0o022, "custom-gzip")
    assert result.get("changed"), result
    assert [found for found in watch.wrong if "backup-" in found] == []
    for directory in (tmp_path / "root", tmp_path / "root" / "daily"):
        assert oct(directory.stat().st_mode & 0o7777) == "0o700"


def test_the_watch_notices_a_moment(tmp_path):
    """Or else nothing above would mean anything: a file that is open to others for a hundredth of a second."""
    (tmp_path / "root").mkdir(mode=0o700)
    script = "umask 022; echo x > a; sleep 0.01; chmod 600 a; mkdir -m 700 d; echo x > d/b; chmod 600 d/b; sleep 0.05"
    with ModeWatch(tmp_path / "root") as watch:
        subprocess.run(["sh", "-c", script], cwd=tmp_path / "root", check=True)
        time.sleep(0.05)
    assert any(found.endswith("/a has mode 0644") for found in watch.wrong)
    assert str(tmp_path / "root" / "d" / "b") in watch.seen
