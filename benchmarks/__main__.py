# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench`: measure against the peers; write benchmarks/results.md, results.json and the README's section.

Rows can be run alone (`--only`); such a run, and a quick one, writes its results below .cache/bench instead.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.commands import Bench
from benchmarks.figures import Row
from benchmarks.machine import Machine, describe_machine, load_warning
from benchmarks.measure import MeasuringError
from benchmarks.rows import NOT_QUICK, ROWS
from benchmarks.stores import alone, cache_directory, running_server
from demo.postgres_server import ServerError
from tests.support.full_postgres import FullPostgresError
from tests.support.peer_collection import PeerError

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"


def main() -> int:
    given = _arguments()
    if given.list:
        print(*ROWS, sep="\n")
        return 0
    names = given.only or [name for name in ROWS if not (given.quick and name in NOT_QUICK)]
    cache = cache_directory()
    started = time.monotonic()
    try:
        with alone(cache):
            _measure(names, cache, given.quick, given.reuse, whole=not (given.only or given.quick))
    except BlockingIOError:
        print("bench: another run is under way; two at once would measure each other.", file=sys.stderr)
        return 1
    except (FullPostgresError, PeerError, ServerError, MeasuringError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"bench: done in {time.monotonic() - started:.0f} s", flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run: hundred companies instead of large")
    parser.add_argument("--only", action="append", metavar="ROW", choices=list(ROWS), help="this row; may be repeated")
    parser.add_argument("--reuse", action="store_true", help="keep the stores, and use those of the run before")
    parser.add_argument("--list", action="store_true", help="show the names of the rows")
    return parser.parse_args()


def _measure(names: Sequence[str], cache: Path, quick: bool, reuse: bool, *, whole: bool) -> None:
    for left in cache.glob("work-*"):
        shutil.rmtree(left)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_server(cache, reuse))
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="work-", dir=cache)))
        machine = describe_machine(server.version)
        warning = load_warning(machine)
        if warning:
            print(f"bench: {warning}", flush=True)
        bench = Bench(server, work, quick)
        rows: list[Row] = []
        document = cache
        for name in names:
            rows.append(ROWS[name](bench))
            print(f"{name}: {report.one_line(rows[-1], machine.processors)}", flush=True)
            # Row by row, so that an interrupted run leaves what it had.
            document = _write(rows, machine, quick, cache)
        if whole:
            document = _write(rows, machine, quick, HERE)
            README.write_text(report.with_section(README.read_text(encoding="utf-8"), rows, machine), encoding="utf-8")
        print(f"bench: written to {document}", flush=True)


def _write(rows: Sequence[Row], machine: Machine, quick: bool, directory: Path) -> Path:
    document = directory / "results.md"
    document.write_text(report.markdown(rows, machine, quick), encoding="utf-8")
    text = json.dumps(report.as_json(rows, machine, quick), indent=1)
    (directory / "results.json").write_text(text + "\n", encoding="utf-8")
    return document


if __name__ == "__main__":
    sys.exit(main())
