-- Heirs of one and of several parents, with columns merged, in another order, dropped, with defaults of their own.
CREATE TABLE named (id int NOT NULL, name text DEFAULT 'none', CHECK (id > 0));
CREATE TABLE dated (day date, name text, CONSTRAINT not_empty CHECK (name <> '') NO INHERIT);
CREATE TABLE one_heir (extra int) INHERITS (named);
CREATE TABLE two_parents (name text DEFAULT 'mine', more int) INHERITS (named, dated);
CREATE TABLE nothing_own () INHERITS (two_parents);
INSERT INTO named VALUES (1, 'a'), (2, 'b');
INSERT INTO one_heir SELECT g, 'heir', g FROM generate_series(1, 30) g;
INSERT INTO two_parents (id, day, more) VALUES (1, '2026-01-01', 5), (2, NULL, NULL);
INSERT INTO nothing_own (id, name) VALUES (9, 'nine');
-- Columns added to the parent come last in the heir; what joins later keeps its own order.
ALTER TABLE named ADD COLUMN added timestamptz DEFAULT '2026-01-01 00:00+00';
CREATE TABLE joined_later (added timestamptz, other int, name text, id int NOT NULL, CONSTRAINT named_id_check CHECK (id > 0));
INSERT INTO joined_later VALUES (NULL, 7, 'later', 3);
ALTER TABLE joined_later INHERIT named;
ALTER TABLE named DROP COLUMN name;
