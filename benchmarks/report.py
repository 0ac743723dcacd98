# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results as a Markdown document and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.figures import (
    Codecs,
    Comparison,
    Memory,
    Outage,
    Profile,
    Row,
    Run,
    Spread,
    cpu,
    foreign_share,
    server_cpu,
    size,
    spread,
    wall,
)
from benchmarks.machine import Machine, load_warning

RESULTS_VERSION = 1
# Of the machine, taken by others while a row was measured: above it the row says so.
DISTURBED_SHARE = 0.05
# Between these the README shows the figures.
SECTION_START, SECTION_END = "<!-- bench:start -->", "<!-- bench:end -->"


def one_line(row: Row, processors: int) -> str:
    """What is printed when a row is done."""
    if isinstance(row, Comparison):
        times = f"{_seconds(wall(row.ours).median)} against {_seconds(wall(row.peer).median)}"
        told = f"ratio {_ratio(row.ratio)}, {times}; {_target(row)}"
        share = foreign_share((*row.ours, *row.peer), processors)
        return told + (f" (disturbed: others took {share:.0%} of the machine)" if share > DISTURBED_SHARE else "")
    if isinstance(row, Memory):
        return f"{_megabytes(row.figure)} ({row.profile.largest.name} {_megabytes(row.profile.largest.peak)}, our Python {_megabytes(row.profile.python)}); {_target(row)}"
    if isinstance(row, Outage):
        return f"away for {_spread(row.started)} until started; {_target(row)}; memory {_megabytes(row.peak)}"
    fastest = min(row.codecs, key=lambda codec: wall(codec.ours).median)
    return f"fastest verified backup with {fastest.name}: {_seconds(wall(fastest.ours).median)}"


def markdown(rows: Sequence[Row], machine: Machine, quick: bool) -> str:
    """The whole document."""
    parts = ["# Measured by `make bench`", _about(machine, quick)]
    comparisons = [row for row in rows if isinstance(row, Comparison)]
    if comparisons:
        parts += ["## Against the peers", _comparison_table(comparisons, machine), _METHOD]
    memories = [row for row in rows if isinstance(row, Memory)]
    if memories:
        parts += ["## Memory", _memory_table(memories), _MEMORY_METHOD]
    outages = [row for row in rows if isinstance(row, Outage)]
    if outages:
        parts += ["## Emergency", _outage_table(outages), _OUTAGE_METHOD]
    for codecs in (row for row in rows if isinstance(row, Codecs)):
        parts += [f"## Compressions, store *{codecs.store}*", _codec_table(codecs)]
    for row in comparisons:
        if row.profiles is not None:
            parts += [f"## Where the time goes: {row.name}", _profile_table(row, row.profiles)]
    return "\n\n".join(parts) + "\n"


def with_section(text: str, rows: Sequence[Row], machine: Machine) -> str:
    """`text` (the README) with its section between the two marks made anew. Raises ValueError without the marks."""
    before, opening, rest = text.partition(SECTION_START)
    _old, closing, after = rest.partition(SECTION_END)
    if not opening or not closing:
        raise ValueError(f"there is no {SECTION_START} followed by {SECTION_END}")
    judged = [row for row in rows if not isinstance(row, Codecs) and row.target is not None]
    lines = [
        [
            row.work,
            row.against if isinstance(row, Comparison) else "-",
            _figure(row),
            _target(row),
        ]
        for row in judged
    ]
    table = _table(("work", "against", "figure", "target"), lines, left=2)
    parts = [opening, table, _about(machine, quick=False), closing]
    return before + "\n\n".join(parts) + after


def as_json(rows: Sequence[Row], machine: Machine, quick: bool) -> dict[str, Any]:
    """Every single run, and the figures made of them."""
    return {
        "results_version": RESULTS_VERSION,
        "quick": quick,
        "machine": dataclasses.asdict(machine),
        "rows": [{"kind": type(row).__name__.lower(), **_derived(row), **dataclasses.asdict(row)} for row in rows],
    }


_METHOD = (
    "Both sides run in turns after a warm-up of each; the ratio is the median of the ratios pair by pair, with the "
    "lowest and the highest. CPU is user and system time of all processes of the client side; the server's is given "
    'apart. "Verified backup" without a play is the core as a whole process, interpreter start and imports included: '
    "what pg_backup runs. Bare pg_dump writes and syncs its file, as ours does; `pg_dump | gzip` does not sync. The "
    "plays run with an empty configuration, gather no facts and write to the same file system; ours compares with the "
    "previous archive, applies retention, and writes status and metrics; nobody is told. The database is reached by "
    "TCP on the same machine, so server and client share its processors."
)
_MEMORY_METHOD = (
    "Peak of resident memory in a run of its own that is watched. Held against the target is the largest process of "
    "the step, or all our Python processes together if that is more. Ansible's processes on the controller and the "
    "server's are not counted."
)


def _about(machine: Machine, quick: bool) -> str:
    text = (
        f"{machine.date}: {machine.cpu}, {machine.processors} processors, {machine.memory / 2**30:.0f} GiB memory, "
        f"{machine.system}, Linux {machine.kernel}; PostgreSQL {machine.postgresql} (full-feature build of Debian, server "
        f"and clients), Python {machine.python}, ansible-core {machine.ansible}. Load average at the start "
        f"{machine.load:.2f}."
    )
    warning = load_warning(machine)
    if warning:
        text += f"\n\n**{warning}**"
    if quick:
        text += "\n\n**A quick run: the hundred companies stand for the large store. Not for quoting.**"
    return text


def _comparison_table(rows: Sequence[Comparison], machine: Machine) -> str:
    lines = []
    for row in rows:
        share = foreign_share((*row.ours, *row.peer), machine.processors)
        lines.append(
            [
                f"`{row.name}`: {row.work}"
                + (f" (others took {share:.0%} of the machine)" if share > DISTURBED_SHARE else ""),
                row.against,
                _ratio(row.ratio),
                _target(row),
                *(_seconds(wall(runs).median) for runs in (row.ours, row.peer)),
                *(_cpu(runs) for runs in (row.ours, row.peer)),
                *(_size(runs) for runs in (row.ours, row.peer)),
                str(len(row.ours)),
            ]
        )
    headings = ("work", "against", "ratio (low-high)", "target", "ours", "peer", "CPU ours", "CPU peer")
    return _table((*headings, "bytes ours", "bytes peer", "pairs"), lines, left=2)


def _memory_table(rows: Sequence[Memory]) -> str:
    lines = [
        [
            f"`{row.name}`: {row.work}",
            _megabytes(row.figure),
            _target(row),
            f"{row.profile.largest.name} {_megabytes(row.profile.largest.peak)}",
            _megabytes(row.profile.python),
            _megabytes(row.profile.together),
        ]
        for row in rows
    ]
    return _table(("step", "figure", "target", "largest process", "our Python", "all processes"), lines, left=1)


def _codec_table(row: Codecs) -> str:
    lines = []
    for codec in row.codecs:
        sizes = size(codec.ours)
        lines.append(
            [
                codec.name,
                *(_seconds(wall(runs).median) for runs in (codec.bare, codec.ours)),
                *(_cpu(runs) for runs in (codec.bare, codec.ours)),
                _megabytes(sizes) if sizes is not None else "-",
            ]
        )
    headings = ("compression", "bare pg_dump", "verified backup", "CPU bare", "CPU verified", "archive")
    return _table(headings, lines, left=1)


def _profile_table(row: Comparison, profiles: tuple[Profile, Profile]) -> str:
    lines = [
        [side, program.name, f"{program.user:.2f} s", f"{program.system:.2f} s", _megabytes(program.peak)]
        for side, watched in zip(("ours", "peer"), profiles, strict=True)
        for program in watched.programs
    ]
    text = f"{row.work}, against {row.against}: {_target(row)}. One watched run of each."
    return text + "\n\n" + _table(("side", "program", "user", "system", "peak memory"), lines, left=2)


_OUTAGE_METHOD = (
    "A real service under a real PM2: stopped and proven gone, its sessions exported from the live database and read back, "
    "fenced, started from a git worktree. What the service takes from its start to its connection is its own affair, and "
    "shown beside (it loads the keys of one company). The files lie in memory. The hand-made script took 12 s in all; the limit for everything is 600 s."
)


def _outage_table(rows: Sequence[Outage]) -> str:
    lines = [
        [
            f"`{row.name}`: {row.work}",
            _spread(row.started),
            _target(row),
            ", ".join(f"{step} {_seconds(seconds)}" for step, seconds in row.steps),
            _spread(row.recovered),
            _megabytes(row.peak),
            str(len(row.started)),
        ]
        for row in rows
    ]
    headings = ("work", "stop to started", "target", "steps", "stop to connected", "our memory", "runs")
    return _table(headings, lines, left=1)


def _figure(row: Comparison | Memory | Outage) -> str:
    if isinstance(row, Comparison):
        return _ratio(row.ratio)
    return _megabytes(row.figure) if isinstance(row, Memory) else _spread(row.started)


def _spread(values: Sequence[float]) -> str:
    found = spread(values)
    return f"{found.median:.2f} s ({found.low:.2f}-{found.high:.2f})"


def _derived(row: Row) -> dict[str, Any]:
    if isinstance(row, Comparison):
        return {"ratio": dataclasses.asdict(row.ratio), "verdict": row.verdict}
    if isinstance(row, Memory):
        return {"figure": row.figure, "verdict": row.verdict}
    if isinstance(row, Outage):
        return {"verdict": row.verdict}
    return {}


def _target(row: Comparison | Memory | Outage) -> str:
    if row.target is None:
        return "no target"
    shown = _megabytes if isinstance(row, Memory) else _seconds if isinstance(row, Outage) else "{:.2f}".format
    return f"at most {shown(row.target.at_most)}, aim {shown(row.target.aim)}: {row.verdict}"


def _ratio(ratio: Spread) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"


def _cpu(runs: Sequence[Run]) -> str:
    return f"{cpu(runs):.2f} s + server {server_cpu(runs):.2f} s"


def _size(runs: Sequence[Run]) -> str:
    number = size(runs)
    return _megabytes(number) if number is not None else "-"


def _seconds(number: float) -> str:
    return f"{number:.2f} s"


def _megabytes(number: float) -> str:
    return f"{number / 1e6:.1f} MB"


def _table(headings: Sequence[str], lines: Iterable[Sequence[str]], left: int) -> str:
    """A table of Markdown; the first `left` columns are words, the others numbers."""
    rules = ["---" if index < left else "---:" for index in range(len(headings))]
    escaped = [[cell.replace("|", "\\|") for cell in cells] for cells in (headings, rules, *lines)]
    return "\n".join("| {} |".format(" | ".join(cells)) for cells in escaped)
