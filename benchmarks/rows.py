# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the table: what is held against what, how often, and what is asked of it.

Targets are those of design.md, "Speed". A row with no target there has none here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.cleanups import cleanup_million, cleanup_writer
from benchmarks.commands import (
    COMPRESSION,
    Bench,
    archive_in,
    bare_decode,
    bare_dump,
    bare_restore,
    core_backup,
    core_drill,
    core_verify,
    drill_play,
    dump_through_gzip,
    our_play,
    peer_play,
    peer_restore_play,
)
from benchmarks.emergencies import outage
from benchmarks.figures import Codec, Codecs, Comparison, Memory, Row, Run, Target
from benchmarks.measure import Side, in_turns, measure, profile
from benchmarks.stores import Store, default_server

CODECS = ("none", "lz4", "zstd:1", "zstd:3", "zstd:9", "gzip")
MEMORY_TARGET = Target(at_most=150e6, aim=60e6)


def backup_large(bench: Bench) -> Row:
    store = bench.store("large")
    return _compare(
        "backup-large",
        f"verified backup, {store.name}: hash, decode, rows, digests, published",
        f"bare pg_dump -Fc, {COMPRESSION}",
        (core_backup(bench, store), bare_dump(bench, store)),
        pairs=5,
        target=Target(1.35, 1.15),
    )


def backup_large_gzip(bench: Bench) -> Row:
    store = bench.store("large")
    return _compare(
        "backup-large-gzip",
        f"verified backup, {store.name}",
        "pg_dump | gzip",
        (core_backup(bench, store), dump_through_gzip(bench, store)),
        pairs=3,
        target=Target(0.30, 0.25),
    )


def backup_large_play(bench: Bench) -> Row:
    store = bench.store("large")
    return _compare(
        "backup-large-play",
        f"backup.yml, {store.name}, everything in it",
        f"bare pg_dump -Fc, {COMPRESSION}",
        (our_play(bench, store), bare_dump(bench, store)),
        pairs=1,
    )


def play_small(bench: Bench) -> Row:
    store = bench.store("small")
    return _compare(
        "play-small",
        "backup.yml, small, everything in it",
        f"community.postgresql's dump-only play, {COMPRESSION}",
        (our_play(bench, store), peer_play(bench, store)),
        pairs=9,
        target=Target(1.5, 1.1),
    )


def backup_hundred(bench: Bench) -> Row:
    return _core_against_bare(bench, "hundred", pairs=5)


def backup_mixed(bench: Bench) -> Row:
    return _core_against_bare(bench, "mixed", pairs=3)


def backup_directory(bench: Bench) -> Row:
    store = bench.store("large")
    return _compare(
        "backup-directory",
        f"verified backup, {store.name}, directory format, 2 jobs",
        f"bare pg_dump -Fd -j2, {COMPRESSION}",
        (core_backup(bench, store, form="directory", jobs=2), bare_dump(bench, store, form="directory", jobs=2)),
        pairs=2,
    )


def verify_large(bench: Bench) -> Row:
    store = bench.store("large")
    with _backed_up(bench, store) as (root, archive):
        return _compare(
            "verify-large",
            f"verification of one archive, {store.name}: hash, decode, rows, digests",
            "bare pg_restore to /dev/null",
            (core_verify(bench, store, root), bare_decode(bench, archive)),
            pairs=3,
        )


def drill_large(bench: Bench) -> Row:
    store = bench.store("large")
    with _backed_up(bench, store) as (root, archive), default_server() as target:
        return _compare(
            "drill-large",
            f"drill, {store.name}: scratch server up, restore, proof of every row and definition, gone",
            "bare pg_restore into default settings",
            (core_drill(bench, store, root), bare_restore(bench, target, archive)),
            pairs=3,
            target=Target(0.75, 0.5),
        )


def drill_play_small(bench: Bench) -> Row:
    store = bench.store("small")
    with _backed_up(bench, store) as (root, archive), default_server() as target:
        # The peer tells the custom format by this ending.
        named = archive.with_suffix(".pgc")
        os.link(archive, named)
        return _compare(
            "drill-play-small",
            "restore_drill.yml, small, everything in it",
            "community.postgresql's restore play",
            (drill_play(bench, store, root), peer_restore_play(bench, target, named)),
            pairs=9,
            target=Target(2.0, 1.3),
        )


def memory_drill(bench: Bench) -> Row:
    store = bench.store("large")
    with _backed_up(bench, store) as (root, _archive):
        watched = profile(core_drill(bench, store, root))
    return Memory("memory-drill", f"drill, {store.name}, core as a process", watched, MEMORY_TARGET)


@contextlib.contextmanager
def _backed_up(bench: Bench, store: Store) -> Iterator[tuple[Path, Path]]:
    """A backup root with one archive of the store, and that archive."""
    making = dataclasses.replace(core_backup(bench, store), keep=True)
    root = making.output
    assert root is not None
    try:
        measure(making)
        yield root, archive_in(root)
    finally:
        for path in (root, root.with_name(f"{root.name}.state")):
            shutil.rmtree(path, ignore_errors=True)


def memory_core(bench: Bench) -> Row:
    store = bench.store("large")
    watched = profile(core_backup(bench, store))
    return Memory("memory-core", f"verified backup, {store.name}, core as a process", watched, MEMORY_TARGET)


def memory_module(bench: Bench) -> Row:
    store = bench.store("large")
    play = dataclasses.replace(our_play(bench, store), keep=False)
    return Memory("memory-module", f"verified backup, {store.name}, module in a play", profile(play), MEMORY_TARGET)


def memory_directory(bench: Bench) -> Row:
    store = bench.store("large")
    watched = profile(core_backup(bench, store, form="directory", jobs=2))
    return Memory("memory-directory", f"the same, {store.name}, directory format, 2 jobs", watched, MEMORY_TARGET)


def codecs_hundred(bench: Bench) -> Row:
    return _codecs(bench, "hundred", pairs=2)


def codecs_large(bench: Bench) -> Row:
    return _codecs(bench, "large", pairs=1)


def _core_against_bare(bench: Bench, name: str, pairs: int) -> Comparison:
    store = bench.store(name)
    return _compare(
        f"backup-{name}",
        f"verified backup, {name}",
        f"bare pg_dump -Fc, {COMPRESSION}",
        (core_backup(bench, store), bare_dump(bench, store)),
        pairs=pairs,
    )


def _compare(
    name: str, work: str, against: str, sides: tuple[Side, Side], *, pairs: int, target: Target | None = None
) -> Comparison:
    ours, peer = sides
    mine, theirs = in_turns(ours, peer, pairs)
    _forget(sides)
    found = Comparison(name, work, against, mine, theirs, target)
    if found.verdict not in ("met", "missed"):
        return found
    # Not as good as hoped for: say where the time goes.
    found = dataclasses.replace(found, profiles=(profile(ours), profile(peer)))
    _forget(sides)
    return found


def _forget(sides: tuple[Side, Side]) -> None:
    """Remove what runs that build on each other have left: nothing of one row may be found by the next."""
    for side in sides:
        if side.output is not None and side.output.is_dir():
            shutil.rmtree(side.output)
        elif side.output is not None:
            side.output.unlink(missing_ok=True)


def _codecs(bench: Bench, name: str, pairs: int) -> Codecs:
    store = bench.store(name)
    codecs = []
    measure(bare_dump(bench, store))
    for codec in CODECS:
        bare_side, our_side = (make(bench, store, compression=codec) for make in (bare_dump, core_backup))
        bare: list[Run] = []
        ours: list[Run] = []
        for _ in range(pairs):
            bare.append(measure(bare_side))
            ours.append(measure(our_side))
        codecs.append(Codec(codec, tuple(bare), tuple(ours)))
    return Codecs(f"codecs-{name}", store.name, tuple(codecs))


def rollback_small(bench: Bench) -> Row:
    return outage("small", bench.work)


def rollback_hundred(bench: Bench) -> Row:
    return outage("hundred", bench.work)


# In the order of running: what decides comes first, so that an interrupted run has shown it.
ROWS: dict[str, Callable[[Bench], Row]] = {
    "backup-large": backup_large,
    "backup-large-gzip": backup_large_gzip,
    "play-small": play_small,
    "drill-large": drill_large,
    "drill-play-small": drill_play_small,
    "rollback-small": rollback_small,
    "rollback-hundred": rollback_hundred,
    "cleanup-million": cleanup_million,
    "cleanup-writer": cleanup_writer,
    "memory-core": memory_core,
    "memory-drill": memory_drill,
    "memory-module": memory_module,
    "memory-directory": memory_directory,
    "backup-large-play": backup_large_play,
    "backup-directory": backup_directory,
    "backup-hundred": backup_hundred,
    "backup-mixed": backup_mixed,
    "verify-large": verify_large,
    "codecs-hundred": codecs_hundred,
    "codecs-large": codecs_large,
}
# In a quick run the hundred companies stand for the large store: these would be measured twice.
NOT_QUICK = ("backup-hundred", "codecs-large")
