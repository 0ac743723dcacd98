-- Tables that keep less: unlogged with rows, empty, without columns, with columns dropped, emptied again.
CREATE UNLOGGED TABLE not_logged (id serial PRIMARY KEY, a text);
INSERT INTO not_logged (a) SELECT 'row ' || g FROM generate_series(1, 40) g;
CREATE TABLE empty (a int, b text);
CREATE TABLE without_columns ();
INSERT INTO without_columns SELECT FROM generate_series(1, 7);
CREATE TABLE without_columns_or_rows ();
CREATE TABLE columns_gone (a int, b int);
INSERT INTO columns_gone VALUES (1, 2), (3, 4);
ALTER TABLE columns_gone DROP COLUMN a, DROP COLUMN b;
CREATE TABLE columns_changed (gone int, a int, b text, c int);
INSERT INTO columns_changed SELECT g, g, 'b', g FROM generate_series(1, 30) g;
ALTER TABLE columns_changed DROP COLUMN gone, ALTER a TYPE bigint, ADD COLUMN added text DEFAULT 'added';
DELETE FROM columns_changed WHERE a % 3 = 0;
UPDATE columns_changed SET b = 'moved to the end' WHERE a % 4 = 0;
CREATE TABLE emptied AS SELECT g FROM generate_series(1, 100) g;
TRUNCATE emptied;
