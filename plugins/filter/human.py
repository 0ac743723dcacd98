# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that write sizes and durations for people."""

from __future__ import annotations

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.baileys.resilience.plugins.module_utils.system.units import (
    human_duration,
    human_size,
)


def _filter(name: str, function: Callable[[float], str]) -> Callable[[Any], str]:
    def apply(value: Any) -> str:
        # A template hands over what it has: a number, or the text of one. True and False are neither.
        if isinstance(value, bool):
            raise AnsibleFilterError("%s expects a number, not the boolean %s" % (name, value))
        try:
            return function(float(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise AnsibleFilterError(
                "%s expects a finite number, not %r of type %s" % (name, value, type(value).__name__)
            ) from error

    return apply


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[[Any], str]]:
        return {
            "human_size": _filter("human_size", human_size),
            "human_duration": _filter("human_duration", human_duration),
        }
