# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows a person the last page of a module: what was done, what is true now, what to do next."""

from __future__ import annotations

from typing import Any

from ansible.utils.display import Display

from .watched_action import WatchedAction


class PagedAction(WatchedAction):
    """Runs the module of the same name; its result's ``page`` is a list of lines."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> Any:
        """As of any module, then the page. Ansible itself would show it as a list of quoted texts."""
        result = super().run(tmp, task_vars)
        lines = ["".join(filter(str.isprintable, str(line))) for line in result.get("page") or []]
        if lines:
            Display().display("\n".join(["", *lines, ""]))
        return result
