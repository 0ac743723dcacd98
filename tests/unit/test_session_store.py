# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated session store: the same from the same seed, counted, and shaped as Baileys shapes it."""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from demo import session_store
from demo.session_creds import auth_row
from demo.session_rows import KEYS_BY_TYPE, KEYS_PER_COMPANY, key_rows

SEED = 7
MOMENT_US = 1_763_766_000_000_000
MOMENT = datetime.fromisoformat("2025-11-21T23:00:00+00:00")
# The types that hold bytes. libsignal's sessions hold base64 text, the others nothing of the kind.
TYPES_WITH_BYTES = (
    "pre-key",
    "sender-key",
    "app-state-sync-key",
    "app-state-sync-version",
    "tctoken",
    "identity-key",
)
ENCODINGS = {"array", "indexed", "base64"}


class KeyRow(NamedTuple):
    """A parsed COPY line."""

    company_id: str
    key_type: str
    key_id: str
    value: Any
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None


def parse(line: str) -> KeyRow:
    assert line.endswith("\n")
    columns = line[:-1].split("\t")
    assert len(columns) == 7
    assert not any("\\" in column for column in columns[:6])
    expires = None if columns[6] == r"\N" else datetime.fromisoformat(columns[6])
    created, updated = (datetime.fromisoformat(column) for column in columns[4:6])
    company_id, key_type, key_id, value = columns[:4]
    return KeyRow(company_id, key_type, key_id, json.loads(value), created, updated, expires)


def parse_creds(line: str) -> dict[str, Any]:
    creds: dict[str, Any] = json.loads(line.split("\t")[1].replace("\\\\", "\\"))
    return creds


@pytest.fixture(scope="module")
def rows() -> list[KeyRow]:
    return [parse(line) for line in key_rows(SEED, 0, MOMENT_US)]


def of_type(rows: list[KeyRow], key_type: str) -> list[KeyRow]:
    return [row for row in rows if row.key_type == key_type]


def decoded(value: Any) -> tuple[str, bytes] | None:
    """Name the encoding of a JSON value that stands for bytes, and return them."""
    if not isinstance(value, dict):
        return None
    if value.get("type") == "Buffer" and isinstance(value["data"], list):
        return "array", bytes(value["data"])
    if value.get("type") == "Buffer":
        return "base64", base64.b64decode(value["data"], validate=True)
    if list(value) == [str(number) for number in range(len(value))] and all(
        isinstance(byte, int) for byte in value.values()
    ):
        return "indexed", bytes(value.values())
    return None


def bytes_in(value: Any) -> Iterator[tuple[str, bytes]]:
    """Yield every byte string in a JSON value with its encoding."""
    found = decoded(value)
    if found and value:
        yield found
    elif isinstance(value, dict):
        for child in value.values():
            yield from bytes_in(child)
    elif isinstance(value, list):
        for child in value:
            yield from bytes_in(child)


def test_same_seed_same_rows():
    assert list(key_rows(SEED, 3, MOMENT_US)) == list(key_rows(SEED, 3, MOMENT_US))
    assert auth_row(SEED, 3, MOMENT_US) == auth_row(SEED, 3, MOMENT_US)


def test_rows_are_the_same_everywhere():
    # A constant: the rows must not depend on the machine, the Python version or the hash seed.
    text = "".join(key_rows(SEED, 0, MOMENT_US)) + auth_row(SEED, 0, MOMENT_US)
    assert zlib.crc32(text.encode()) == 1_556_686_472


def test_another_seed_and_another_company_share_no_key_material(rows):
    mine = {data for row in rows for _, data in bytes_in(row.value) if len(data) >= 32}
    for lines in (key_rows(SEED + 1, 0, MOMENT_US), key_rows(SEED, 1, MOMENT_US)):
        theirs = {data for line in lines for _, data in bytes_in(parse(line).value) if len(data) >= 32}
        assert len(theirs) > 1000
        assert not mine & theirs


def test_counts(rows):
    assert len(rows) == KEYS_PER_COMPANY == 1647
    assert Counter(row.key_type for row in rows) == KEYS_BY_TYPE == session_store.expected_key_types()
    assert len({row.company_id for row in rows}) == 1
    assert len({(row.key_type, row.key_id) for row in rows}) == len(rows)


def test_expected_counts_grow_with_the_companies():
    assert session_store.expected_counts() == {"whatsapp_auth": 1, "whatsapp_keys": 1647}
    assert session_store.expected_counts(100) == {"whatsapp_auth": 100, "whatsapp_keys": 164_700}
    assert session_store.expected_key_types(20)["session"] == 20 * KEYS_BY_TYPE["session"]


def test_rows_come_in_no_order_of_types(rows):
    changes = sum(first.key_type != second.key_type for first, second in pairwise(rows))
    assert changes > 500


@pytest.mark.parametrize("key_type", TYPES_WITH_BYTES)
def test_every_type_with_bytes_has_all_three_encodings(rows, key_type):
    found = {encoding for row in of_type(rows, key_type) for encoding, _ in bytes_in(row.value)}
    assert found == ENCODINGS


def test_other_types_hold_nothing_that_looks_like_bytes(rows):
    others = [row for row in rows if row.key_type not in TYPES_WITH_BYTES]
    assert {row.key_type for row in others} == {"session", "sender-key-memory", "lid-mapping", "device-list"}
    assert not [row for row in others if list(bytes_in(row.value))]


def test_pre_keys_are_pairs_of_32_bytes_under_growing_numbers(rows):
    pre_keys = of_type(rows, "pre-key")
    assert all(set(row.value) == {"public", "private"} for row in pre_keys)
    assert all(len(data) == 32 for row in pre_keys for _, data in bytes_in(row.value))
    numbers = sorted(int(row.key_id) for row in pre_keys)
    assert numbers[0] == 1
    assert numbers[-1] > len(numbers), "some pre-keys must have been used up"


def test_sessions_are_libsignal_records(rows):
    skipped_keys = 0
    for row in of_type(rows, "session"):
        assert set(row.value) == {"_sessions", "version"}
        assert row.value["version"] == "v1"
        assert sum(entry["indexInfo"]["closed"] == -1 for entry in row.value["_sessions"].values()) == 1
        for base_key, entry in row.value["_sessions"].items():
            assert entry["indexInfo"]["baseKey"] == base_key
            assert len(base64.b64decode(entry["currentRatchet"]["rootKey"], validate=True)) == 32
            for public_key, chain in entry["_chains"].items():
                assert base64.b64decode(public_key, validate=True)[:1] == b"\x05"
                skipped_keys += len(chain["messageKeys"])
    assert skipped_keys > 50


def test_sender_keys_are_json_inside_bytes_under_a_name_of_three_parts(rows):
    for row in of_type(rows, "sender-key"):
        group, user, device = row.key_id.split("::")
        assert group.endswith("@g.us")
        assert user.endswith("_1")
        assert device.isdigit()
        ((_, data),) = bytes_in(row.value)
        for state in json.loads(data):
            assert len(state["senderChainKey"]["seed"]["data"]) == 32
            assert len(state["senderSigningKey"]["public"]["data"]) == 33


def test_state_keys_have_identifiers_that_need_escaping(rows):
    identifiers = "".join(row.key_id for row in of_type(rows, "app-state-sync-key"))
    assert {"/", "+", "="} <= set(identifiers)
    kinds = {type(row.value["keyData"]) for row in of_type(rows, "app-state-sync-key")}
    assert kinds == {dict, str}, "protobuf's own base64 text must be there beside byte objects"


def test_state_versions_have_a_hash_of_128_bytes(rows):
    versions = {row.key_id: row.value for row in of_type(rows, "app-state-sync-version")}
    assert set(versions) == {"critical_block", "critical_unblock_low", "regular_high", "regular_low", "regular"}
    for value in versions.values():
        encoding, data = decoded(value["hash"]) or ("", b"")
        assert encoding in ENCODINGS
        assert len(data) == 128


def test_lid_mappings_are_text_and_come_in_pairs(rows):
    mappings = {row.key_id: row.value for row in of_type(rows, "lid-mapping")}
    forward = {key: value for key, value in mappings.items() if not key.endswith("_reverse")}
    assert len(forward) * 2 == len(mappings)
    assert all(mappings[f"{lid}_reverse"] == phone for phone, lid in forward.items())


def test_token_index_lists_the_other_tokens(rows):
    tokens = {row.key_id: row.value for row in of_type(rows, "tctoken")}
    ((_, index),) = bytes_in(tokens.pop("__index"))
    assert sorted(json.loads(index)) == sorted(tokens)
    assert all(value["timestamp"].isdigit() for value in tokens.values())


def test_ages_fall_into_the_buckets_as_counted(rows):
    limits = {"<1d": 1, "1-7d": 7, "7-14d": 14, "14-30d": 30, ">30d": 10_000}

    def bucket(row: KeyRow) -> str:
        # An hour later it is still so: a slow test must not see another bucket.
        ages = [MOMENT - row.updated_at, MOMENT + timedelta(hours=1) - row.updated_at]
        names = {next(name for name, days in limits.items() if age < timedelta(days=days)) for age in ages}
        assert len(names) == 1
        return names.pop()

    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        found[row.key_type][bucket(row)] += 1
    assert found == session_store.expected_ages()
    assert sum(found.values(), Counter()).keys() == limits.keys()


def test_times_are_in_order(rows):
    assert all(row.created_at <= row.updated_at <= MOMENT for row in rows)
    written_once = [row for row in rows if row.key_type == "pre-key"]
    assert all(row.created_at == row.updated_at for row in written_once)
    assert {row.expires_at is None for row in rows} == {True, False}


@pytest.mark.parametrize("number", range(3))
def test_credentials_are_those_of_a_paired_account(number):
    creds = parse_creds(auth_row(SEED, number, MOMENT_US))
    assert creds["me"]["id"].endswith("@s.whatsapp.net")
    assert ":" in creds["me"]["id"]
    pairs = ("noiseKey", "pairingEphemeralKeyPair", "signedIdentityKey")
    for pair in [*(creds[name] for name in pairs), creds["signedPreKey"]["keyPair"]]:
        assert [len((decoded(pair[half]) or ("", b""))[1]) for half in ("public", "private")] == [32, 32]
    assert len((decoded(creds["signedPreKey"]["signature"]) or ("", b""))[1]) == 64
    assert len(base64.b64decode(creds["advSecretKey"], validate=True)) == 32


def test_credentials_of_three_companies_show_all_encodings():
    found = {
        encoding for number in range(3) for encoding, _ in bytes_in(parse_creds(auth_row(SEED, number, MOMENT_US)))
    }
    assert found == ENCODINGS


def test_credentials_belong_to_the_company_of_the_keys(rows):
    line = auth_row(SEED, 0, MOMENT_US)
    assert line.split("\t")[0] == rows[0].company_id
    assert parse_creds(line)["myAppStateKeyId"] in {row.key_id for row in of_type(rows, "app-state-sync-key")}
