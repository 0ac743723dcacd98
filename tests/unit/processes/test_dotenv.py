# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A `.env` is replaced as a whole or not at all, and whoever could read it before can read it afterwards."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes import dotenv
from ansible_collections.baileys.resilience.plugins.module_utils.processes.dotenv import EnvChange, write_env_file
from ansible_collections.baileys.resilience.plugins.module_utils.system.env_file import read_env_file
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError, SettingsError
from ansible_collections.baileys.resilience.plugins.module_utils.system.files import create_private
from tests.support.databases import UGLY_PASSWORD
from tests.support.watch import ModeWatch

PASSWORD = UGLY_PASSWORD.replace("`", "")
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others; CI runs as root")


@pytest.fixture
def env(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes("# ours\r\nA=1\r\nPOSTGRES_PASSWORD='old' # ünïcødé\r\nB=2".encode())
    path.chmod(0o640)
    return path


def test_what_changed_is_told_by_name(env: Path) -> None:
    change = write_env_file(str(env), {"POSTGRES_PASSWORD": PASSWORD, "N": "new", "B": "2"}, ["A"])
    assert change == EnvChange(
        path=str(env), added=("N",), modified=("POSTGRES_PASSWORD",), removed=("A",), created=False, changed=True
    )
    assert change.diff == f"{env}\n+ N (added)\n~ POSTGRES_PASSWORD (value changed)\n- A (removed)\n"
    assert read_env_file(str(env)) == {"POSTGRES_PASSWORD": PASSWORD, "N": "new", "B": "2"}
    assert env.read_bytes() == (
        b"# ours\r\nPOSTGRES_PASSWORD=`" + PASSWORD.encode() + "` # ünïcødé\r\nB=2\r\nN=new\r\n".encode()
    )


def test_a_second_run_leaves_the_very_file(env: Path) -> None:
    write_env_file(str(env), {"N": "x y"}, ["A"])
    before = env.stat()
    change = write_env_file(str(env), {"N": "x y"}, ["A"])
    assert not change.changed
    assert change.diff == ""
    assert (env.stat().st_ino, env.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_a_dry_run_tells_the_same_and_does_nothing(env: Path) -> None:
    before, listing = env.read_bytes(), os.listdir(env.parent)
    planned = write_env_file(str(env), {"N": "1"}, ["A"], dry_run=True)
    assert (env.read_bytes(), os.listdir(env.parent)) == (before, listing)
    assert write_env_file(str(env), {"N": "1"}, ["A"]) == planned


def test_a_missing_file_is_made_private_only_if_asked(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    with pytest.raises(ResilienceError, match=f"There is no file {path}") as caught:
        write_env_file(str(path), {"A": "1"})
    assert caught.value.stage == "dotenv"
    assert not write_env_file(str(path), {"A": "1"}, create=True, dry_run=True).warnings
    assert not path.exists()
    previous = os.umask(0)
    try:
        assert write_env_file(str(path), {"A": "1"}, create=True).created
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "A=1\n"
    path.unlink()
    assert write_env_file(str(path), {}, create=True).changed
    assert path.read_text() == ""


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400, 0o604])
def test_the_mode_stays_and_is_never_more_than_it_was(env: Path, mode: int) -> None:
    env.chmod(mode)
    with ModeWatch(env.parent) as watched:
        change = write_env_file(str(env), {"A": "2"})
    assert stat.S_IMODE(env.stat().st_mode) == mode
    assert f"{env}.{os.getpid()}.partial" in watched.seen
    # The watch complains of all that is more than 0600; nothing was ever more than it is to be.
    assert all(complaint.endswith(f"has mode {mode:04o}") for complaint in watched.wrong), watched.wrong
    assert bool(change.warnings) == (mode == 0o604)
    if change.warnings:
        assert change.warnings == (f"{env} can be read by every user of this host. Close it: chmod o= {env}",)


@ROOT_ONLY
def test_the_owner_and_the_access_list_stay(env: Path) -> None:
    os.chown(env, 65534, 12)
    # user:daemon:r-- beside the owner, as setfacl writes it.
    access_list = bytes.fromhex("0200000001000600ffffffff020004000100000004000400ffffffff10000600ffffffff")
    access_list += bytes.fromhex("20000000ffffffff")
    os.setxattr(env, "system.posix_acl_access", access_list)
    write_env_file(str(env), {"A": "2"})
    status = env.stat()
    assert (status.st_uid, status.st_gid) == (65534, 12)
    assert os.getxattr(env, "system.posix_acl_access") == access_list


@ROOT_ONLY
def test_a_file_that_cannot_be_given_back_to_its_owner_is_left_alone(public_directory: Path) -> None:
    public_directory.chmod(0o777)
    env = public_directory / ".env"
    env.write_text("A=1\n")
    env.chmod(0o644)
    program = (
        "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"from {dotenv.__name__} import write_env_file\n"
        "write_env_file(sys.argv[1], {'A': '2'})\n"
    )
    before = env.read_bytes()
    # Loaded before it becomes nobody, to whom the checkout may be closed.
    program = f"import {dotenv.__name__}, pwd; " + program
    done = subprocess.run(
        [sys.executable, "-c", program, str(env)],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "belongs to user 0 and group 0, and a new file of user 65534 cannot be given to them" in done.stderr
    assert env.read_bytes() == before
    assert os.listdir(env.parent) == [".env"]


def test_a_symbolic_link_stays_one(env: Path, tmp_path: Path) -> None:
    link = tmp_path / "current.env"
    link.symlink_to(".env")
    assert write_env_file(str(link), {"A": "2"}).path == str(env)
    assert link.is_symlink()
    assert read_env_file(str(env))["A"] == "2"


def test_a_copy_has_what_the_other_has_and_the_changes(env: Path, tmp_path: Path) -> None:
    copy = tmp_path / "release.env"
    planned = write_env_file(str(copy), {"A": "2"}, base=str(env), dry_run=True)
    assert not copy.exists()
    change = write_env_file(str(copy), {"A": "2"}, base=str(env))
    assert change == planned
    assert change.created
    assert copy.read_bytes() == env.read_bytes().replace(b"A=1", b"A=2")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o640
    assert not write_env_file(str(copy), {"A": "2"}, base=str(env)).changed
    # What changes in the original afterwards comes along; so does its mode.
    env.write_text("A=1\nC=3\n")
    env.chmod(0o600)
    change = write_env_file(str(copy), {"A": "2"}, base=str(env))
    assert (change.added, change.removed) == (("C",), ("POSTGRES_PASSWORD", "B"))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with pytest.raises(ResilienceError, match="There is no file"):
        write_env_file(str(copy), {}, base=str(tmp_path / "none"), create=True)


def test_another_encoding_is_refused(env: Path) -> None:
    env.write_bytes(b"A=\xe4\n")
    with pytest.raises(SettingsError, match=r"is not UTF-8 text \(byte 2\)"):
        write_env_file(str(env), {"B": "1"})
    assert env.read_bytes() == b"A=\xe4\n"


def test_what_somebody_else_writes_in_this_moment_is_not_lost(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def create_and_be_overtaken(path: str) -> int:
        env.write_text("A=theirs\n")
        return create_private(path)

    monkeypatch.setattr(dotenv, create_private.__name__, create_and_be_overtaken)
    with pytest.raises(ResilienceError, match="was changed by somebody else in this very moment"):
        write_env_file(str(env), {"A": "2"})
    assert env.read_text() == "A=theirs\n"
    assert os.listdir(env.parent) == [".env"]


def test_what_a_killed_run_left_is_removed_and_that_of_a_running_one_stays(env: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as running:
        for name in (f"{running.pid}.partial", "999999999.partial", "old.partial"):
            Path(f"{env}.{name}").touch()
        try:
            write_env_file(str(env), {"A": "2"})
        finally:
            running.kill()
    assert sorted(os.listdir(env.parent)) == [".env", f".env.{running.pid}.partial", ".env.old.partial"]


def test_no_value_is_in_what_is_told(env: Path) -> None:
    change = write_env_file(str(env), {"POSTGRES_PASSWORD": "s3cret-one", "N": "s3cret-two"}, ["A"])
    assert "s3cret" not in repr(change) + change.diff
    assert "old" not in repr(change)
