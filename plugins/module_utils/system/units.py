# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes and durations as people write them."""

from __future__ import annotations

import math

# Decimal (SI) prefixes, as disks and object stores are sold and billed: 1 kB is 1,000 bytes.
SIZE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
SIZE_STEP = 1000.0

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def human_size(size: float) -> str:
    """Bytes as text in decimal units with one decimal: ``999 B``, ``353.2 kB``, ``1.1 GB``.

    Raises ValueError for a number that is not finite.
    """
    if not math.isfinite(size):
        raise ValueError(f"a size must be a finite number of bytes, not {size!r}")
    sign = "-" if size < 0 else ""
    amount = float(round(abs(size)))
    if amount < SIZE_STEP:
        return "%s%d B" % (sign, amount)
    unit = 0
    # Rounded first, so that 999,950 bytes are "1.0 MB" and never "1000.0 kB".
    while round(amount, 1) >= SIZE_STEP and unit < len(SIZE_UNITS) - 1:
        amount /= SIZE_STEP
        unit += 1
    return f"{sign}{amount:.1f} {SIZE_UNITS[unit]}"


def human_duration(seconds: float) -> str:
    """Seconds as text in at most two units: ``350 ms``, ``1.1 s``, ``2 min 5 s``, ``3 h 4 min``, ``2 d 3 h``.

    Raises ValueError for a number that is not finite.
    """
    if not math.isfinite(seconds):
        raise ValueError(f"a duration must be a finite number of seconds, not {seconds!r}")
    sign = "-" if seconds < 0 else ""
    amount = abs(float(seconds))
    if amount == 0:
        return "0 s"
    if round(amount * 1000) < 1000:
        return "%s%d ms" % (sign, round(amount * 1000))
    if round(amount, 1) < MINUTE:
        return f"{sign}{amount:.1f} s"
    return sign + _two_units(amount)


def _two_units(amount: float) -> str:
    whole = round(amount)
    if whole < HOUR:
        return "%d min %d s" % divmod(whole, MINUTE)
    minutes = round(amount / MINUTE)
    if minutes * MINUTE < DAY:
        return "%d h %d min" % divmod(minutes, HOUR // MINUTE)
    return "%d d %d h" % divmod(round(amount / HOUR), DAY // HOUR)
