# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets never leave: in no spelling, in no place, whether known or only recognised."""

from __future__ import annotations

import html
import json
import shlex
import time
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.reporting.redact import (
    MASK,
    find_secrets,
    names_a_secret,
    redact,
    redact_text,
)

# What providers generate: no white space at the ends, at least four characters.
AWKWARD = st.text(
    alphabet=st.one_of(st.sampled_from("<>|?%'\"\\ &:/@#;={}[]$`äß€😀"), st.characters(codec="utf-8")), min_size=4
).filter(lambda text: text.strip() == text and set(text) - set("*"))
PLAIN = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789_-", min_size=8)
AROUND = st.text(max_size=30)

WAYS_TO_WRITE = {
    "raw": lambda secret: secret,
    "in a URL": lambda secret: f"postgresql://app:{quote(secret, safe='')}@db.example/app",
    "in a form": lambda secret: "password2=x&key=" + quote_plus(secret),
    "in a URL by another program": lambda secret: "".join(
        char if number % 3 else "".join("%%%02x" % byte for byte in char.encode()) for number, char in enumerate(secret)
    ),
    "in JSON": lambda secret: json.dumps({"note": secret}),
    "in JSON as it is": lambda secret: json.dumps({"note": secret}, ensure_ascii=False),
    "in Python": lambda secret: repr(["note", secret]),
    "in HTML": lambda secret: html.escape(f"<b>{secret}</b>"),
    "in a shell": lambda secret: "export NOTE=" + shlex.quote(secret),
    "in a connection string": lambda secret: "note='%s'" % secret.replace("\\", "\\\\").replace("'", "\\'"),
    "in a password file": lambda secret: "h:5432:*:app:" + secret.replace("\\", "\\\\").replace(":", "\\:"),
    "in SQL": lambda secret: "ALTER ROLE app PASSWORD '%s'" % secret.replace("'", "''"),
}


@pytest.mark.parametrize("way", sorted(WAYS_TO_WRITE))
@given(secret=AWKWARD, before=AROUND, after=AROUND)
def test_a_known_secret_is_gone_however_it_is_written(way: str, secret: str, before: str, after: str) -> None:
    written = WAYS_TO_WRITE[way](secret)
    result = redact_text(before + written + after, [secret])
    # The secret stood in there once; where it still does, the text around it held it too.
    assert secret not in result or secret in MASK
    assert written not in result


@given(secrets=st.lists(AWKWARD, min_size=2, max_size=4), text=AROUND)
def test_several_secrets_side_by_side_and_overlapping(secrets: list[str], text: str) -> None:
    overlapping = secrets[0] + secrets[1][1:] if secrets[0][-1:] == secrets[1][:1] else "".join(secrets)
    result = redact_text(text + overlapping, secrets)
    assert not [secret for secret in secrets if secret in result]


def test_overlapping_secrets_leave_nothing_of_either() -> None:
    assert redact_text("abcdefgh", ["abcde", "defgh"]) == MASK
    # The same one over itself, and one within what another rule takes out.
    assert redact_text("abababab.", ["ababab"]) == f"{MASK}."
    assert redact_text("PGPASSWORD=1-abcde-2 pg_dump", ["abcde"]) == f"PGPASSWORD={MASK} pg_dump"


def test_a_form_may_have_nothing_else_to_encode_than_spaces() -> None:
    assert redact_text("q=pass+word+one", ["pass word one"]) == f"q={MASK}"


# Recognised by shape alone. The value is one the shape can carry without an escape of its own.
SHAPES = {
    "URL": "could not connect to postgresql://app:{}@db.example:5432/app: refused",
    "URL of any scheme": "amqps+tls://u:{}@h",
    "URL without user": "redis://:{}@h/0",
    "environment": "PGPASSWORD={} pg_dump -h db",
    "environment of the application": "POSTGRES_PASSWORD={}\nPOSTGRES_USER=app",
    "connection string": "host=db password={} user=app",
    "spaced": "sslpassword = {}",
    "double quotes": 'password="{}"',
    "single quotes": "password='{}' host=db",
    "JSON": '{{"login_password": "{}", "login_host": "db"}}',
    "JSON in JSON": '{{\\"password\\": \\"{}\\", \\"h\\": 1}}',
    "Python": "{{'secret_key': '{}', 'a': 1}}",
    "YAML": "- login_password: {}\n  login_host: db",
    "bot address": "HTTPSConnectionPool: url: /bot123456:{}/sendMessage (Caused by ...)",
    "DSN": "https://{}@o1.ingest.example/42",
    "header": "Authorization: Basic {}",
    "header in Python": "{{'Authorization': 'Bearer {}'}}",
    "Sentry's header": "X-Sentry-Auth: Sentry sentry_key={}, sentry_version=7",
    "Sentry's key": "sentry_key={}, sentry_version=7",
    "bearer": "sent with bearer {}",
    "token": "telegram_token={}",
    "cloud": "AWS_SECRET_ACCESS_KEY={}",
    "PEM": "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("shape", sorted(SHAPES))
@given(secret=PLAIN)
def test_an_unknown_secret_is_recognised_by_its_shape(shape: str, secret: str) -> None:
    secret = "q7" + secret + "7q"
    assert secret not in redact_text(SHAPES[shape].format(secret))


def test_age_and_pem_keys() -> None:
    assert redact_text("identity AGE-SECRET-KEY-1QQPZRY9X8 found") == f"identity {MASK} found"
    cut_off = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq"
    assert "MIIE" not in redact_text(cut_off)


@given(secret=st.text(min_size=1), host=PLAIN)
@example(secret="it's", host="hosthost")
@example(secret="back\\", host="hosthost")
def test_quoted_values_end_at_their_quote(secret: str, host: str) -> None:
    conninfo = "password='%s' host=%s" % (secret.replace("\\", "\\\\").replace("'", "\\'"), host)
    assert redact_text(conninfo) == f"password={MASK} host={host}"
    document = json.dumps({"login_password": secret, "login_host": host})
    assert redact_text(document) == '{"login_password": %s, "login_host": "%s"}' % (MASK, host)


def test_a_password_with_at_signs_and_slashes_in_a_url() -> None:
    assert redact_text("postgresql://app:p@ss/w:rd@db/app") == f"postgresql://app:{MASK}@db/app"


@pytest.mark.parametrize(
    "text",
    [
        'FATAL: password authentication failed for user "app"',
        "wrong password: set POSTGRES_PASSWORD in the .env",
        "see https://example.org/docs#tokens",
        "no such host: db.example:5432",
        "/var/backups/postgresql/app/daily/backup-2026-01-31T030000Z.dump",
        "SHA-256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "at 03:00:02, rows: 1647",
        "pgpassfile=/dev/shm/x keeps the password",
    ],
)
def test_ordinary_messages_stay_readable(text: str) -> None:
    assert redact_text(text) == text


@given(st.text(), st.lists(AWKWARD, max_size=3))
def test_redacting_twice_changes_nothing_more(text: str, secrets: list[str]) -> None:
    once = redact_text(text, secrets)
    twice = redact_text(once, secrets)
    assert len(twice) <= len(once) or MASK in twice
    assert not [secret for secret in secrets if secret in twice]


def test_short_secrets_do_not_eat_words() -> None:
    assert (
        redact_text("abc is not in abcdef or xabc, but abc.", ["abc"])
        == f"{MASK} is not in abcdef or xabc, but {MASK}."
    )
    assert redact_text("plain text", ["", "  ", "\n"]) == "plain text"
    assert redact_text("50 % abcdef, %61bcdef", ["abc"]) == f"50 % abcdef, {MASK}def"


NESTED = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=20,
)


@given(data=NESTED, secret=PLAIN, depth=st.integers(0, 5), kind=st.sampled_from(["value", "key", "bytes", "inside"]))
def test_a_secret_is_gone_at_any_depth(data: Any, secret: str, depth: int, kind: str) -> None:
    planted: Any = {
        "value": secret,
        "key": {secret: 1},
        "bytes": secret.encode(),
        "inside": f"before {secret} after",
    }[kind]
    for level in range(depth):
        planted = [data, planted] if level % 2 else {"data": data, "x": (planted,)}
    assert secret not in repr(redact({"planted": planted, "data": data}, [secret]))


@given(NESTED)
def test_data_without_secrets_keeps_its_numbers_and_form(data: Any) -> None:
    if not find_secrets(data) and MASK not in repr(data):
        result = redact({"data": data})
        if MASK not in repr(result):
            assert result == {"data": data}


def test_values_are_masked_by_the_name_of_their_key() -> None:
    data = {
        "login_password": "x",
        "SENTRY_DSN": "y",
        "api_key": 12345,
        "has_password": True,
        "password": None,
        "tokens_used": 3,
        "nested": [{"access_token": ["a", "b"]}],
    }
    assert redact(data) == {
        "login_password": MASK,
        "SENTRY_DSN": MASK,
        "api_key": MASK,
        "has_password": True,
        "password": None,
        "tokens_used": 3,
        "nested": [{"access_token": MASK}],
    }
    assert find_secrets(data) == {"x", "y", "12345", "a", "b"}


@pytest.mark.parametrize("name", ["PGPASSWORD", "login_password", "telegram_token", "sentry-dsn", "secretKey"])
def test_names_of_secrets(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize("name", ["subject", "backup_root", "password_file", "env_file", "public_key", 7])
def test_names_of_other_things(name: object) -> None:
    assert not names_a_secret(name)


def test_hostile_text_does_not_take_for_ever() -> None:
    started = time.monotonic()
    for text in ("password='" * 3000, "a://x:" * 5000, '\\"' * 10000, "bearer " * 5000, "cookie" * 5000):
        redact_text(text, ["secret" + str(number) for number in range(50)])
    assert time.monotonic() - started < 10
