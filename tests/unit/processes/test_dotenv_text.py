# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written into the text of a `.env` the application's own dotenv reads back, and everything else as before."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.processes.dotenv_text import edit_env_text
from ansible_collections.baileys.resilience.plugins.module_utils.system.env_file import assignments, parse_env
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import SettingsError
from tests.support import node
from tests.support.databases import UGLY_PASSWORD
from tests.support.dotenv_oracle import Ask, dotenv, recorded_vectors

# What means something in the grammar, to JavaScript or to Python.
MEANINGFUL = "'\"`\\#=: \t\n\rnrAB1_$é€😀\v\x85\u00a0\u2028\ufeff"
NAMES = st.sampled_from(["A", "B", "C", "a.b-c", "export", "NEW"])
VALUES = st.one_of(
    st.text(alphabet=MEANINGFUL, max_size=8), st.sampled_from(["", "true", "a b", "x\ny", "\\n", "it's"])
)
LINES = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", " ", "export ", "# ", "\ufeff"]),
    NAMES,
    st.sampled_from(["=", " = ", ": ", ":", "=\n"]),
    st.one_of(VALUES, *(st.builds(f"{quote}{{}}{quote}".format, VALUES) for quote in "'\"`")),
    st.sampled_from(["", " ", " # it's a comment"]),
)
TEXTS = st.one_of(
    st.lists(LINES, max_size=5).map("\n".join),
    st.lists(LINES, max_size=5).map(lambda lines: "".join(line + "\r\n" for line in lines)),
    st.text(alphabet=MEANINGFUL, max_size=30),
)
FILE = """\
# The application
export POSTGRES_HOST = db.example.net   # the provider's
POSTGRES_PASSWORD='old # one' # changed in May

USE_DATABASE_AUTH_STATE="true"
KEY="-----BEGIN KEY-----
abc
-----END KEY-----"

  # The end: it's here
"""


@pytest.fixture(scope="session")
def oracle() -> Iterator[Ask]:
    """The real dotenv in a real Node.js."""
    try:
        with dotenv() as ask:
            yield ask
    except node.NodeError as error:
        if os.environ.get("CI"):
            raise
        # Everything below that needs no oracle says the same of fewer texts; CI must have it.
        pytest.skip(f"the real dotenv cannot be had here: {error}")


def edited(text: str, set_: dict[str, str], unset: tuple[str, ...] = ()) -> str | None:
    """The text after the edit; None where it was refused."""
    try:
        return edit_env_text(text, set_, unset)
    except SettingsError:
        return None


@settings(max_examples=600)
@given(text=TEXTS, set_=st.dictionaries(NAMES, VALUES, max_size=2), unset=st.sets(NAMES, max_size=2))
@example(text="A='unclosed\n", set_={"B": "x'\ny"}, unset=set())
@example(text="A:\n", set_={"B": "1"}, unset=set())
def test_dotenv_reads_what_was_set_and_all_else_as_before(
    oracle: Ask, text: str, set_: dict[str, str], unset: set[str]
) -> None:
    removed = tuple(sorted(unset - set(set_)))
    result = edited(text, set_, removed)
    if result is None:
        return
    before = {name: value for name, value in oracle(text).items() if name not in removed}
    assert oracle(result) == {**before, **set_}
    # A second run finds nothing to do.
    assert edit_env_text(result, set_, removed) == result


@given(text=TEXTS)
@example(text="A=a b\n")
@example(text="A=`x`\n")
def test_what_is_set_already_is_left_as_it_is_written(text: str) -> None:
    given_once = {name: value for name, value in assignments(text) if "\0" not in value}
    for name, value in given_once.items():
        if all(other == value for found, other in assignments(text) if found == name):
            assert edit_env_text(text, {name: value}) == text


@settings(max_examples=400)
@given(value=st.text(alphabet=MEANINGFUL, max_size=12))
@example(value=UGLY_PASSWORD.replace("`", ""))
@example(value=UGLY_PASSWORD.replace("'", ""))
@example(value=UGLY_PASSWORD.replace('"', ""))
@example(value=UGLY_PASSWORD.replace("#", ""))
def test_a_value_is_written_unless_dotenv_has_no_way_to_write_it(oracle: Ask, value: str) -> None:
    ways = [f"X={form}" for form in every_form(value)]
    result = edited("A=1\n", {"X": value})
    if result is None:
        assert [way for way in ways if oracle(way) == {"X": value}] == []
    else:
        assert oracle(result) == {"A": "1", "X": value}


def every_form(value: str) -> list[str]:
    escaped = value.replace("\r", "\\r").replace("\n", "\\n")
    return [value, *(f"{quote}{text}{quote}" for quote in "'\"`" for text in (value, escaped))]


@pytest.mark.parametrize(("text", "variables"), recorded_vectors())
def test_every_recorded_text_can_be_added_to_or_is_left_alone(text: str, variables: dict[str, str]) -> None:
    result = edited(text, {"ZZ_NEW": "it's #1"})
    if result is not None:
        assert parse_env(result) == {**variables, "ZZ_NEW": "it's #1"}
        assert result.startswith(text)


def test_only_the_values_change() -> None:
    changes = {
        "POSTGRES_HOST": "10.0.0.1",
        "POSTGRES_PASSWORD": "new",
        "USE_DATABASE_AUTH_STATE": "false",
        "KEY": "a\nb",
    }
    assert edit_env_text(FILE, changes) == (
        FILE.replace("db.example.net", "10.0.0.1")
        .replace("old # one", "new")
        .replace('"true"', '"false"')
        .replace(FILE[FILE.index("-----BEGIN") : FILE.index("-----END KEY-----") + 17], "a\\nb")
    )


def test_a_removed_variable_takes_its_own_lines_and_no_other() -> None:
    result = edit_env_text(FILE, {}, ["POSTGRES_PASSWORD", "KEY"])
    assert (
        result
        == """\
# The application
export POSTGRES_HOST = db.example.net   # the provider's

USE_DATABASE_AUTH_STATE="true"

  # The end: it's here
"""
    )


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", "N=1\n"),
        ("A=1", "A=1\nN=1\n"),
        ("A=1\r\nB=2\r\n", "A=1\r\nB=2\r\nN=1\r\n"),
        ("A=1\r\nB=2", "A=1\r\nB=2\r\nN=1\r\n"),
        ("\ufeff", "\ufeffN=1\n"),
        ("\ufeffN=0\n", "\ufeffN=1\n"),
        ("N=\n", "N=1\n"),
        ("N=   # none yet\n", "N=1   # none yet\n"),
        ("export N=0\n", "export N=1\n"),
        ("N: 0\n", "N: 1\n"),
        ("N=0\nA=2\nN='x' # again\n", "N=1\nA=2\nN='1' # again\n"),
        ("# N=0\n", "# N=0\nN=1\n"),
        ("A='N=0\n'\n", "A='N=0\n'\nN=1\n"),
    ],
)
def test_where_a_value_goes(text: str, result: str) -> None:
    assert edit_env_text(text, {"N": "1"}) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("N=1", ""),
        ("A=1\nN=2", "A=1\n"),
        ("N=1\n# about A\nA=2\n", "# about A\nA=2\n"),
        ("A=1\n\n\n  export N='x\ny' # gone\n\nB=2\n", "A=1\n\n\n\nB=2\n"),
        ("\ufeffN=1\r\nA=2\r\n", "\ufeffA=2\r\n"),
        ("N=1\nA=2\nN=3\n", "A=2\n"),
        ("A=1\n", "A=1\n"),
    ],
)
def test_what_a_removal_leaves(text: str, result: str) -> None:
    assert edit_env_text(text, {}, ["N"]) == result


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("false", "false"),
        ("", ""),
        ("postgresql://h:5432/d", "postgresql://h:5432/d"),
        ("a b", "'a b'"),
        ("$HOME", "'$HOME'"),
        ("it's", '"it\'s"'),
        ("it's C:\\new", "`it's C:\\new`"),
        ("a\nb", '"a\\nb"'),
        ('say "a\nb"', "'say \"a\nb\"'"),
        ("a\rb", '"a\\rb"'),
        ("'\"`", "'\"`"),
    ],
)
def test_how_a_new_value_is_written(value: str, written: str) -> None:
    assert edit_env_text("", {"N": value}) == f"N={written}\n"
    assert parse_env(f"N={written}") == {"N": value}


def test_a_value_of_several_lines_gets_the_line_ends_of_the_file() -> None:
    result = edit_env_text("A=1\r\n", {"N": '"a\nb"'})
    assert result == "A=1\r\nN='\"a\r\nb\"'\r\n"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (UGLY_PASSWORD, "holds a single quote, a double quote, a backtick, a number sign, a backslash"),
        ("a\0b", "holds a NUL character, which no environment variable can"),
        ('"#\r', "it has no escape for a quote, and this value holds a double quote, a number sign, a carriage return"),
    ],
)
def test_what_dotenv_cannot_read_is_refused_with_the_reason_and_without_the_value(value: str, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        edit_env_text("A=1\n", {"PASSWORD": value})
    assert caught.value.message.startswith("The value of PASSWORD")
    assert why in caught.value.message
    assert value not in repr(caught.value) + str(caught.value.remedy)


def test_a_value_that_an_unclosed_quote_would_swallow_is_refused() -> None:
    text, value = "A='open\n", "'\n\"#"
    assert parse_env(edit_env_text("A=1\n", {"C": value}))["C"] == value
    with pytest.raises(SettingsError, match="with its value in place dotenv would read other variables otherwise"):
        edit_env_text(text, {"C": value})


@pytest.mark.parametrize("name", ["", "A B", "A=B", "Ä", "A\n"])
def test_a_name_that_dotenv_does_not_read_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="is no name that dotenv reads"):
        edit_env_text("", {name: "1"})
    with pytest.raises(SettingsError, match="is no name that dotenv reads"):
        edit_env_text("", {}, [name])


def test_setting_and_removing_the_same_is_refused() -> None:
    with pytest.raises(SettingsError, match="Both to be set and to be removed: A"):
        edit_env_text("", {"A": "1"}, ["A"])
