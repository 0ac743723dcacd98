-- What points into the server: object identifiers by number and by name, positions in the log, snapshots.
CREATE TABLE target (a int);
CREATE FUNCTION target_function(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE numbers (a oid, b xid, c cid, d tid, e xid8, f pg_lsn, g pg_snapshot, h txid_snapshot, i int2vector, j oidvector, k refcursor);
INSERT INTO numbers VALUES (0, '0', '0', '(0,0)', '0', '0/0', '1:1:', '1:1:', '', '', 'cursor'), (4294967295, '4294967295', '4294967295', '(4294967295,65535)', '18446744073709551615', 'FFFFFFFF/FFFFFFFF', '10:20:10,14,15', '10:20:10,14,15', '1 2 3', '1 2 4294967295', '');
CREATE TABLE by_name (a regclass, b regtype, c regproc, d regprocedure, e regoper, f regoperator, g regnamespace, h regrole, i regconfig, j regdictionary, k regcollation, l aclitem);
INSERT INTO by_name VALUES ('target', 'int[]', 'target_function', 'target_function(int, text)', 'pg_catalog.||/', '+(int, int)', 'identifiers', 'pg_monitor', 'english', 'simple', '"C"', 'pg_monitor=r*w/pg_monitor'),
    ('0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '0', '=X/pg_monitor');
INSERT INTO by_name DEFAULT VALUES;
CREATE TABLE by_default (a regclass DEFAULT 'target'::regclass, b text DEFAULT CURRENT_USER, c timestamptz DEFAULT now(), d uuid DEFAULT gen_random_uuid(), e regproc DEFAULT 'target_function'::regproc);
INSERT INTO by_default (b, c, d) VALUES ('x', '2026-01-01', '00000000-0000-0000-0000-000000000001');
