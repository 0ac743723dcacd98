-- Ranges and multiranges: empty, unbounded, infinite; and range types of one's own.
CREATE TYPE times AS RANGE (subtype = time, subtype_opclass = time_ops, multirange_type_name = many_times);
CREATE FUNCTION text_distance(text, text) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS 'SELECT (length($1) - length($2))::float8';
CREATE TYPE words AS RANGE (subtype = text, collation = "C", subtype_diff = text_distance);
CREATE TABLE ranges (a int4range, b int8range, c numrange, d daterange, e tsrange, f tstzrange, g times, h words);
INSERT INTO ranges VALUES ('empty', 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', 'empty'), ('(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '(,)'),
    ('[1,5]', '[1,)', '(1.5,2.50]', '[2026-01-01,infinity]', '[-infinity,infinity)', '[2026-01-01 00:00+02,)', '[08:00,24:00]', '["a ","b,"]'),
    ('[1,1]', '(,-1]', '[NaN,NaN]', '[infinity,infinity]', NULL, NULL, NULL, '["\"",z)');
CREATE TABLE multiranges (a int4multirange, b int8multirange, c nummultirange, d datemultirange, e tsmultirange, f tstzmultirange, g many_times);
INSERT INTO multiranges VALUES ('{}', '{}', '{}', '{}', '{}', '{}', '{}'), ('{(,)}', '{(,1),[5,9)}', '{[1.0,2.00),(3,)}', '{[2026-01-01,2026-02-01)}', '{}', '{[2026-01-01 00:00+02,)}', '{[08:00,12:00),[13:00,24:00]}');
CREATE INDEX ON ranges USING gist (a, f);
CREATE INDEX ON ranges USING spgist (c);
CREATE INDEX ON ranges USING gist (h);
