-- Large objects: empty, with every byte, with holes, of 3 MB; with comments and privileges.
-- roles: reader
SELECT lo_create(0);
SELECT lo_from_bytea(0, ''), lo_from_bytea(0, '\x5c2e0a00ff27');
SELECT lo_from_bytea(0, string_agg(decode(lpad(to_hex(g), 2, '0'), 'hex'), '' ORDER BY g)) FROM generate_series(0, 255) g;
CREATE TABLE kept (name text, number oid);
INSERT INTO kept SELECT 'big', lo_from_bytea(0, string_agg(decode(md5(g::text), 'hex'), ''::bytea ORDER BY g)) FROM generate_series(1, 196608) g;
INSERT INTO kept SELECT 'exactly a page', lo_from_bytea(0, decode(repeat('ab', 2048), 'hex'));
INSERT INTO kept SELECT 'two chunks of a dump', lo_from_bytea(0, decode(repeat('cd', 16384), 'hex'));
INSERT INTO kept SELECT 'with a hole', lo_create(0);
SELECT lo_put(number, 100000, 'after the hole') FROM kept WHERE name = 'with a hole';
DO $$ DECLARE n oid; BEGIN
    FOR n IN SELECT number FROM large_objects.kept LOOP
        EXECUTE format('COMMENT ON LARGE OBJECT %s IS %L', n, E'it''s\n\\.\n' || n);
        EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO PUBLIC', n);
    END LOOP;
    EXECUTE format('GRANT UPDATE ON LARGE OBJECT %s TO %I', n, current_database() || '_large_objects_reader');
END $$;
-- undo
SELECT lo_unlink(oid) FROM pg_largeobject_metadata;
