-- Texts: every character that COPY escapes, padding, white space, characters of four bytes.
CREATE TABLE characters (code int PRIMARY KEY, value text);
INSERT INTO characters SELECT g, chr(g) FROM generate_series(1, 1100) g;
INSERT INTO characters SELECT g, 'a' || chr(g) || 'b' || chr(g) FROM unnest(ARRAY[8203, 8232, 65279, 65533, 128513, 1114111]) g;
CREATE TABLE awkward (id int GENERATED ALWAYS AS IDENTITY, value text);
INSERT INTO awkward (value) VALUES (''), (NULL), ('\N'), ('\\N'), ('\.'), (E'\n\\.\n'), (E'\\.'), (E'a\n\\.\nb'), ('\'),
    (E'\\\n'), (E'\t\t'), (E'\r\n'), (E'\r'), (E'\b\f\v'), (' '), ('   x   '), ('\x41'), ('\101'), ('NULL'), ('null'),
    ('"quoted"'), ('it''s'), ('$$'), ('{}'), ('--'), ('/*'), (';'), ('COPY public.x (a) FROM stdin;'),
    (E'1\tx\n\\.\n\n\nDROP TABLE y;\n'), (E'\\restrict x'), (E'e\u0301 \u00e9'), ('🤷🏽‍♀️ 👩‍👩‍👧 🇩🇪'), ('مرحبا ‏עברית'), (repeat(E'\\', 1000)),
    (repeat(E'\n', 1000)), (repeat('𝒳', 3000));
CREATE TABLE padded (a char(10), b char, c varchar(10), d varchar, e name, f "char", g bpchar);
INSERT INTO padded VALUES ('', '', '', '', '', '', ''), ('a', 'b', 'c  ', 'd ', 'e', 'f', 'g   '), ('🙂', 'é', 'ü', 'ß', repeat('n', 63), '\377', E'\n'),
    ('          ', ' ', '          ', ' ', ' ', ' ', ' ');
CREATE TABLE alone (value text);
INSERT INTO alone VALUES (''), ('\.'), (NULL), (E'\n'), ('');
INSERT INTO padded DEFAULT VALUES;
