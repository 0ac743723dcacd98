# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether credentials are those of a session that can be opened."""

from __future__ import annotations

import json

import pytest

from ansible_collections.baileys.resilience.plugins.module_utils.sessions.creds import BrokenCredsError, check_creds
from tests.support.session_values import ENCODINGS, creds_of, spelt

ME = "4915112345678:7@s.whatsapp.net"


def text_of(creds, encoding="base64"):
    return json.dumps(spelt(creds, encoding))


def broken(**changes):
    """Good credentials with members set, or taken out (None), by their dotted names (`__` for a dot)."""
    creds = creds_of()
    for name, value in changes.items():
        *path, last = name.split("__")
        inner = creds
        for part in path:
            inner = inner[part]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
    return creds


@pytest.mark.parametrize("encoding", [*ENCODINGS, "mixed"])
def test_good_credentials(encoding):
    identity = check_creds(text_of(creds_of(), encoding), "main")
    assert (identity.me, identity.registered, identity.paired) == (ME, False, True)
    assert check_creds(json.dumps(text_of(creds_of(), encoding)), "main") == identity


def test_public_keys_may_carry_their_type():
    assert check_creds(text_of(broken(noiseKey__public=b"\5" + bytes(32))), "main").paired


def test_credentials_that_wait_for_a_phone():
    identity = check_creds(text_of(creds_of(me=None)), "main")
    assert (identity.me, identity.paired) == (None, False)


@pytest.mark.parametrize(
    ("creds", "why"),
    [
        (broken(me__id=None), "me.id is missing"),
        (broken(me__id=""), "me.id is missing"),
        (broken(me=None), "me.id is missing"),
        (dict(creds_of(me=None), registered=True), "me.id is missing"),
        (broken(noiseKey=None), "noiseKey.private is missing"),
        (broken(noiseKey__private=bytes(31)), "noiseKey.private has 31 bytes instead of 32"),
        (broken(signedIdentityKey__public=b""), "signedIdentityKey.public has 0 bytes instead of 32"),
        (broken(signedPreKey__keyPair__private="x"), "signedPreKey.keyPair.private is not bytes"),
        (broken(signedPreKey__signature=bytes(63)), "signedPreKey.signature has 63 bytes instead of 64"),
        (broken(advSecretKey=None), "advSecretKey is missing"),
        (broken(advSecretKey="AAAA"), "advSecretKey has 3 bytes instead of 32"),
        (broken(advSecretKey=5), "advSecretKey is no base64"),
        (broken(registrationId=None), "registrationId is missing"),
        (broken(registrationId="7"), "registrationId is no number"),
        (broken(nextPreKeyId=True), "nextPreKeyId is no number"),
    ],
)
def test_broken_credentials(creds, why):
    with pytest.raises(BrokenCredsError) as caught:
        check_creds(text_of(creds), "main")
    assert caught.value.message == f"The credentials of the session main are broken: {why}"
    assert "paired again" in str(caught.value.remedy)


@pytest.mark.parametrize("text", ["{", "[]", "null", "5", '""', "{}"])
def test_what_is_no_credentials_at_all(text):
    with pytest.raises(BrokenCredsError, match="The credentials of the session main are broken: "):
        check_creds(text, "main")


def test_none_at_all():
    with pytest.raises(BrokenCredsError, match="The session main has no credentials"):
        check_creds(None, "main")


def test_no_error_shows_a_value():
    secret = "c2VjcmV0c2VjcmV0"
    for creds in (broken(advSecretKey=secret), broken(noiseKey__private=secret), broken(registrationId=secret)):
        with pytest.raises(BrokenCredsError) as caught:
            check_creds(text_of(creds), "main")
        assert secret not in repr(caught.value.__dict__)
        assert secret not in str(caught.value)
