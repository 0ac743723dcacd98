# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions whose content is known: keys of every type as Python values, bytes being `bytes`, in any of the encodings.

What is said here of encodings is independent of the product: it is what JavaScript does.
"""

from __future__ import annotations

import json
import random
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

Spell = Callable[[bytes], Any]

# What plain JSON.stringify makes of a Buffer and of a Uint8Array, and what BufferJSON makes of either.
ENCODINGS: dict[str, Spell] = {
    "array": lambda data: {"type": "Buffer", "data": list(data)},
    "indexed": lambda data: {str(index): byte for index, byte in enumerate(data)},
    "base64": lambda data: {"type": "Buffer", "data": b64encode(data).decode()},
}

# Ids as WhatsApp has them, and some that are meant to break the way through a file name.
NASTY_IDS = (
    "a/b:c+d==",
    "x::y__z-w.json",
    "..",
    "x:session-1.0",
    "50%",
    "ünïcødé ✓",
    "with space",
    "'; DROP TABLE t; --",
    "__index",
)
IDS = {
    "pre-key": ("1", "16777215"),
    "session": ("4915112345678.0", "123456789012345_1.12"),
    "sender-key": ("120363041234567890@g.us::123456789012345_1::0", "4915112345678-1612345678@g.us::4917612345678::3"),
    "sender-key-memory": ("120363041234567890@g.us", "status@broadcast"),
    "app-state-sync-key": ("AAAAAP////8=", "AAAAAAH7774=", "AAAAAPv/"),
    "app-state-sync-version": ("critical_unblock_low", "regular_high"),
    "lid-mapping": ("4915112345678", "123456789012345_reverse"),
    "device-list": ("4915112345678", "123456789012345"),
    "tctoken": ("123456789012345@lid", "__index"),
    "identity-key": ("4915112345678.0", "123456789012345_1.0"),
}
Keys = dict[str, dict[str, Any]]


def keys_of(seed: int = 1, nasty: bool = True) -> Keys:
    """Keys of every type: type -> id -> value."""
    source = random.Random(seed)
    return {
        key_type: {key_id: value_of(key_type, source) for key_id in (*ids, *(NASTY_IDS if nasty else ()))}
        for key_type, ids in IDS.items()
    }


def value_of(key_type: str, source: random.Random) -> Any:
    """A value of this type, with everything that has been taken for bytes, or not for them, by mistake."""
    some = source.randbytes
    chain = {
        "chainKey": {"counter": 2, "key": b64encode(some(32)).decode()},
        "chainType": 2,
        # Numbered from 0, as bytes would be: these must survive.
        "messageKeys": {"0": b64encode(some(32)).decode(), "1": b64encode(some(32)).decode()},
    }
    values: dict[str, Any] = {
        "pre-key": {"private": some(32), "public": some(32)},
        "session": {"_sessions": {"BQ==": {"registrationId": 7, "_chains": {"BU==": chain}}}, "version": "v1"},
        "sender-key": json.dumps(
            [{"senderKeyId": 1, "note": 'like {"0": 5} or {"type":"Buffer","data":[1]}'}]
        ).encode(),
        "sender-key-memory": {"123456789012345@lid": True, "4915112345678:12@s.whatsapp.net": False},
        "app-state-sync-key": {
            "keyData": some(32),
            "fingerprint": {"rawId": 77, "currentIndex": 1, "deviceIndexes": [0, 1]},
            "timestamp": "1764000000000",
        },
        "app-state-sync-version": {
            "version": 3,
            "hash": some(128),
            "indexValueMap": {b64encode(some(32)).decode(): {"valueMac": some(32)} for _ in range(3)},
        },
        "lid-mapping": str(10**14 + source.randrange(10**14)),
        "device-list": ["0", "12", "255"],
        "tctoken": {"token": some(11), "timestamp": "1764000000", "senderTimestamp": 1764000000},
        "identity-key": b"\x05" + some(32),
    }
    return values[key_type]


def creds_of(seed: int = 1, me: str | None = "4915112345678:7@s.whatsapp.net") -> dict[str, Any]:
    """Credentials of a paired phone; without `me`, those that Baileys makes to begin with."""
    source = random.Random(seed)

    def pair() -> dict[str, bytes]:
        return {"private": source.randbytes(32), "public": source.randbytes(32)}

    creds: dict[str, Any] = {
        "noiseKey": pair(),
        "pairingEphemeralKeyPair": pair(),
        "signedIdentityKey": pair(),
        "signedPreKey": {"keyPair": pair(), "signature": source.randbytes(64), "keyId": 1},
        "registrationId": 4711,
        "advSecretKey": b64encode(source.randbytes(32)).decode(),
        "processedHistoryMessages": [],
        "nextPreKeyId": 31,
        "firstUnuploadedPreKeyId": 31,
        "accountSyncCounter": 1,
        "accountSettings": {"unarchiveChats": False},
        "registered": False,
    }
    if me is not None:
        creds["me"] = {"id": me, "lid": "123456789012345:7@lid", "name": 'Müller & Söhne "Nord" 🚚'}
        creds["account"] = {"details": b64encode(source.randbytes(18)).decode()}
        creds["routingInfo"] = source.randbytes(6)
    return creds


def spelt(value: Any, encoding: str) -> Any:
    """The value as JSON would hold it, bytes in this encoding; `mixed` takes another for each."""
    if encoding == "mixed":
        spells = list(ENCODINGS.values())
        return _spelt(value, lambda data: spells[sum(data) % len(spells)](data))
    return _spelt(value, ENCODINGS[encoding])


def _spelt(value: Any, spell: Spell) -> Any:
    if isinstance(value, bytes):
        return spell(value)
    if isinstance(value, dict):
        return {name: _spelt(member, spell) for name, member in value.items()}
    if isinstance(value, list):
        return [_spelt(member, spell) for member in value]
    return value


def plain(value: Any) -> Any:
    """The other way: JSON's data with every spelling of bytes as `bytes`."""
    if isinstance(value, list):
        return [plain(member) for member in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"type", "data"} and value["type"] == "Buffer":
        data = value["data"]
        return b64decode(data) if isinstance(data, str) else bytes(data)
    if value and list(value) == [str(index) for index in range(len(value))]:
        numbers = list(value.values())
        if all(type(number) is int and 0 <= number <= 255 for number in numbers):
            return bytes(numbers)
    return {name: plain(member) for name, member in value.items()}
