# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of one company's WhatsApp session, as lines of COPY's text format."""

from __future__ import annotations

import uuid
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from demo import session_values as values
from demo.session_values import Contact, Encoding, RandomSource, as_array, as_base64, as_indexed

# What one company of the real store holds: 1,647 keys.
KEYS_BY_TYPE = {
    "pre-key": 1034,
    "session": 94,
    "sender-key": 158,
    "sender-key-memory": 24,
    "app-state-sync-key": 8,
    "app-state-sync-version": 5,
    "lid-mapping": 150,
    "device-list": 72,
    "tctoken": 42,
    "identity-key": 60,
}
KEYS_PER_COMPANY = sum(KEYS_BY_TYPE.values())
WRITTEN_ONCE = frozenset({"pre-key", "app-state-sync-key", "lid-mapping", "identity-key"})
# Contacts and groups one company talks to; the same people turn up in every type.
CONTACTS = 80
GROUPS = 24
# The collections of the application state with the indexed values of each: contacts and settings
# are many, the block list is short.
STATE_COLLECTIONS = (
    ("critical_block", 4),
    ("critical_unblock_low", 120),
    ("regular_high", 60),
    ("regular_low", 80),
    ("regular", 16),
)
# How plain JSON.stringify left the bytes depends on what the library held them in, and an adapter
# with BufferJSON came later: every type has all three, its natural one most often.
BUFFERS = (as_array, as_indexed, as_base64, as_array, as_array, as_base64, as_array, as_array)
TYPED_ARRAYS = (as_indexed, as_array, as_base64, as_indexed, as_indexed, as_base64, as_indexed)
# Hours before the moment; an hour away from each limit, so that a slow test sees the same buckets.
AGE_BUCKETS = {
    "<1d": (0, 23),
    "1-7d": (25, 7 * 24 - 1),
    "7-14d": (7 * 24 + 1, 14 * 24 - 1),
    "14-30d": (14 * 24 + 1, 30 * 24 - 1),
    ">30d": (30 * 24 + 1, 400 * 24),
}
# Row i of a type falls into bucket number PATTERN[i % 20].
PATTERN_USED = (0, 4, 1, 2, 0, 3, 1, 0, 4, 1, 2, 0, 4, 1, 3, 2, 0, 4, 1, 3)
PATTERN_WRITTEN_ONCE = (4, 3, 4, 2, 4, 1, 4, 3, 4, 2, 4, 0, 4, 3, 4, 1, 4, 2, 4, 3)
HOUR_US = 3_600_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Company:
    """Whose session it is."""

    company_id: str
    me: Contact


def make_company(seed: int, number: int) -> Company:
    """Return company `number` of the store that `seed` stands for."""
    source = RandomSource(f"{seed}/{number}/company")
    return Company(str(uuid.UUID(bytes=source.take(16), version=4)), values.make_contact(source))


Key = tuple[str, str]


@dataclass(frozen=True)
class Writer:
    """What the keys of one company are made from."""

    source: RandomSource
    contacts: list[Contact]

    def contact(self, index: int) -> Contact:
        return self.contacts[index % CONTACTS]

    def group(self, index: int) -> str:
        return f"120363{self.contacts[index % GROUPS].lid[:12]}@g.us"

    def address(self, index: int) -> str:
        """Return a Signal address, each index its own: some by phone number, most by LID."""
        contact = self.contact(index)
        if index % 8 == 5:
            return f"{contact.phone}.{index // CONTACTS}"
        return f"{contact.lid}_1.{index // CONTACTS}"

    def buffer(self, index: int) -> Encoding:
        return BUFFERS[index % len(BUFFERS)]

    def typed(self, index: int) -> Encoding:
        return TYPED_ARRAYS[index % len(TYPED_ARRAYS)]


def ages_by_type() -> dict[str, Counter[str]]:
    """Return for one company how many rows of each key type fall into each age bucket."""
    return {
        key_type: Counter(_bucket(key_type, index) for index in range(count))
        for key_type, count in KEYS_BY_TYPE.items()
    }


def _bucket(key_type: str, index: int) -> str:
    pattern = PATTERN_WRITTEN_ONCE if key_type in WRITTEN_ONCE else PATTERN_USED
    return tuple(AGE_BUCKETS)[pattern[index % len(pattern)]]


def key_rows(seed: int, number: int, moment_us: int) -> Iterator[str]:
    """Yield the COPY lines of `whatsapp_keys` for one company, in no order of types.

    `moment_us` is the moment ages count back from, in microseconds since 1970.
    """
    company = make_company(seed, number)
    source = RandomSource(f"{seed}/{number}/keys")
    writer = Writer(source, [values.make_contact(source) for _ in range(CONTACTS)])
    lines = []
    for key_type, count in KEYS_BY_TYPE.items():
        for index in range(count):
            updated_us = moment_us - _age_us(source, key_type, index)
            key_id, value = WRITERS[key_type](writer, index, updated_us // 1000)
            created_us = updated_us
            if key_type not in WRITTEN_ONCE:
                created_us -= source.below(60 * 24) * HOUR_US
            expires = r"\N"
            if key_type == "tctoken" and index % 2:
                expires = timestamp(updated_us + 28 * 24 * HOUR_US)
            lines.append(
                f"{company.company_id}\t{key_type}\t{key_id}\t{value}\t"
                f"{timestamp(created_us)}\t{timestamp(updated_us)}\t{expires}\n"
            )
    source.random.shuffle(lines)
    yield from lines


def _age_us(source: RandomSource, key_type: str, index: int) -> int:
    first, last = AGE_BUCKETS[_bucket(key_type, index)]
    span_us = (last - first) * HOUR_US
    return first * HOUR_US + int.from_bytes(source.take(8), "big") % span_us


def timestamp(moment_us: int) -> str:
    """Return microseconds since 1970 as PostgreSQL reads a time, in UTC."""
    return (EPOCH + timedelta(microseconds=moment_us)).isoformat()


def state_key_id(source: RandomSource, index: int) -> str:
    """Return a base64 key identifier; the first three hold `/`, `+` and `=` for certain."""
    certain = (b"\x00\x00\xff\xff\xff\xff", b"\x00\x00\x01\xfb\xef\xbe", b"\x00\x00\xfb\xff")
    if index < len(certain):
        return b64encode(certain[index]).decode()
    return b64encode(b"\x00\x00" + source.take(4)).decode()


def _pre_key(writer: Writer, index: int, _: int) -> Key:
    return str(index + 1 + index // 30), values.pre_key(writer.source, writer.buffer(index))


def _session(writer: Writer, index: int, updated_ms: int) -> Key:
    return writer.address(index), values.session(writer.source, updated_ms)


def _sender_key(writer: Writer, index: int, _: int) -> Key:
    group = writer.group(index)
    member = writer.contact(index // GROUPS * 5 + index)
    name = f"{group}::{member.lid}_1::{index // GROUPS}"
    return name, values.sender_key(writer.source, writer.buffer(index))


def _sender_key_memory(writer: Writer, index: int, _: int) -> Key:
    members = writer.contacts[index : index + 8 + index * 2]
    return writer.group(index), values.sender_key_memory(members)


def _app_state_sync_key(writer: Writer, index: int, updated_ms: int) -> Key:
    # Mostly protobuf's own toJSON gets there first and leaves bare base64.
    encode = None if index % 4 == 3 else writer.buffer(index)
    value = values.app_state_sync_key(writer.source, encode, updated_ms)
    return state_key_id(writer.source, index), value


def _app_state_sync_version(writer: Writer, index: int, _: int) -> Key:
    name, entries = STATE_COLLECTIONS[index]
    return name, values.app_state_sync_version(writer.source, writer.typed(index), entries)


def _lid_mapping(writer: Writer, index: int, _: int) -> Key:
    contact = writer.contact(index // 2)
    if index % 2:
        return f"{contact.lid}_reverse", f'"{contact.phone}"'
    return contact.phone, f'"{contact.lid}"'


def _device_list(writer: Writer, index: int, _: int) -> Key:
    return writer.contact(index).lid, values.device_list(writer.source)


def _tctoken(writer: Writer, index: int, updated_ms: int) -> Key:
    encode = writer.typed(index)
    if index == 0:
        known = writer.contacts[1 : KEYS_BY_TYPE["tctoken"]]
        return "__index", values.trusted_contact_index(known, encode)
    value = values.trusted_contact_token(writer.source, encode, updated_ms)
    return f"{writer.contact(index).lid}@lid", value


def _identity_key(writer: Writer, index: int, _: int) -> Key:
    return writer.address(index), values.identity_key(writer.source, writer.typed(index))


WRITERS: dict[str, Callable[[Writer, int, int], Key]] = {
    "pre-key": _pre_key,
    "session": _session,
    "sender-key": _sender_key,
    "sender-key-memory": _sender_key_memory,
    "app-state-sync-key": _app_state_sync_key,
    "app-state-sync-version": _app_state_sync_version,
    "lid-mapping": _lid_mapping,
    "device-list": _device_list,
    "tctoken": _tctoken,
    "identity-key": _identity_key,
}
