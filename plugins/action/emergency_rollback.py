# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of this name, shows its progress to a person at a terminal, and its page at the end."""

from __future__ import annotations

from ansible_collections.baileys.resilience.plugins.plugin_utils.paged_action import PagedAction


class ActionModule(PagedAction):
    """See plugin_utils/paged_action.py and watched_action.py."""

    job = "emergency_rollback"
