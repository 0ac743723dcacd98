# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credentials row of one company's WhatsApp session: what Baileys calls creds.json."""

from __future__ import annotations

import json
from base64 import b64encode

from demo.session_rows import HOUR_US, Company, make_company, state_key_id, timestamp
from demo.session_values import RandomSource, as_array, as_base64, as_indexed


def auth_row(seed: int, number: int, moment_us: int) -> str:
    """Return the COPY line of `whatsapp_auth` for one company."""
    company = make_company(seed, number)
    source = RandomSource(f"{seed}/{number}/creds")
    updated_us = moment_us - source.below(20) * HOUR_US
    created_us = moment_us - (401 + source.below(300)) * 24 * HOUR_US
    creds = json.dumps(_creds(source, company, number, updated_us // 1000), ensure_ascii=False)
    escaped = creds.replace("\\", "\\\\")
    return f"{company.company_id}\t{escaped}\t{timestamp(created_us)}\t{timestamp(updated_us)}\n"


def _creds(source: RandomSource, company: Company, number: int, updated_ms: int) -> object:
    """Return Baileys' AuthenticationCreds of a paired account."""
    buffer = (as_array, as_base64, as_indexed)[number % 3]
    typed = (as_indexed, as_base64, as_array)[number % 3]

    def key_pair() -> dict[str, object]:
        return {
            "private": json.loads(buffer(source.take(32))),
            "public": json.loads(buffer(source.take(32))),
        }

    me = company.me
    return {
        "noiseKey": key_pair(),
        "pairingEphemeralKeyPair": key_pair(),
        "signedIdentityKey": key_pair(),
        "signedPreKey": {
            "keyPair": key_pair(),
            "signature": json.loads(typed(source.take(64))),
            "keyId": 1,
        },
        "registrationId": source.below(16384),
        "advSecretKey": source.base64_key(),
        "processedHistoryMessages": [
            {
                "key": {
                    "remoteJid": f"{me.phone}@s.whatsapp.net",
                    "fromMe": True,
                    "id": source.take(16).hex().upper(),
                },
                "messageTimestamp": updated_ms // 1000 - 86_400 * (400 + chunk),
            }
            for chunk in range(4)
        ],
        "nextPreKeyId": 845,
        "firstUnuploadedPreKeyId": 845,
        "accountSyncCounter": 1,
        "accountSettings": {"unarchiveChats": False},
        "registered": True,
        "me": {
            "id": f"{me.phone}:{1 + source.below(60)}@s.whatsapp.net",
            "lid": f"{me.lid}:1@lid",
            "name": f'Müller & Söhne "Nord" {number} 🚚',
        },
        "account": {
            "details": b64encode(source.take(18)).decode(),
            "accountSignatureKey": source.base64_key(),
            "accountSignature": b64encode(source.take(64)).decode(),
            "deviceSignature": b64encode(source.take(64)).decode(),
        },
        "signalIdentities": [
            {
                "identifier": {"name": f"{me.lid}:1@lid", "deviceId": 0},
                "identifierKey": json.loads(typed(b"\x05" + source.take(32))),
            }
        ],
        "platform": ("android", "iphone", "smba")[number % 3],
        "routingInfo": json.loads(buffer(source.take(6))),
        "lastAccountSyncTimestamp": updated_ms // 1000,
        "myAppStateKeyId": state_key_id(source, 0),
        "lastPropHash": source.take(3).hex(),
    }
