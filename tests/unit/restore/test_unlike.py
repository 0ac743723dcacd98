# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest that is the same for the same rows in any order, however the rows come in pieces."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.backup.script import ScriptReader
from ansible_collections.baileys.resilience.plugins.module_utils.restore.unlike import _Sum

# A row as COPY writes it: its line ends are escaped.
ROWS = st.lists(st.text(st.characters(blacklist_characters="\n\r\\", codec="utf-8"), max_size=30), max_size=30)


def of_script(rows: list[str], pieces: int = 1 << 20) -> str:
    """The digest of a table's rows in a script that comes in pieces of so many bytes."""
    reader = ScriptReader(unordered=[("public", "t")])
    copy = "".join(row + "\n" for row in rows)
    script = f"COPY public.t (a) FROM stdin;\n{copy}\\.\n\n--\n-- PostgreSQL database dump complete\n--\n\n".encode()
    for start in range(0, len(script), pieces):
        reader.feed(script[start : start + pieces])
    (table,) = reader.finish().tables
    assert table.rows == len(rows)
    return table.digest


def of_pieces(rows: list[str], chance: random.Random) -> str:
    content = "".join(row + "\n" for row in rows).encode()
    total = _Sum()
    while content:
        length = chance.randint(1, len(content))
        assert total.write(content[:length]) == length
        content = content[length:]
    return total.digest()


@given(ROWS, st.randoms(), st.integers(1, 60))
def test_any_order_any_pieces(rows: list[str], chance: random.Random, pieces: int) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert of_script(rows) == of_script(shuffled, pieces) == of_pieces(shuffled, chance)


@given(ROWS, ROWS, st.randoms())
def test_other_rows_are_another_digest(one: list[str], other: list[str], chance: random.Random) -> None:
    assert (of_pieces(one, chance) == of_pieces(other, chance)) is (sorted(one) == sorted(other))


def test_twice_is_not_once() -> None:
    chance = random.Random(1)
    assert of_pieces(["a", "b", "b"], chance) != of_pieces(["a", "a", "b"], chance)
    assert of_pieces(["a", "a"], chance) != of_pieces([], chance)


def test_the_ordered_digest_is_known_too() -> None:
    def ordered(rows: list[str], unordered: list[tuple[str, str]]) -> str:
        reader = ScriptReader(unordered=unordered)
        reader.feed(("COPY public.t (a) FROM stdin;\n" + "".join(row + "\n" for row in rows) + "\\.\n").encode())
        return reader.ordered_digests()["public", "t"]

    assert ordered(["a", "b"], [("public", "t")]) == ordered(["a", "b"], [])
    assert ordered(["b", "a"], [("public", "t")]) != ordered(["a", "b"], [])
