-- Columns compressed by lz4.
-- needs: lz4
CREATE TABLE compressed (a text COMPRESSION lz4, b text COMPRESSION pglz, c jsonb);
INSERT INTO compressed SELECT repeat(md5(g::text), 300), repeat('b', 9000), jsonb_build_object('k', repeat('x', 9000)) FROM generate_series(1, 30) g;
ALTER TABLE compressed ALTER c SET COMPRESSION lz4;
