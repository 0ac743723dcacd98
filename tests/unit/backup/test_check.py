# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is what was written a backup? Contents against the server's counts, sizes against their bounds."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.backup.catalogue import Archive
from ansible_collections.baileys.resilience.plugins.module_utils.backup.check import (
    Bounds,
    check_contents,
    check_size,
    some,
)
from ansible_collections.baileys.resilience.plugins.module_utils.backup.contents import Contents, TableContent
from ansible_collections.baileys.resilience.plugins.module_utils.backup.decode import Decoded
from ansible_collections.baileys.resilience.plugins.module_utils.postgres.snapshot import Snapshot, Table
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ArchiveError
from tests.support.archives import NOON, manifest_of

TableName = tuple[str, str]
TABLES: list[TableName] = [("public", "a"), ("public", "b"), ("other", "a"), ("S", "t t")]
COUNTS = st.dictionaries(st.sampled_from(TABLES), st.integers(0, 3))


def decoded(
    size: int = 5000, rows: dict[TableName, int] | None = None, objects: int = 0, content: int = 9000
) -> Decoded:
    """A decoded archive of this size; its rows have `content` bytes in all."""
    counted = {("public", "a"): 10} if rows is None else rows
    tables = [TableContent(name, count, 0, "") for name, count in counted.items()]
    if tables:
        tables[0] = TableContent(tables[0].name, tables[0].rows, content, "")
    return Decoded(size, "", Contents(tuple(tables), large_objects=objects))


def snapshot(objects: int = 0, filtered: tuple[TableName, ...] = ()) -> Snapshot:
    """A snapshot of which only this is looked at."""
    unused: Any = None
    tables = tuple(Table(name, name in filtered) for name in TABLES)
    return Snapshot("1", "2026-11-21", None, unused, tables, objects, unused)


def previous(size: int = 5000, content: int = 9000, **kind: Any) -> Archive:
    tables = [{"schema": "public", "table": "a", "bytes": content - 1}, {"schema": "public", "table": "b", "bytes": 1}]
    manifest = {**manifest_of(tables=tables, **kind), "size_bytes": size}
    return Archive("/root/daily/x", "daily", NOON, "verified", size, manifest)


class TestContents:
    @given(
        counts=COUNTS,
        held=COUNTS,
        filtered=st.sets(st.sampled_from(TABLES)),
        objects=st.tuples(*[st.integers(0, 1)] * 2),
    )
    def test_exactly_the_tables_and_rows_of_the_snapshot(
        self,
        counts: dict[TableName, int],
        held: dict[TableName, int],
        filtered: set[TableName],
        objects: tuple[int, int],
    ) -> None:
        # A table that an extension filters is there, with however many rows.
        comparable = {name: rows for name, rows in counts.items() if name not in filtered}
        complete = (
            counts.keys() == held.keys()
            and all(held[name] == rows for name, rows in comparable.items())
            and objects[0] == objects[1]
        )
        with nullcontext() if complete else pytest.raises(ArchiveError, match="is not complete"):
            check_contents(decoded(rows=held, objects=objects[0]), snapshot(objects[1], tuple(filtered)), counts)

    PARTITIONS = (
        Table(("public", "p1"), False, ("public", "p")),
        Table(("public", "p2"), False, ("public", "p")),
        Table(("public", "a"), False),
    )

    @pytest.mark.parametrize(
        ("held", "complete"),
        [
            ({("public", "p1"): 3, ("public", "p2"): 4, ("public", "a"): 1}, True),
            # pg_dump writes some partitions under the name of their root.
            ({("public", "p"): 7, ("public", "a"): 1}, True),
            ({("public", "p"): 4, ("public", "p1"): 3, ("public", "a"): 1}, True),
            ({("public", "p"): 6, ("public", "a"): 1}, False),
            ({("public", "p1"): 3, ("public", "a"): 1}, False),
            ({("public", "p"): 7}, False),
        ],
    )
    def test_partitions_under_either_name(self, held: dict[TableName, int], complete: bool) -> None:
        counts = {("public", "p1"): 3, ("public", "p2"): 4, ("public", "a"): 1}
        taken = replace(snapshot(), tables=self.PARTITIONS)
        with nullcontext() if complete else pytest.raises(ArchiveError, match="is not complete"):
            check_contents(decoded(rows=held), taken, counts)

    def test_everything_wrong_is_named(self) -> None:
        held = {("public", "a"): 10, ("other", "x"): 1}
        with pytest.raises(ArchiveError) as caught:
            check_contents(decoded(rows=held, objects=2), snapshot(3), {("public", "a"): 300_000, ("public", "b"): 0})
        assert caught.value.message == (
            "The archive is not complete: other.x was not in the snapshot; public.a has 10 rows where the server counts "
            "300000; public.b is missing; 2 large objects where the server counts 3"
        )
        assert "BYPASSRLS" in (caught.value.remedy or "")


class TestSize:
    def size(self, archive: Decoded, before: Archive | None = None, **bounds: Any) -> list[str]:
        return check_size(archive, "custom", "zstd", Bounds(**bounds), before)

    def test_the_defaults(self) -> None:
        # Requirements row 3.
        assert (Bounds().min_size, Bounds().max_size_warning, Bounds().max_shrink_percent) == (1024, 500_000_000, 50.0)

    @pytest.mark.parametrize(("size", "good"), [(1023, False), (1024, True), (0, False), (20, False), (353_000, True)])
    def test_too_small(self, size: int, good: bool) -> None:
        if good:
            assert self.size(decoded(size)) == []
            return
        with pytest.raises(ArchiveError, match=r"^The archive has .*, less than min_size \(1\.0 kB\)$") as caught:
            self.size(decoded(size))
        assert caught.value.stage == "verify"
        assert "min_size" in (caught.value.remedy or "")

    @pytest.mark.parametrize(("size", "warned"), [(500_000_000, False), (500_000_001, True)])
    def test_very_large_is_a_warning(self, size: int, warned: bool) -> None:
        warnings = self.size(decoded(size))
        expected = ["The archive has 500.0 MB, more than max_size_warning (500.0 MB)."] if warned else []
        assert warnings == expected

    @given(before=st.integers(0, 10**9), now=st.integers(1024, 10**9), percent=st.integers(0, 100))
    def test_shrinking(self, before: int, now: int, percent: int) -> None:
        archive = previous(before)
        # In whole numbers, unlike the product, which may be off by a byte at the border.
        over = now * 100 - before * (100 - percent)
        assume(abs(over) >= 100 or percent in (0, 50, 100))
        refused = pytest.raises(ArchiveError, match=rf"max_shrink_percent \({percent} %\)")
        with refused if over < 0 else nullcontext():
            self.size(decoded(now), archive, max_shrink_percent=float(percent), max_size_warning=10**10)

    @pytest.mark.parametrize("percent", [0, 1, 10, 50, 90, 100])
    def test_shrinking_to_the_border_and_one_byte_beyond(self, percent: int) -> None:
        least = 10_000_000 * (100 - percent) // 100
        bounds = {"max_shrink_percent": percent, "min_size": 0}
        assert self.size(decoded(least), previous(10_000_000), **bounds) == []
        if least:
            with pytest.raises(ArchiveError, match="shrank"):
                self.size(decoded(least - 1), previous(10_000_000), **bounds)

    def test_the_words(self) -> None:
        with pytest.raises(ArchiveError) as caught:
            self.size(decoded(2400), previous(5000))
        assert caught.value.message == (
            "The archive shrank from 5.0 kB to 2.4 kB, by more than max_shrink_percent (50 %), "
            "since the run of 2026-11-21T12:00:00.000000Z"
        )
        assert "max_shrink_percent=100" in (caught.value.remedy or "")

    @pytest.mark.parametrize(
        "kind", [{"format": "plain"}, {"compression": "gzip"}, {"format": "directory", "compression": "none"}]
    )
    def test_another_kind_is_compared_by_its_rows(self, kind: dict[str, str]) -> None:
        # Ten times smaller, because it is compressed now: no alarm.
        assert self.size(decoded(5000, content=9000), previous(50_000, content=9000, **kind)) == []
        # As large as before, but with a tenth of the rows' bytes: an alarm.
        with pytest.raises(ArchiveError, match=r"^The rows in the archive shrank from 9\.0 kB to 900 B"):
            self.size(decoded(5000, content=900), previous(5000, content=9000, **kind))

    def test_one_that_held_nothing_says_nothing(self) -> None:
        assert self.size(decoded(), previous(0)) == []
        assert self.size(decoded(), previous(5000, content=0, format="plain")) == []

    def test_the_first_has_nothing_to_be_compared_with(self) -> None:
        assert self.size(decoded(), None) == []
        assert self.size(decoded(), Archive("/f", "daily", NOON, "foreign", 10**9)) == []

    @pytest.mark.parametrize(
        ("rows", "objects", "wanted", "good"),
        [(0, 0, 1, False), (0, 1, 1, True), (1, 0, 1, True), (9, 0, 10, False), (0, 0, 0, True)],
    )
    def test_too_few_rows(self, rows: int, objects: int, wanted: int, good: bool) -> None:
        archive = decoded(rows={("public", "a"): rows}, objects=objects)
        if good:
            assert self.size(archive, min_rows=wanted) == []
        else:
            with pytest.raises(
                ArchiveError, match=rf"^The archive holds {rows} rows, less than min_rows \({wanted}\)$"
            ):
                self.size(archive, min_rows=wanted)


@pytest.mark.parametrize(
    ("words", "text"),
    [([], ""), (["a"], "a"), (list("abcde"), "a; b; c; d; e"), (list("abcdefg"), "a; b; c; d; e; and 2 more")],
)
def test_the_first_five(words: list[str], text: str) -> None:
    assert some(words) == text
