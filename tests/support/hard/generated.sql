-- Stored generated columns: of functions, of other types, in keys and indexes, with nothing else in the row.
CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1) || ''!''';
CREATE TABLE stored (b text, a int, doubled bigint GENERATED ALWAYS AS (a::bigint * 2) STORED, shouted text GENERATED ALWAYS AS (generated.shout(b)) STORED, c date, day int GENERATED ALWAYS AS (EXTRACT(doy FROM c)) STORED, PRIMARY KEY (doubled));
INSERT INTO stored (b, a, c) SELECT 'text ' || g, g, '2026-01-01'::date + g FROM generate_series(1, 50) g;
CREATE UNIQUE INDEX ON stored (shouted);
CREATE TABLE nothing_else (a int GENERATED ALWAYS AS (1) STORED);
INSERT INTO nothing_else SELECT FROM generate_series(1, 4);
CREATE TABLE heir (own text) INHERITS (stored);
INSERT INTO heir (b, a, own) VALUES ('x', 100, 'y');
CREATE TABLE parted (a int, b int GENERATED ALWAYS AS (a + 1) STORED) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
INSERT INTO parted VALUES (1), (2);
