# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether PM2 can read a schedule: one that it cannot ends its daemon, and with that the schedules of every app."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..system.errors import SettingsError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# In the field of the day of the month.
LAST_DAY = "L"
CRON_REMEDY = (
    "A field is *, a number, numbers with commas, a range 1-5, or either with a step: */5, 1-9/2. "
    "A range cannot stand in a list."
)
_NUMBERS = re.compile(r"\d+(?:,\d+)*\Z", re.ASCII)
_RANGE = re.compile(r"(?:(\*)|(\d+)-(\d+)|(\d+))/(\d+)\Z|(\d+)-(\d+)\Z", re.ASCII)


@dataclass(frozen=True)
class CronField:
    """One field of a schedule: its bounds, and the words that stand for numbers."""

    name: str
    least: int
    most: int
    words: dict[str, int] = field(default_factory=dict)

    def accepts(self, text: str) -> bool:
        """Whether PM2 can read it."""
        text = self._in_numbers(text)
        if text == "*" or (self.name == "day of the month" and text == LAST_DAY):
            return True
        if _NUMBERS.match(text):
            return all(self.least <= int(number) <= self.most for number in text.split(","))
        match = _RANGE.match(text)
        if match is None:
            return False
        star, first, last, start, step, low, high = match.groups()
        numbers = [int(number) for number in (first or low or start, last or high) if number is not None]
        in_order = numbers == sorted(numbers) and all(self.least <= number <= self.most for number in numbers)
        return (star is not None or in_order) and (step is None or 1 <= int(step) <= self.most - self.least + 1)

    def values(self, text: str) -> list[int]:
        """The numbers that a text which is accepted stands for, other than that of the last day, in order."""
        text = self._in_numbers(text)
        if _NUMBERS.match(text):
            return sorted({int(number) for number in text.split(",")})
        match = _RANGE.match(text)
        if match is None:
            return list(range(self.least, self.most + 1))
        _star, first, last, start, step, low, high = match.groups()
        # A number with a step and no end goes on to the last one.
        begin, end = first or low or start or self.least, last or high or self.most
        return list(range(int(begin), int(end) + 1, int(step or 1)))

    def _in_numbers(self, text: str) -> str:
        for word, number in self.words.items():
            text = re.sub(word, str(number), text, flags=re.IGNORECASE)
        return text


CRON_FIELDS = (
    CronField("second", 0, 59),
    CronField("minute", 0, 59),
    CronField("hour", 0, 23),
    CronField("day of the month", 1, 31),
    CronField("month", 1, 12, {word: number for number, word in enumerate(_MONTHS, 1)}),
    CronField("day of the week", 0, 7, {word: number for number, word in enumerate(_DAYS)}),
)


def check_cron(app: str, pattern: str) -> None:
    """Raises SettingsError for a pattern that is not five fields, or six with seconds, each as PM2 reads it."""
    why = why_unreadable(pattern)
    if why is not None:
        raise SettingsError(
            f'PM2 cannot read the cron_restart "{pattern}" of {app}: {why}', stage="settings", remedy=CRON_REMEDY
        )


def why_unreadable(pattern: str) -> str | None:
    """Why PM2 cannot read the pattern; None where it can."""
    parts = pattern.split()
    if len(parts) not in (5, 6):
        return "it has %d fields and not five, or six with seconds" % len(parts)
    for part, known in zip(parts, CRON_FIELDS[len(CRON_FIELDS) - len(parts) :]):
        if not known.accepts(part):
            return f"its {known.name} is {part}"
    return None
