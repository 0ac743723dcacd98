-- Materialised views: with rows, without, on each other, with indexes, clustered, with settings.
CREATE TABLE base (id int PRIMARY KEY, v text);
INSERT INTO base SELECT g, md5(g::text) FROM generate_series(1, 200) g;
CREATE MATERIALIZED VIEW first AS SELECT id, v, id % 7 AS rest FROM base;
CREATE UNIQUE INDEX first_key ON first (id);
CREATE INDEX ON first USING hash (v);
ALTER MATERIALIZED VIEW first CLUSTER ON first_key;
CREATE MATERIALIZED VIEW a_second WITH (fillfactor = 80) AS SELECT rest, count(*) AS n FROM first GROUP BY rest;
CREATE MATERIALIZED VIEW empty AS SELECT * FROM a_second WITH NO DATA;
CREATE MATERIALIZED VIEW "on the ""empty" AS SELECT 1 AS "a b" WHERE false;
CREATE VIEW over_view AS SELECT * FROM a_second;
CREATE MATERIALIZED VIEW third (x, y) AS SELECT * FROM over_view ORDER BY 1;
CREATE STATISTICS on_view ON rest, id FROM first;
COMMENT ON MATERIALIZED VIEW first IS 'the first';
COMMENT ON COLUMN first.rest IS 'of seven';
-- What it shows has changed since, so a refresh shows something else.
INSERT INTO base VALUES (1000, 'later');
