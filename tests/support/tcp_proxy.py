# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network that fails on command: a TCP proxy between a client and a server of the loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

PIECE_BYTES = 16384
RECEIVE_BUFFER_BYTES = 65536


class TcpProxy:
    """Listens on a free port of 127.0.0.1 and passes everything on to `target_port`.

    Frozen, it keeps every connection and takes new ones, but passes nothing on: a path that swallows packets.
    With `freeze_after` it freezes by itself once one connection has carried that many bytes from the server:
    the middle of a dump, however fast the machine is. The first `refused` connections are closed at once.
    """

    def __init__(self, target_port: int, *, freeze_after: int | None = None, refused: int = 0) -> None:
        self._target_port = target_port
        self._freeze_after = freeze_after
        self._refused = refused
        self._flowing = threading.Event()
        self._flowing.set()
        self._closed = False
        self._sockets: list[socket.socket] = []
        self.frozen = threading.Event()
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> TcpProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._flowing.set()
        for each in [self._listener, *self._sockets]:
            _shut(each)

    def freeze(self) -> None:
        """Pass nothing on from now on."""
        self._flowing.clear()
        self.frozen.set()

    def thaw(self) -> None:
        """Pass on what was held back, and everything after it."""
        self._freeze_after = None
        self._flowing.set()

    def cut(self) -> None:
        """End every connection at once."""
        for each in list(self._sockets):
            _shut(each)
        self.thaw()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._sockets.append(client)
            if self.accepted <= self._refused:
                _shut(client)
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._flowing.wait()
        try:
            server = socket.socket()
            # Or the kernel takes megabytes from the server that a frozen proxy has not asked for.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            server.connect(("127.0.0.1", self._target_port))
        except OSError:
            _shut(client)
            return
        self._sockets.append(server)
        threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
        self._pass_on(server, client, True)

    def _pass_on(self, source: socket.socket, target: socket.socket, from_server: bool) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while True:
                piece = source.recv(PIECE_BYTES)
                if not piece:
                    break
                carried += len(piece)
                if from_server and self._freeze_after is not None and carried > self._freeze_after:
                    self.freeze()
                self._flowing.wait()
                target.sendall(piece)
        self._flowing.wait()
        _shut(source)
        _shut(target)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
