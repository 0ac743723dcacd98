# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks' arithmetic, what they print, and how they look at processes. No time is judged here."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.figures import (
    Codec,
    Codecs,
    Comparison,
    Memory,
    Profile,
    Program,
    Row,
    Run,
    Target,
    foreign_share,
    size,
    spread,
)
from benchmarks.machine import Machine, describe_machine, load_warning
from benchmarks.measure import MeasuringError, Side, bytes_below, measure, profile
from benchmarks.rows import NOT_QUICK, ROWS

MACHINE = Machine("Some CPU", 2, 8 * 2**30, "6.1", "Debian", "18.6", "3.11", "2.19", "2026-01-31", 0.0)
TARGET = Target(at_most=1.35, aim=1.15)
MEBIBYTE = 2**20


def runs(*walls: float, foreign: float = 0.0) -> tuple[Run, ...]:
    return tuple(Run(wall, cpu=wall / 2, server_cpu=0.5, foreign_cpu=foreign, size=1000) for wall in walls)


def comparison(ours: tuple[Run, ...], peer: tuple[Run, ...], **fields: Any) -> Comparison:
    made = Comparison("some-row", "our work", "pg_dump | gzip", ours, peer, TARGET)
    return dataclasses.replace(made, **fields)


def watched(*programs: Program, python: int = 0) -> Profile:
    return Profile(programs, together=200 * MEBIBYTE, python=python)


# The arithmetic.


def test_the_ratio_is_the_median_of_the_ratios_pair_by_pair():
    # While the second pair ran the machine was three times as slow, for both. The medians' ratio would be 1.0.
    row = comparison(runs(2.0, 6.0, 1.0), runs(1.0, 3.0, 2.0))

    assert row.ratio == spread([2.0, 2.0, 0.5])
    assert (row.ratio.low, row.ratio.median, row.ratio.high) == (0.5, 2.0, 2.0)


def test_between_two_values_the_median_is_their_middle():
    assert spread([4.0, 1.0]).median == 2.5


def test_a_series_without_values_has_no_median():
    with pytest.raises(ValueError, match="no median"):
        spread([])


def test_a_run_without_its_counterpart_is_refused():
    with pytest.raises(ValueError, match="zip"):
        _ = comparison(runs(1.0, 1.0), runs(1.0)).ratio


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [(1.0, "aim met"), (1.15, "aim met"), (1.16, "met"), (1.35, "met"), (1.36, "missed"), (9.0, "missed")],
)
def test_a_target_is_met_up_to_and_including_its_number(figure: float, verdict: str):
    assert TARGET.verdict(figure) == verdict


def test_without_a_target_there_is_no_verdict():
    assert comparison(runs(1.0), runs(1.0), target=None).verdict is None


def test_memory_is_the_largest_process_or_all_our_python_whichever_is_more():
    large = Program("pg_dump", 1.0, 0.0, 100 * MEBIBYTE)
    ours = Program("core", 1.0, 0.0, 40 * MEBIBYTE)
    target = Target(at_most=150e6, aim=60e6)

    assert Memory("m", "w", watched(large, ours, python=40 * MEBIBYTE), target).figure == 100 * MEBIBYTE
    assert Memory("m", "w", watched(large, ours, python=160 * MEBIBYTE), target).verdict == "missed"


def test_ansible_itself_is_no_part_of_a_step():
    ansible = Program("ansible-playbook", 1.0, 0.0, 300 * MEBIBYTE)
    module = Program("AnsiballZ_pg_backup", 1.0, 0.0, 40 * MEBIBYTE)

    assert watched(ansible, module).largest is module


def test_what_others_took_is_a_share_of_all_processors():
    # Ten seconds on two processors, of which others took five processor seconds.
    assert foreign_share(runs(5.0, 5.0, foreign=2.5), processors=2) == pytest.approx(0.25)
    assert foreign_share((), processors=2) == 0.0


def test_the_size_is_unknown_where_it_was_not_asked_for():
    without = tuple(dataclasses.replace(run, size=None) for run in runs(1.0, 2.0))

    assert size(without) is None
    assert size(runs(1.0, 2.0)) == 1000


# What is printed.


def every_kind_of_row() -> list[Row]:
    step = Program("core", 1.0, 0.25, 40 * MEBIBYTE)
    profiles = (watched(step), watched(Program("pg_dump", 0.5, 0.1, MEBIBYTE)))
    return [
        comparison(runs(2.0, 2.2, 2.1), runs(1.0, 1.0, 1.0), profiles=profiles),
        comparison(runs(1.0, foreign=1.0), runs(1.0, foreign=1.0), name="free", target=None),
        Memory("memory", "a step", watched(step, python=40 * MEBIBYTE), Target(150e6, 60e6)),
        Codecs("codecs", "hundred", (Codec("zstd:1", runs(1.0), runs(1.2)), Codec("gzip", runs(4.0), runs(4.1)))),
    ]


def test_every_table_has_as_many_cells_in_each_line_as_in_its_heading():
    document = report.markdown(every_kind_of_row(), MACHINE, quick=False)
    tables = re.findall(r"(?:^\|.*\n)+", document, flags=re.MULTILINE)

    assert len(tables) == 4  # comparisons, memory, one store's compressions, one profile
    for table in tables:
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table


def test_figure_target_and_verdict_stand_in_one_line():
    document = report.markdown(every_kind_of_row(), MACHINE, quick=False)
    (line,) = [line for line in document.splitlines() if line.startswith("| `some-row`")]

    assert "2.10 (2.00-2.20)" in line
    assert "at most 1.35, aim 1.15: missed" in line
    assert "pg_dump \\| gzip" in line
    assert "2.10 s | 1.00 s" in line


def test_a_missed_target_is_followed_by_where_the_time_goes():
    document = report.markdown(every_kind_of_row(), MACHINE, quick=False)

    assert "## Where the time goes: some-row" in document
    assert "| ours | core | 1.00 s | 0.25 s | 41.9 MB |" in document
    assert "| peer | pg_dump | 0.50 s | 0.10 s | 1.0 MB |" in document


def test_the_machine_is_named():
    document = report.markdown(every_kind_of_row(), MACHINE, quick=False)

    assert "2026-01-31: Some CPU, 2 processors, 8 GiB memory" in document
    assert "PostgreSQL 18.6" in document


def test_a_disturbed_row_says_so():
    _, disturbed, *_ = every_kind_of_row()

    assert "others took 50% of the machine" in report.one_line(disturbed, processors=2)
    assert "others took" not in report.one_line(comparison(runs(1.0), runs(1.0)), processors=2)


def test_a_quick_run_and_a_busy_machine_are_not_for_quoting():
    busy = dataclasses.replace(MACHINE, load=2.5)

    assert "Not for quoting" in report.markdown([], MACHINE, quick=True)
    assert "others are at work" in report.markdown([], busy, quick=False)
    assert "others are at work" not in report.markdown([], MACHINE, quick=False)


def test_json_holds_every_run_and_the_figures_made_of_them():
    document = json.loads(json.dumps(report.as_json(every_kind_of_row(), MACHINE, quick=False)))
    judged, free, memory, codecs = document["rows"]

    assert [run["wall"] for run in judged["ours"]] == [2.0, 2.2, 2.1]
    assert judged["ratio"]["median"] == pytest.approx(2.1)
    assert (judged["verdict"], free["verdict"], memory["verdict"]) == ("missed", None, "aim met")
    assert [codec["name"] for codec in codecs["codecs"]] == ["zstd:1", "gzip"]
    assert document["machine"]["postgresql"] == "18.6"


def test_the_readme_gets_what_has_a_target_and_keeps_the_rest():
    readme = f"# Title\n\n{report.SECTION_START}\nold\n{report.SECTION_END}\n\n## Next\n"
    made = report.with_section(readme, every_kind_of_row(), MACHINE)

    assert made.startswith("# Title\n\n" + report.SECTION_START)
    assert made.endswith(report.SECTION_END + "\n\n## Next\n")
    assert "old" not in made
    assert "2.10 (2.00-2.20)" in made
    assert "41.9 MB" in made
    assert report.with_section(made, every_kind_of_row(), MACHINE) == made


def test_a_readme_without_the_marks_is_refused():
    with pytest.raises(ValueError, match="bench:start"):
        report.with_section("# Title\n", [], MACHINE)


def test_rows_left_out_of_a_quick_run_are_rows():
    assert set(NOT_QUICK) < set(ROWS)


def test_this_machine_can_be_described():
    machine = describe_machine("18.6")

    assert machine.processors >= 1
    assert machine.memory > 2**27
    assert load_warning(dataclasses.replace(machine, load=0.0)) is None
    assert "9.00" in str(load_warning(dataclasses.replace(machine, load=9.0)))


# How processes are looked at. The test's own process stands in for the server.


def side(tmp_path: Path, program: str, **fields: Any) -> Side:
    made = Side("a program", [sys.executable, "-c", program], dict(os.environ), os.getpid(), tmp_path / "log")
    return dataclasses.replace(made, **fields)


def test_cpu_of_grandchildren_counts(tmp_path: Path):
    burn = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while __import__(\"time\").process_time() < 0.3: pass'])"

    assert measure(side(tmp_path, burn)).cpu >= 0.3


def test_a_failing_command_is_named_with_its_last_words(tmp_path: Path):
    with pytest.raises(MeasuringError, match=r"a program ended with exit status 3:\nout of luck"):
        measure(side(tmp_path, "print('out of luck'); raise SystemExit(3)"))


def test_output_is_measured_and_removed(tmp_path: Path):
    output = tmp_path / "made"
    write = f"import pathlib; pathlib.Path({str(output)!r}).write_bytes(bytes(1234))"

    assert measure(side(tmp_path, write, output=output)).size == 1234
    assert not output.exists()
    assert measure(side(tmp_path, write, output=output, keep=True)).size is None
    assert output.exists()


def test_hard_links_count_once(tmp_path: Path):
    (tmp_path / "daily").mkdir()
    (tmp_path / "daily" / "archive").write_bytes(bytes(100))
    (tmp_path / "link").hardlink_to(tmp_path / "daily" / "archive")
    (tmp_path / "other").write_bytes(bytes(10))

    assert bytes_below(tmp_path) == 110


def test_a_profile_tells_programs_apart_and_knows_their_peak(tmp_path: Path):
    child = tmp_path / "hungry.py"
    child.write_text("import time\nkept = b'x' * (64 << 20)\ntime.sleep(0.1)\ndel kept\ntime.sleep(0.1)\n")
    parent = f"import subprocess, sys; subprocess.run([sys.executable, {str(child)!r}], check=True)"
    (tmp_path / "parent.py").write_text(parent)
    command = [sys.executable, str(tmp_path / "parent.py")]

    found = profile(side(tmp_path, "", command=command, python=("parent", "hungry")))

    assert {"parent", "hungry"} <= {program.name for program in found.programs}
    assert found.largest.name == "hungry"
    assert found.largest.peak > 64 * MEBIBYTE
    assert found.python >= found.largest.peak
    assert found.together >= found.python


def test_the_list_of_rows_needs_no_server():
    listing = subprocess.run([sys.executable, "-m", "benchmarks", "--list"], capture_output=True, text=True, check=True)

    assert listing.stdout.split() == list(ROWS)
