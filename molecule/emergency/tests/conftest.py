# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service says of itself on its host, and what the scenario noted before it was moved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

STATUS = "/var/lib/whatsapp/whatsapp.json"
WAIT_SECONDS = 30.0


class Service:
    """The fixture service on its host."""

    def __init__(self, host: Any) -> None:
        self.host = host

    def read(self, path: str) -> Any:
        """A JSON document on the host."""
        return json.loads(self.host.file(path).content_string)

    def noted(self) -> dict[str, Any]:
        """What it said when it last came to rest."""
        noted: dict[str, Any] = self.read("/root/noted.json")
        return noted

    def wait(self, condition: Callable[[dict[str, Any]], Any], otherwise: str) -> dict[str, Any]:
        """Wait until this holds of what it says, and return that."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition(said := self.read(STATUS)):
            assert time.monotonic() < deadline, f"{otherwise}: {said}"
            time.sleep(0.2)
        status: dict[str, Any] = said
        return status

    def connected(self, side: str) -> dict[str, Any]:
        """What it says once it is connected on this side, in a process that lives."""
        said = self.wait(lambda now: now["connected"] and now["pid"] in self.pids(), "it is not connected")
        assert said["auth"] == side
        return said

    def pids(self) -> list[int]:
        """Every process of the service there is, whoever started it."""
        found = self.host.run("pgrep --full '^node /opt/whatsapp[^ ]*/whatsapp.mjs'").stdout
        return [int(pid) for pid in found.split()]

    def rows(self, text: str) -> dict[tuple[str, str, str], dict[str, Any]]:
        """The rows of whatsapp_keys as `session-rows` prints them, by their primary key."""
        rows = [json.loads(line) for line in text.splitlines()]
        return {(row["company_id"], row["key_type"], row["key_id"]): row for row in rows}


@pytest.fixture
def service(host: Any) -> Service:
    return Service(host)
