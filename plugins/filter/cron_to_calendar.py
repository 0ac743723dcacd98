# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A filter that says a schedule of cron in the words of systemd, so that one list of jobs serves PM2 and timers."""

from __future__ import annotations

import re
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.baileys.resilience.plugins.module_utils.processes.pm2_cron import (
    CRON_FIELDS,
    CRON_REMEDY,
    LAST_DAY,
    why_unreadable,
)

# Without the seconds, which come first. (One by one: the documentation tools know no tuples.)
_MINUTE = CRON_FIELDS[1]
_HOUR = CRON_FIELDS[2]
_DAY = CRON_FIELDS[3]
_MONTH = CRON_FIELDS[4]
_WEEKDAY = CRON_FIELDS[5]
# By the numbers of cron, where Sunday is 0 and 7; systemd writes them from Monday.
_WEEKDAYS = {1: "Mon", 2: "Tue", 3: "Wed", 4: "Thu", 5: "Fri", 6: "Sat", 0: "Sun"}
# The most that a month has.
_DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def cron_to_calendar(pattern: Any) -> str:
    """The C(OnCalendar) of a pattern of five fields, in UTC. Raises AnsibleFilterError."""
    why = _why_not(pattern)
    if why is not None:
        raise AnsibleFilterError(f'The schedule "{pattern}" cannot be used: {why}')
    minute, hour, day, month, weekday = pattern.split()
    date = f"*-{_numbers(_MONTH, month)}" + ("~01" if day == LAST_DAY else f"-{_numbers(_DAY, day)}")
    time = f"{_numbers(_HOUR, hour)}:{_numbers(_MINUTE, minute)}:00 UTC"
    days = {number % 7 for number in _WEEKDAY.values(weekday)}
    named = ",".join(name for number, name in _WEEKDAYS.items() if number in days)
    return f"{date} {time}" if len(days) == len(_WEEKDAYS) else f"{named} {date} {time}"


def _why_not(pattern: Any) -> str | None:
    if not isinstance(pattern, str):
        return f"it is no text but of type {type(pattern).__name__}"
    why = why_unreadable(pattern)
    if why is not None:
        return f"{why}. {CRON_REMEDY}"
    fields = pattern.split()
    if len(fields) != 5:
        return "it has seconds, which cron does not. Leave out the first field."
    day, month, weekday = fields[2:]
    if day != "*" and weekday != "*":
        return (
            "it names days of the month and days of the week; cron runs it on either, PM2 on such as are both. "
            "Make two jobs of it, or leave one of the two a *."
        )
    for known, text in ((_DAY, day), (_MONTH, month)):
        if re.match(r"\w+/", text):
            return f"its {known.name} is {text}, which PM2 takes one too late. Write the end too: 1-{known.most}/2."
    longest = max(_DAYS_OF_MONTH[number - 1] for number in _MONTH.values(month))
    if day != LAST_DAY and _DAY.values(day)[0] > longest:
        return f"none of its months has a day {day}, so it would never run."
    return None


def _numbers(known: Any, text: str) -> str:
    return "*" if text == "*" else ",".join("%02d" % number for number in known.values(text))


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[[Any], str]]:
        return {"cron_to_calendar": cron_to_calendar}
