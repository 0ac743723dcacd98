# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether credentials are those of a paired session: Baileys takes broken ones for none, and shows a QR code."""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..system.errors import ResilienceError
from .values import BrokenValueError, normalise

KEY_BYTES = 32
# Signal puts a type byte before a public key.
PUBLIC_KEY_BYTES = (32, 33)
SIGNATURE_BYTES = 64
REMEDY = (
    "Baileys would start a new session with them, and the phone would have to be paired again. Take this session from an "
    "older backup or the standby; to go on without it, name the others (tenants)."
)
_KEY_PAIRS = ("noiseKey", "signedIdentityKey", "signedPreKey.keyPair")


class BrokenCredsError(ResilienceError):
    """Credentials no session can be opened with; says why, never what they hold."""


class _BrokenError(Exception):
    """Why, for the message."""


@dataclass(frozen=True)
class CredsIdentity:
    """Whose session it is. ``me`` is the id of the account, None for one that was never paired."""

    me: str | None
    registered: bool

    @property
    def paired(self) -> bool:
        """Whether a phone has been paired with it."""
        return self.me is not None


def check_creds(text: str | None, tenant: str) -> CredsIdentity:
    """Whose credentials these are, if a session can be opened with them. Raises BrokenCredsError, for None too.

    Credentials that Baileys has just made, waiting for a QR code to be scanned, are whole, and not paired.
    """
    if text is None:
        raise BrokenCredsError(f"The session {tenant} has no credentials", stage="creds", remedy=REMEDY)
    try:
        return _identity(json.loads(normalise(text, double_stringified=True)))
    except (_BrokenError, BrokenValueError) as error:
        why = error.message if isinstance(error, BrokenValueError) else str(error)
    raise BrokenCredsError(f"The credentials of the session {tenant} are broken: {why}", stage="creds", remedy=REMEDY)


def _identity(creds: Any) -> CredsIdentity:
    if not isinstance(creds, dict):
        raise _BrokenError("they are no JSON object")
    for name in _KEY_PAIRS:
        _require_bytes(creds, f"{name}.private", (KEY_BYTES,))
        _require_bytes(creds, f"{name}.public", PUBLIC_KEY_BYTES)
    _require_bytes(creds, "signedPreKey.signature", (SIGNATURE_BYTES,))
    _require_base64(creds, "advSecretKey", KEY_BYTES)
    for name in ("registrationId", "nextPreKeyId", "firstUnuploadedPreKeyId"):
        if not isinstance(creds.get(name), int) or isinstance(creds[name], bool):
            raise _broken(name, "is no number" if name in creds else "is missing")
    return CredsIdentity(_account(creds), creds.get("registered") is True)


def _account(creds: Mapping[str, Any]) -> str | None:
    me = creds.get("me")
    identifier = me.get("id") if isinstance(me, dict) else None
    if isinstance(identifier, str) and identifier:
        return identifier
    # What a pairing leaves besides the identifier: without a trace of it there has been none.
    if me is None and creds.get("account") is None and creds.get("registered") is not True:
        return None
    raise _broken("me.id", "is missing")


def _require_bytes(creds: Mapping[str, Any], name: str, sizes: tuple[int, ...]) -> None:
    value: Any = creds
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if not isinstance(value, dict) or value.get("type") != "Buffer":
        raise _broken(name, "is missing" if value is None else "is not bytes")
    _require_size(name, value.get("data"), sizes)


def _require_base64(creds: Mapping[str, Any], name: str, size: int) -> None:
    if creds.get(name) is None:
        raise _broken(name, "is missing")
    _require_size(name, creds[name], (size,))


def _require_size(name: str, encoded: Any, sizes: tuple[int, ...]) -> None:
    try:
        size = len(binascii.a2b_base64(encoded))
    except (TypeError, ValueError):
        raise _broken(name, "is no base64") from None
    if size not in sizes:
        raise _broken(name, "has %d bytes instead of %d" % (size, sizes[0]))


def _broken(name: str, what: str) -> _BrokenError:
    return _BrokenError(f"{name} {what}")
