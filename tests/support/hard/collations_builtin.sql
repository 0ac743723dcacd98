-- Collations of the builtin provider.
-- since: 17
CREATE COLLATION own_order (PROVIDER = builtin, LOCALE = 'C.UTF-8');
CREATE TABLE words (a text COLLATE own_order UNIQUE, b text COLLATE pg_c_utf8);
INSERT INTO words VALUES ('É', 'é'), ('ß', 'ẞ');
CREATE INDEX ON words (upper(b));
