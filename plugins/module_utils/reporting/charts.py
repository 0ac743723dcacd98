# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Charts of a page, as SVG within it.

Positions across are percentages, so a chart is as wide as the page while its words keep their size; that
is why there are lines and marks here and no paths.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from ..system.units import human_duration
from .page import Html, element, items, joined, name, text

# The history: room for the labels of the grid at the left, and for half a mark at the right.
LEFT_PERCENT, RIGHT_PERCENT = 17.0, 97.0
PLOT_TOP, PLOT_BOTTOM, CHART_HEIGHT = 22.0, 202.0, 226
# Where lines of the grid may be, in seconds: what people call durations by.
GRID_SECONDS = (0.01, 0.1, 1, 10, 60, 600, 3600, 6 * 3600, 86400, 10 * 86400, 100 * 86400)
# The lowest and highest mark stay this far from the edge (a factor: the scale is logarithmic).
MARGIN_FACTOR = 1.6
# Under a millisecond a duration says nothing, and 0 has no logarithm.
SHORTEST_SECONDS = 0.001


@dataclasses.dataclass(frozen=True)
class Point:
    """One run in a history: what it is called, its seconds, and a tone (``good``, ``bad``, ``unsure``)."""

    label: str
    seconds: float
    tone: str
    detail: str


def timeline(caption: str, steps: Sequence[tuple[str, float]]) -> Html:
    """Steps that followed one another, each a bar that begins where the one before it ended.

    ``steps`` are names and seconds. The figures stand beside the bars, so those who cannot see them lose nothing.
    """
    total = sum(max(0.0, seconds) for _name, seconds in steps)
    rows = []
    begun = 0.0
    for label, seconds in steps:
        cells = [
            element("th", name(label), scope="row"),
            element("td", _bar(begun, seconds, total), class_="track"),
            element("td", human_duration(seconds), class_="n"),
            element("td", "%d\u00a0%%" % round(100 * seconds / total) if total else "", class_="n"),
        ]
        rows.append(element("tr", *cells))
        begun += max(0.0, seconds)
    heads = [
        element("th", "Step", scope="col"),
        element("td", ""),
        element("th", "Time", scope="col", class_="n"),
        element("th", "Share", scope="col", class_="n"),
    ]
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", *rows),
        class_="timeline",
    )


def _bar(begun: float, seconds: float, total: float) -> Html:
    share = 100 / total if total else 0.0
    # However short, it happened: a line of it is to be seen.
    width = max(0.4, seconds * share)
    start = min(begun * share, 100 - width)
    shape = element("rect", class_="bar", x=_percent(start), y="0", width=_percent(width), height="12", rx="1.5")
    return element("svg", shape, width="100%", height="12", aria_hidden="true")


def history(title: str, points: Sequence[Point], target_seconds: float | None, words: Mapping[str, str]) -> Html:
    """Durations of earlier runs and this one, oldest first, against a target; nothing without points.

    ``words`` say what each tone means here.

    The scale is logarithmic: a target a hundred times the measured time is still on the chart with it.
    """
    if not points:
        return Html("")
    scale = _Scale.of([point.seconds for point in points], target_seconds)
    places = [_across(index, len(points)) for index in range(len(points))]
    drawn = element(
        "svg",
        element("title", title),
        element("desc", _in_words(points, target_seconds)),
        *_grid(scale, target_seconds),
        *_target(scale, target_seconds),
        *_connections(points, places, scale),
        *(_mark(point, place, scale) for point, place in zip(points, places)),
        *_ends(points, places),
        class_="chart",
        width="100%",
        height=CHART_HEIGHT,
        role="img",
    )
    return joined(drawn, _key(points, words))


@dataclasses.dataclass(frozen=True)
class _Scale:
    lowest: float
    highest: float

    @classmethod
    def of(cls, seconds: Sequence[float], target: float | None) -> _Scale:
        values = [max(SHORTEST_SECONDS, value) for value in (*seconds, *([target] if target else []))]
        return cls(min(values) / MARGIN_FACTOR, max(values) * MARGIN_FACTOR)

    def down(self, seconds: float) -> float:
        """Pixels from the top of the chart."""
        share = math.log(max(SHORTEST_SECONDS, seconds) / self.lowest) / math.log(self.highest / self.lowest)
        return PLOT_BOTTOM - share * (PLOT_BOTTOM - PLOT_TOP)


def _across(index: int, number: int) -> float:
    if number == 1:
        return (LEFT_PERCENT + RIGHT_PERCENT) / 2
    return LEFT_PERCENT + (RIGHT_PERCENT - LEFT_PERCENT) * index / (number - 1)


def _grid(scale: _Scale, target: float | None) -> list[Html]:
    drawn = [_line(PLOT_BOTTOM, "grid")]
    for seconds in GRID_SECONDS:
        y = scale.down(seconds)
        if not scale.lowest < seconds < scale.highest or y > PLOT_BOTTOM - 16:
            continue
        drawn.append(_line(y, "grid"))
        if target is None or abs(y - scale.down(target)) > 16:
            drawn.append(element("text", round_duration(seconds), x="0", y="%.1f" % (y - 4)))
    return drawn


def round_duration(seconds: float) -> str:
    """A round duration in its one unit: ``10 min``, where human_duration says ``10 min 0 s``; any other as it does."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return "%d %s" % (seconds // size, unit)
    return "%d s" % seconds if seconds in range(1, 60) else human_duration(seconds)


def _target(scale: _Scale, target: float | None) -> list[Html]:
    if not target:
        return []
    y = scale.down(target)
    words = "target " + round_duration(target)
    return [_line(y, "target"), element("text", words, class_="target-label", x="0", y="%.1f" % (y - 5))]


def _line(y: float, class_: str) -> Html:
    height = "%.1f" % y
    return element("line", class_=class_, x1="0", x2="100%", y1=height, y2=height)


def _connections(points: Sequence[Point], places: Sequence[float], scale: _Scale) -> list[Html]:
    heights = [scale.down(point.seconds) for point in points]
    return [
        element(
            "line",
            class_="path",
            x1=_percent(places[index]),
            y1="%.1f" % heights[index],
            x2=_percent(places[index + 1]),
            y2="%.1f" % heights[index + 1],
        )
        for index in range(len(points) - 1)
    ]


def _mark(point: Point, place: float, scale: _Scale) -> Html:
    told = element("title", "%s: %s, %s" % (point.label, human_duration(point.seconds), point.detail))
    return element(
        "svg", _shape(point.tone, told), x=_percent(place), y="%.1f" % scale.down(point.seconds), overflow="visible"
    )


def _shape(tone: str, *children: Html) -> Html:
    """A dot, a ring or a cross: told apart without colours."""
    if tone == "bad":
        return element("path", *children, class_="point bad", d="M-4.5-4.5l9 9M4.5-4.5l-9 9")
    return element("circle", *children, class_="point unsure" if tone == "unsure" else "point", r="3.5")


def _ends(points: Sequence[Point], places: Sequence[float]) -> list[Html]:
    y = PLOT_BOTTOM + 18
    if len(points) == 1:
        return [element("text", name(points[0].label), x=_percent(places[0]), y=y, text_anchor="middle")]
    return [
        element("text", name(points[0].label), x=_percent(places[0]), y=y, text_anchor="start"),
        element("text", name(points[-1].label), x="100%", y=y, text_anchor="end"),
    ]


def _key(points: Sequence[Point], words: Mapping[str, str]) -> Html:
    present = [tone for tone in words if any(point.tone == tone for point in points)]
    entries = [
        joined(
            element(
                "svg",
                element("svg", _shape(tone), x="6", y="6", overflow="visible"),
                width="12",
                height="12",
                aria_hidden="true",
            ),
            words[tone],
        )
        for tone in present
    ]
    return items([*entries, "The scale is logarithmic."], class_="key")


def _in_words(points: Sequence[Point], target: float | None) -> Html:
    seconds = [point.seconds for point in points]
    words = "%d from %s to %s, the last %s" % (
        len(points),
        human_duration(min(seconds)),
        human_duration(max(seconds)),
        human_duration(seconds[-1]),
    )
    if target:
        words += "; target " + round_duration(target)
    return text(words)


def _percent(share: float) -> str:
    return "%.2f%%" % share
