# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Server and client side by side: does a client here fit this server, and which?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..system.errors import IncompatibleVersionError
from .client import ClientTools, choose_client, find_clients
from .settings import ConnectionSettings
from .snapshot import server_session
from .version import Version

LOCK_SECONDS = 10.0


@dataclass(frozen=True)
class Compatibility:
    """``chosen`` is the client to use, or the newest one if none fits; ``error`` says so then."""

    server: Version
    clients: tuple[ClientTools, ...]
    chosen: ClientTools
    error: IncompatibleVersionError | None

    def as_dict(self) -> dict[str, Any]:
        """The module's result."""
        result: dict[str, Any] = {
            "compatible": self.error is None,
            "server_version": str(self.server),
            "client_version": str(self.chosen.version),
            "client_directory": self.chosen.directory,
            "clients": [{"directory": tools.directory, "version": str(tools.version)} for tools in self.clients],
        }
        if self.error is not None:
            result["remedy"] = self.error.remedy
        return result


def check_versions(settings: ConnectionSettings, client_directory: str | None = None) -> Compatibility:
    """Ask the server and the installed clients for their versions.

    Raises ConnectionFailedError when the server cannot be reached, MissingDependencyError when there is no
    client at all.
    """
    clients = find_clients(client_directory)
    with server_session(settings, clients, LOCK_SECONDS) as (_connection, server):
        try:
            return Compatibility(server.version, clients, choose_client(clients, server.version), None)
        except IncompatibleVersionError as error:
            return Compatibility(server.version, clients, clients[0], error)
