# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The history of a source's drills, and how long a restore will take when the database has grown."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..system.files import private_directory, write_private

MOST_ENTRIES = 100
FACTORS = (10, 100)
# Drills of sizes this far apart tell what of the time goes with the size; nearer ones tell only their noise.
SPREAD = 1.5

Entry = dict[str, Any]


def history_path(state_directory: str, source: str) -> str:
    """Where the history of a source's drills is kept."""
    return os.path.join(state_directory, "history", "drill-%s.json" % file_name_of(source))


def file_name_of(source: str) -> str:
    """The name of a source as part of a file's name; two sources never share one."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", source)
    return plain if plain == source else "%s-%s" % (plain, hashlib.sha256(source.encode()).hexdigest()[:8])


def read_history(path: str) -> list[Entry]:
    """Earlier drills, oldest first. A damaged history is an empty one: it only feeds a forecast."""
    try:
        with open(path, encoding="utf-8") as stream:
            return [_entry(entry) for entry in json.load(stream)]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return []


def _entry(entry: Mapping[str, Any]) -> Entry:
    """The entry with what is relied on. Raises ValueError, KeyError, TypeError, OverflowError for a damaged one."""
    seconds, size = float(entry["duration_seconds"]), int(entry["content_bytes"])
    if not (math.isfinite(seconds) and seconds >= 0 and size >= 0):
        raise ValueError("no drill takes such a time or has such a size")
    return dict(entry, at=str(entry["at"]), duration_seconds=seconds, content_bytes=size, verdict=str(entry["verdict"]))


def add_to_history(path: str, entry: Entry) -> list[Entry]:
    """Add a drill and return all that are kept. Raises ResilienceError when it cannot be written."""
    entries = [*read_history(path), entry][-MOST_ENTRIES:]
    private_directory(os.path.dirname(path))
    write_private(path, (json.dumps(entries, indent=1) + "\n").encode("ascii"))
    return entries


def judge_rto(
    history: Sequence[Mapping[str, Any]], fixed_seconds: float, duration: float, content_bytes: int, target: float
) -> dict[str, Any]:
    """The drill's time against the target (seconds), and the forecast at 10 and 100 times the size.

    ``fixed_seconds`` is what this drill spent on what does not grow (starting the server).
    """
    base, per_byte, basis = _model(history, fixed_seconds, duration, content_bytes)
    forecast = []
    for factor in FACTORS:
        seconds = max(duration, base + per_byte * content_bytes * factor)
        forecast.append({"factor": factor, "seconds": round(seconds, 1), "met": seconds <= target})
    return {"target_seconds": target, "met": duration <= target, "forecast": forecast, "basis": basis}


def _model(
    history: Sequence[Mapping[str, Any]], fixed_seconds: float, duration: float, content_bytes: int
) -> tuple[float, float, str]:
    """Seconds that do not grow, seconds a byte, and where both come from."""
    points = [
        (int(entry["content_bytes"]), float(entry["duration_seconds"]))
        for entry in history
        if entry.get("verdict") == "proven"
    ]
    sizes = [size for size, _seconds in points]
    if len(points) >= 3 and min(sizes) > 0 and max(sizes) >= SPREAD * min(sizes):
        # Least squares.
        mean_size = sum(sizes) / len(points)
        mean_time = sum(seconds for _size, seconds in points) / len(points)
        per_byte = sum((size - mean_size) * (seconds - mean_time) for size, seconds in points) / sum(
            (size - mean_size) ** 2 for size in sizes
        )
        if per_byte > 0:
            return max(0.0, mean_time - per_byte * mean_size), per_byte, "%d drills of different sizes" % len(points)
    growing = max(0.0, duration - fixed_seconds)
    return fixed_seconds, growing / max(1, content_bytes), "this drill: all but starting the server grows with the size"
