-- Collations of libc, on columns, types, indexes and expressions.
CREATE COLLATION like_c (PROVIDER = libc, LOCALE = 'C');
CREATE COLLATION copied FROM "POSIX";
CREATE COLLATION "odd ""name" (LC_COLLATE = 'C', LC_CTYPE = 'POSIX');
CREATE TABLE collated (a text COLLATE like_c, b varchar(9) COLLATE "odd ""name", c text COLLATE "ucs_basic" DEFAULT 'x', d text[] COLLATE "C", CHECK (a COLLATE "POSIX" < 'zzz'));
INSERT INTO collated SELECT chr(g), chr(g), chr(g), ARRAY[chr(g)] FROM generate_series(33, 120) g;
CREATE INDEX ON collated (a COLLATE copied, b COLLATE "default", lower(c) COLLATE "C");
CREATE VIEW ordered AS SELECT a FROM collated ORDER BY a COLLATE like_c;
