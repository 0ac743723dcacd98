-- Rows of very different sizes in one table, which a careless restore puts into another order; compressed, toasted, of 1 MB.
CREATE TABLE mixed (id int, v text, w bytea);
INSERT INTO mixed SELECT g, repeat(md5(g::text), (g * 7919) % 250), CASE WHEN g % 50 = 0 THEN decode(repeat(md5(g::text), 100), 'hex') END FROM generate_series(1, 1500) g;
CREATE TABLE big (id int, v text);
INSERT INTO big VALUES (1, repeat('x', 1048576)), (2, ''), (3, (SELECT string_agg(md5(g::text), E'\n\\' ORDER BY g) FROM generate_series(1, 30000) g)), (4, repeat(E'\\.\n', 100000)), (5, NULL);
CREATE TABLE tiny (a "char");
INSERT INTO tiny SELECT 'x' FROM generate_series(1, 3000);
-- Free space within, so that new rows stand before old ones.
DELETE FROM mixed WHERE id % 3 = 0;
-- then
INSERT INTO mixed SELECT 10000 + g, repeat('z', g * 3), NULL FROM generate_series(1, 300) g;
