-- The extension of the embedded build.
-- by: superuser
-- needs: extension:vector
CREATE EXTENSION vector;
CREATE TABLE embedded (id int, v vector(3), h halfvec(2), s sparsevec(5));
INSERT INTO embedded VALUES (1, '[1,2.5,-3]', '[1,2]', '{1:1.5,3:2}/5'), (2, NULL, NULL, NULL);
CREATE INDEX ON embedded USING hnsw (v vector_l2_ops) WITH (m = 8);
