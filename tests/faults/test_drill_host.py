# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills where the host is not fit: no server of that version, no room, a damaged template, closed directories."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.drill import drill as drill_module
from ansible_collections.baileys.resilience.plugins.module_utils.postgres import scratch_place
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from ansible_collections.baileys.resilience.plugins.module_utils.restore.load import load_archive
from ansible_collections.baileys.resilience.plugins.module_utils.system.commands import can_cut_network
from tests.support import run_processes
from tests.support.backup_job import BackupJob
from tests.support.backups import back_up, only_archive
from tests.support.drilling import assert_proven, assert_unjudged, drill, module_options, only_drill, run_drill
from tests.support.small_disk import PAGE, NoMountError, SmallDisk, small_disk

NewDisk = Callable[[int], SmallDisk]
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root starts the server as another user; CI runs as root"
)


@pytest.fixture
def make_disk(public_directory: Path) -> Iterator[NewDisk]:
    """Mount a small file system under a name short enough for a socket below it: `make_disk(size in bytes)`."""
    with contextlib.ExitStack() as stack:

        def make(size: int) -> SmallDisk:
            try:
                disk = stack.enter_context(small_disk(public_directory / "d", size))
            except NoMountError as error:
                if os.environ.get("CI"):
                    raise
                # Neither root's mount nor a user namespace: there is no disk of its own to fill. CI has one.
                pytest.skip(f"this host lets nobody mount a tmpfs: {error}")
            disk.here.chmod(0o711)
            return disk

        yield make


def verified(job: BackupJob) -> bool:
    manifest = only_archive(job.root).manifest
    assert manifest is not None
    return manifest["state"] == "verified" and not [note for note in manifest["proofs"] if note["kind"] == "drill"]


def test_no_server_of_that_version(job: BackupJob, bin_embedded16: Path) -> None:
    run = run_drill(job, server_directory=str(bin_embedded16))
    assert run.failed
    assert_unjudged(only_drill(run), "no PostgreSQL 18 server", "16.14", "postgresql-18", "server_directory")
    assert "could not be judged" in run.message
    assert run.result["report"]["level"] == "error"
    assert verified(job)


def test_no_server_at_all(job: BackupJob, tmp_path: Path) -> None:
    run = run_drill(job, server_directory=str(tmp_path))
    assert_unjudged(only_drill(run), "no PostgreSQL 18 server", "apt-get install")
    assert verified(job)


def test_no_client_of_that_version(job: BackupJob, bin_embedded16: Path, bin_full18: Path, tmp_path: Path) -> None:
    # The server's own directory usually has clients too; here it has not.
    bare = tmp_path / "bare" / "bin"
    bare.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (bare / name).symlink_to(bin_full18 / name)
    run = run_drill(job, client_directory=str(bin_embedded16))
    assert_unjudged(only_drill(run), "made by pg_dump 18.6", "postgresql-client-18")
    assert verified(job)


def test_disk_with_too_little_room(job: BackupJob, make_disk: NewDisk) -> None:
    """Refused before anything is made, with what is needed and what there is."""
    disk = make_disk(20 << 20)
    with job.start(
        "pg_restore_drill", prefix=disk.prefix, **module_options(job, scratch_directory=str(disk.path))
    ) as running:
        run = running.finish()
    assert_unjudged(only_drill(run), "scratch server needs about", str(disk.path), "21.0 MB free", "scratch_directory")
    assert list(disk.here.iterdir()) == []
    assert verified(job)


@needs_root
@pytest.mark.parametrize("step", ["start", "restore"])
def test_disk_that_fills_up(
    job: BackupJob, make_disk: NewDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """There was room, and then others took it: that is no verdict against the archive."""
    disk = make_disk(400 << 20)
    if step == "start":
        monkeypatch.setattr(scratch_place, "free_bytes", lambda _path: 1 << 40)
        disk.fill(leave=10 << 20)
    else:
        real = load_archive

        def fill_first(*arguments: Any, **options: Any) -> str:
            disk.fill(leave=PAGE)
            return real(*arguments, **options)

        monkeypatch.setattr(drill_module, "load_archive", fill_first)
    bin_directory = job.database.server.bin_directory
    result = drill(job.root, tmp_path / "state", bin_directory, scratch_directory=str(disk.path))
    assert_unjudged(result, "o space left")
    assert [path.name for path in disk.here.iterdir()] == ["ballast"]


@pytest.mark.parametrize("given", ["missing", "a file", "too long"])
def test_scratch_directory_that_cannot_serve(job: BackupJob, tmp_path: Path, given: str) -> None:
    paths = {"missing": tmp_path / "not there", "a file": tmp_path / "file", "too long": tmp_path / ("x" * 80)}
    (tmp_path / "file").touch()
    (tmp_path / ("x" * 80)).mkdir()
    run = run_drill(job, scratch_directory=str(paths[given]))
    assert_unjudged(only_drill(run), str(paths[given]), "longer than" if given == "too long" else "no directory")


@needs_root
def test_scratch_directory_that_the_account_cannot_enter(job: BackupJob) -> None:
    with tempfile.TemporaryDirectory(prefix="closed-", dir="/var/tmp") as closed:
        run = run_drill(job, scratch_directory=closed)
    assert_unjudged(only_drill(run), closed, "cannot be entered by")


def spoil_empty(template: Path) -> None:
    shutil.rmtree(template)
    template.mkdir()


def spoil_half(template: Path) -> None:
    shutil.rmtree(template / "global")


def spoil_control(template: Path) -> None:
    (template / "global" / "pg_control").write_bytes(b"\0" * 8192)


def spoil_removed(template: Path) -> None:
    shutil.rmtree(template)


def spoil_file(template: Path) -> None:
    shutil.rmtree(template)
    template.write_text("a file")


@pytest.mark.parametrize("spoil", [spoil_empty, spoil_half, spoil_control, spoil_removed, spoil_file])
def test_damaged_template(job: BackupJob, spoil: Callable[[Path], None]) -> None:
    """It is there for speed only: a drill makes do without, and the next is quick again."""
    assert not run_drill(job).failed
    (template,) = (job.state / "scratch").iterdir()
    spoil(template)
    for _ in range(2):
        run = run_drill(job)
        assert not run.failed, run.output
    assert sorted((job.state / "scratch").iterdir()) == [template]
    assert (template / "global" / "pg_control").read_bytes().count(0) < 8192


@pytest.fixture
def closed_copy(bin_embedded18: Path, tmp_path: Path) -> Iterator[Path]:
    """An installation below a directory that only its owner may enter, as one below /root is."""
    installation = bin_embedded18.parent
    with tempfile.TemporaryDirectory(prefix="closed-", dir="/var/tmp") as closed:
        package = Path(closed) / installation.parent.name
        shutil.copytree(installation, package / installation.name, symlinks=True)
        libraries = installation.parent.with_name(installation.parent.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, Path(closed) / libraries.name, symlinks=True)
        Path(closed).chmod(0o700)
        yield package / installation.name / "bin"


@needs_root
def test_programs_that_the_account_cannot_reach(job: BackupJob, closed_copy: Path) -> None:
    before = set(Path("/var/tmp").iterdir())
    run = run_drill(job, server_directory=str(closed_copy))
    assert not run.failed, run.output
    # The archive's server is named by where it was found, not by where it was copied to.
    assert only_drill(run)["target"]["directory"] == str(closed_copy)
    left = {path for path in set(Path("/var/tmp").iterdir()) - before if path.name.startswith("baileys-scratch-")}
    # Another test's may stand there right now; one of ours would stay.
    run_processes.wait_until(lambda: not any(holds_programs(path) for path in left), "a copy of the programs was left")


def holds_programs(path: Path) -> bool:
    return (path / "programs").is_dir()


@needs_root
def test_as_a_plain_user(server18: Any, make_session_store: Any, bin_full18: Path, public_directory: Path) -> None:
    """No root at all: the server runs as whoever runs the drill, and the state is below that user's home."""
    database = make_session_store(server18)
    root = public_directory / "backups"
    back_up(database, root)
    code = public_directory / "code"
    # The checkout may lie where nobody else may go.
    repository = Path(__file__).resolve().parents[2]
    for part in ("plugins", "tests/__init__.py"):
        source = repository / part
        target = code / "ansible_collections" / "baileys" / "resilience" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    home = public_directory / "home"
    home.mkdir()
    for path in [root, *root.rglob("*"), home]:
        os.chown(path, 65534, 65534)
    script = """
import json, sys
from ansible_collections.baileys.resilience.plugins.module_utils.drill import drill, drill_run
request = drill.DrillRequest("app", sys.argv[1], sys.argv[2], client_directory=sys.argv[3], server_directory=sys.argv[3])
print(json.dumps(drill_run.run_drills(request).results))
"""
    packages = os.pathsep.join([str(code), str(Path(psycopg2.__file__).parents[1])])
    interpreter = next(path for path in ("/usr/bin/python3", sys.executable) if os.access(path, os.X_OK))
    done = subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--",
            interpreter,
            "-c",
            script,
            root,
            home / "state",
            bin_full18,
        ],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": packages, "HOME": str(home)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert '"verdict": "proven"' in done.stdout
    assert {path.stat().st_uid for path in (home / "state").rglob("*")} == {65534}
    assert only_archive(root).state == "proven"


def test_nobody_else_reaches_the_scratch_server(job: BackupJob, tmp_path: Path) -> None:
    """A private directory, a socket in it and no port: it holds every row and takes anybody's word for who he is."""
    found: dict[str, Any] = {}

    def look(settings: ConnectionSettings) -> None:
        sockets = Path(settings.parameters["host"])
        directory = sockets.parent
        found["others"] = stat.S_IMODE(directory.stat().st_mode) & 0o007
        found["owner"] = directory.stat().st_uid
        found["networks"] = os.readlink("/proc/self/ns/net")
        found["mode"] = stat.S_IMODE(sockets.stat().st_mode)
        found["files"] = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
        with contextlib.closing(psycopg2.connect(settings.driver_dsn())) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW listen_addresses")
            found["addresses"] = (cursor.fetchone() or [None])[0]
        pid = int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])
        inodes = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
        tcp = [
            line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        ]
        found["ports"] = [line for line in tcp if f"socket:[{line[9]}]" in inodes]
        found["network"] = os.readlink(f"/proc/{pid}/ns/net")
        found["uid"] = Path(f"/proc/{pid}").stat().st_uid
        if os.geteuid() == 0:
            # Root's own server runs as a service user; another one (here 12345) is refused.
            command = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--"]
            command += [
                str(job.database.server.bin_directory / "psql"),
                f"host={sockets} user=postgres",
                "-c",
                "SELECT 1",
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            found["other"] = done.stderr
            assert done.returncode != 0

    result = drill(job.root, tmp_path / "state", job.database.server.bin_directory, look)
    assert_proven(result)
    assert found["mode"] == 0o700
    assert {mode & 0o077 for mode in found["files"].values()} == {0}
    # Whoever runs the server must not be able to put anything in the way of whoever drills.
    assert (found["others"], found["owner"]) == (0, os.geteuid())
    assert found["addresses"] == ""
    assert found["ports"] == []
    assert found["uid"] != 0
    if os.geteuid() == 0:
        assert "Permission denied" in found["other"]
        assert (found["network"] != found["networks"]) is can_cut_network()
