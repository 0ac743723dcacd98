# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one public key in a file, and its fingerprint, read without gpg: a fresh host has none (RFC 9580).

Nothing here checks a signature. That is apt's work, with the key whose fingerprint was compared here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import ResilienceError

PUBLIC_KEY = 6
# What a public key is made of: signatures, markers, the key, subkeys, trust, user ids, user attributes, padding.
_OF_A_PUBLIC_KEY = {2, 10, PUBLIC_KEY, 12, 13, 14, 17, 21}
_SECRET_KEYS = {5, 7}
_ARMOR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(?:[^\r\n]+\r?\n)*?[ \t]*\r?\n"
    rb"([A-Za-z0-9+/=\s]+?)-----END PGP PUBLIC KEY BLOCK-----"
)
_CHECKSUM = re.compile(rb"^=[A-Za-z0-9+/]{4}\s*$", re.MULTILINE)


class KeyFileError(ResilienceError):
    """A file does not hold the one public key it should."""


@dataclass(frozen=True)
class PublicKey:
    """``fingerprint`` in capital letters without spaces; ``packets`` is the key as a binary keyring holds it."""

    fingerprint: str
    packets: bytes

    def armored(self) -> bytes:
        """The key as text, for a file whose name ends in ``.asc``."""
        lines = base64.encodebytes(self.packets).replace(b"\n", b"")
        wrapped = b"\n".join(lines[start : start + 64] for start in range(0, len(lines), 64))
        return b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n%s\n-----END PGP PUBLIC KEY BLOCK-----\n" % wrapped


def read_public_key(data: bytes) -> PublicKey:
    """The key in ``data``, be it binary or text. Raises KeyFileError unless it is one public key and nothing else."""
    packets = _without_armor(data)
    try:
        found = list(_packets(packets))
    except IndexError as error:
        raise KeyFileError("it is cut off, or not an OpenPGP key") from error
    tags = [tag for tag, _body in found]
    if _SECRET_KEYS & set(tags):
        raise KeyFileError("it holds a secret key")
    if not set(tags) <= _OF_A_PUBLIC_KEY or PUBLIC_KEY not in tags:
        raise KeyFileError("it is not an OpenPGP public key")
    if tags.count(PUBLIC_KEY) != 1:
        # apt would trust each of them.
        raise KeyFileError("it holds %d keys, and apt would trust each" % tags.count(PUBLIC_KEY))
    return PublicKey(_fingerprint(next(body for tag, body in found if tag == PUBLIC_KEY)), packets)


def plain_fingerprint(text: str) -> str:
    """A fingerprint as people write it, in one word of capital letters. Raises KeyFileError for anything else."""
    plain = re.sub(r"\s", "", text).upper()
    # A short key id can be made to order, so only whole fingerprints count.
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", plain):
        raise KeyFileError(f"{text!r} is not a whole fingerprint, which has 40 or 64 hexadecimal digits")
    return plain


def _without_armor(data: bytes) -> bytes:
    if b"-----BEGIN PGP" not in data:
        return data
    blocks = _ARMOR.findall(data)
    if len(blocks) != 1 or data.count(b"-----BEGIN PGP") != 1:
        raise KeyFileError("it is not one whole armored public key block")
    try:
        return base64.b64decode(b"".join(_CHECKSUM.sub(b"", blocks[0]).split()), validate=True)
    except binascii.Error as error:
        raise KeyFileError("its armor is damaged") from error


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and body of each packet. Raises IndexError where the data ends too early."""
    position = 0
    while position < len(data):
        head = data[position]
        if not head & 0x80:
            raise KeyFileError("it is not an OpenPGP key")
        tag = head & 0x3F if head & 0x40 else (head >> 2) & 0x0F
        length, start = (_new_length if head & 0x40 else _old_length)(data, position)
        if start + length > len(data):
            raise IndexError
        yield tag, data[start : start + length]
        position = start + length


def _new_length(data: bytes, position: int) -> tuple[int, int]:
    """Length of the body of a packet in the new format, and where it begins."""
    first = data[position + 1]
    if first < 192:
        return first, position + 2
    if first < 224:
        return ((first - 192) << 8) + data[position + 2] + 192, position + 3
    if first == 255:
        return _number(data, position + 2, 4), position + 6
    raise KeyFileError("it has a packet without a definite length, which no key has")


def _old_length(data: bytes, position: int) -> tuple[int, int]:
    """The same in the old format, in which gpg writes keys."""
    kind = data[position] & 3
    if kind == 3:
        raise KeyFileError("it has a packet without a definite length, which no key has")
    size = 1 << kind
    return _number(data, position + 1, size), position + 1 + size


def _number(data: bytes, start: int, size: int) -> int:
    if start + size > len(data):
        raise IndexError
    return int.from_bytes(data[start : start + size], "big")


def _fingerprint(body: bytes) -> str:
    version = body[0] if body else 0
    if version == 4:
        # The standard's own choice; nothing secret is hashed.
        digest = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False)
        return digest.hexdigest().upper()
    if version == 6:
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    raise KeyFileError("its key is of version %d, and only versions 4 and 6 are known" % version)
