# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What came back against what went in: tables, sequences, large objects; and all of it as a drill's result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..backup.contents import Contents, TableName
from .entries import SchemaComparison


@dataclass(frozen=True)
class TableComparison:
    """One table: rows and bytes that came back, and whether they are those that went in.

    ``outcome`` is ``equal``, ``reordered`` (the same rows in another order), ``changed``, ``missing`` or
    ``unexpected``.
    """

    name: TableName
    outcome: str
    rows_expected: int | None
    rows: int | None
    bytes: int
    detail: str | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong with it, in words."""
        label = "table {}.{}".format(*self.name)
        if self.outcome in ("equal", "reordered"):
            return None
        if self.outcome == "missing":
            return f"{label} is missing from the restored database"
        if self.outcome == "unexpected":
            return f"{label} is in the restored database and not in the archive"
        if self.rows != self.rows_expected:
            return f"{label} has {self.rows} rows in the restored database, {self.rows_expected} expected"
        return f"{label} has other content in the restored database"


@dataclass(frozen=True)
class Comparison:
    """What came back against what went in. ``not_covered`` are pairs of what and why."""

    tables: tuple[TableComparison, ...]
    schema: SchemaComparison
    sequences: int
    sequence_problems: tuple[str, ...]
    large_objects: int
    large_object_bytes: int
    large_object_problems: tuple[str, ...]
    not_covered: tuple[tuple[str, str], ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is not as it was backed up; empty when the proof holds."""
        found = [table.problem for table in self.tables if table.problem]
        found += [*self.sequence_problems, *self.large_object_problems, *self.schema.problems]
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """The parts of a drill's result that come from here."""
        schema = self.schema
        return {
            "tables": [
                {
                    "schema": table.name[0],
                    "table": table.name[1],
                    "rows_expected": table.rows_expected,
                    "rows": table.rows,
                    "bytes": table.bytes,
                    "outcome": table.outcome,
                    "detail": table.detail,
                }
                for table in self.tables
            ],
            "schema": {
                "entries": schema.entries,
                "equal": schema.equal,
                "missing": list(schema.missing),
                "unexpected": list(schema.unexpected),
                "changed": [vars(change) for change in schema.changed],
                "rewritten": [vars(change) for change in schema.rewritten],
            },
            "sequences": {"count": self.sequences, "problems": list(self.sequence_problems)},
            "large_objects": {
                "count": self.large_objects,
                "bytes": self.large_object_bytes,
                "problems": list(self.large_object_problems),
            },
            "not_covered": [{"what": what, "why": why} for what, why in self.not_covered],
        }


def compare_tables(archive: Contents, restored: Contents) -> tuple[TableComparison, ...]:
    """Every table of either side, by name."""
    there = {table.name: table for table in archive.tables}
    here = {table.name: table for table in restored.tables}
    found = []
    for name in sorted(set(there) | set(here)):
        expected, actual = there.get(name), here.get(name)
        if actual is None or expected is None:
            outcome = "missing" if actual is None else "unexpected"
        else:
            outcome = "equal" if actual.digest == expected.digest else "changed"
        found.append(
            TableComparison(
                name,
                outcome,
                expected.rows if expected else None,
                actual.rows if actual else None,
                actual.bytes if actual else 0,
            )
        )
    return tuple(found)


def compare_sequences(archive: Contents, restored: Contents) -> list[str]:
    """Sequences that do not stand where they stood, in words."""
    found = []
    for name in sorted(set(archive.sequences) | set(restored.sequences)):
        there, here = archive.sequences.get(name), restored.sequences.get(name)
        if there != here:
            found.append(f"sequence {name} stands at {_value(here)} in the restored database, {_value(there)} expected")
    return found


def _value(value: tuple[int, bool] | None) -> str:
    if value is None:
        return "nothing (there is no such sequence)"
    return "%d%s" % (value[0], "" if value[1] else " (not called yet)")


def compare_large_objects(archive: Contents, restored: Contents) -> list[str]:
    """What is not right with the large objects as a whole, in words."""
    if archive.large_objects != restored.large_objects:
        return [
            f"there are {restored.large_objects} large objects in the restored database, {archive.large_objects} expected"
        ]
    if archive.large_objects_digest != restored.large_objects_digest:
        return ["the large objects have other content in the restored database"]
    return []
