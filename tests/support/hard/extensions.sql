-- Common extensions with their types, operator classes and functions in tables and indexes.
-- by: superuser
-- needs: extension:hstore extension:citext extension:pg_trgm extension:pgcrypto extension:intarray extension:ltree extension:cube extension:btree_gist extension:btree_gin extension:unaccent extension:uuid-ossp extension:lo
CREATE SCHEMA "extensions odd ""schema";
CREATE EXTENSION hstore;
CREATE EXTENSION citext SCHEMA "extensions odd ""schema";
CREATE EXTENSION pg_trgm;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION intarray;
CREATE EXTENSION ltree;
CREATE EXTENSION cube;
CREATE EXTENSION btree_gist;
CREATE EXTENSION btree_gin;
CREATE EXTENSION unaccent;
CREATE EXTENSION "uuid-ossp";
CREATE EXTENSION lo;
CREATE TABLE of_them (a hstore, b "extensions odd ""schema".citext PRIMARY KEY, c ltree, d cube, e int[], f lquery, g text, h lo, i uuid DEFAULT uuid_generate_v4(), room int, during tsrange, EXCLUDE USING gist (room WITH =, during WITH &&));
INSERT INTO of_them VALUES ('a=>1, "b \"c"=>NULL', 'Ab', 'top.sub', '(1,2),(3,4)', '{3,1}', 'a.*', 'some text', 0, NULL, 1, '[2026-01-01,2026-01-02)'), ('', 'c', '', '(0)', '{}', NULL, NULL, NULL, NULL, 1, NULL);
CREATE INDEX ON of_them USING gin (g gin_trgm_ops, a, room);
CREATE INDEX ON of_them USING gist (c, e gist__int_ops (numranges = 50), d);
-- What a member of an extension was given beyond what the extension gives.
REVOKE EXECUTE ON FUNCTION digest(text, text) FROM PUBLIC;
COMMENT ON EXTENSION hstore IS 'ours';
