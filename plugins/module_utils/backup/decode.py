# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read an archive as a whole: hash its bytes, decode it with PostgreSQL's own program, measure its data."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import select
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Callable

from ..postgres.client import ClientTools
from ..system.commands import minimal_environment
from ..system.errors import ArchiveError, MissingDependencyError
from ..system.files import create_private, explain_os_error
from .contents import Contents
from .pipes import Child, stalled
from .script import PIECE_BYTES, ScriptReader

NO_BACKUP = "This archive is no backup. Earlier ones were not touched; see the free space and health of the disk, then run again."

# Pipes default to 64 KiB, which makes the processes take turns; 1 MiB is what a plain user may ask for.
PIPE_BYTES = 1 << 20

# Programs that undo the compression of a plain script, and the Debian package each is in.
_DECOMPRESSORS = {
    "gzip": (["gzip", "-dc"], "gzip"),
    "zstd": (["zstd", "-dcq"], "zstd"),
    "lz4": (["lz4", "-dcq"], "lz4"),
}


@dataclass(frozen=True)
class Decoded:
    """Size in bytes, SHA-256 and contents of an archive; ``files`` has name -> SHA-256 for a directory."""

    size: int
    sha256: str
    contents: Contents
    files: dict[str, str] = field(default_factory=dict)


def decoder_command(archive_format: str, compression: str, tools: ClientTools) -> list[str]:
    """The program that turns the archive on its standard input into a script on its standard output.

    Raises MissingDependencyError when it is not installed.
    """
    if archive_format == "custom":
        # Only the data: what stands in functions, views and defaults is not what is counted here.
        return [tools.program("pg_restore"), "--section=data", "--file=-"]
    if compression == "none":
        return ["cat"]
    command, package = _DECOMPRESSORS[compression]
    if not any(
        os.access(os.path.join(path, command[0]), os.X_OK) for path in minimal_environment()["PATH"].split(os.pathsep)
    ):
        raise MissingDependencyError(
            f"Reading back a plain archive with {compression} needs the program {command[0]}",
            stage="version",
            remedy=f"Install the package {package}, or choose format=custom.",
        )
    return command


class _ScriptThread:
    """Reads a decoder's output beside the thread that feeds the decoder: neither waits for the other's work."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._reader = ScriptReader()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="script-reader", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while self._reader.feed_from(self._descriptor):
                pass
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asks for the contents
            # Whatever it is: with nobody reading, the decoder and this run would wait for each other for ever.
            self._failure = error
            self._drain()

    def _drain(self) -> None:
        # The rest is read and dropped, so that the decoder can end by itself.
        with contextlib.suppress(OSError):
            while os.read(self._descriptor, PIECE_BYTES):
                pass

    def join(self) -> None:
        self._thread.join()

    def contents(self) -> Contents:
        try:
            if self._failure is not None:
                raise self._failure
            contents = self._reader.finish()
            if not self._reader.complete:
                raise ArchiveError('The script lacks its end, the line "PostgreSQL database dump complete"')
        except ArchiveError as error:
            error.remedy = error.remedy or NO_BACKUP
            raise error.at_stage("verify") from error
        return contents


class _ArchiveFile:
    """The file that is being written. Some file systems notice a full disk only when it is synced."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = create_private(path)

    def write(self, piece: memoryview) -> None:
        try:
            _write_all(self._descriptor, piece)
        except OSError as error:
            raise explain_os_error(error, self._path, "write the archive").at_stage("dump") from error

    def sync(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise explain_os_error(error, self._path, "write the archive").at_stage("dump") from error

    def close(self) -> None:
        os.close(self._descriptor)


def pump(
    source: int,
    archive_format: str,
    compression: str,
    tools: ClientTools,
    *,
    target: str | None = None,
    stall_timeout: float | None = None,
    lock_descriptor: int | None = None,
    judge_source: Callable[[], None] | None = None,
) -> Decoded:
    """Read an archive from the descriptor ``source`` to its end; with ``target``, write it there (0600, synced).

    ``judge_source`` is called at the end of the data and raises if what wrote them failed; its words go
    before the decoder's, which only sees the consequence. Raises ArchiveError when it cannot be decoded.
    """
    command = decoder_command(archive_format, compression, tools)
    keep = (lock_descriptor,) if lock_descriptor is not None else ()
    digest, size = hashlib.sha256(), 0
    enlarge(source)
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(contextlib.closing(_ArchiveFile(target))) if target else None
        decoder = stack.enter_context(Child(command, minimal_environment(), stdin=subprocess.PIPE, pass_fds=keep))
        enlarge(decoder.stdin)
        enlarge(decoder.stdout)
        script = _ScriptThread(decoder.stdout)
        decoding = True
        for piece in _pieces(source, stall_timeout):
            digest.update(piece)
            size += len(piece)
            if output is not None:
                output.write(piece)
            if decoding:
                decoding = _hand_on(decoder, piece)
        if output is not None:
            output.sync()
        decoder.close_stdin()
        if judge_source is not None:
            judge_source()
        rc = decoder.wait()
        script.join()
        _judge_decoder(decoder, rc)
        contents = script.contents()
    return Decoded(size, digest.hexdigest(), contents)


def read_archive(path: str, archive_format: str, compression: str, tools: ClientTools) -> Decoded:
    """Hash and decode a finished archive. Raises ArchiveError or ResilienceError."""
    if archive_format == "directory":
        return decode_file_set(path, tools)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise explain_os_error(error, path, "read the archive") from error
    try:
        return pump(descriptor, archive_format, compression, tools)
    except OSError as error:
        # A bad block of the disk, or a directory in the place of a file.
        raise explain_os_error(error, path, "read the archive") from error
    finally:
        os.close(descriptor)


def hash_file(path: str) -> tuple[int, str]:
    """Size in bytes and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    try:
        with open(path, "rb", buffering=0) as stream:
            while True:
                piece = stream.read(PIECE_BYTES)
                if not piece:
                    return size, digest.hexdigest()
                digest.update(piece)
                size += len(piece)
    except OSError as error:
        raise explain_os_error(error, path, "read the archive") from error


def hash_file_set(path: str) -> tuple[int, str, dict[str, str]]:
    """Size, hash and file hashes of a directory archive.

    The hash of the whole is the SHA-256 of the lines ``<sha256>  <name>``, sorted by name: what
    ``sha256sum * | sha256sum`` prints in that directory.
    """
    files: dict[str, str] = {}
    total = 0
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise explain_os_error(error, path, "read the archive") from error
    for name in names:
        size, files[name] = hash_file(os.path.join(path, name))
        total += size
    lines = "".join(f"{files[name]}  {name}\n" for name in names)
    return total, hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest(), files


def decode_file_set(path: str, tools: ClientTools, lock_descriptor: int | None = None) -> Decoded:
    """Hash and decode a directory archive, read once more after it was written.

    pg_dump itself writes it, by several processes: there is no single stream to ride on.
    """
    size, sha256, files = hash_file_set(path)
    command = [tools.program("pg_restore"), "--format=directory", "--section=data", "--file=-", path]
    keep = (lock_descriptor,) if lock_descriptor is not None else ()
    with Child(command, minimal_environment(), pass_fds=keep) as decoder:
        enlarge(decoder.stdout)
        script = _ScriptThread(decoder.stdout)
        rc = decoder.wait()
        script.join()
        _judge_decoder(decoder, rc)
        contents = script.contents()
    return Decoded(size, sha256, contents, files)


def _pieces(source: int, stall_timeout: float | None) -> Iterator[memoryview]:
    """The data in pieces, each valid until the next one is asked for: one buffer serves them all."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    with memoryview(bytearray(PIECE_BYTES)) as buffer:
        while True:
            if stall_timeout is not None and not poll.poll(stall_timeout * 1000):
                raise stalled(["pg_dump"], stall_timeout)
            count = os.readv(source, [buffer])
            if count == 0:
                return
            yield buffer[:count]


def _hand_on(decoder: Child, piece: memoryview) -> bool:
    try:
        _write_all(decoder.stdin, piece)
    except BrokenPipeError:
        # It has ended early. Why is asked at the end; the archive is still written and hashed in full.
        return False
    return True


def _write_all(descriptor: int, piece: memoryview) -> None:
    while piece:
        piece = piece[os.write(descriptor, piece) :]


def _judge_decoder(decoder: Child, rc: int) -> None:
    messages = decoder.messages()
    if rc != 0 or messages:
        raise ArchiveError(
            "The archive cannot be decoded: {} ({})".format(messages or "no message", decoder.ending()),
            stage="verify",
            remedy=NO_BACKUP,
            cmd=decoder.command,
            rc=rc,
            stderr=messages,
        )


def enlarge(descriptor: int) -> None:
    """Let a pipe hold more before its writer has to wait; only for speed."""
    try:
        fcntl.fcntl(descriptor, 1031, PIPE_BYTES)  # F_SETPIPE_SZ; named in fcntl only since Python 3.10
    except OSError:
        # A file, or a user over the limit of pipe memory: the size is only for speed.
        return
