# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of an emergency: the service that moves, and the data it is to run on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..postgres.settings import ConnectionSettings
from ..sessions.layout import SessionLayout
from ..system.errors import SettingsError

WORKTREE, CHECKOUT = "worktree", "checkout"
DATABASE, STANDBY, BACKUP, AUTO = "database", "standby", "backup", "auto"

# All three must be false, or the code at the tag goes on asking the database (facts of the service).
FILE_SETTINGS = {
    "USE_REPOSITORY_PATTERN": "false",
    "USE_DATABASE_AUTH_STATE": "false",
    "USE_LEGACY_SUPABASE": "false",
}
# What Baileys and the service log once WhatsApp has accepted the login. "connected to WA" comes before it.
CONNECTED_PATTERNS = (r"opened connection to WA", r"connection['\"]?\s*:\s*['\"]open\b")
# The credentials were refused (401), are used elsewhere (440), or were not found, so that a new phone is asked for.
# Only in a line that speaks of a connection: an HTTP server logs a 401 of its own.
FAILED_PATTERNS = (
    r"(?i)^(?=.*(connection|disconnect|logged ?out|conflict)).*statusCode['\"]?\s*:\s*(401|440)\b",
    r"\bqr['\"]?\s*:\s*['\"]",
)


@dataclass(frozen=True)
class Service:
    """The PM2 app that moves. Times are in seconds.

    ``release`` is how the code at ``tag`` is brought up: in a git ``worktree`` of its own at ``release_directory``,
    which leaves the other apps of the checkout alone, or by a ``checkout`` in place. ``settings`` go into the ``.env``
    it then reads. ``sessions_directory`` is where that code keeps its sessions, one directory a tenant;
    ``sessions_variable`` the setting that tells it so, if there is one.
    """

    app: str
    checkout: str
    sessions_directory: str
    tag: str = "emergency-file-fallback-v1"
    release: str = WORKTREE
    release_directory: str = ""
    env_file: str = ""
    settings: Mapping[str, str] = field(default_factory=lambda: dict(FILE_SETTINGS))
    sessions_variable: str | None = None
    pm2_program: str | None = None
    pm2_home: str | None = None
    pm2_user: str | None = None
    npm_program: str = "npm"
    npm_timeout: float = 300.0
    stop_timeout: float = 30.0
    connected_timeout: float = 120.0
    connected_patterns: tuple[str, ...] = CONNECTED_PATTERNS
    failed_patterns: tuple[str, ...] = FAILED_PATTERNS
    connections: int = 1

    def __post_init__(self) -> None:
        for name in ("checkout", "sessions_directory"):
            if not os.path.isabs(getattr(self, name)):
                raise SettingsError(
                    f"{name} is {getattr(self, name)!r}, which is no absolute path",
                    stage="settings",
                    remedy="Give the path from the root of the host.",
                )
        if self.release not in (WORKTREE, CHECKOUT):
            raise SettingsError(f"release is {self.release!r}", stage="settings", remedy="Use worktree or checkout.")
        # A service with other settings has none of these; with one of them missing or true it would go on asking.
        wrong = [name for name, value in FILE_SETTINGS.items() if self.settings.get(name, value) != value]
        wrong += [name for name in FILE_SETTINGS if name not in self.settings]
        if wrong and any(name in self.settings for name in FILE_SETTINGS):
            raise SettingsError(
                "settings leave {} without the value false".format(", ".join(wrong)),
                stage="settings",
                remedy="The code at the tag runs from files only if all three are false: {}.".format(
                    ", ".join(FILE_SETTINGS)
                ),
            )

    @property
    def code_directory(self) -> str:
        """Where the code at the tag will stand."""
        if self.release == CHECKOUT:
            return os.path.normpath(self.checkout)
        return os.path.normpath(self.release_directory or os.path.normpath(self.checkout) + "-emergency")

    @property
    def own_env_file(self) -> str:
        """The ``.env`` that the service reads today."""
        return self.env_file or os.path.join(os.path.normpath(self.checkout), ".env")

    @property
    def emergency_env_file(self) -> str:
        """The ``.env`` that the code at the tag will read: a copy beside it, or in place the very same."""
        return moved(self.own_env_file, self.checkout, self.code_directory)

    @property
    def emergency_settings(self) -> dict[str, str]:
        """What that ``.env`` is made to say."""
        where = {self.sessions_variable: self.sessions_directory} if self.sessions_variable else {}
        return {**self.settings, **where}


@dataclass(frozen=True)
class EmergencyRequest:
    """One rollback or roll-forward. Times are in seconds; ``max_data_age`` too, ``backup_max_age`` in hours.

    ``confirm`` must be the name of the app, or nothing is touched. ``data_source`` other than ``auto`` overrules the
    choice. ``accept_stale`` allows data older than ``max_data_age``.
    """

    source: str
    settings: ConnectionSettings
    layout: SessionLayout
    service: Service
    state_directory: str
    backup_root: str
    by: str = "emergency"
    confirm: str | None = None
    data_source: str = AUTO
    max_data_age: float = 900.0
    accept_stale: bool = False
    require_backup: bool = True
    backup_max_age: float = 1.0
    client_directory: str | None = None
    server_directory: str | None = None
    scratch_directory: str | None = None
    lock_timeout: float = 0.0


def moved(path: str, from_directory: str, to_directory: str) -> str:
    """The same place below another directory; a path that is not below ``from_directory`` stays as it is."""
    below = os.path.relpath(os.path.normpath(path), os.path.normpath(from_directory))
    if below == os.pardir or below.startswith(os.pardir + os.sep):
        return path
    return os.path.normpath(os.path.join(to_directory, below))
