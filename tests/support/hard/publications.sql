-- Publications of tables, with columns and rows chosen.
CREATE TABLE base (id int PRIMARY KEY, a text, b int);
INSERT INTO base VALUES (1, 'x', 2);
CREATE TABLE second (id int PRIMARY KEY);
CREATE TABLE parted (a int PRIMARY KEY) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE PUBLICATION publications_some FOR TABLE base (id, b) WHERE (id > 0 AND b < 100), second;
CREATE PUBLICATION "publications odd ""name" FOR TABLE parted WITH (publish = 'insert, truncate', publish_via_partition_root = true);
CREATE PUBLICATION publications_empty;
