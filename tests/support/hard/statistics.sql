-- Extended statistics of every kind, and targets of columns.
CREATE TABLE base (a int, b int, c text);
INSERT INTO base SELECT g % 10, g % 5, 'c' || g % 3 FROM generate_series(1, 300) g;
CREATE STATISTICS every_kind ON a, b, c FROM base;
CREATE STATISTICS two_kinds (ndistinct, dependencies) ON a, b FROM base;
CREATE STATISTICS "odd ""name" (mcv) ON (a + b), lower(c) FROM base;
CREATE STATISTICS one_expression ON (a % 3) FROM base;
ALTER STATISTICS two_kinds SET STATISTICS 1000;
ALTER TABLE base ALTER a SET STATISTICS 7, ALTER b SET STATISTICS 0, ALTER c SET (n_distinct = -0.5, n_distinct_inherited = 10);
ANALYZE base;
