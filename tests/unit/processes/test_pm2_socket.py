# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire to PM2's daemon, against stand-ins that answer in pieces, wrongly, or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import time

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_socket import (
    Call,
    NotRunningError,
    ask,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError


def part(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def answer(number: int, *values: object, **words: object) -> bytes:
    body = json.dumps(words or {"args": values}).encode()
    return b"\x12" + part(b"j:" + body) + part(b"s:%d" % number)


@contextlib.contextmanager
def stand_in(path, serve):
    """A daemon whose one conversation is `serve(connection)`."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def run():
            with contextlib.suppress(OSError):
                connection, _address = listener.accept()
                with connection:
                    connection.recv(1 << 16)
                    serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield str(path)
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            assert not thread.is_alive()


PING = Call("ping")


def conversation(tmp_path, serve, calls=(PING,), timeout=2.0):
    with stand_in(tmp_path / "rpc.sock", serve) as path:
        return ask(path, calls, timeout)


def test_answers_are_put_in_the_order_of_the_calls(tmp_path):
    def serve(connection):
        connection.sendall(answer(1, "second") + answer(0, {"first": "ä"}))

    peer, answers = conversation(tmp_path, serve, (Call("a"), Call("b")))
    assert answers == [{"first": "ä"}, "second"]
    assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())


def test_an_answer_may_come_byte_by_byte(tmp_path):
    def serve(connection):
        for byte in answer(0, "whole"):
            connection.sendall(bytes([byte]))

    assert conversation(tmp_path, serve)[1] == ["whole"]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (answer(0, error="id unknown"), "PM2 refused ping: id unknown"),
        (answer(0, "x")[:-3], "the connection was closed before the answer was whole"),
        (b"", "the connection was closed before the answer was whole"),
        (b"\x12" + part(b"j:{") + part(b"s:0"), "did not do ping"),
        (b"\x12" + struct.pack(">I", 2**32 - 1), "an answer of 4294967295 bytes"),
        (b"\x11" + part(b"j:{}"), "did not do ping"),
        (b"\x12" + part(b"j:{}") + part(b"s:zero"), "did not do ping"),
        (b"\x12" + part(b"j:[]") + part(b"s:0"), "did not do ping"),
    ],
)
def test_a_wrong_answer_is_told(tmp_path, sent, message):
    with pytest.raises(ResilienceError, match=message):
        conversation(tmp_path, lambda connection: connection.sendall(sent))


def test_no_answer_is_told_in_time(tmp_path):
    def serve(connection):
        # Until the other side gives up.
        connection.recv(1)

    begun = time.monotonic()
    with pytest.raises(ResilienceError, match=r"did not do ping on .*: no answer within 0\.2 s"):
        conversation(tmp_path, serve, timeout=0.2)
    assert 0.2 <= time.monotonic() - begun < 2


def test_an_answer_that_drips_does_not_go_on_for_ever(tmp_path):
    def serve(connection):
        with contextlib.suppress(OSError):
            for byte in answer(0, "x" * 50):
                connection.sendall(bytes([byte]))
                time.sleep(0.05)

    with pytest.raises(ResilienceError, match=r"no answer within 0\.3 s"):
        conversation(tmp_path, serve, timeout=0.3)


def test_no_daemon_is_told_apart(tmp_path):
    with pytest.raises(NotRunningError):
        ask(str(tmp_path / "none"), [Call("ping")], 1)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "left"))
    with pytest.raises(NotRunningError):
        ask(str(tmp_path / "left"), [Call("ping")], 1)
