# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest that was damaged or edited is found out, by its own checksum or by the archive it is about."""

from __future__ import annotations

import json
import random

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.backup import describe
from ansible_collections.baileys.resilience.plugins.module_utils.backup.verify import verify_all
from tests.support.backups import back_up, only_archive

CONTENT = """
CREATE TABLE sessions AS SELECT g AS id FROM generate_series(1, 400) g;
CREATE TABLE companies AS SELECT g AS id FROM generate_series(1, 20) g;
CREATE SEQUENCE numbers START 17;
SELECT lo_from_bytea(4711, decode(repeat('00ff10', 300), 'hex'));
"""


@pytest.fixture
def root(server18, make_database, tmp_path):
    """A root with one archive of it."""
    database = make_database(server18)
    database.execute(CONTENT)
    back_up(database, tmp_path)
    return tmp_path


def reseal(path, change):
    """Edit a manifest and seal it again, as somebody who knows how would do."""
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(describe.seal(manifest)))


EDITS = {
    "rows": (lambda m: m["tables"][1].update(rows=399), "table public.sessions has 400 rows, 399 expected"),
    "digest": (lambda m: m["tables"][0].update(digest="0" * 64), "public.companies has other content"),
    "missing table": (lambda m: m["tables"].pop(0), "table public.companies is not in the manifest"),
    "another table": (
        lambda m: m["tables"].append(dict(m["tables"][0], table="more")),
        "table public.more is missing",
    ),
    "sequence": (lambda m: m["sequences"][0].update(value=18), "the values of sequences differ"),
    "large objects": (lambda m: m["large_objects"].update(count=2), "the large objects differ"),
    "size": (lambda m: m.update(size_bytes=1), "not 1"),
    "hash": (lambda m: m.update(sha256="0" * 64), "its SHA-256 is not the one it was made with"),
    "format": (lambda m: m.update(format="plain", compression="gzip"), "cannot be decoded"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_manifest(root, bin_full18, edit):
    path = next(root.glob("daily/*.manifest.json"))
    original = path.read_bytes()
    change, words = EDITS[edit]
    manifest = json.loads(original)
    change(manifest)
    # By somebody who does not know of its checksum ...
    path.write_text(json.dumps(manifest))
    (result,) = verify_all(str(root), client_directory=str(bin_full18))
    assert "it was edited: its own checksum does not hold" in "".join(result.problems)
    assert only_archive(root).state == "suspect"
    # ... and by somebody who does.
    path.write_bytes(original)
    reseal(path, change)
    (result,) = verify_all(str(root), client_directory=str(bin_full18), dry_run=True)
    assert not result.holds
    assert words in "; ".join(result.findings)


def test_every_flipped_bit_of_a_manifest_is_found(root, bin_full18):
    path = next(root.glob("daily/*.manifest.json"))
    content = path.read_bytes()
    choice = random.Random("manifest")
    for _ in range(200):
        position, bit = choice.randrange(len(content)), choice.randrange(8)
        damaged = bytearray(content)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        archive = only_archive(root)
        if archive.state != "suspect":
            # White space between the values says nothing: all that can be read is as it was.
            assert json.loads(damaged) == json.loads(content), (position, bit)
    path.write_bytes(content)
