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
_NUMBERS = re.compile(r"\d+(?:,\d+)*\Z", re.ASCII)
_RANGE = re.compile(r"(?:(\*)|(\d+)-(\d+)|(\d+))/(\d+)\Z|(\d+)-(\d+)\Z", re.ASCII)


@dataclass(frozen=True)
class _Field:
    name: str
    least: int
    most: int
    words: dict[str, int] = field(default_factory=dict)

    def accepts(self, text: str) -> bool:
        for word, number in self.words.items():
            text = re.sub(word, str(number), text, flags=re.IGNORECASE)
        if text == "*" or (self.name == "day of the month" and text == "L"):
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


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, {word: number for number, word in enumerate(_MONTHS, 1)}),
    _Field("day of the week", 0, 7, {word: number for number, word in enumerate(_DAYS)}),
)


def check_cron(app: str, pattern: str) -> None:
    """Raises SettingsError for a pattern that is not five fields, or six with seconds, each as PM2 reads it."""
    parts = pattern.split()
    fields = _FIELDS[len(_FIELDS) - len(parts) :]
    if len(parts) not in (5, 6):
        raise _unreadable(app, pattern, "it has %d fields and not five, or six with seconds" % len(parts))
    for part, known in zip(parts, fields):
        if not known.accepts(part):
            raise _unreadable(app, pattern, f"its {known.name} is {part}")


def _unreadable(app: str, pattern: str, why: str) -> SettingsError:
    return SettingsError(
        f'PM2 cannot read the cron_restart "{pattern}" of {app}: {why}',
        stage="settings",
        remedy="A field is *, a number, numbers with commas, a range 1-5, or either with a step: */5, 1-9/2. "
        "A range cannot stand in a list.",
    )
