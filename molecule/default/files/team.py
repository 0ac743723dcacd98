# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""team.py DIRECTORY: stands in for Telegram (port 8081) and Sentry (8082), and writes down what they received."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

# On its host the support of the tests lies beside this file, as it does in the repository.
from tests.support.stub_servers import Answer, Received, SentryStub, TelegramStub, envelope_items


class Telegram(TelegramStub):
    """Keeps the texts, a JSON string in each line."""

    record: Path

    def take(self, received: Received) -> Answer:
        with self.record.open("a") as record:
            record.write(json.dumps(json.loads(received.body)["text"]) + "\n")
        return super().take(received)


class Sentry(SentryStub):
    """Keeps the items of the envelopes, `[header, item]` in each line."""

    record: Path

    def take(self, received: Received) -> Answer:
        with self.record.open("a") as record:
            for item in envelope_items(received.body):
                record.write(json.dumps(item) + "\n")
        return super().take(received)


def main(directory: Path) -> None:
    servers: list[Telegram | Sentry] = [Telegram((), ("0.0.0.0", 8081)), Sentry((), ("0.0.0.0", 8082))]  # noqa: S104 - its hosts are in other networks
    for server, name in zip(servers, ("telegram", "sentry"), strict=True):
        server.record = directory / f"{name}.jsonl"
        server.record.touch()
        threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
