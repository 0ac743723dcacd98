# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to an archive after it was made, the next verification finds it and says what it is."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import catalogue
from ansible_collections.baileys.resilience.plugins.module_utils.backup.verify import verify_all, verify_archive
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.client import find_clients
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ResilienceError,
)
from tests.support.backups import KINDS, back_up, only_archive, tree_state
from tests.support.client_wrappers import wrap_clients
from tests.support.databases import fresh_database

FLIPPED = ("custom-zstd", "custom-gzip", "plain-gzip", "directory-zstd")
FLIPS_EACH = 75
TRUNCATIONS = 50
CONTENT = """
CREATE TABLE sessions AS SELECT g AS id, md5(g::text) AS key, repeat(md5((g * 7)::text), 3) AS value
    FROM generate_series(1, 400) g;
CREATE TABLE companies AS SELECT g AS id, 'company ' || g AS name FROM generate_series(1, 20) g;
CREATE SEQUENCE numbers START 17;
SELECT lo_from_bytea(4711, decode(repeat('00ff10', 300), 'hex'));
"""


@pytest.fixture(scope="module")
def database(server18):
    with fresh_database(server18) as database:
        database.execute(CONTENT)
        yield database


@pytest.fixture(scope="module")
def originals(database, tmp_path_factory):
    """A root with one archive for each kind."""
    roots = {}
    for kind in (*FLIPPED, "plain-none", "directory-none"):
        roots[kind] = tmp_path_factory.mktemp(kind)
        back_up(database, roots[kind], **KINDS[kind])
    return roots


@pytest.fixture(scope="module")
def clients(bin_full18):
    return find_clients(str(bin_full18))


@pytest.fixture
def copy(originals, tmp_path):
    """A root of the test's own with the archive of one kind."""

    def make(kind):
        root = tmp_path / kind
        shutil.copytree(originals[kind], root)
        return root

    return make


def parts(archive):
    """The files of an archive, the large ones more often."""
    path = Path(archive.path)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return files, [file.stat().st_size for file in files]


@pytest.mark.parametrize("kind", FLIPPED)
def test_every_single_flipped_bit_is_found(copy, clients, kind):
    root = copy(kind)
    archive = only_archive(root)
    assert verify_archive(archive, clients).problems == ()
    choice = random.Random(f"bits of {kind}")
    files, sizes = parts(archive)
    missed = []
    for _ in range(FLIPS_EACH):
        (file,) = choice.choices(files, sizes)
        content = file.read_bytes()
        position, bit = choice.randrange(len(content)), choice.randrange(8)
        damaged = bytearray(content)
        damaged[position] ^= 1 << bit
        file.write_bytes(damaged)
        problems = verify_archive(archive, clients).problems
        file.write_bytes(content)
        if not problems:
            missed.append((file.name, position, bit))
        elif kind.startswith("directory"):
            assert f"its file {file.name} was changed or added" in problems
        else:
            assert "its SHA-256 is not the one it was made with" in problems
    assert missed == []
    assert verify_archive(archive, clients).problems == (), "all was put back"


@pytest.mark.parametrize("kind", ["custom-zstd", "directory-zstd"])
def test_what_is_damaged_is_not_given_to_pg_restore(copy, bin_full18, kind, tmp_path):
    """It believes what it reads: with one bit of a number flipped it was seen to take 12 GB of memory and 30 s."""
    programs = wrap_clients(
        tmp_path / "programs", bin_full18, {"pg_restore": f'echo ran >>{tmp_path}/ran; exec "$real" "$@"'}
    )
    archive = only_archive(copy(kind))
    assert verify_archive(archive, find_clients(str(programs))).holds
    assert (tmp_path / "ran").read_text() == "ran\n"
    file = parts(archive)[0][-1]
    file.write_bytes(file.read_bytes() + b"x")
    assert verify_archive(archive, find_clients(str(programs))).problems
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_every_truncation_is_found(copy, clients):
    choice = random.Random("lengths")
    archives = [only_archive(copy(kind)) for kind in (*FLIPPED, "plain-none")]
    for number in range(TRUNCATIONS):
        turn, which = divmod(number, len(archives))
        files, sizes = parts(archives[which])
        (file,) = choice.choices(files, sizes)
        content = file.read_bytes()
        # Nothing at all and one byte less are among them.
        length = {0: 0, 1: len(content) - 1}.get(turn, choice.randrange(len(content)))
        file.write_bytes(content[:length])
        problems = verify_archive(archives[which], clients).problems
        file.write_bytes(content)
        assert problems, (file, length, len(content))
    assert [verify_archive(archive, clients).problems for archive in archives] == [()] * len(archives)


@pytest.mark.parametrize("kind", [*FLIPPED, "plain-none"])
def test_bytes_at_the_end_are_found(copy, clients, kind):
    archive = only_archive(copy(kind))
    for file in parts(archive)[0]:
        content = file.read_bytes()
        file.write_bytes(content + bytes(1))
        assert verify_archive(archive, clients).problems, file
        file.write_bytes(content)


def test_the_time_does_not_matter_but_the_content(copy, clients):
    archive = only_archive(copy("custom-zstd"))
    Path(archive.path).touch()
    assert verify_archive(archive, clients).problems == ()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda d: next(d.glob("*.dat.zst")).unlink(), "is missing"),
        (lambda d: (d / "toc.dat").unlink(), "its file toc.dat is missing"),
        (lambda d: next(d.glob("blob_*")).unlink(), "is missing"),
        (lambda d: (d / "9999.dat.zst").write_bytes(b""), "its file 9999.dat.zst was changed or added"),
        (lambda d: (d / "notes.txt").write_text("hello"), "its file notes.txt was changed or added"),
        (lambda d: swap(*sorted(d.glob("*.dat.zst"))[:2]), "was changed or added"),
        (lambda d: next(d.glob("*.dat.zst")).rename(d / "renamed.dat.zst"), "its file renamed.dat.zst was changed"),
        (lambda d: [file.unlink() for file in d.iterdir()], "its file toc.dat is missing"),
        (lambda d: (d / "subdirectory").mkdir(), "subdirectory"),
    ],
)
def test_parts_of_a_directory(copy, clients, harm, words):
    archive = only_archive(copy("directory-zstd"))
    harm(Path(archive.path))
    result = verify_archive(archive, clients)
    assert not result.holds
    assert words in "; ".join(result.findings)


def swap(one, other):
    """Exchange two files or directories by renaming them."""
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


@pytest.mark.parametrize("kind", ["custom-zstd", "plain-gzip", "directory-none"])
def test_swapped_archives_and_swapped_manifests(server18, make_database, kind, tmp_path):
    database = make_database(server18)
    database.execute("CREATE TABLE t AS SELECT generate_series(1, 5) n")
    back_up(database, tmp_path, **KINDS[kind])
    database.execute("INSERT INTO t VALUES (6)")
    back_up(database, tmp_path, **KINDS[kind])
    one, other = (Path(archive.path) for archive in catalogue.read_catalogue(str(tmp_path)))

    def problems():
        results = verify_all(str(tmp_path), client_directory=str(server18.bin_directory), dry_run=True)
        return [result.problems for result in results]

    for first, second in ((one, other), (Path(f"{one}.manifest.json"), Path(f"{other}.manifest.json"))):
        swap(first, second)
        assert all("its SHA-256 is not the one it was made with" in found for found in problems())
        swap(first, second)
        assert problems() == [(), ()]


def test_what_is_found_is_marked_once_and_nothing_else(originals, tmp_path, bin_full18, database):
    for _ in range(3):
        back_up(database, tmp_path, keep={"daily": 7, "weekly": 2, "monthly": 2}, prune=False)
    client = str(bin_full18)
    archives = catalogue.read_catalogue(str(tmp_path))
    assert [archive.tier for archive in archives] == ["daily"] * 3 + ["weekly", "monthly"]
    victim = Path(archives[0].path)
    content = victim.read_bytes()
    with victim.open("r+b") as file:
        file.write(b"X")
    before = tree_state(tmp_path)
    results = verify_all(str(tmp_path), client_directory=client, dry_run=True)
    assert tree_state(tmp_path) == before
    # The first of the month is one file under three names.
    assert [result.holds for result in results] == [False, True, True, False, False]
    assert verify_all(str(tmp_path), client_directory=client, newest_only=True)[0].holds
    assert verify_all(str(tmp_path), client_directory=client, only=[archives[1].path])[0].holds
    assert all(archive.counted for archive in catalogue.read_catalogue(str(tmp_path)))
    for _ in range(2):
        # Only one of the names is asked for: all of them are marked, once.
        assert not verify_all(str(tmp_path), client_directory=client, only=[archives[4].path])[0].holds
        after = catalogue.read_catalogue(str(tmp_path))
        assert [archive.state for archive in after] == ["suspect", "verified", "verified", "suspect", "suspect"]
        assert [len((archive.manifest or {})["proofs"]) for archive in after] == [1, 0, 0, 1, 1]
    assert victim.read_bytes() == b"X" + content[1:], "kept for a person to look at"


def test_an_archive_that_is_not_there_is_said(copy, bin_full18):
    root = copy("custom-zstd")
    with pytest.raises(ResilienceError, match=r"no archive .*gone\.dump in this backup root"):
        verify_all(str(root), client_directory=str(bin_full18), only=[str(root / "daily" / "gone.dump")])


@pytest.mark.parametrize(
    ("kind", "client", "words"),
    [
        ("custom-gzip", "bin_embedded16", r"was made by pg_dump 18\.\d+; the newest client here is 16\.14"),
        ("custom-zstd", "bin_embedded18", r"is compressed with zstd; the client 18\.\d+ in .* was built without it"),
    ],
)
def test_a_client_that_cannot_read_it_says_nothing_against_the_archive(copy, request, kind, client, words):
    root = copy(kind)
    before = tree_state(root / "daily")
    (result,) = verify_all(str(root), client_directory=str(request.getfixturevalue(client)))
    assert not result.holds
    assert result.problems == ()
    assert re.search(words, str(result.obstacle))
    assert only_archive(root).counted
    assert tree_state(root / "daily") == before


def test_an_archive_that_is_put_right_counts_again(copy, bin_full18):
    root = copy("custom-zstd")
    path = Path(only_archive(root).path)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert not verify_all(str(root), client_directory=str(bin_full18))[0].holds
    assert only_archive(root).state == "suspect"
    path.write_bytes(content)
    assert verify_all(str(root), client_directory=str(bin_full18))[0].holds
    assert only_archive(root).state == "verified"
