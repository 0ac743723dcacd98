-- Operators, aggregates of every kind and casts that a plain owner makes.
CREATE FUNCTION near(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1 - $2) < 2';
CREATE OPERATOR ~~~ (LEFTARG = int, RIGHTARG = int, FUNCTION = near, COMMUTATOR = ~~~);
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE OPERATOR @# (RIGHTARG = int, FUNCTION = twice);
COMMENT ON OPERATOR ~~~ (int, int) IS 'near';
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', COMBINEFUNC = int4pl, MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = int, MINITCOND = '0', PARALLEL = safe);
CREATE AGGREGATE collected(anycompatible) (SFUNC = array_append, STYPE = anycompatiblearray, INITCOND = '{}');
CREATE AGGREGATE smallest(float8) (SFUNC = float8smaller, STYPE = float8, SORTOP = <);
COMMENT ON AGGREGATE total(int) IS 'sum';
CREATE TYPE grade AS ENUM ('a', 'b');
CREATE FUNCTION grade_number(grade) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN $1 = ''a'' THEN 1 ELSE 2 END';
CREATE CAST (grade AS int) WITH FUNCTION grade_number(grade) AS ASSIGNMENT;
CREATE TABLE used (a int, b grade, CHECK (a OPERATOR(operators.~~~) 5), CHECK (b::int > 0));
INSERT INTO used VALUES (5, 'a'), (4, 'b');
CREATE VIEW totals AS SELECT total(a), collected(b), @# 3 AS doubled FROM used;
