-- Named and unvalidated NOT NULLs, checks and keys not enforced, keys over time.
-- since: 18
CREATE TABLE named (a int CONSTRAINT a_is_there NOT NULL, b int CONSTRAINT "b ""is" NOT NULL NO INHERIT, c int);
INSERT INTO named VALUES (1, 2, NULL);
ALTER TABLE named ADD CONSTRAINT c_later NOT NULL c NOT VALID;
COMMENT ON CONSTRAINT a_is_there ON named IS 'there';
CREATE TABLE heir (CONSTRAINT own_name NOT NULL a) INHERITS (named);
CREATE TABLE lenient (a int PRIMARY KEY, CONSTRAINT loose CHECK (a > 100) NOT ENFORCED, up int REFERENCES lenient NOT ENFORCED);
INSERT INTO lenient VALUES (1, 99);
CREATE TABLE stays (room int4range, during daterange, PRIMARY KEY (room, during WITHOUT OVERLAPS));
INSERT INTO stays VALUES ('[1,1]', '[2026-01-01,2026-02-01)'), ('[1,1]', '[2026-02-01,2026-03-01)');
CREATE TABLE guests (room int4range, during daterange, FOREIGN KEY (room, PERIOD during) REFERENCES stays (room, PERIOD during));
INSERT INTO guests VALUES ('[1,1]', '[2026-01-15,2026-02-15)');
