# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: what it says of an archive, every difference it shows, and that no edit goes unseen."""

from __future__ import annotations

import copy
import itertools
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.backup import describe
from ansible_collections.baileys.resilience.plugins.module_utils.backup.contents import Contents, TableContent
from ansible_collections.baileys.resilience.plugins.module_utils.backup.describe import (
    describe_contents,
    differences,
    manifest_path,
    read_manifest,
    seal,
    write_manifest,
)
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ArchiveError, ResilienceError
from tests.support.archives import manifest_of

CONTENTS = Contents(
    tables=(
        TableContent(("public", "whatsapp_auth"), 1, 500, "a" * 64),
        TableContent(("public", "whatsapp_keys"), 1647, 300_000, "b" * 64),
    ),
    sequences={"public.s": (42, True), "public.t": (1, False)},
    large_objects=2,
    large_object_bytes=12,
    large_objects_digest="c" * 64,
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def full_manifest(**changes: Any) -> dict[str, Any]:
    return {**manifest_of(), **describe_contents(CONTENTS), **changes}


@pytest.fixture
def archive(tmp_path: Path) -> str:
    return str(tmp_path / "backup-2026-11-21T120000Z.dump")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in it."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(item, (dict, list)):
            yield from places(item, (*path, key))


def same(one: Any, other: Any) -> bool:
    """Equality as JSON sees it: 1, 1.0 and true are three things."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


class TestWriting:
    def test_it_lies_beside_the_archive_private_and_comes_back(self, archive: str) -> None:
        write_manifest(archive, full_manifest())
        path = Path(f"{archive}.manifest.json")
        assert manifest_path(archive) == str(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        read = read_manifest(archive)
        assert read is not None
        assert len(read.pop("manifest_sha256")) == 64
        assert read == full_manifest()

    def test_names_of_any_kind_survive(self, archive: str) -> None:
        # What was no text in the database's encoding is carried as surrogates.
        manifest = full_manifest(database="ä€😀\n\udcff")
        write_manifest(archive, manifest)
        read = read_manifest(archive)
        assert read is not None
        assert read["database"] == "ä€😀\n\udcff"
        assert Path(manifest_path(archive)).read_bytes().isascii()

    def test_without_one_the_file_is_not_ours(self, archive: str) -> None:
        assert read_manifest(archive) is None


class TestSealing:
    def test_sealing_twice_changes_nothing(self) -> None:
        once = seal(full_manifest())
        assert seal(once) == once

    @settings(max_examples=300)
    @given(data=st.data())
    def test_any_edit_shows(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        archive = str(tmp_path_factory.getbasetemp() / "edited.dump")
        original = seal(full_manifest(proofs=[{"kind": "verify", "outcome": "held"}]))
        edited = copy.deepcopy(original)
        way = data.draw(st.sampled_from(list(places(original))))
        target: Any = edited
        for key in way[:-1]:
            target = target[key]
        action = data.draw(st.sampled_from(["change", "remove", "add"]))
        if action == "change":
            target[way[-1]] = data.draw(VALUES)
        elif action == "remove":
            del target[way[-1]]
        elif isinstance(target, dict):
            target[data.draw(st.text(min_size=1, max_size=5))] = data.draw(VALUES)
        else:
            target.insert(way[-1], data.draw(VALUES))
        Path(manifest_path(archive)).write_text(json.dumps(edited))
        if same(edited, original):
            assert read_manifest(archive) == original
        else:
            with pytest.raises(ArchiveError, match="cannot be trusted"):
                read_manifest(archive)

    def test_a_second_list_of_tables_in_another_order_shows(self, archive: str) -> None:
        manifest = seal(full_manifest())
        manifest["tables"] = list(reversed(manifest["tables"]))
        Path(manifest_path(archive)).write_text(json.dumps(manifest))
        with pytest.raises(ArchiveError, match="it was edited: its own checksum does not hold"):
            read_manifest(archive)

    def test_every_flipped_bit_shows_or_means_nothing(self, archive: str) -> None:
        # As few bytes as may be, and one of each kind.
        short = {key: {int: 1, str: "é", list: [0.00001, None]}[kind] for key, kind in describe._REQUIRED.items()}
        data = json.dumps(seal({**short, "state": "proven"})).encode()
        path = Path(manifest_path(archive))
        path.write_bytes(data)
        original = read_manifest(archive)
        harmless = 0
        with path.open("r+b", buffering=0) as stream:
            for place, flipped in itertools.product(range(len(data)), (1 << bit for bit in range(8))):
                os.pwrite(stream.fileno(), bytes([data[place] ^ flipped]), place)
                try:
                    read = read_manifest(archive)
                except ArchiveError:
                    continue
                finally:
                    os.pwrite(stream.fileno(), data[place : place + 1], place)
                assert same(read, original)
                harmless += 1
        # The e of 1e-05 may as well be an E, and so may that of \u00e9.
        assert 0 < harmless < 20

    @pytest.mark.parametrize("end", ["nothing", "half", "all but the end"])
    def test_a_truncated_one_shows(self, archive: str, end: str) -> None:
        write_manifest(archive, full_manifest())
        path = Path(manifest_path(archive))
        data = path.read_bytes()
        path.write_bytes(data[: {"nothing": 0, "half": len(data) // 2, "all but the end": len(data) - 2}[end]])
        with pytest.raises(ArchiveError, match="it is not JSON"):
            read_manifest(archive)


class TestRefusing:
    def refused(self, archive: str, data: bytes) -> ArchiveError:
        Path(manifest_path(archive)).write_bytes(data)
        with pytest.raises(ArchiveError) as caught:
            read_manifest(archive)
        start = "The manifest backup-2026-11-21T120000Z.dump.manifest.json cannot be trusted: "
        assert caught.value.message.startswith(start)
        assert caught.value.stage == "verify"
        assert caught.value.remedy
        return caught.value

    @pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"nothing", b"{} {}", b"[" * 100_000])
    def test_what_is_not_json(self, archive: str, data: bytes) -> None:
        assert "it is not JSON" in self.refused(archive, data).message

    @pytest.mark.parametrize("data", [b"[]", b"1", b"null", b'"text"'])
    def test_what_is_not_an_object(self, archive: str, data: bytes) -> None:
        assert "it is not a JSON object" in self.refused(archive, data).message

    @pytest.mark.parametrize("version", [2, 0, "1", None])
    def test_a_version_of_the_future(self, archive: str, version: Any) -> None:
        manifest = seal(full_manifest(manifest_version=version))
        error = self.refused(archive, json.dumps(manifest).encode())
        assert f"its manifest_version is {version!r}, not 1" in error.message

    @pytest.mark.parametrize("key", sorted(describe._REQUIRED.keys() - {"manifest_version"}))
    @pytest.mark.parametrize("value", [None, 1.5, {}], ids=["missing", "number", "object"])
    def test_a_key_that_readers_rely_on(self, archive: str, key: str, value: Any) -> None:
        manifest = full_manifest(**{key: value})
        if value is None:
            del manifest[key]
        error = self.refused(archive, json.dumps(seal(manifest)).encode())
        assert error.message.endswith(f"{key} is missing or of the wrong type")

    @pytest.mark.parametrize("state", ["foreign", "", "Verified", "archived"])
    def test_a_state_that_retention_does_not_know(self, archive: str, state: str) -> None:
        error = self.refused(archive, json.dumps(seal(full_manifest(state=state))).encode())
        assert error.message.endswith(f"its state is {state!r}")

    def test_one_that_cannot_be_read(self, archive: str) -> None:
        Path(manifest_path(archive)).mkdir()
        with pytest.raises(ResilienceError, match=r"^Cannot read the manifest .*: Is a directory"):
            read_manifest(archive)


class TestDifferences:
    def test_none(self) -> None:
        assert differences(full_manifest(), CONTENTS) == []

    def test_none_after_a_round_trip_through_the_file(self, archive: str) -> None:
        write_manifest(archive, full_manifest())
        manifest = read_manifest(archive)
        assert manifest is not None
        assert differences(manifest, CONTENTS) == []

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            (
                TableContent(("public", "whatsapp_keys"), 1646, 300_000, "b" * 64),
                "table public.whatsapp_keys has 1646 rows, 1647 expected",
            ),
            (
                TableContent(("public", "whatsapp_keys"), 1647, 300_000, "d" * 64),
                "table public.whatsapp_keys has other content than when it was backed up",
            ),
            (
                TableContent(("public", "whatsapp_keys"), 1647, 300_001, "b" * 64),
                "table public.whatsapp_keys has other content than when it was backed up",
            ),
        ],
    )
    def test_another_table_content(self, table: TableContent, words: str) -> None:
        contents = Contents((CONTENTS.tables[0], table), CONTENTS.sequences, 2, 12, "c" * 64)
        assert differences(full_manifest(), contents) == [words]

    def test_missing_and_additional_tables(self) -> None:
        extra = TableContent(("other", "t"), 0, 0, "e" * 64)
        contents = Contents((CONTENTS.tables[0], extra), CONTENTS.sequences, 2, 12, "c" * 64)
        assert differences(full_manifest(), contents) == [
            "table other.t is not in the manifest",
            "table public.whatsapp_keys is missing",
        ]

    @pytest.mark.parametrize(
        "sequences",
        [
            {},
            {"public.s": (43, True), "public.t": (1, False)},
            {"public.s": (42, False), "public.t": (1, False)},
            {**CONTENTS.sequences, "public.u": (1, False)},
        ],
    )
    def test_sequences(self, sequences: dict[str, tuple[int, bool]]) -> None:
        contents = Contents(CONTENTS.tables, sequences, 2, 12, "c" * 64)
        assert differences(full_manifest(), contents) == ["the values of sequences differ"]

    @pytest.mark.parametrize("objects", [(3, 12, "c" * 64), (2, 13, "c" * 64), (2, 12, "d" * 64), (0, 0, None)])
    def test_large_objects(self, objects: tuple[int, int, str | None]) -> None:
        contents = Contents(CONTENTS.tables, CONTENTS.sequences, *objects)
        assert differences(full_manifest(), contents) == ["the large objects differ"]
