# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One public key and nothing else, whatever a file holds; pgdg.asc is the key of the PostgreSQL project."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.system.openpgp import (
    KeyFileError,
    plain_fingerprint,
    read_public_key,
)

ARMORED = Path(__file__).with_name("pgdg.asc").read_bytes()
KEY = read_public_key(ARMORED)
BINARY = KEY.packets
FINGERPRINT = "B97B0AFCAA1A47F044F244A07FCC7D46ACCC4CF8"


def new_packet(tag: int, body: bytes) -> bytes:
    """A packet in the new format with a length of five bytes."""
    return bytes([0xC0 | tag, 255]) + len(body).to_bytes(4, "big") + body


def test_text_and_binary_are_the_same_key() -> None:
    assert KEY.fingerprint == FINGERPRINT
    assert read_public_key(BINARY) == KEY
    assert read_public_key(KEY.armored()) == KEY
    assert read_public_key(ARMORED.replace(b"\n", b"\r\n")) == KEY


def test_a_key_of_version_6_has_a_fingerprint_of_64_digits() -> None:
    body = b"\x06" + bytes(40)
    assert read_public_key(new_packet(6, body)).fingerprint == (
        hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an OpenPGP public key"),
        (b"<html>404 not found</html>", "not an OpenPGP key"),
        (BINARY + BINARY, "holds 2 keys"),
        (ARMORED + ARMORED, "not one whole armored public key block"),
        (ARMORED + b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "not one whole armored public key block"),
        (ARMORED.replace(b"mQINBE6XR8", b"mQINBE6XR!"), "not one whole armored public key block"),
        (ARMORED[:2000], "not one whole armored public key block"),
        (BINARY[:2000], "cut off"),
        (BINARY + new_packet(5, b"\x04secret"), "holds a secret key"),
        (BINARY + new_packet(11, b"literal data"), "not an OpenPGP public key"),
        (new_packet(2, b"\x04signature alone"), "not an OpenPGP public key"),
        (new_packet(6, b"\x03" + bytes(20)), "of version 3"),
        (new_packet(6, b""), "of version 0"),
        (bytes([0xC6, 224]) + bytes(10), "without a definite length"),
        (bytes([0x9B]) + bytes(10), "without a definite length"),
    ],
)
def test_anything_else_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(KeyFileError, match=message):
        read_public_key(data)


@given(st.integers(0, len(BINARY) - 1))
def test_a_key_cut_anywhere_is_never_another_key(length: int) -> None:
    try:
        cut = read_public_key(BINARY[:length])
    except KeyFileError:
        return
    # Cut between two packets: fewer signatures, the same key.
    assert cut.fingerprint == FINGERPRINT


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_refused_or_read(data: bytes) -> None:
    try:
        read_public_key(data)
    except KeyFileError:
        pass


def test_a_fingerprint_is_read_as_people_write_it() -> None:
    assert plain_fingerprint("b97b 0afc aa1a 47f0 44f2  44a0 7fcc 7d46 accc 4cf8") == FINGERPRINT


@pytest.mark.parametrize("text", ["", "ACCC4CF8", "7FCC7D46ACCC4CF8", FINGERPRINT + "0", FINGERPRINT[:-1] + "G"])
def test_a_short_id_is_no_fingerprint(text: str) -> None:
    with pytest.raises(KeyFileError, match="not a whole fingerprint"):
        plain_fingerprint(text)
