# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one family of exceptions of the core."""

from __future__ import annotations

from collections.abc import Sequence


class ResilienceError(Exception):
    """An expected failure, told so that a person can act on it.

    ``message`` says what happened, to what and why; ``remedy`` says what to do next. ``stage`` names the
    part of the work that was reached (``version``, ``lock``, ``snapshot``, ``dump``, ``verify``, ...).
    ``cmd``, ``rc`` and ``stderr`` are those of a program that failed; secrets never reach any of them.
    """

    def __init__(
        self,
        message: str,
        *,
        stage: str | None = None,
        remedy: str | None = None,
        cmd: Sequence[str] | None = None,
        rc: int | None = None,
        stderr: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.stage = stage
        self.remedy = remedy
        self.cmd = list(cmd) if cmd is not None else None
        self.rc = rc
        self.stderr = stderr

    def at_stage(self, stage: str) -> ResilienceError:
        """Name the stage unless a deeper layer already has; returns the same error for ``raise``."""
        if self.stage is None:
            self.stage = stage
        return self


class SettingsError(ResilienceError):
    """A setting is missing, malformed, or contradicts another."""


class MissingDependencyError(ResilienceError):
    """A program or Python package is not installed on this host; the remedy names the package."""


class ConnectionFailedError(ResilienceError):
    """The server could not be reached, or refused this role.

    ``transient`` is true for a failure that may pass by itself (requirements row 14).
    """

    def __init__(
        self,
        message: str,
        *,
        transient: bool = False,
        stage: str | None = None,
        remedy: str | None = None,
        stderr: str | None = None,
    ) -> None:
        super().__init__(message, stage=stage, remedy=remedy, stderr=stderr)
        self.transient = transient


class IncompatibleVersionError(ResilienceError):
    """The client tools are older than the server; nothing was touched."""


class LockedError(ResilienceError):
    """Another run holds the lock of this backup root."""


class ProgramFailedError(ResilienceError):
    """A program ended with a status other than zero, or was killed."""


class ArchiveError(ResilienceError):
    """An archive, or what was to become one, is not what it claims to be."""
