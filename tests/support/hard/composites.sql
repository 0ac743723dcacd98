-- Composite types within each other, tables of a type, rows as values, types changed later.
CREATE TYPE inner_type AS (a int, "b ""b" text COLLATE "C");
CREATE TYPE outer_type AS (x inner_type, y inner_type[], z numeric(5, 2));
ALTER TYPE inner_type ADD ATTRIBUTE c date;
ALTER TYPE inner_type DROP ATTRIBUTE a;
CREATE TABLE typed OF inner_type (PRIMARY KEY ("b ""b"), c DEFAULT '2026-01-01');
INSERT INTO typed VALUES ('x'), ('y');
CREATE TABLE holder (a outer_type, b typed, c typed[]);
INSERT INTO holder VALUES (ROW(ROW('a,b', NULL)::inner_type, ARRAY[ROW('"', '2026-01-01')::inner_type], 1.5), (SELECT t FROM typed t LIMIT 1), (SELECT array_agg(t) FROM typed t)),
    (NULL, NULL, NULL), (ROW(NULL, NULL, NULL), ROW(NULL, NULL), '{}');
CREATE TYPE empty_type AS ();
