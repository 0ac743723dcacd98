-- Arrays: empty, with lower bounds of their own, of several dimensions, with nulls, of composite and odd elements.
CREATE TYPE pair AS (x int, "y y" text);
CREATE TABLE arrays (a int[], b text[], c numeric[][], d bytea[], e pair[], f timestamptz[], g box[], h int[3][3], i "char"[], j pair[][]);
INSERT INTO arrays VALUES ('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'), ('{NULL}', '{NULL,"NULL","null",""}', '{{NaN,1.0},{Infinity,NULL}}', ARRAY['\x00'::bytea, '\x5c'], ARRAY[ROW(1, 'a "b" (c),\')::pair, NULL, ROW(NULL, '')]::pair[], '{infinity,2026-01-01 00:00+05}', '{(1,1),(0,0);(2,2),(1,1)}', '[0:1][-3:-2]={{1,2},{3,4}}', '{a," ",\\}', ARRAY[ARRAY[ROW(1, '2')::pair]]),
    ('[-5:-3]={1,2,3}', ARRAY[E'\n', E'\t', '\', '"', '{', ',', ' '], '[2:2][3:4]={{1,2}}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ((SELECT array_agg(g) FROM generate_series(1, 5000) g), NULL, array_fill(1.5::numeric, ARRAY[2, 2, 2, 2, 2, 2]), NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO arrays DEFAULT VALUES;
