# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring: the words of the programs without anybody's rows, and what they mean for the archive."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.restore import load, older
from ansible_collections.baileys.resilience.plugins.module_utils.restore.load import LoadError, LoadOptions
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError

SECRET = "s3cret"


class Ended:
    """A program that has ended so."""

    command = ("/usr/bin/pg_restore",)

    def __init__(self, rc: int, words: str) -> None:
        self._rc, self._words = rc, words

    def wait(self) -> int:
        return self._rc

    def ending(self) -> str:
        return f"exit status {self._rc}"

    def messages(self) -> str:
        return self._words


WITH_ROWS = [
    f'pg_restore: error: COPY failed for table "t": ERROR:  invalid input syntax for type integer: "{SECRET}"\nCONTEXT:  COPY t, line 1, column a: "{SECRET}"',
    f'psql:<stdin>:33: ERROR:  invalid input value for enum mood: "{SECRET}"\nCONTEXT:  COPY t, line 1',
    f'psql:<stdin>:33: ERROR:  date/time field value out of range: "{SECRET}"',
    f'psql:<stdin>:33: ERROR:  value "{SECRET}" is out of range for type integer',
    f'psql:<stdin>:33: ERROR:  "{SECRET}" is out of range for type double precision',
    f'psql:<stdin>:33: ERROR:  malformed array literal: "a\n{SECRET}\nb"\nDETAIL:  {SECRET}',
    f'pg_restore: error: could not execute query: ERROR:  could not create unique index "i"\nDETAIL:  Key (a)=({SECRET}) is duplicated.\nCommand was: ALTER TABLE {SECRET}\n  more of {SECRET};',
    f'pg_restore: error: ERROR:  check constraint violated\nDETAIL:  Failing row contains ({SECRET},\n{SECRET}).\nCONTEXT:  COPY t, line 2: "{SECRET}\n{SECRET}"',
    f"psql:<stdin>:1: ERROR:  syntax error at or near\nLINE 1: {SECRET}\n        ^",
    f"psql:<stdin>:1: WARNING:  something\nDETAIL:  {SECRET}\nHINT:  help",
]


@pytest.mark.parametrize("words", WITH_ROWS)
def test_rows_are_not_repeated(words: str) -> None:
    with pytest.raises(LoadError) as caught:
        load._judge(Ended(1, words))  # type: ignore[arg-type]  # a program that has ended is all it looks at
    told = f"{caught.value.message} {caught.value.stderr} {caught.value.remedy}"
    assert SECRET not in told
    assert caught.value.obstacle is ("ERROR" not in words)
    assert SECRET not in load._judge(Ended(0, words))  # type: ignore[arg-type]  # the same


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ('pg_restore: error: could not execute query: ERROR:  role "app" does not exist', 'role "app" does not exist'),
        ('psql:<stdin>:1: ERROR:  relation "keys" already exists', 'relation "keys" already exists'),
        ('ERROR:  duplicate key value violates unique constraint "keys_pkey"', 'unique constraint "keys_pkey"'),
        ('ERROR:  extension "vector" is not available\nHINT:  install it', "HINT:  install it"),
    ],
)
def test_names_are_kept(words: str, kept: str) -> None:
    with pytest.raises(LoadError) as caught:
        load._judge(Ended(1, words))  # type: ignore[arg-type]  # a program that has ended is all it looks at
    assert kept in caught.value.message


@pytest.mark.parametrize(
    ("rc", "words", "obstacle"),
    [
        (-9, "", True),
        (1, "pg_restore: error: could not execute query: ERROR:  permission denied to create extension", True),
        (1, 'pg_restore: error: ERROR:  role "x" does not exist', True),
        (1, 'pg_restore: error: ERROR:  tablespace "x" does not exist', True),
        (1, "psql: error: connection to server failed", True),
        (1, "ERROR:  could not extend file: No space left on device", True),
        (1, "ERROR:  out of shared memory", True),
        (1, 'ERROR:  extension "vector" is not available', True),
        (1, 'ERROR:  could not create locale "fr_FR.utf8": No such file or directory', True),
        (1, "ERROR:  ICU is not supported in this build", True),
        (1, "ERROR:  compression method lz4 not supported", True),
        (1, 'ERROR:  could not open stop-word file "/usr/share/x.stop": No such file or directory', True),
        (1, 'ERROR:  security label provider "anon" is not loaded', True),
        (1, 'ERROR:  collation "x" for encoding "UTF8" does not exist', True),
        (1, "pg_restore: error: something that nobody has seen before", True),
        (1, 'ERROR:  relation "x" does not exist', False),
        (1, "pg_restore: error: could not read from input file: end of file", False),
        (1, "pg_restore: error: could not uncompress data", False),
        (3, "psql:<stdin>:3: ERROR:  duplicate key value violates unique constraint", False),
    ],
)
def test_what_says_nothing_against_the_archive(rc: int, words: str, obstacle: bool) -> None:
    with pytest.raises(LoadError) as caught:
        load._judge(Ended(rc, words))  # type: ignore[arg-type]  # a program that has ended is all it looks at
    assert caught.value.obstacle is obstacle
    assert caught.value.remedy


@pytest.mark.parametrize(
    "options",
    [
        {"jobs": 2},
        {"owner": False},
        {"privileges": False},
        {"tablespaces": False},
        {"schemas": ("a",)},
        {"tables": ("a",)},
    ],
)
def test_what_plain_cannot_do(options) -> None:
    with pytest.raises(SettingsError, match="restored as it stands"):
        LoadOptions(**options).check("plain")
    LoadOptions(**options).check("custom")
    LoadOptions().check("plain")


def test_options_of_the_program() -> None:
    assert LoadOptions().program_options() == []
    every = LoadOptions(
        owner=False, privileges=False, tablespaces=False, schemas=("a",), tables=("b.c", "d"), schema_only=True
    )
    assert every.program_options() == [
        "--no-owner",
        "--no-privileges",
        "--no-tablespaces",
        "--schema=a",
        "--schema=b",
        "--table=c",
        "--table=d",
        "--schema-only",
    ]


HEADER = b"--\n-- dump\n--\n\nSET lock_timeout = 0;\n"
UNKNOWN = b"SET transaction_timeout = 0;\n"
NEXT = b"SET client_encoding = 'UTF8';\n"


@given(st.sampled_from([HEADER + UNKNOWN + NEXT, HEADER + NEXT, UNKNOWN + NEXT, HEADER, b""]), st.binary(max_size=200))
def test_beginning_for_an_older_server(header: bytes, rest: bytes) -> None:
    """Nothing but that setting is left out, and nothing is taken twice."""
    reading, writing = os.pipe()
    try:
        os.write(writing, header + rest)
        os.close(writing)
        with older.beginning_without_it(reading) as descriptor:
            beginning = os.read(descriptor, 1 << 16)
        whole = beginning + os.read(reading, 1 << 16)
    finally:
        os.close(reading)
    if NEXT in header:
        assert whole == header.replace(UNKNOWN, b"") + rest
    else:
        assert whole.replace(UNKNOWN, b"") == (header + rest).replace(UNKNOWN, b"")
