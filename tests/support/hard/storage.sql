-- How tables are kept: storage and compression of columns, fill factors, settings of autovacuum, of views.
CREATE TABLE settings (a text, b text, c text, d text COMPRESSION pglz, e bytea) WITH (fillfactor = 55, autovacuum_enabled = false, autovacuum_vacuum_scale_factor = 0.01, autovacuum_freeze_max_age = 200000000, toast.autovacuum_enabled = false, toast_tuple_target = 500, parallel_workers = 3, user_catalog_table = false, vacuum_index_cleanup = off, log_autovacuum_min_duration = 0);
ALTER TABLE settings ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE MAIN, ALTER c SET STORAGE PLAIN, ALTER d SET STORAGE EXTENDED, ALTER e SET STORAGE EXTERNAL;
INSERT INTO settings SELECT repeat('a', 5000), repeat('b', 3000), repeat('c', 1000), repeat(md5('d'), 500), decode(repeat('ee', 4000), 'hex') FROM generate_series(1, 20);
CREATE TABLE no_settings (a int) WITH (fillfactor = 100);
INSERT INTO no_settings VALUES (1);
