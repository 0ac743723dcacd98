# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of a WhatsApp session store in the shapes Baileys 7 gives them.

Taken from what baileys 7.0.0-rc14 and its libsignal really store. Key material is random bytes, as
it is in life, so the values compress as real ones do. None of the keys belongs to anybody.
"""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

POOL_BYTES = 65536

Encoding = Callable[[bytes], str]


class RandomSource:
    """Random bytes and small numbers that depend on nothing but the seed."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self._pool = b""
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return `size` random bytes (from a pool: asking for few at a time is slow)."""
        if self._at + size > len(self._pool):
            self._pool = self.random.randbytes(max(POOL_BYTES, size))
            self._at = 0
        self._at += size
        return self._pool[self._at - size : self._at]

    def below(self, limit: int) -> int:
        """Return a number from 0 to limit - 1 (limit at most 65,536)."""
        return int.from_bytes(self.take(2), "big") * limit >> 16

    def base64_key(self) -> str:
        """Return 32 random bytes as base64."""
        return b64encode(self.take(32)).decode()

    def base64_public_key(self) -> str:
        """Return a Signal public key as base64: the type byte 5 and 32 bytes."""
        return b64encode(b"\x05" + self.take(32)).decode()


def as_array(data: bytes) -> str:
    """Bytes as `JSON.stringify` writes a Buffer."""
    return f'{{"type":"Buffer","data":{list(data)}}}'.replace(", ", ",")


def as_indexed(data: bytes) -> str:
    """Bytes as `JSON.stringify` writes a Uint8Array."""
    return _indexed_format(len(data)) % tuple(data)


def as_base64(data: bytes) -> str:
    """Bytes as Baileys' own BufferJSON writes them."""
    return f'{{"type":"Buffer","data":"{b64encode(data).decode()}"}}'


@cache
def _indexed_format(length: int) -> str:
    return "{" + ",".join(f'"{index}":%d' for index in range(length)) + "}"


@dataclass(frozen=True)
class Contact:
    """A person on WhatsApp: phone number and the private identifier that stands for it."""

    phone: str
    lid: str


def make_contact(source: RandomSource) -> Contact:
    """Return a made-up contact."""
    number = int.from_bytes(source.take(4), "big")
    identifier = int.from_bytes(source.take(6), "big")
    return Contact(phone=f"49{15000000000 + number % 2999999999}", lid=f"{identifier + 10**14}")


def pre_key(source: RandomSource, encode: Encoding) -> str:
    """One half-used Curve25519 key pair."""
    return f'{{"private":{encode(source.take(32))},"public":{encode(source.take(32))}}}'


def session(source: RandomSource, updated_ms: int) -> str:
    """A Signal session record with closed predecessors, chains and keys of messages to come.

    libsignal's `serialize` leaves base64 strings, no byte objects; its `messageKeys` are maps of
    numbers that must not be taken for bytes.
    """
    closed = source.below(5) // 4
    entries = []
    for number in range(closed + 1):
        age_ms = (closed - number) * 86_400_000
        entries.append(_session_entry(source, updated_ms - age_ms, is_open=number == closed))
    return f'{{"_sessions":{{{",".join(entries)}}},"version":"v1"}}'


def _session_entry(source: RandomSource, used_ms: int, *, is_open: bool) -> str:
    base_key = source.base64_public_key()
    chains = [_chain(source, 1)] + [_chain(source, 2) for _ in range(1 + source.below(3))]
    pending = ""
    if is_open and source.below(10) == 0:
        pending = (
            f',"pendingPreKey":{{"signedKeyId":{1 + source.below(9)},"baseKey":"{base_key}",'
            f'"preKeyId":{1 + source.below(812)}}}'
        )
    return (
        f'"{base_key}":{{"registrationId":{source.below(16384)},"currentRatchet":{{'
        f'"ephemeralKeyPair":{{"pubKey":"{source.base64_public_key()}",'
        f'"privKey":"{source.base64_key()}"}},'
        f'"lastRemoteEphemeralKey":"{source.base64_public_key()}",'
        f'"previousCounter":{source.below(40)},"rootKey":"{source.base64_key()}"}},'
        f'"indexInfo":{{"baseKey":"{base_key}","baseKeyType":{1 + source.below(2)},'
        f'"closed":{-1 if is_open else used_ms + 1000},"used":{used_ms},'
        f'"created":{used_ms - 60_000},"remoteIdentityKey":"{source.base64_public_key()}"}},'
        f'"_chains":{{{",".join(chains)}}}{pending}}}'
    )


def _chain(source: RandomSource, chain_type: int) -> str:
    skipped = source.below(6) - 3 if chain_type == 2 else 0
    keys = ",".join(f'"{number}":"{source.base64_key()}"' for number in range(max(0, skipped)))
    # A chain the peer has left behind keeps its counter and loses its key.
    key = f',"key":"{source.base64_key()}"' if chain_type == 1 or source.below(2) else ""
    return (
        f'"{source.base64_public_key()}":{{"chainKey":{{"counter":{source.below(60) - 1}{key}}},'
        f'"chainType":{chain_type},"messageKeys":{{{keys}}}}}'
    )


def sender_key(source: RandomSource, encode: Encoding) -> str:
    """A group member's sender key: JSON text inside bytes, as Baileys stores it."""
    states = ",".join(_sender_key_state(source) for _ in range(1 + source.below(3) // 2))
    return encode(f"[{states}]".encode())


def _sender_key_state(source: RandomSource) -> str:
    iteration = source.below(200)
    skipped = ",".join(
        f'{{"iteration":{iteration + number},"seed":{as_array(source.take(32))}}}'
        for number in range(max(0, source.below(6) - 2))
    )
    signing_public = as_array(b"\x05" + source.take(32))
    return (
        f'{{"senderKeyId":{int.from_bytes(source.take(4), "big") >> 1},'
        f'"senderChainKey":{{"iteration":{iteration + 6},"seed":{as_array(source.take(32))}}},'
        f'"senderSigningKey":{{"public":{signing_public},"private":{as_array(b"")}}},'
        f'"senderMessageKeys":[{skipped}]}}'
    )


def sender_key_memory(members: list[Contact]) -> str:
    """Which devices of a group already have our sender key."""
    devices = [f'"{member.lid}@lid":true,"{member.lid}:12@lid":true' for member in members]
    return "{" + ",".join(devices) + "}"


def app_state_sync_key(source: RandomSource, encode: Encoding | None, updated_ms: int) -> str:
    """A key of the application state. Without `encode`, as protobuf's own toJSON writes it."""
    data = source.take(32)
    key_data = encode(data) if encode else f'"{b64encode(data).decode()}"'
    raw_id = int.from_bytes(source.take(4), "big")
    return (
        f'{{"keyData":{key_data},"fingerprint":{{"rawId":{raw_id},"currentIndex":1,'
        f'"deviceIndexes":[0,1]}},"timestamp":"{updated_ms}"}}'
    )


def app_state_sync_version(source: RandomSource, encode: Encoding, entries: int) -> str:
    """The hash state of one collection, with `entries` indexed values."""
    index = ",".join(f'"{source.base64_key()}":{{"valueMac":{encode(source.take(32))}}}' for _ in range(entries))
    return f'{{"version":{1 + source.below(400)},"hash":{encode(source.take(128))},"indexValueMap":{{{index}}}}}'


def device_list(source: RandomSource) -> str:
    """A contact's device numbers, as strings."""
    linked = [f'"{1 + source.below(90)}"' for _ in range(source.below(4))]
    return "[" + ",".join(['"0"', *linked]) + "]"


def trusted_contact_token(source: RandomSource, encode: Encoding, updated_ms: int) -> str:
    """A privacy token with the time it was given, in seconds, as text."""
    seconds = updated_ms // 1000
    sent = f',"senderTimestamp":{seconds}' if source.below(2) else ""
    return f'{{"token":{encode(source.take(11))},"timestamp":"{seconds}"{sent}}}'


def trusted_contact_index(contacts: list[Contact], encode: Encoding) -> str:
    """The entry `__index`: the list of all contacts with a token, as JSON text inside bytes."""
    names = ",".join(f'"{contact.lid}@lid"' for contact in contacts)
    return f'{{"token":{encode(f"[{names}]".encode())}}}'


def identity_key(source: RandomSource, encode: Encoding) -> str:
    """A contact's identity key: the type byte 5 and 32 bytes."""
    return encode(b"\x05" + source.take(32))
