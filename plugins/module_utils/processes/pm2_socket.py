# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask PM2's daemon on its own socket, as its command line does.

The command line takes 0.2 s for a question that the daemon answers in 2 ms, starts a daemon when there is none to
look at, and adds its own environment to every app it starts. The socket does none of that. What is spoken there is
axon's protocol, unchanged for ten years: a message is one byte (version, number of parts), and each part is its
length and the data, JSON after "j:" or text after "s:". A question is a call and its number, an answer the same.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..system.errors import ResilienceError

_VERSION = 1
_LENGTH = struct.Struct(">I")
_CREDENTIALS = struct.Struct("3i")
# The list of a hundred apps is about 1 MB.
_LONGEST_PART = 64 * 1024 * 1024


class NotRunningError(ResilienceError):
    """Nobody listens on the socket: there is no daemon."""


@dataclass(frozen=True)
class Call:
    """One method of the daemon with its argument."""

    method: str
    argument: Any = None


@dataclass(frozen=True)
class Peer:
    """The process that listens on the socket."""

    pid: int
    uid: int


def ask(path: str, calls: Sequence[Call], timeout: float) -> tuple[Peer, list[Any]]:
    """Send all calls at once and return who answered, and each answer in the order of the calls.

    ``timeout`` is in seconds, for all together. Raises NotRunningError, and ResilienceError when the daemon does not
    answer in time, or refuses.
    """
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunningError(f"No PM2 daemon listens on {path}") from error
        except PermissionError as error:
            raise ResilienceError(
                f"This user may not speak to the PM2 at {path}",
                stage="pm2",
                remedy="Run as the user whose PM2 it is, or as root and name that user.",
            ) from error
        except OSError as error:
            raise _unanswered(path, None, calls, error.strerror or str(error)) from error
        pid, uid, _gid = _CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        try:
            connection.sendall(b"".join(_question(number, call) for number, call in enumerate(calls)))
            answers: dict[int, Any] = {}
            while len(answers) < len(calls):
                answer, number = _read_message(connection, deadline)
                if not isinstance(answer, dict):
                    raise ValueError("an answer of another kind")
                answers[int(number)] = answer
        except socket.timeout as error:
            raise _unanswered(path, pid, calls, f"no answer within {timeout:g} s") from error
        except (OSError, ValueError, EOFError) as error:
            raise _unanswered(path, pid, calls, str(error) or "the connection was closed") from error
    return Peer(pid, uid), [_value(call, answers[number]) for number, call in enumerate(calls)]


def _question(number: int, call: Call) -> bytes:
    words = json.dumps({"type": "call", "method": call.method, "args": [call.argument]})
    parts = (b"j:" + words.encode("utf-8"), b"s:%d" % number)
    return bytes([_VERSION << 4 | len(parts)]) + b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def _read_message(connection: socket.socket, deadline: float) -> list[Any]:
    (meta,) = _read(connection, 1, deadline)
    return [_read_part(connection, deadline) for _number in range(meta & 0x0F)]


def _read_part(connection: socket.socket, deadline: float) -> Any:
    (length,) = _LENGTH.unpack(_read(connection, _LENGTH.size, deadline))
    if length > _LONGEST_PART:
        raise ValueError("an answer of %d bytes" % length)
    data = _read(connection, length, deadline)
    if data[:2] == b"j:":
        return json.loads(data[2:])
    return data[2:].decode("utf-8")


def _read(connection: socket.socket, length: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < length:
        left = deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout
        connection.settimeout(left)
        piece = connection.recv(min(length - len(data), 1 << 20))
        if not piece:
            raise EOFError("the connection was closed before the answer was whole")
        data += piece
    return bytes(data)


def _value(call: Call, answer: Any) -> Any:
    if "error" in answer:
        raise ResilienceError(f"PM2 refused {call.method}: {answer['error']}", stage="pm2")
    values = answer.get("args") or [None]
    return values[0]


def _unanswered(path: str, pid: int | None, calls: Sequence[Call], why: str) -> ResilienceError:
    daemon = "PM2's daemon" if pid is None else "PM2's daemon (process %d)" % pid
    return ResilienceError(
        f"{daemon} did not do {calls[0].method} on {path}: {why}",
        stage="pm2",
        remedy="See pm2.log beside that socket. If the daemon hangs, end it and bring its apps back: pm2 resurrect.",
    )
