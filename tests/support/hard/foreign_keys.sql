-- Foreign keys: to oneself, in a circle, deferred, composite, with every action, not valid.
CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE CASCADE);
-- Children stand before their parents: without its order or its deferral no restore gets through.
INSERT INTO tree SELECT g, CASE WHEN g < 50 THEN g + 1 END FROM generate_series(1, 50) g;
CREATE TABLE left_one (id int PRIMARY KEY, r int);
CREATE TABLE right_one (id int PRIMARY KEY, l int REFERENCES left_one DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE left_one ADD CONSTRAINT circle FOREIGN KEY (r) REFERENCES right_one DEFERRABLE;
INSERT INTO right_one SELECT g, 11 - g FROM generate_series(1, 10) g;
INSERT INTO left_one SELECT g, g FROM generate_series(1, 10) g;
CREATE TABLE wide_key (a int, b text, c date, PRIMARY KEY (a, b), UNIQUE (b, c) INCLUDE (a));
INSERT INTO wide_key SELECT g, 'b' || g, '2026-01-01'::date + g FROM generate_series(1, 10) g;
CREATE TABLE refers (a int, b text, c date, FOREIGN KEY (a, b) REFERENCES wide_key MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL (b),
    CONSTRAINT "second ""one" FOREIGN KEY (b, c) REFERENCES wide_key (b, c) ON DELETE SET DEFAULT ON UPDATE RESTRICT);
ALTER TABLE refers DROP CONSTRAINT refers_a_b_fkey, ADD FOREIGN KEY (a, b) REFERENCES wide_key ON DELETE SET NULL (b);
INSERT INTO refers SELECT a, b, c FROM wide_key;
CREATE TABLE not_valid (t int);
INSERT INTO not_valid VALUES (9999);
ALTER TABLE not_valid ADD CONSTRAINT later FOREIGN KEY (t) REFERENCES tree NOT VALID;
