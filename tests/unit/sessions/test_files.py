# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of one session: written, read back, described."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.files import (
    MANIFEST_FILE,
    Manifest,
    SessionFile,
    Tally,
    nanoseconds,
    read_manifest,
    read_tenant,
    write_files,
    write_manifest,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError

FILES = [
    SessionFile("creds", "creds.json", b'{"a": 1}', None),
    SessionFile("pre-key", "pre-key-1.json", b"1", 1_700_000_000_123_456_000),
    SessionFile("pre-key", "pre-key-10.json", b"2", None),
    SessionFile("session", "session-ünï.0.json", "ü".encode(), None),
    SessionFile("tctoken", "tctoken-big.json", b"x" * 700_000, None),
]
MOMENT = datetime(2026, 11, 21, 3, 0, 0, 123456, tzinfo=UTC)


def manifest_of(content):
    return Manifest("app", "main", MOMENT, MOMENT, content)


def test_what_was_written_is_read_back(tmp_path):
    path = str(tmp_path / "main")
    content = write_files(path, FILES)
    write_manifest(path, manifest_of(content))

    found = read_tenant(path)

    assert found.content == content
    assert found.has_creds
    assert found.strangers == ()
    assert dict(content.keys) == dict(found.keys) == {"pre-key": 2, "session": 1, "tctoken": 1}
    assert content.size_bytes == sum(len(file.content) for file in FILES)
    for file in FILES:
        assert (tmp_path / "main" / file.name).read_bytes() == file.content
    assert (tmp_path / "main" / "pre-key-1.json").stat().st_mtime_ns == 1_700_000_000_123_456_000
    assert read_manifest(path) == manifest_of(content)


def test_only_files_that_are_the_same_in_all_respects_are_taken_over(tmp_path):
    earlier, changes = tmp_path / "earlier", {}
    write_files(str(earlier), [*FILES, SessionFile("session", "session-open.json", b"1", None)])
    (earlier / "session-open.json").chmod(0o640)
    changes["pre-key-1.json"] = FILES[1]._replace(modified_ns=1)
    changes["pre-key-10.json"] = FILES[2]._replace(content=b"3")
    changes["tctoken-big.json"] = FILES[4]._replace(content=b"x" * 699_999)
    (earlier / "pre-key-2.json").symlink_to(earlier / "pre-key-10.json")
    wanted = [
        *(changes.get(file.name, file) for file in FILES),
        SessionFile("session", "session-open.json", b"1", None),
        SessionFile("pre-key", "pre-key-2.json", b"2", None),
        SessionFile("pre-key", "pre-key-3.json", b"2", None),
    ]

    content = write_files(str(tmp_path / "main"), wanted, replaces=str(earlier))

    assert read_tenant(str(tmp_path / "main")).content == content
    assert content == write_files(str(tmp_path / "plain"), wanted)
    shared = {path.name for path in (tmp_path / "main").iterdir() if path.stat().st_nlink > 1}
    assert shared == {"creds.json", "session-ünï.0.json"}
    assert all(stat.S_IMODE(path.lstat().st_mode) == 0o600 for path in (tmp_path / "main").iterdir())
    # Nothing to take over is no error.
    write_files(str(tmp_path / "again"), wanted, replaces=str(tmp_path / "nowhere"))


def test_the_order_of_files_does_not_matter_and_everything_else_does():
    def digest(files):
        tally = Tally()
        for file in files:
            tally.add(file.key_type, file.name, file.content)
        return tally.content()

    shuffled = random.Random(4).sample(FILES, len(FILES))
    assert digest(shuffled) == digest(FILES)
    others = [
        FILES[:-1],
        [*FILES[:-1], FILES[-1]._replace(content=b"y")],
        [*FILES[:1], FILES[1]._replace(name="pre-key-2.json"), *FILES[2:]],
        [*FILES[:1], FILES[1]._replace(content=b"2"), FILES[2]._replace(content=b"1"), *FILES[3:]],
        [*FILES[:-1], FILES[-1]._replace(key_type="session")],
    ]
    digests = {digest(files).digest for files in others}
    assert len(digests | {digest(FILES).digest}) == len(others) + 1
    # The change is found in its type and in no other.
    changed = digest(others[1]).digests
    assert {name for name in changed if changed[name] != digest(FILES).digests[name]} == {"tctoken"}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_private_from_the_first_byte_whatever_the_umask(tmp_path, umask):
    """Watched from outside: every file is closed to others at the moment it appears."""
    program = f"""
import os, sys
os.umask({umask})
from ansible_collections.baileys.resilience.plugins.module_utils.sessions import files
seen = []
real = os.write
def write(descriptor, data):
    seen.append(oct(os.fstat(descriptor).st_mode & 0o777))
    return real(descriptor, data)
os.write = write
moment = files.datetime.now(files.timezone.utc)
content = files.write_files(sys.argv[1], [files.SessionFile("pre-key", "pre-key-%d.json" % n, b"1", None) for n in range(3)])
files.write_manifest(sys.argv[1], files.Manifest("app", "main", moment, moment, content))
assert set(seen) == {{"0o600"}} and len(seen) == 4, seen
assert os.umask(0) == {umask}
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "main")], check=True)
    assert stat.S_IMODE((tmp_path / "main").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "main").iterdir()} == {0o600}


def test_a_link_is_neither_written_through_nor_read_through(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "main").symlink_to(elsewhere)
    with pytest.raises(ResilienceError):
        write_files(str(tmp_path / "main"), FILES)
    with pytest.raises(ResilienceError):
        read_tenant(str(tmp_path / "main"))
    assert list(elsewhere.iterdir()) == []
    (elsewhere / "pre-key-1.json").symlink_to("/etc/hostname")
    with pytest.raises(ResilienceError):
        read_tenant(str(elsewhere))


def test_two_keys_that_would_have_one_file(tmp_path):
    with pytest.raises(ResilienceError, match=r"Two keys would have the same file pre-key-1\.json"):
        write_files(str(tmp_path / "main"), [*FILES, FILES[1]])


def test_a_name_that_no_file_system_holds(tmp_path):
    with pytest.raises(ResilienceError, match="too long for a file system"):
        write_files(str(tmp_path / "main"), [SessionFile("session", f"session-{'ü' * 130}.json", b"1", None)])


def test_other_files_are_strangers(tmp_path):
    content = write_files(str(tmp_path / "main"), FILES)
    (tmp_path / "main" / "7.json").write_text("{}")
    (tmp_path / "main" / "reaction-key-1.json").write_text("{}")
    found = read_tenant(str(tmp_path / "main"))
    assert found.strangers == ("7.json", "reaction-key-1.json")
    assert found.content == content
    found = read_tenant(str(tmp_path / "main"), ["reaction-key"])
    assert found.strangers == ("7.json",)
    assert found.keys["reaction-key"] == 1


def test_no_creds_are_seen_to_be_missing(tmp_path):
    write_files(str(tmp_path / "main"), FILES[1:])
    assert not read_tenant(str(tmp_path / "main")).has_creds


def test_times_of_files():
    assert nanoseconds(MOMENT) == 1795230000123456000
    assert nanoseconds(MOMENT.replace(tzinfo=None)) == nanoseconds(MOMENT)
    assert nanoseconds(MOMENT.astimezone(timezone(timedelta(hours=5)))) == nanoseconds(MOMENT)


def test_a_manifest_that_is_missing_or_damaged(tmp_path):
    path = tmp_path / "main"
    content = write_files(str(path), FILES)
    assert read_manifest(str(path)) is None
    assert read_manifest(str(tmp_path / "nowhere")) is None
    write_manifest(str(path), manifest_of(content))
    good = (path / MANIFEST_FILE).read_text()
    for damaged in ("", "{}", "[]", "null", good[:-20], good.replace('"manifest_version": 1', '"manifest_version": 2')):
        (path / MANIFEST_FILE).write_text(damaged)
        with pytest.raises(ResilienceError, match="is damaged"):
            read_manifest(str(path))


def test_a_file_that_vanishes_or_cannot_be_read_is_an_error(tmp_path):
    write_files(str(tmp_path / "main"), FILES)
    (tmp_path / "main" / "pre-key-2.json").mkdir()
    with pytest.raises(ResilienceError, match="Cannot read"):
        read_tenant(str(tmp_path / "main"))
    assert os.path.isdir(tmp_path / "main")
