-- Checks: those the server writes in other words after each restore, not valid, not inherited, across columns.
CREATE FUNCTION fine(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE TABLE checked (
    a varchar(10) CHECK (a IN ('x', 'y', 'it''s')), b char(3) CHECK (b IN ('abc', 'def')), c varchar CHECK (c NOT IN ('q', 'r')),
    d int CHECK (d BETWEEN 1 AND 100), e text CHECK (e ~ '^\w+$' OR e IS NULL), f int CHECK (fine(f)), g name CHECK (g IN ('n', 'm')),
    h varchar(5) DEFAULT 'x' || 'y', i varchar[] CHECK (i <@ ARRAY['a', 'b']::varchar[]), j "char" CHECK (j = ANY ('{a,b}')),
    k timestamp CHECK (k > '2000-01-01'::timestamp with time zone), l numeric CHECK (l / 3 > 0.1 AND (l <> 7 OR NOT l < 2)), m smallint CHECK (m IN (1, 2)),
    CONSTRAINT "two ""columns" CHECK (d < f), CHECK (CASE a WHEN 'x' THEN true ELSE length(a::text) > 0 END), CHECK ((d, f) < (1000, 1000)), CHECK (COALESCE(a, b, 'z') LIKE '_%'),
    CONSTRAINT mine_only CHECK (d > 0) NO INHERIT
);
INSERT INTO checked VALUES ('x', 'abc', 's', 1, 'w', 2, 'n', DEFAULT, '{a}', 'a', '2026-01-01', 5, 1);
INSERT INTO checked (a) VALUES (NULL);
CREATE TABLE heir () INHERITS (checked);
CREATE TABLE not_valid (a int);
INSERT INTO not_valid VALUES (-1), (1);
ALTER TABLE not_valid ADD CONSTRAINT later CHECK (a > 0) NOT VALID;
CREATE INDEX ON checked (d) WHERE a IN ('x', 'y') AND c <> 'q';
CREATE VIEW over_checked AS SELECT a FROM checked WHERE a IN ('x', 'y') AND b NOT IN ('abc') AND c LIKE 'a%';
CREATE TABLE defaults (a varchar DEFAULT 'x'::text, b numeric(5, 2) DEFAULT 1.5, c timestamptz DEFAULT now() - interval '1 day', d text DEFAULT E'a\nCOPY public.x (a) FROM stdin;\n''', e int[] DEFAULT ARRAY[]::int[], f date DEFAULT 'infinity', g boolean DEFAULT 1 = 1, h jsonb DEFAULT '{"a": []}', i bytea DEFAULT '\x5c');
INSERT INTO defaults (c) VALUES ('2026-01-01 00:00+00');
