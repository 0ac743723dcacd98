# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of scripts: any script, in any pieces, gives exactly the data that was put into it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.baileys.resilience.plugins.module_utils.backup import script
from ansible_collections.baileys.resilience.plugins.module_utils.backup.contents import Contents, TableContent
from ansible_collections.baileys.resilience.plugins.module_utils.backup.script import PIECE_BYTES, ScriptReader
from ansible_collections.baileys.resilience.plugins.module_utils.system.errors import ArchiveError

NO_ROWS = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Part:
    """A piece of a script that is incomplete until its last byte, and the data that is in it."""

    text: bytes
    table: tuple[str, str] | None = None
    rows: tuple[bytes, ...] = ()
    sequence: tuple[str, int, bool] | None = None
    large_object: tuple[int, tuple[bytes, ...]] | None = None


@dataclass
class Expected:
    """The contents of several parts, put together in the plainest way."""

    tables: list[TableContent] = field(default_factory=list)
    sequences: dict[str, tuple[int, bool]] = field(default_factory=dict)
    large_objects: list[tuple[int, tuple[bytes, ...]]] = field(default_factory=list)

    def add(self, part: Part) -> None:
        if part.table is not None:
            block = b"".join(row + b"\n" for row in part.rows)
            digest = hashlib.sha256(block).hexdigest()
            self.tables.append(TableContent(part.table, len(part.rows), len(block), digest))
        if part.sequence is not None:
            self.sequences[part.sequence[0]] = part.sequence[1:]
        if part.large_object is not None:
            self.large_objects.append(part.large_object)

    def check(self, contents: Contents) -> None:
        assert list(contents.tables) == sorted(self.tables, key=lambda table: table.name)
        assert contents.sequences == self.sequences
        assert list(contents.sequences) == sorted(self.sequences)
        assert contents.rows == sum(table.rows for table in self.tables)
        assert contents.bytes == sum(table.bytes for table in self.tables)
        assert contents.large_objects == len(self.large_objects)
        assert contents.large_object_bytes == sum(len(page) for _, pages in self.large_objects for page in pages)
        assert (contents.large_objects_digest is None) == (not self.large_objects)


def read(*pieces: bytes) -> Contents:
    reader = ScriptReader()
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


def quote(name: str) -> str:
    """As pg_dump writes it."""
    plain = name.isascii() and name.isidentifier() and name.islower()
    return name if plain else '"%s"' % name.replace('"', '""')


def copy(schema: str, table: str, columns: list[str], rows: tuple[bytes, ...]) -> Part:
    # A table without columns has two spaces there.
    names = "(%s) " % ", ".join(map(quote, columns)) if columns else " "
    head = f"COPY {quote(schema)}.{quote(table)} {names}FROM stdin;\n".encode()
    return Part(head + b"".join(row + b"\n" for row in rows) + b"\\.\n", (schema, table), rows)


NAMES = st.one_of(
    st.sampled_from(
        ["public", "whatsapp_keys", "a", "We ird", "x FROM stdin;\n", 'q"uo"te', "dot.ted", "(par)", "ÄÖ€😀"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12),
    st.text("ab\"\n.(); COPYFROMstdin$'\\", min_size=1, max_size=16),
)
# Everything but a line break, and the end of the data, which COPY escapes.
ROWS = st.lists(
    st.one_of(
        st.binary(max_size=20).map(lambda row: row.replace(b"\n", b"\\n")),
        st.text("\\.\tN$'\"-/* aCOPY", max_size=12).map(str.encode),
        st.sampled_from([b"", b"\\\\.", b"\\.\\.", b".", b"\\N", b"COPY a.b (c) FROM stdin;", b"$$", b"'", b"\\. "]),
    ).filter(lambda row: row != b"\\."),
    max_size=6,
).map(tuple)
COPIES = st.builds(copy, NAMES, NAMES, st.lists(NAMES, max_size=3), ROWS)

# What may stand in a body, a comment or a literal and looks like data.
DECOYS = st.lists(
    st.sampled_from(
        [
            "COPY public.decoy (a) FROM stdin;",
            "\\.",
            "1\t2",
            "SELECT pg_catalog.setval('public.decoy', 9, true);",
            "SELECT pg_catalog.lo_open('1', 131072);",
            "SELECT pg_catalog.lowrite(0, '\\x00');",
            "SET client_encoding = 'EUC_TW';",
            "-- it''s",
            "/* open",
            "x",
            "",
        ]
    ),
    max_size=5,
).map("\n".join)


def dollar_quoted(tag: str, body: str) -> Part:
    opening = f"${tag}$"
    return Part(f"CREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS {opening}\n{body}\n{opening};\n".encode())


NOISE = st.one_of(
    st.builds(dollar_quoted, st.sampled_from(["", "_", "body", "Ü1", "e"]), DECOYS),
    # A shorter or longer tag inside does not end it.
    DECOYS.map(lambda body: dollar_quoted("_", f"$$ {body} $_ $__$ '")),
    DECOYS.map(lambda body: Part("COMMENT ON TABLE public.a IS '\n{}\n';\n".format(body.replace("'", "''")).encode())),
    # Doubled quotes, a backslash that means nothing, and one that does.
    st.just(Part(b"ALTER TABLE a ALTER b SET DEFAULT 'it''s a \\';\n")),
    DECOYS.map(
        lambda body: Part(("OPTIONS (x E'\\'\n%s\n\\\\');\n" % body.replace("\\", "\\\\").replace("'", "\\'")).encode())
    ),
    DECOYS.map(lambda body: Part('ALTER TABLE a RENAME b TO "\n{}\n";\n'.format(body.replace('"', '""')).encode())),
    DECOYS.map(lambda body: Part(f"/*\n{body}\n*/ SELECT 1;\n".encode())),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\n"), max_size=30).map(
        lambda text: Part(f"-- {text}\n".encode())
    ),
    st.sampled_from(
        [
            b"-- Name: it's; Type: TABLE; $$ /* \"\n",
            b"CREATE TABLE public.a$b$c (d integer);\n",
            b"CREATE TABLE public.nome'x' ();\n",
            b"SELECT pg_catalog.set_config('search_path', '', false);\n",
            b"SELECT pg_catalog.lo_create('16409');\n",
            b"SET client_encoding = 'UTF8';\n",
            b"SET client_encoding = odd;\n",
            b"SELECT 1, $1, a$$;\n".replace(b"a$$", b"a$"),
            b"\n",
        ]
    ).map(Part),
)


def setval(name: str, value: int, called: bool) -> Part:
    written = name.replace("'", "''")
    text = f"SELECT pg_catalog.setval('{written}', {value}, {str(called).lower()});\n"
    return Part(text.encode(), sequence=(name, value, called))


def large_object(number: int, pages: tuple[bytes, ...]) -> Part:
    lines = [f"SELECT pg_catalog.lo_open('{number}', 131072);\n"]
    lines += [f"SELECT pg_catalog.lowrite(0, '\\x{page.hex()}');\n" for page in pages]
    lines += ["SELECT pg_catalog.lo_close(0);\n"]
    return Part("".join(lines).encode(), large_object=(number, pages))


SEQUENCES = st.builds(
    setval, NAMES.map(lambda name: f"public.{quote(name)}"), st.integers(-(2**63), 2**63 - 1), st.booleans()
)
LARGE_OBJECTS = st.builds(
    large_object, st.integers(1, 2**32 - 1), st.lists(st.binary(min_size=1, max_size=20), max_size=3).map(tuple)
)
PARTS = st.lists(
    st.one_of(COPIES, NOISE, SEQUENCES, LARGE_OBJECTS),
    max_size=8,
    unique_by=(lambda part: part.table or id(part), lambda part: part.sequence[0] if part.sequence else id(part)),
)


def pieces(text: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in pairwise(places)]


@settings(max_examples=400)
@given(parts=PARTS, cuts=st.lists(st.integers(0, 10_000), max_size=30))
def test_any_script_in_any_pieces(parts: list[Part], cuts: list[int]) -> None:
    text = b"".join(part.text for part in parts)
    expected = Expected()
    for part in parts:
        expected.add(part)
    whole = read(text)
    expected.check(whole)
    assert read(*pieces(text, cuts)) == whole


@settings(max_examples=60)
@given(parts=PARTS)
def test_byte_by_byte(parts: list[Part]) -> None:
    text = b"".join(part.text for part in parts)
    assert read(*(text[place : place + 1] for place in range(len(text)))) == read(text)


@settings(max_examples=300)
@given(parts=PARTS.filter(lambda parts: any(part.table for part in parts)), data=st.data())
def test_a_script_cut_off_within_anything_is_refused(parts: list[Part], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(parts) - 1))
    part = parts[number]
    length = data.draw(st.integers(1, max(1, len(part.text) - 1)))
    cut = part.text[:length]
    # A large object is several statements, and so is what follows a comment: whole lines of those say nothing.
    if length == len(part.text) or (part.table is None and cut.endswith(b"\n")):
        return
    with pytest.raises(ArchiveError, match="ends in the middle"):
        read(b"".join(before.text for before in parts[:number]) + cut)


class TestCopyBlocks:
    def test_the_digest_is_that_of_copy_to_stdout(self) -> None:
        rows = b"1\tone\n2\t\\N\n3\ttwo\\nlines\n"
        (table,) = read(b'COPY public.t (id, "We ird") FROM stdin;\n' + rows + b"\\.\n").tables
        assert table == TableContent(("public", "t"), 3, len(rows), hashlib.sha256(rows).hexdigest())

    def test_an_empty_table(self) -> None:
        assert read(b"COPY public.t (a) FROM stdin;\n\\.\n").tables == (TableContent(("public", "t"), 0, 0, NO_ROWS),)

    @pytest.mark.parametrize("rows", [0, 1, 2, 5])
    def test_a_table_without_columns_has_rows_all_the_same(self, rows: int) -> None:
        (table,) = read(b"COPY public.t  FROM stdin;\n" + b"\n" * rows + b"\\.\n\n\n").tables
        assert (table.rows, table.bytes) == (rows, rows)

    def test_the_rows_of_one_table_do_not_count_for_the_next(self) -> None:
        contents = read(
            b"COPY a.b (c) FROM stdin;\n1\n\\.\nCOPY a.c (c) FROM stdin;\n\\.\nCOPY a.a (c) FROM stdin;\n1\n2\n\\.\n"
        )
        assert [(table.name, table.rows) for table in contents.tables] == [
            (("a", "a"), 2),
            (("a", "b"), 1),
            (("a", "c"), 0),
        ]

    def test_names_with_line_breaks_and_a_decoy_in_them(self) -> None:
        contents = read(b'COPY "s\nq"."t"" FROM stdin;\n" ("c FROM stdin;\n", "(") FROM stdin;\n1\n\\.\n')
        assert [table.name for table in contents.tables] == [("s\nq", 't" FROM stdin;\n')]

    def test_a_second_block_of_a_table_continues_the_first(self) -> None:
        # pg_dump loads hash partitions of an enum through their root, a block for each partition.
        head = b"COPY a.b (c) FROM stdin;\n"
        whole = read(head + b"1\n2\n\\.\n" + head + b"\\.\n" + head + b"3\n\\.\n")
        assert whole == read(head + b"1\n2\n3\n\\.\n")

    @pytest.mark.parametrize(
        "head", [b"COPY b (c) FROM stdin;\n", b"COPY a.b c FROM stdin;\n", b'COPY "a.b" (c) FROM stdin;\n']
    )
    def test_a_statement_pg_dump_does_not_write_is_refused(self, head: bytes) -> None:
        with pytest.raises(ArchiveError, match=r"^Cannot read the statement 'COPY ") as caught:
            read(head + b"\\.\n")
        assert caught.value.stage == "verify"

    def test_a_block_much_larger_than_a_piece(self) -> None:
        row = b"x" * 100 + b"\n"
        count = 3 * PIECE_BYTES // len(row)
        text = b"COPY a.b (c) FROM stdin;\n" + row * count + b"\\.\n"
        expected = TableContent(("a", "b"), count, count * len(row), hashlib.sha256(row * count).hexdigest())
        assert read(text).tables == (expected,)
        size = 64 * 1024 - 1
        assert read(*(text[start : start + size] for start in range(0, len(text), size))).tables == (expected,)

    def test_one_row_much_larger_than_a_piece(self) -> None:
        row = b"y" * (3 * PIECE_BYTES) + b"\n"
        text = b"COPY a.b (c) FROM stdin;\n" + row + b"\\.\n"
        size = PIECE_BYTES // 2 + 1
        (table,) = read(*(text[start : start + size] for start in range(0, len(text), size))).tables
        assert (table.rows, table.bytes) == (1, len(row))


class TestEnds:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (b"COPY a.b (c) FROM stdin;\n", "The data of table a.b ends in the middle"),
            (b"COPY a.b (c) FROM stdin;\n1\n", "The data of table a.b ends in the middle"),
            (b"COPY a.b (c) FROM stdin;\n1\n\\.", "The data of table a.b ends in the middle"),
            (b"COPY a.b (c) FROM stdin;\n\\.", "The data of table a.b ends in the middle"),
            (b'COPY a."b\n', "The script ends in the middle of a statement"),
            (b"SELECT pg_catalog.setval('a.\"b\n", "The script ends in the middle of a statement"),
            (b"SET x = 1;", "The script ends in the middle of a statement"),
            (b"COMMENT IS 'a\n", "The script ends in the middle of a statement"),
            (b"AS $$\n", "The script ends in the middle of a statement"),
            (b"AS $a$\n$$ $b$\n", "The script ends in the middle of a statement"),
            (b"E'\\'\n", "The script ends in the middle of a statement"),
            (b"/* *\n", "The script ends in the middle of a statement"),
            (b'"\n', "The script ends in the middle of a statement"),
        ],
    )
    def test_too_early(self, text: bytes, message: str) -> None:
        with pytest.raises(ArchiveError) as caught:
            read(text)
        assert (caught.value.message, caught.value.stage) == (message, "verify")

    def test_nothing_at_all(self) -> None:
        assert read() == Contents(())
        assert read(b"") == Contents(())


class TestSequences:
    def test_value_and_whether_it_was_used(self) -> None:
        contents = read(
            b"SELECT pg_catalog.setval('public.s', 42, true);\n"
            b"SELECT pg_catalog.setval('public.\"it''s\"', -1, false);\n"
            b"SELECT pg_catalog.setval('public.\"two\nlines\"', 7, true);\n"
        )
        assert contents.sequences == {
            "public.s": (42, True),
            'public."it\'s"': (-1, False),
            'public."two\nlines"': (7, True),
        }


class TestLargeObjects:
    def measured(self, *objects: tuple[int, tuple[bytes, ...]]) -> tuple[int, int, str | None]:
        contents = read(b"".join(large_object(*item).text for item in objects))
        return contents.large_objects, contents.large_object_bytes, contents.large_objects_digest

    def test_the_digest_does_not_depend_on_the_size_of_the_pages(self) -> None:
        assert self.measured((1, (b"ab", b"c"))) == self.measured((1, (b"abc",)))

    def test_it_shows_changed_moved_and_renumbered_bytes(self) -> None:
        variants = [
            ((1, (b"ab",)), (2, (b"c",))),
            ((1, (b"a",)), (2, (b"bc",))),
            ((1, (b"abc",)), (2, ())),
            ((1, (b"ab",)), (3, (b"c",))),
            ((1, (b"ab",)), (2, (b"d",))),
            ((2, (b"c",)), (1, (b"ab",))),
            ((1, (b"ab",)),),
            # The mark before an object, forged as the bytes of the one before.
            ((1, (b"ab\n2 2\nc",)),),
        ]
        assert len({self.measured(*variant) for variant in variants}) == len(variants)

    @pytest.mark.parametrize(
        "line",
        [
            # As written where standard_conforming_strings is off; with a digit lost; by a version of the future.
            b"SELECT pg_catalog.lowrite(0, '\\\\x00');\n",
            b"SELECT pg_catalog.lowrite(0, '\\x001');\n",
            b"SELECT pg_catalog.lowrite(0, E'\\\\x00');\n",
            b"SELECT pg_catalog.lo_open('x', 131072);\n",
            b"SELECT pg_catalog.setval('public.s', 1);\n",
            b"SELECT pg_catalog.setval('public.s', x, true);\n",
        ],
    )
    def test_data_that_cannot_be_measured_is_refused(self, line: bytes) -> None:
        with pytest.raises(ArchiveError, match=r"^Cannot read the statement 'SELECT pg_catalog\.\w+'$"):
            read(line)

    def test_they_are_counted(self) -> None:
        contents = read(large_object(5, (b"ab", b"c")).text + large_object(6, ()).text)
        assert (contents.large_objects, contents.large_object_bytes) == (2, 3)


# The server encodings of PostgreSQL 18 (its documentation, table "PostgreSQL Character Sets"), each with a name
# that only it writes in this way.
SERVER_ENCODINGS = {
    "UTF8": ("utf-8", "é€😀"),
    "SQL_ASCII": ("utf-8", "é€😀"),
    "EUC_JP": ("euc_jp", "日本"),
    "EUC_CN": ("gb2312", "中文"),
    "EUC_KR": ("euc_kr", "한국"),
    "EUC_JIS_2004": ("euc_jis_2004", "日本"),
    "ISO_8859_5": ("iso8859-5", "Жук"),
    "ISO_8859_6": ("iso8859-6", "عرب"),
    "ISO_8859_7": ("iso8859-7", "αβγ"),
    "ISO_8859_8": ("iso8859-8", "שלום"),
    "KOI8R": ("koi8-r", "Жук"),
    "KOI8U": ("koi8-u", "Їжак"),
    "LATIN1": ("latin-1", "éÿ"),
    "LATIN2": ("iso8859-2", "łż"),
    "LATIN3": ("iso8859-3", "ħĝ"),
    "LATIN4": ("iso8859-4", "ŗŧ"),
    "LATIN5": ("iso8859-9", "ğış"),
    "LATIN6": ("iso8859-10", "đŋ"),
    "LATIN7": ("iso8859-13", "ąč"),
    "LATIN8": ("iso8859-14", "ẃŷ"),
    "LATIN9": ("iso8859-15", "€œ"),
    "LATIN10": ("iso8859-16", "șț"),
    "WIN866": ("cp866", "Жук"),
    "WIN874": ("cp874", "กข"),
    "WIN1250": ("cp1250", "łż"),
    "WIN1251": ("cp1251", "Жук"),
    "WIN1252": ("cp1252", "é€"),
    "WIN1253": ("cp1253", "αβγ"),
    "WIN1254": ("cp1254", "ğış"),
    "WIN1255": ("cp1255", "שלום"),
    "WIN1256": ("cp1256", "عرب"),
    "WIN1257": ("cp1257", "ąč"),
    "WIN1258": ("cp1258", "ăđ"),
}


class TestEncodings:
    @pytest.mark.parametrize("encoding", sorted(SERVER_ENCODINGS))
    def test_names_are_read_in_the_encoding_of_the_script(self, encoding: str) -> None:
        codec, name = SERVER_ENCODINGS[encoding]
        written = name.encode(codec)
        contents = read(
            b"SET client_encoding = '%s';\n" % encoding.encode(),
            b'COPY "%s"."%s" (a) FROM stdin;\n%s\n\\.\n' % (written, written, written),
            b"SELECT pg_catalog.setval('public.\"%s\"', 1, true);\n" % written,
        )
        assert contents.tables[0].name == (name, name)
        # The rows are not decoded at all.
        assert contents.tables[0].digest == hashlib.sha256(written + b"\n").hexdigest()
        assert list(contents.sequences) == [f'public."{name}"']

    @pytest.mark.parametrize("encoding", ["EUC_TW", "MULE_INTERNAL"])
    def test_encodings_python_cannot_read_are_no_obstacle_to_ascii(self, encoding: str) -> None:
        contents = read(b"SET client_encoding = '%s';\nCOPY a.b (a) FROM stdin;\n\xc4\xe3\n\\.\n" % encoding.encode())
        assert contents.tables[0].name == ("a", "b")

    def test_an_encoding_of_the_future_is_refused(self) -> None:
        with pytest.raises(ArchiveError, match="Cannot read names in the encoding utf99"):
            read(b"SET client_encoding = 'UTF99';\n")

    def test_bytes_that_are_no_text_are_kept_apart(self) -> None:
        contents = read(b'COPY a."\xff" (a) FROM stdin;\n\\.\nCOPY a."\xfe" (a) FROM stdin;\n\\.\n')
        assert [table.name[1].encode("utf-8", "surrogateescape") for table in contents.tables] == [b"\xfe", b"\xff"]


class TestFromADescriptor:
    @given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=10))
    @example(sizes=[1])
    def test_as_if_it_had_been_fed(self, sizes: list[int]) -> None:
        text = copy("public", "t", ["a"], (b"1", b"2")).text + setval("public.s", 1, True).text
        reading, writing = os.pipe()
        reader = ScriptReader()
        try:
            for size in sizes:
                os.write(writing, text[:size])
                text = text[size:]
                if size and text:
                    assert reader.feed_from(reading)
            os.write(writing, text)
            os.close(writing)
            while reader.feed_from(reading):
                pass
        finally:
            os.close(reading)
        assert reader.finish() == read(copy("public", "t", ["a"], (b"1", b"2")).text + setval("public.s", 1, True).text)

    def test_more_than_its_buffer(self) -> None:
        row = b"z" * 1000 + b"\n"
        text = b"COPY a.b (c) FROM stdin;\n" + row * 5000 + b"\\.\n-- " + b"c" * (3 * PIECE_BYTES) + b"\n"
        descriptor = os.memfd_create("script")
        try:
            os.write(descriptor, text)
            os.lseek(descriptor, 0, os.SEEK_SET)
            reader = ScriptReader()
            while reader.feed_from(descriptor):
                pass
        finally:
            os.close(descriptor)
        assert reader.finish() == read(text)

    def test_memory_is_bounded(self) -> None:
        reader = ScriptReader()
        reader.feed(b"COPY a.b (c) FROM stdin;\n")
        for _ in range(200):
            reader.feed(b"x" * PIECE_BYTES)
        assert len(reader._buffer) <= 4 * PIECE_BYTES


def test_what_the_lexer_makes_of_one_line() -> None:
    # Each once more in isolation, so that a failure above has a short explanation.
    for line, left_open in {
        b"plain\n": b"",
        b"'a'\n": b"",
        b"'a''\n": b"'",
        b"'a''b'\n": b"",
        b"'a\\'\n": b"",
        b"E'a\\'\n": b"e'",
        b"E'a\\\\'\n": b"",
        b"e'a\\\\\\'\n": b"e'",
        b"nameE'a\\'\n": b"",
        b"a$b$\n": b"",
        b"$1$\n": b"",
        b"$$\n": b"$$",
        b"$$ $a$ $$\n": b"",
        b"$a$ $$ $b$\n": b"$a$",
        b"$a$ $a$ $$\n": b"$$",
        b"-- ' \" $$ /*\n": b"",
        b"- - '\n": b"'",
        b"'--'\n": b"",
        b"/* ' */\n": b"",
        b'/* -- */ "\n': b'"',
        b'"a""b\n': b'"',
        b"'\"' \"'\" '\n": b"'",
    }.items():
        assert script._open_after(b"", line) == left_open, line
