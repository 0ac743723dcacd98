# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading an archive as a whole, with decoders that are scripts: also with those that fail half-way."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import decode
from ansible_collections.baileys.resilience.plugins.module_utils.backup.decode import (
    Decoded,
    decode_file_set,
    decoder_command,
    hash_file,
    hash_file_set,
    pump,
    read_archive,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup.script import ScriptReader
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.client import ClientTools
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.version import Version
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import (
    ArchiveError,
    MissingDependencyError,
    ProgramFailedError,
    ResilienceError,
)
from tests.support.fake_clients import fake_clients

ROWS = b"1\tone\n2\ttwo\n"
SCRIPT = b"-- head\nCOPY public.t (id, name) FROM stdin;\n" + ROWS + b"\\.\n-- PostgreSQL database dump complete\n"
LARGE = (
    b"COPY public.t (id) FROM stdin;\n"
    + b"x" * 99
    + b"\n"
    + (b"y" * 999 + b"\n") * 5000
    + b"\\.\n-- PostgreSQL database dump complete\n"
)


@pytest.fixture
def tools(tmp_path: Path) -> Callable[..., ClientTools]:
    """Clients whose pg_restore is this script; it copies its input unless told otherwise."""

    def make(pg_restore: str = "exec cat") -> ClientTools:
        return ClientTools(str(fake_clients(tmp_path / "bin", pg_restore=pg_restore)), Version(18, 4))

    return make


@contextmanager
def source(data: bytes, pause: float = 0.0) -> Iterator[int]:
    """A pipe from which this data comes, and then its end."""
    reading, writing = os.pipe()

    def write() -> None:
        # Where reading stops early, there is nobody left to write for.
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as stream:
            stream.write(data)
            stream.flush()
            time.sleep(pause)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield reading
    finally:
        os.close(reading)
        thread.join()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def check(decoded: Decoded, data: bytes) -> None:
    assert (decoded.size, decoded.sha256, decoded.files) == (len(data), sha256(data), {})
    (table,) = decoded.contents.tables
    assert (table.name, table.rows, table.digest) == (("public", "t"), 2, sha256(ROWS))


class TestDecoders:
    def test_custom_is_read_by_pg_restore_data_only(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        assert decoder_command("custom", "zstd", tools()) == [
            f"{tmp_path}/bin/pg_restore",
            "--section=data",
            "--file=-",
        ]

    @pytest.mark.parametrize(
        ("compression", "command"),
        [("none", ["cat"]), ("gzip", ["gzip", "-dc"]), ("zstd", ["zstd", "-dcq"]), ("lz4", ["lz4", "-dcq"])],
    )
    def test_plain_by_what_undoes_its_compression(
        self,
        tools: Callable[..., ClientTools],
        compression: str,
        command: list[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        fake_clients(tmp_path / "programs", zstd="", lz4="", gzip="")
        monkeypatch.setenv("PATH", str(tmp_path / "programs"))
        assert decoder_command("plain", compression, tools()) == command

    @pytest.mark.parametrize("compression", ["zstd", "lz4", "gzip"])
    def test_one_that_is_missing_is_named(
        self, tools: Callable[..., ClientTools], compression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(
            MissingDependencyError, match=f"with {compression} needs the program {compression}$"
        ) as caught:
            decoder_command("plain", compression, tools())
        assert caught.value.remedy == f"Install the package {compression}, or choose format=custom."

    def test_a_client_without_pg_restore(self, tmp_path: Path) -> None:
        with pytest.raises(MissingDependencyError, match="no pg_restore"):
            decoder_command("custom", "zstd", ClientTools(str(fake_clients(tmp_path / "bin")), Version(18, 4)))


class TestPumping:
    def test_one_pass_writes_hashes_and_measures(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        target = tmp_path / "archive"
        judged: list[bool] = []
        previous = os.umask(0)
        try:
            with source(SCRIPT) as descriptor:
                decoded = pump(
                    descriptor, "custom", "zstd", tools(), target=str(target), judge_source=lambda: judged.append(True)
                )
        finally:
            os.umask(previous)
        check(decoded, SCRIPT)
        assert target.read_bytes() == SCRIPT
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        assert judged == [True]

    def test_without_a_target_nothing_is_written(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        with source(SCRIPT) as descriptor:
            check(pump(descriptor, "plain", "none", tools()), SCRIPT)
        assert sorted(os.listdir(tmp_path)) == ["bin"]

    def test_more_than_pipes_and_buffers_hold(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        with source(LARGE) as descriptor:
            decoded = pump(descriptor, "custom", "zstd", tools(), target=str(tmp_path / "archive"))
        assert (decoded.sha256, decoded.contents.rows) == (sha256(LARGE), 5001)
        assert (tmp_path / "archive").read_bytes() == LARGE

    def test_the_target_must_not_exist(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        (tmp_path / "archive").write_bytes(b"kept")
        with source(SCRIPT) as descriptor, pytest.raises(ResilienceError, match="File exists"):
            pump(descriptor, "custom", "zstd", tools(), target=str(tmp_path / "archive"))
        assert (tmp_path / "archive").read_bytes() == b"kept"

    @pytest.mark.parametrize("call", ["write", "fsync"])
    def test_a_full_disk_is_named(
        self, tools: Callable[..., ClientTools], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        real = os.write
        target = tmp_path / "archive"

        def full(descriptor: int, *data: Any) -> int:
            if call == "fsync" or os.path.samestat(os.fstat(descriptor), target.stat()):
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(descriptor, *data)

        client = tools()
        with source(SCRIPT) as descriptor:
            monkeypatch.setattr(os, call, full)
            with pytest.raises(
                ResilienceError, match=r"^Cannot write the archive .*/archive: no space left \("
            ) as caught:
                pump(descriptor, "custom", "zstd", client, target=str(target))
            monkeypatch.undo()
        assert caught.value.stage == "dump"

    def test_a_source_that_goes_silent(self, tools: Callable[..., ClientTools]) -> None:
        with (
            source(SCRIPT, pause=1.5) as descriptor,
            pytest.raises(ProgramFailedError, match=r"gave no data for 0\.3 s"),
        ):
            pump(descriptor, "custom", "zstd", tools(), stall_timeout=0.3)

    def test_what_failed_first_is_told_first(self, tools: Callable[..., ClientTools]) -> None:
        def judge() -> NoReturn:
            raise ProgramFailedError("pg_dump failed")

        # The decoder fails as well, but only because of it.
        broken = tools("cat >/dev/null; echo 'unexpected end of file' >&2; exit 1")
        with source(SCRIPT) as descriptor, pytest.raises(ProgramFailedError, match=r"^pg_dump failed$"):
            pump(descriptor, "custom", "zstd", broken, judge_source=judge)

    @pytest.mark.parametrize(
        ("script", "words"),
        [
            ("cat >/dev/null; echo 'pg_restore: error: could not uncompress data' >&2; exit 1", "could not uncompress"),
            ("cat >/dev/null; exit 3", r"no message \(exit status 3\)"),
            ("cat; echo 'pg_restore: warning: odd' >&2", r"warning: odd \(exit status 0\)"),
            ("cat >/dev/null; kill -9 $$", "killed by SIGKILL"),
        ],
    )
    def test_a_decoder_that_fails_or_as_much_as_warns(
        self, tools: Callable[..., ClientTools], script: str, words: str
    ) -> None:
        with source(SCRIPT) as descriptor, pytest.raises(ArchiveError, match=words) as caught:
            pump(descriptor, "custom", "zstd", tools(script))
        assert caught.value.message.startswith("The archive cannot be decoded: ")
        assert caught.value.stage == "verify"
        assert caught.value.cmd is not None
        assert caught.value.cmd[0].endswith("pg_restore")

    def test_a_decoder_that_ends_early_does_not_end_the_writing(
        self, tools: Callable[..., ClientTools], tmp_path: Path
    ) -> None:
        target = tmp_path / "archive"
        with source(LARGE) as descriptor, pytest.raises(ArchiveError, match="gave up"):
            pump(descriptor, "custom", "zstd", tools("echo 'gave up' >&2; exit 1"), target=str(target))
        assert target.read_bytes() == LARGE

    @pytest.mark.parametrize(
        "script",
        [
            b"COPY nonsense FROM stdin;\n",
            b"SET client_encoding = 'UTF99';\n",
            b"SELECT pg_catalog.setval('public.s', " + b"9" * 5000 + b", true);\n",
        ],
        ids=["a statement", "an encoding", "a number"],
    )
    def test_a_script_that_cannot_be_read_lets_the_decoder_end(
        self, tools: Callable[..., ClientTools], script: bytes
    ) -> None:
        # Far more behind it than a pipe holds: the decoder would wait for ever for somebody to take it.
        with (
            source(script + LARGE) as descriptor,
            pytest.raises((ArchiveError, ValueError), match=r"Cannot read|digits"),
        ):
            pump(descriptor, "custom", "zstd", tools())

    def test_a_fault_of_the_reader_itself_is_not_lost_in_its_thread(
        self, tools: Callable[..., ClientTools], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(reader: ScriptReader, descriptor: int) -> NoReturn:
            raise ValueError("a fault")

        monkeypatch.setattr(ScriptReader, "feed_from", broken)
        with source(LARGE) as descriptor, pytest.raises(ValueError, match="a fault"):
            pump(descriptor, "custom", "zstd", tools())

    def test_a_truncated_script(self, tools: Callable[..., ClientTools]) -> None:
        with source(SCRIPT[:-20]) as descriptor, pytest.raises(ArchiveError, match="ends in the middle"):
            pump(descriptor, "plain", "none", tools())

    def test_the_decoder_holds_the_lock(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        # Its own list of descriptors, in the place of a script.
        held = tools(
            f"cat >/dev/null; readlink /proc/$$/fd/{lock} >'{tmp_path}/held'; echo '-- PostgreSQL database dump complete'"
        )
        try:
            with source(SCRIPT) as descriptor:
                pump(descriptor, "custom", "zstd", held, lock_descriptor=lock)
        finally:
            os.close(lock)
        assert (tmp_path / "held").read_text() == f"{tmp_path}/lock\n"

    def test_no_descriptor_or_thread_stays(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        before = set(os.listdir("/proc/self/fd")), threading.active_count()
        for number, script in enumerate(["exec cat", "cat >/dev/null; exit 1", "exit 1"]):
            with source(LARGE) as descriptor:
                try:
                    pump(descriptor, "custom", "zstd", tools(script), target=str(tmp_path / str(number)))
                except ArchiveError:
                    assert number
        assert (set(os.listdir("/proc/self/fd")), threading.active_count()) == before


class TestReading:
    def test_a_plain_archive(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        path = tmp_path / "archive.sql"
        path.write_bytes(SCRIPT)
        check(read_archive(str(path), "plain", "none", tools()), SCRIPT)

    def test_a_compressed_one(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        path = tmp_path / "archive.sql.gz"
        data = gzip.compress(SCRIPT)
        path.write_bytes(data)
        check(read_archive(str(path), "plain", "gzip", tools()), data)

    def test_one_that_is_not_there(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        with pytest.raises(ResilienceError, match=r"Cannot read the archive .*: No such file"):
            read_archive(str(tmp_path / "none"), "plain", "none", tools())

    def test_one_that_the_disk_no_longer_gives(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        (tmp_path / "odd").mkdir()
        with pytest.raises(ResilienceError, match=r"Cannot read the archive .*/odd: Is a directory"):
            read_archive(str(tmp_path / "odd"), "custom", "zstd", tools())

    def test_a_link_is_not_followed(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        (tmp_path / "real").write_bytes(SCRIPT)
        (tmp_path / "link").symlink_to("real")
        with pytest.raises(ResilienceError, match="Cannot read the archive"):
            read_archive(str(tmp_path / "link"), "plain", "none", tools())


class TestDirectories:
    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        path = tmp_path / "archive.dir"
        path.mkdir()
        (path / "toc.dat").write_bytes(SCRIPT)
        (path / "3000.dat").write_bytes(b"12345")
        return path

    def test_hash_of_the_whole_as_sha256sum_prints_it(self, directory: Path) -> None:
        command = "sha256sum * | sha256sum"
        printed = subprocess.run(
            ["sh", "-c", command],
            cwd=directory,
            capture_output=True,
            text=True,
            check=True,
            env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
        )
        size, digest, files = hash_file_set(str(directory))
        assert digest == printed.stdout.split()[0]
        assert size == len(SCRIPT) + 5
        assert files == {"toc.dat": sha256(SCRIPT), "3000.dat": sha256(b"12345")}

    def test_decoded_by_pg_restore(self, tools: Callable[..., ClientTools], directory: Path) -> None:
        # The last of its arguments is the directory.
        decoded = read_archive(
            str(directory), "directory", "zstd", tools('for last; do :; done; exec cat "$last/toc.dat"')
        )
        assert decoded.files.keys() == {"toc.dat", "3000.dat"}
        assert (decoded.size, decoded.sha256) == hash_file_set(str(directory))[:2]
        assert decoded.contents.rows == 2

    def test_one_that_cannot_be_decoded(self, tools: Callable[..., ClientTools], directory: Path) -> None:
        with pytest.raises(ArchiveError, match="could not open"):
            decode_file_set(str(directory), tools("echo 'could not open input file' >&2; exit 1"))

    def test_one_that_is_not_there(self, tools: Callable[..., ClientTools], tmp_path: Path) -> None:
        with pytest.raises(ResilienceError, match=r"Cannot read the archive .*/none: No such file"):
            decode_file_set(str(tmp_path / "none"), tools())

    def test_a_file_in_it_that_cannot_be_read(self, directory: Path) -> None:
        (directory / "odd").mkdir()
        with pytest.raises(ResilienceError, match=r"Cannot read the archive .*/odd: Is a directory"):
            hash_file_set(str(directory))


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(LARGE)
    assert hash_file(str(tmp_path / "f")) == (len(LARGE), sha256(LARGE))


def test_a_pipe_that_cannot_be_enlarged_is_good_enough(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb") as stream:
        decode.enlarge(stream.fileno())
