# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for the Telegram Bot API and for Sentry's ingest, on free ports of the loopback.

Each answers from a script, in order and the last for ever, and keeps what it received. The Telegram one
refuses what the real one refuses: a wrong token, HTML it cannot parse, a text that is too long.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import html.parser
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "123456789:AAEhBP0av28bzCjhdTvr4qqGz0mWcxOtZAU"
CHAT_ID = "-1001234567890"
SENTRY_KEY = "c0ffee00c0ffee00c0ffee00c0ffee00"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What to answer: a status with a body, or `hang` (nothing at all), or `drip` (a byte now and then)."""

    status: int = 200
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    hang: bool = False
    drip: bool = False


OK = Answer()
HANG = Answer(hang=True)
DRIP = Answer(body="x" * 200, drip=True)


@dataclasses.dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


class Stub(ThreadingHTTPServer):
    """An HTTP server that plays its script; `judge` makes the body of an OK."""

    daemon_threads = True

    def __init__(self, script: tuple[Answer, ...], address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(address, _Handler)
        self.script = list(script or (OK,))
        self.received: list[Received] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def take(self, received: Received) -> Answer:
        with self.lock:
            self.received.append(received)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def judge(self, received: Received) -> tuple[int, Any]:
        raise NotImplementedError

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up in the middle is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body go out in two writes; without this the second waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    server: Stub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        received = Received(self.path, dict(self.headers.items()), body)
        answer = self.server.take(received)
        if answer.hang:
            self.server.closing.wait()
            return
        status, content = answer.status, answer.body
        if status == 200 and content is None:
            status, content = self.server.judge(received)
        raw = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if answer.drip:
            for position in range(len(raw)):
                if self.server.closing.wait(0.3):
                    return
                self.wfile.write(raw[position : position + 1])
        else:
            self.wfile.write(raw)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is the base class's
        """Silence: pytest shows what failed."""


class TelegramStub(Stub):
    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The bodies of the calls of sendMessage, refused ones too."""
        return [json.loads(received.body) for received in self.received]

    def judge(self, received: Received) -> tuple[int, Any]:
        if received.path != f"/bot{TOKEN}/sendMessage":
            return refusal(404, "Not Found")
        message = json.loads(received.body)
        if str(message["chat_id"]) != CHAT_ID:
            return refusal(400, "Bad Request: chat not found")
        text = message["text"]
        if message.get("parse_mode") == "HTML":
            try:
                text = visible_text(text)
            except ValueError as error:
                return refusal(400, f"Bad Request: can't parse entities: {error}")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            return refusal(400, "Bad Request: message is too long")
        if not text.strip():
            return refusal(400, "Bad Request: message text is empty")
        return 200, {"ok": True, "result": {"message_id": len(self.received), "text": text}}


class SentryStub(Stub):
    @property
    def dsn(self) -> str:
        return f"http://{SENTRY_KEY}@{self.address}/42"

    @property
    def items(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Header and payload of every item of every envelope, in the order of arrival."""
        return [item for received in self.received for item in envelope_items(received.body)]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [payload for header, payload in self.items if header["type"] == kind]

    def judge(self, received: Received) -> tuple[int, Any]:
        if received.path != "/api/42/envelope/":
            return 404, {"detail": "not found"}
        if f"sentry_key={SENTRY_KEY}" not in received.headers.get("X-Sentry-Auth", ""):
            return 403, {"detail": "missing authorization information"}
        kinds = [header["type"] for header, _payload in envelope_items(received.body)]
        if kinds.count("event") > 1:
            return 400, {"detail": "invalid event envelope"}
        return 200, {"id": "0" * 32}


def refusal(status: int, description: str, **parameters: Any) -> tuple[int, Any]:
    """An error as the Bot API words it."""
    body = {"ok": False, "error_code": status, "description": description}
    return status, dict(body, parameters=parameters) if parameters else body


def refuse(status: int, description: str, **parameters: Any) -> Answer:
    """The same as an entry of a script."""
    return Answer(*refusal(status, description, **parameters))


def envelope_items(body: bytes) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The items of an envelope (https://develop.sentry.dev/sdk/data-model/envelopes/)."""
    items = []
    rest = body.partition(b"\n")[2]
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        header = json.loads(line)
        length = header["length"]
        items.append((header, json.loads(rest[:length])))
        rest = rest[length:].lstrip(b"\n")
    return items


class _Visible(html.parser.HTMLParser):
    """Telegram's HTML: known tags, properly nested; `<`, `>` and `&` in no other role."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in {"b", "i", "u", "s", "code", "pre"} or attrs:
            raise ValueError(f'Unsupported start tag "{tag}"')
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise ValueError(f'Unexpected end tag "{tag}"')

    def handle_data(self, data: str) -> None:
        self.text += data


def visible_text(text: str) -> str:
    """What a reader sees of Telegram's HTML; ValueError where the real server cannot parse."""
    parser = _Visible()
    parser.feed(text)
    parser.close()
    if parser.open:
        raise ValueError(f'Can\'t find end tag corresponding to start tag "{parser.open[-1]}"')
    return parser.text


@contextlib.contextmanager
def running(stub: Any) -> Iterator[Any]:
    """Serve in a thread until the block ends."""
    thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.closing.set()
        stub.shutdown()
        stub.server_close()
        thread.join()


def telegram_stub(*script: Answer) -> contextlib.AbstractContextManager[TelegramStub]:
    return running(TelegramStub(script))


def sentry_stub(*script: Answer) -> contextlib.AbstractContextManager[SentryStub]:
    return running(SentryStub(script))


def refused_address() -> str:
    """An address of the loopback where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
