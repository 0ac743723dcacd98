# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The detector is tested, and its test is: it fails when the detector sees nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.drill import drill
from ansible_collections.baileys.resilience.plugins.module_utils.drill.drill_run import run_drills
from ansible_collections.baileys.resilience.plugins.module_utils.drill.tell_drill import drill_failure, drill_report
from ansible_collections.baileys.resilience.plugins.module_utils.restore import prove, unlike
from ansible_collections.baileys.resilience.plugins.module_utils.restore.comparison import Comparison, compare_tables
from ansible_collections.baileys.resilience.plugins.module_utils.restore.entries import SchemaComparison
from tests.support.backups import KINDS, back_up, only_archive, tree_state
from tests.support.drilling import BASES, request_of


@pytest.fixture
def archive(server18: Any, make_session_store: Any, tmp_path: Path) -> Path:
    back_up(make_session_store(server18), tmp_path / "root")
    return tmp_path / "root"


def run(root: Path, state: Path, bin_directory: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """The one result of a run with the self test, which keeps nothing, and its warnings."""
    done = run_drills(request_of(root, state, bin_directory, dry_run=True, **options), with_self_test=True)
    (result,) = done.results
    return result, done.warnings


@pytest.mark.parametrize("kind", ["custom-zstd", "plain-gzip", "directory-zstd"])
def test_each_damage_is_caught(server18: Any, make_session_store: Any, state: Path, tmp_path: Path, kind: str) -> None:
    root = tmp_path / "root"
    back_up(make_session_store(server18), root, **KINDS[kind])
    before = tree_state(root)
    result, warnings = run(root, state, server18.bin_directory)
    assert result["verdict"] == "proven"
    assert warnings == []
    assert [(one["damage"], one["caught"]) for one in result["self_test"]] == [
        ("truncated file", True),
        ("one flipped bit", True),
        ("missing table (public.whatsapp_auth)", True),
        ("one changed value (public.whatsapp_auth)", True),
    ]
    assert ["bytes" in one["how"] or "SHA-256" in one["how"] for one in result["self_test"]] == [
        True,
        True,
        False,
        False,
    ]
    assert result["self_test"][2]["how"] == "table public.whatsapp_auth is missing from the restored database"
    assert result["self_test"][3]["how"] == "table public.whatsapp_auth has other content in the restored database"
    # The archive itself was only read, and stays what it is.
    assert tree_state(root) == before
    assert drill_failure([result]) == ""


def blind_to_bytes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(drill, "wrong_bytes", lambda _archive, _manifest: [])


def blind_to_everything(patch: pytest.MonkeyPatch) -> None:
    nothing = Comparison((), SchemaComparison(), 0, (), 0, 0, ())
    patch.setattr(drill, "compare", lambda *_arguments, **_options: nothing)


def blind_to_values(patch: pytest.MonkeyPatch) -> None:
    real = compare_tables
    patch.setattr(
        prove,
        "compare_tables",
        lambda archive, restored: tuple(one for one in real(archive, restored) if one.outcome != "changed"),
    )


def all_is_reordered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(unlike, "_read_table_by_table", lambda *_arguments: patched_digests)


class AnyDigest(dict[Any, Any]):
    """Agrees with everything."""

    def get(self, key: Any, default: Any = None) -> Any:
        return Same()


class Same(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


patched_digests = AnyDigest()


@pytest.mark.parametrize(
    ("blind", "missed"),
    [
        (blind_to_everything, {"missing table", "one changed value"}),
        (blind_to_values, {"one changed value"}),
        (all_is_reordered, {"one changed value"}),
    ],
)
def test_a_blind_detector_is_found_out(
    archive: Path, state: Path, server18: Any, monkeypatch: pytest.MonkeyPatch, blind: Any, missed: set[str]
) -> None:
    blind(monkeypatch)
    result, _ = run(archive, state, server18.bin_directory)
    assert result["verdict"] == "proven"
    assert {one["damage"].partition(" (")[0] for one in result["self_test"] if not one["caught"]} == missed
    for name in missed:
        assert name in drill_failure([result])
    report = drill_report("app", [result], 1.0)
    assert report.level == "error"
    assert "did not notice damage" in report.title


def test_without_the_hash_the_flipped_bit_is_not_missed_silently(
    archive: Path, state: Path, server18: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's hash is one line of defence; what the other makes of the damage is told either way."""
    blind_to_bytes(monkeypatch)
    result, _ = run(archive, state, server18.bin_directory)
    told = {one["damage"]: one for one in result["self_test"]}
    assert set(told) >= {"truncated file", "one flipped bit"}
    assert all(one["caught"] or one["how"] for one in told.values())
    # Half a file cannot be restored at all.
    assert told["truncated file"]["caught"]


def test_what_cannot_be_planted_is_a_warning(server18: Any, make_database: Any, state: Path, tmp_path: Path) -> None:
    """A database without a row has no value to change; that says nothing about the detector."""
    database = make_database(server18)
    database.execute("CREATE TABLE empty (a int)")
    back_up(database, tmp_path / "root")
    result, warnings = run(tmp_path / "root", state, server18.bin_directory)
    assert [one["damage"] for one in result["self_test"]] == ["truncated file", "one flipped bit"]
    assert all(one["caught"] for one in result["self_test"])
    assert [words.partition(": ")[2].partition(":")[0] for words in warnings] == ["missing table", "one changed value"]
    assert drill_failure([result]) == ""


def test_values_that_resist(server18: Any, make_database: Any, state: Path, tmp_path: Path) -> None:
    """Generated columns, keys others refer to, checks, unique and narrow columns: another value or table is found."""
    database = make_database(server18)
    database.execute(
        "CREATE TABLE a (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b varchar(1) CHECK (b = 'x'), c inet)"
    )
    database.execute("INSERT INTO a (b, c) VALUES ('x', '::1')")
    database.execute("CREATE TABLE z (a int REFERENCES a, d int GENERATED ALWAYS AS (a * 2) STORED, t text)")
    database.execute("INSERT INTO z (a, t) SELECT 1, 'row ' || g FROM generate_series(1, 50) g")
    back_up(database, tmp_path / "root")
    result, warnings = run(tmp_path / "root", state, server18.bin_directory)
    assert warnings == []
    assert [one["caught"] for one in result["self_test"]] == [True] * 4


def test_nothing_is_left(archive: Path, state: Path, server18: Any) -> None:
    with_copies = [Path(base) for base in BASES]
    result, _ = run(archive, state, server18.bin_directory)
    assert result["self_test"]
    name = Path(only_archive(archive).path).name
    assert [path for base in with_copies for path in base.glob(f"baileys-scratch-*/{name}")] == []
