# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that kill themselves at a moment of one's choice."""

from __future__ import annotations

import os
import signal
from typing import Any


def kill_at(place: Any, name: str, number: int, when: str) -> None:
    """Have this process killed before or after the number-th call of the function of that name in ``place``."""
    original = getattr(place, name)
    calls = 0

    def call(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        if (calls, when) == (number, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **keywords)
        if (calls, when) == (number, "after"):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(place, name, call)
