-- Tables, indexes, partitions and materialised views in a tablespace.
-- by: superuser
SET allow_in_place_tablespaces = on;
-- then
CREATE TABLESPACE @database@ LOCATION '';
-- then
CREATE TABLE placed (id int PRIMARY KEY USING INDEX TABLESPACE @database@, v text) TABLESPACE @database@;
INSERT INTO placed SELECT g, 'v' || g FROM generate_series(1, 30) g;
CREATE INDEX ON placed (v) TABLESPACE @database@;
CREATE MATERIALIZED VIEW seen TABLESPACE @database@ AS SELECT * FROM placed;
CREATE TABLE parted (a int) PARTITION BY RANGE (a) TABLESPACE @database@;
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10) TABLESPACE pg_default;
INSERT INTO parted VALUES (1);
-- undo
DROP SCHEMA tablespaces CASCADE;
-- then
DROP TABLESPACE @database@;
