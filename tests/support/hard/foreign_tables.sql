-- Foreign tables of both common wrappers, with servers, user mappings, options, a partition and an heir among them.
-- by: superuser
-- needs: extension:postgres_fdw extension:file_fdw
-- roles: reader
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION file_fdw;
CREATE SERVER foreign_tables_far TYPE 'kind' VERSION '1.0' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere.invalid', dbname 'it''s', port '1');
CREATE SERVER foreign_tables_files FOREIGN DATA WRAPPER file_fdw;
CREATE USER MAPPING FOR PUBLIC SERVER foreign_tables_far OPTIONS (user 'somebody', password 'no secret');
CREATE USER MAPPING FOR @reader@ SERVER foreign_tables_far OPTIONS (user 'reader');
GRANT USAGE ON FOREIGN SERVER foreign_tables_far TO @reader@;
CREATE FOREIGN TABLE far (id int OPTIONS (column_name 'ID') NOT NULL, name text COLLATE "C" DEFAULT 'x', CHECK (id > 0)) SERVER foreign_tables_far OPTIONS (schema_name 'a b', table_name 'c"d');
CREATE FOREIGN TABLE a_file (line text) SERVER foreign_tables_files OPTIONS (filename '/nowhere/at/all', format 'csv', delimiter ';');
CREATE TABLE parted (id int, name text) PARTITION BY RANGE (id);
CREATE TABLE parted_here PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE FOREIGN TABLE parted_there PARTITION OF parted FOR VALUES FROM (10) TO (20) SERVER foreign_tables_far;
INSERT INTO parted VALUES (1, 'here');
CREATE TABLE above (a int);
INSERT INTO above VALUES (1);
CREATE FOREIGN TABLE heir_there () INHERITS (above) SERVER foreign_tables_far;
CREATE VIEW over_it AS SELECT * FROM far;
COMMENT ON FOREIGN TABLE far IS 'far away';
COMMENT ON SERVER foreign_tables_far IS 'nowhere';
