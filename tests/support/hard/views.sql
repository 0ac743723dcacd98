-- Views: recursive, on each other in a circle, with checks, security, columns added, and what SQL has.
CREATE TABLE base (id int PRIMARY KEY, parent int, name varchar(20), price numeric);
INSERT INTO base SELECT g, g / 2, 'n' || g, g * 1.5 FROM generate_series(1, 30) g;
CREATE VIEW plain AS SELECT * FROM base WHERE id > 3;
CREATE OR REPLACE VIEW plain AS SELECT *, 1 AS added FROM base WHERE id > 3;
CREATE VIEW checked AS SELECT id, name FROM base WHERE id < 10 WITH LOCAL CHECK OPTION;
CREATE VIEW checked_all AS SELECT id FROM checked WHERE id > 1 WITH CASCADED CHECK OPTION;
CREATE VIEW barred WITH (security_barrier) AS SELECT * FROM base WHERE name LIKE 'n%';
CREATE VIEW invoked WITH (security_invoker = true, security_barrier = false) AS TABLE base;
CREATE RECURSIVE VIEW tree (id, depth) AS SELECT id, 0 FROM views.base WHERE parent = 0 UNION ALL SELECT b.id, t.depth + 1 FROM views.base b JOIN tree t ON b.parent = t.id;
CREATE VIEW cycle_search AS WITH RECURSIVE t AS (SELECT id, parent FROM base WHERE id = 1 UNION ALL SELECT b.id, b.parent FROM base b JOIN t ON b.parent = t.id)
    SEARCH DEPTH FIRST BY id SET ordercol CYCLE id SET is_cycle USING path SELECT id, parent, is_cycle FROM t;
CREATE VIEW windows AS SELECT id, rank() OVER w, sum(price) OVER (PARTITION BY parent ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM base WINDOW w AS (ORDER BY name COLLATE "C" DESC NULLS LAST);
CREATE VIEW grouped AS SELECT parent, name, count(*) FILTER (WHERE id > 5), percentile_cont(0.5) WITHIN GROUP (ORDER BY price), string_agg(DISTINCT name, ',' ORDER BY name) AS s FROM base GROUP BY GROUPING SETS ((parent), ROLLUP (name, parent), ()) HAVING count(*) > 0;
CREATE VIEW joined AS SELECT * FROM base a NATURAL FULL JOIN (SELECT id, 1 AS x FROM base) b LEFT JOIN LATERAL (SELECT max(id) AS m FROM base WHERE id < a.id) l ON true CROSS JOIN generate_series(1, 2) WITH ORDINALITY AS g (v, o);
CREATE VIEW whole_row AS SELECT b, ROW(b.*)::base AS r, (b).name, b.id IS DISTINCT FROM 3 AS d, b.name IN ('a', 'b') AS i, b.price BETWEEN SYMMETRIC 3 AND 1 AS w, CASE b.id WHEN 1 THEN 'one' END AS c FROM base b TABLESAMPLE system (100) REPEATABLE (1);
CREATE VIEW values_view (a, b) AS VALUES (1, 'x'), (2, NULL);
CREATE VIEW times AS SELECT CURRENT_DATE AS d, CURRENT_TIMESTAMP(2) AS t, EXTRACT(epoch FROM interval '1 day') AS e, timestamp '2026-01-01' AT TIME ZONE 'UTC' AS z, OVERLAY('abc' PLACING 'x' FROM 2) AS o, xmin FROM base;
CREATE VIEW locked AS SELECT id FROM base FOR UPDATE SKIP LOCKED;
-- Each shows the other: a dump has to make one of them empty first.
CREATE VIEW circle_a AS SELECT 1 AS x;
CREATE FUNCTION circle_function() RETURNS SETOF circle_a LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE VIEW circle_a AS SELECT x FROM (SELECT 1 AS x) s WHERE EXISTS (SELECT FROM views.circle_function());
CREATE VIEW "v ""w" AS SELECT 1 AS "COPY x FROM stdin;", 2 AS "?column?", 3 AS "select";
ALTER VIEW plain ALTER name SET DEFAULT 'none';
CREATE TABLE key_grouped (id int PRIMARY KEY, a text);
INSERT INTO key_grouped VALUES (1, 'x');
-- Depends on the key, so the dump makes the view after the data.
CREATE VIEW by_key AS SELECT id, a, count(*) FROM key_grouped GROUP BY id;
