# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A .env file is read exactly as the application's dotenv reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.system.env_file import parse_env, read_env_file
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ResilienceError, SettingsError
from tests.support import node
from tests.support.dotenv_oracle import Ask, dotenv, recorded_vectors

# What means something in this grammar, to JavaScript or to Python, and a little that means nothing.
MEANINGFUL = "'\"`\\#=: \t\n\rnrAB1_.-$&<>|?%é€😀\v\f\x00\x1c\x85\u00a0\u2003\u2028\u2029\ufeff"
NAMES = st.sampled_from(["A", "B", "POSTGRES_PASSWORD", "a.b-c", "1X", "export", "Ä"])
VALUES = st.text(alphabet=MEANINGFUL, max_size=12)
LINES = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", " ", "export ", "\u00a0", "# ", "\n"]),
    NAMES,
    st.sampled_from(["=", " = ", ": ", ":", "=\n"]),
    st.one_of(VALUES, *(st.builds(f"{quote}{{}}{quote}".format, VALUES) for quote in "'\"`")),
    st.sampled_from(["", " ", " # it's a comment", "\r"]),
)
TEXTS = st.one_of(
    st.text(alphabet=MEANINGFUL, max_size=40),
    st.lists(LINES, max_size=4).map("\n".join),
)


@pytest.fixture(scope="session")
def oracle() -> Iterator[Ask]:
    """The real dotenv in a real Node.js."""
    try:
        with dotenv() as ask:
            yield ask
    except node.NodeError as error:
        if os.environ.get("CI"):
            raise
        # The recorded vectors above say the same of fewer texts; CI must have it.
        pytest.skip(f"the real dotenv cannot be had here: {error}")


@pytest.mark.parametrize(("text", "variables"), recorded_vectors())
def test_what_dotenv_once_said(text: str, variables: dict[str, str]) -> None:
    assert parse_env(text) == variables


def test_dotenv_still_says_it(oracle: Ask) -> None:
    assert len(recorded_vectors()) > 100
    for text, variables in recorded_vectors():
        assert oracle(text) == variables


@settings(max_examples=1000)
@given(text=TEXTS)
def test_any_text_is_read_as_dotenv_reads_it(oracle: Ask, text: str) -> None:
    assert parse_env(text) == oracle(text)


@given(
    password=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n'"), min_size=1).filter(
        lambda text: not text.endswith("\\")
    )
)
@example(password='<>|?%"\\ :#$&`')
def test_a_password_in_single_quotes_is_itself(password: str) -> None:
    assert parse_env(f"X=1\nPOSTGRES_PASSWORD='{password}'\nY=2") == {"X": "1", "POSTGRES_PASSWORD": password, "Y": "2"}


def test_the_file_is_read_as_utf8_whatever_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes("\ufeffA='ä'\r\nB=2\rC=\"x\ny\"\n".encode())
    assert read_env_file(str(path)) == {"A": "ä", "B": "2", "C": "x\ny"}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResilienceError, match=f"Cannot read the env_file {tmp_path}/none: No such file") as caught:
        read_env_file(f"{tmp_path}/none")
    assert caught.value.stage == "settings"


def test_a_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"A=1\nPOSTGRES_PASSWORD=\xe4\n")
    with pytest.raises(SettingsError, match=r"is not UTF-8 text \(byte 22\)") as caught:
        read_env_file(str(path))
    assert caught.value.remedy == "Save it as UTF-8."
    assert "POSTGRES" not in caught.value.message
