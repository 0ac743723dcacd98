-- Virtual generated columns.
-- since: 18
CREATE TABLE mixed (b int GENERATED ALWAYS AS (a + 1) VIRTUAL, a int, c int GENERATED ALWAYS AS (a * 3) STORED, d text, CHECK (b > 0));
INSERT INTO mixed (a, d) SELECT g, 'd' || g FROM generate_series(1, 20) g;
CREATE TABLE only_virtual (a int GENERATED ALWAYS AS (1) VIRTUAL);
INSERT INTO only_virtual DEFAULT VALUES;
CREATE VIEW seen AS SELECT b, c FROM mixed;
