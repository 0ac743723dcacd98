# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of a drill: what was proven, of which archive, how long it took, and what was found where.

It shows what is in the drill's result and judges nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..reporting import charts, page
from ..reporting.page import Content, Html, element, joined, paragraph
from ..system.units import human_duration, human_size
from . import drill_findings

TONES = {"proven": "good", "suspect": "bad", "unjudged": "unsure"}
WORDS = {"proven": "Proven", "suspect": "Suspect", "unjudged": "Not judged"}
STEPS = {
    "check": "Read and hash",
    "start": "Start the server",
    "restore": "Restore",
    "compare": "Compare",
    "checks": "Run the checks",
    "remove": "Remove",
}
# More problems than a person reads; each also stands where it was found, and in the JSON.
MOST_PROBLEMS = 100
# Of the history, the last ones in figures; the chart has them all.
LATEST_DRILLS = 12


def drill_page(drill: Mapping[str, Any]) -> str:
    """One self-contained HTML page of a drill's result (``drill_version`` 1)."""
    word = WORDS.get(drill["verdict"], str(drill["verdict"]))
    return page.document(
        "{}: drill of {}, {}".format(word, drill["source"], drill["at"]),
        element("header", *_heading(drill), _verdict(drill), _summary(drill)),
        element("main", _problems(drill), _recovery_time(drill), *drill_findings.sections(drill), _identity(drill)),
        _footer(drill),
    )


def _heading(drill: Mapping[str, Any]) -> list[Html]:
    return [
        paragraph("Restore drill, ", page.moment(drill["at"]), class_="kicker"),
        element("h1", page.name(drill["source"])),
    ]


def _verdict(drill: Mapping[str, Any]) -> Html:
    verdict = drill["verdict"]
    said = {"proven": _what_is_proven, "suspect": _what_is_suspect, "unjudged": _what_stood_in_the_way}
    sentences = said[verdict](drill) if verdict in said else []
    return page.verdict(TONES.get(verdict, "unsure"), WORDS.get(verdict, str(verdict)), *sentences)


def _what_is_proven(drill: Mapping[str, Any]) -> list[Content]:
    tables = drill.get("tables") or []
    schema, sequences = drill.get("schema") or {}, drill.get("sequences") or {}
    objects, checks = drill.get("large_objects") or {}, drill.get("checks") or []
    parts = [
        page.count(len(tables), "table"),
        page.count(sum(table.get("rows") or 0 for table in tables), "row"),
        page.count(schema.get("entries") or 0, "schema entry", "schema entries"),
        page.count(sequences["count"], "sequence") if sequences.get("count") else "",
        page.count(objects["count"], "large object") if objects.get("count") else "",
    ]
    named = [part for part in parts if part]
    compared = "Restored and compared with what the archive was made from: {} and {}.".format(
        ", ".join(named[:-1]), named[-1]
    )
    held = "{} of yours held.".format(page.count(len(checks), "check")) if checks else ""
    return [f"{compared} Everything came back as it was. {held}".strip(), *_reservations(drill)]


def _reservations(drill: Mapping[str, Any]) -> list[Content]:
    missed = sum(not test["caught"] for test in drill.get("self_test") or [])
    slow = (drill.get("rto") or {}).get("met") is False
    return [
        "But the self test planted damage that the drill did not notice; see below." if missed else "",
        "But it took longer than the target allows; see below." if slow else "",
    ]


def _what_is_suspect(drill: Mapping[str, Any]) -> list[Content]:
    found = page.count(len(drill.get("problems") or []), "problem")
    told = "What came back is not what was backed up" if drill_findings.was_compared(drill) else "It does not come back"
    return [
        f"{told}: {found}, listed below.",
        "Do not rely on this archive. It no longer counts as a backup, and it is kept to be looked at.",
    ]


def _what_stood_in_the_way(drill: Mapping[str, Any]) -> list[Content]:
    return [
        page.text(drill.get("obstacle") or "The drill could not be carried out."),
        page.text(drill.get("remedy") or ""),
        "This says nothing against the archive, and nothing for it: remove the obstacle and repeat the drill.",
    ]


def _summary(drill: Mapping[str, Any]) -> Html:
    archive = drill.get("archive") or {}
    return page.facts(
        [
            ("Archive", page.code(_file_name(archive["archive"])) if archive.get("archive") else None),
            ("Its data is of", _data_of(archive)),
            ("The drill took", _took(drill)),
        ]
    )


def _data_of(archive: Mapping[str, Any]) -> Html | None:
    if not archive.get("snapshot_at"):
        return None
    age = archive.get("age_seconds")
    if age is None:
        return page.moment(archive["snapshot_at"])
    old = charts.round_duration(age).replace(" ", "\u00a0")
    return joined(page.moment(archive["snapshot_at"]), f" ({old} before the drill)")


def _took(drill: Mapping[str, Any]) -> Content | None:
    seconds, target = drill.get("duration_seconds"), (drill.get("rto") or {}).get("target_seconds")
    if seconds is None:
        return None
    return human_duration(seconds) + (f" (target {charts.round_duration(target)})" if target else "")


def _file_name(path: object) -> str:
    return str(path).rstrip("/").rpartition("/")[2]


def _problems(drill: Mapping[str, Any]) -> Html:
    problems = drill.get("problems") or []
    hidden = len(problems) - MOST_PROBLEMS
    more = f"{hidden:,} more stand in the parts below and in the JSON." if hidden > 0 else ""
    return page.section(
        "Problems",
        page.items(page.text(problem) for problem in problems[:MOST_PROBLEMS]),
        paragraph(more) if more else "",
    )


def _recovery_time(drill: Mapping[str, Any]) -> Html:
    timings = [(STEPS.get(timing["step"], timing["step"]), timing["seconds"]) for timing in drill.get("timings") or []]
    rto = drill.get("rto") or {}
    return page.section(
        "Recovery time",
        # How long it took to fail says nothing of how long a recovery takes.
        _against_the_target(drill, rto) if drill_findings.was_compared(drill) else "",
        charts.timeline("Where the time went", timings) if timings else "",
        _history(drill.get("history") or [], rto.get("target_seconds")),
    )


def _against_the_target(drill: Mapping[str, Any], rto: Mapping[str, Any]) -> Html:
    measured, target = drill.get("duration_seconds"), rto.get("target_seconds")
    if measured is None or target is None:
        return Html("")
    content = (drill.get("archive") or {}).get("content_bytes")
    rows = [("Measured", 1, measured, rto.get("met"))]
    for forecast in rto.get("forecast") or []:
        factor = forecast["factor"]
        rows.append((f"Forecast at {factor:g} times the size", factor, forecast["seconds"], forecast.get("met")))
    basis = rto.get("basis")
    return joined(
        page.table(
            f"Against a target of {charts.round_duration(target)}",
            ("", "Outcome", "Time", "Content"),
            [(label, _met(met), human_duration(took), _times(content, factor)) for label, factor, took, met in rows],
            numeric=(2, 3),
        ),
        paragraph(f"The forecast rests on {basis}.", class_="quiet") if basis else "",
    )


def _times(content: int | None, factor: float) -> str:
    return "" if content is None else human_size(content * factor)


def _met(met: bool | None) -> Content:
    if met is None:
        return ""
    return page.marked("good", "met") if met else page.marked("bad", "missed")


def _history(drills: Sequence[Mapping[str, Any]], target: float | None) -> Html:
    if not drills:
        return Html("")
    points = [
        charts.Point(
            str(drill["at"])[:10],
            drill["duration_seconds"],
            TONES.get(drill["verdict"], "unsure"),
            "{}, {}".format(human_size(drill.get("content_bytes") or 0), WORDS.get(drill["verdict"], "").lower()),
        )
        for drill in drills
    ]
    meanings = {tone: WORDS[verdict].lower() for verdict, tone in TONES.items()}
    return joined(
        element("h3", "Earlier drills and this one" if len(drills) > 1 else "The first drill"),
        charts.history("How long each drill took", points, target, meanings),
        _latest(drills) if len(drills) > 1 else "",
    )


def _latest(drills: Sequence[Mapping[str, Any]]) -> Html:
    rows = [
        (
            page.moment(drill["at"]),
            human_duration(drill["duration_seconds"]),
            human_size(drill.get("content_bytes") or 0),
            page.text(WORDS.get(drill["verdict"], drill["verdict"])),
        )
        for drill in reversed(drills[-LATEST_DRILLS:])
    ]
    caption = (
        "The latest %d of %s" % (len(rows), page.count(len(drills), "drill"))
        if len(drills) > len(rows)
        else "All drills"
    )
    return page.table(caption, ("Drill", "Took", "Content", "Verdict"), rows, numeric=(1, 2))


def _identity(drill: Mapping[str, Any]) -> Html:
    return joined(
        page.section("The archive", _archive(drill.get("archive") or {})),
        page.section("Where it was restored", _target(drill.get("target") or {})),
    )


def _archive(archive: Mapping[str, Any]) -> Html:
    known = {key: value for key, value in archive.items() if value is not None}
    return joined(
        page.facts(
            [
                ("Database", page.name(known["database"]) if "database" in known else None),
                ("Tier", page.name(known["tier"]) if "tier" in known else None),
                ("Size of the archive", human_size(known["size_bytes"]) if "size_bytes" in known else None),
                ("Content", human_size(known["content_bytes"]) if "content_bytes" in known else None),
                ("Rows", "{:,}".format(known["rows"]) if "rows" in known else None),
                ("Format", _format(known)),
                ("Server it came from", _postgresql(known.get("server_version"))),
                ("Made with", _postgresql(known.get("client_version"))),
            ]
        ),
        page.long_facts(
            [
                ("File", page.code(known["archive"]) if "archive" in known else None),
                ("SHA-256", page.code(known["sha256"]) if "sha256" in known else None),
            ]
        ),
    )


def _format(archive: Mapping[str, Any]) -> Html | None:
    parts = [str(archive[key]) for key in ("format", "compression") if archive.get(key)]
    return page.name(", ".join(parts)) if parts else None


def _postgresql(version: object) -> Html | None:
    return page.name(f"PostgreSQL {version}") if version else None


def _target(target: Mapping[str, Any]) -> Html:
    if not target:
        return Html("")
    scratch = target.get("kind") == "scratch"
    lacks = ", ".join(map(str, target.get("lacks") or []))
    if scratch and not lacks:
        lacks = "nothing"
    return joined(
        paragraph(
            "A server of its own that lived for this drill only."
            if scratch
            else "A database of its own on the staging server, dropped afterwards."
        ),
        page.facts(
            [
                ("Server", _postgresql(target.get("server_version"))),
                ("From", page.name(target["origin"]) if target.get("origin") else None),
                (
                    "Programs" if scratch else "Host",
                    page.code(target["directory"]) if target.get("directory") else None,
                ),
                ("It lacks", page.name(lacks) if lacks else None),
            ]
        ),
    )


def _footer(drill: Mapping[str, Any]) -> Html:
    words = (
        "Made by baileys.resilience from the drill's result, which lies beside this page as JSON (version {}).".format(
            drill.get("drill_version", 1)
        )
    )
    return element("footer", paragraph(words))
