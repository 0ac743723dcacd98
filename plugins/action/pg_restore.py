# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of this name and shows its progress to a person at a terminal."""

from __future__ import annotations

from ansible_collections.baileys.resilience.plugins.plugin_utils.watched_action import WatchedAction


class ActionModule(WatchedAction):
    """See plugin_utils/watched_action.py."""

    job = "restore"
