# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request as a rollback gets it, for tests that need no host."""

from __future__ import annotations

import dataclasses
from typing import Any

from ansible_collections.baileys.resilience.plugins.module_utils.emergency.request import EmergencyRequest, Service
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.settings import ConnectionSettings
from ansible_collections.baileys.resilience.plugins.module_utils.sessions.layout import SessionLayout

SERVICE = Service(app="whatsapp", checkout="/opt/whatsapp", sessions_directory="/var/lib/whatsapp/sessions")
REQUEST = EmergencyRequest(
    source="whatsapp",
    settings=ConnectionSettings({"host": "db.example.net", "dbname": "whatsapp"}, "s3cret"),
    layout=SessionLayout(),
    service=SERVICE,
    state_directory="/var/lib/baileys-resilience",
    backup_root="/var/backups/postgresql",
)


def request(**changes: Any) -> EmergencyRequest:
    """The request with these changes."""
    return dataclasses.replace(REQUEST, **changes)
