-- A language of one's own, conversions, parsers, templates, functions of the server itself.
-- by: superuser
-- With the functions of plpgsql's extension a dump would not name them, and the restore would look for an extension.
CREATE FUNCTION own_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION own_inline(internal) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION own_validator(oid) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE languages_own HANDLER own_handler INLINE own_inline VALIDATOR own_validator;
CREATE FUNCTION in_own() RETURNS int LANGUAGE languages_own AS 'BEGIN RETURN 1; END';
CREATE CONVERSION other_way FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE DEFAULT CONVERSION "odd ""one" FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
CREATE FUNCTION internal_one(int4, int4) RETURNS int4 LANGUAGE internal IMMUTABLE STRICT LEAKPROOF AS 'int4pl';
CREATE TEXT SEARCH PARSER own_parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH TEMPLATE own_template (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY own_dictionary (TEMPLATE = own_template);
CREATE TEXT SEARCH CONFIGURATION own_configuration (PARSER = own_parser);
ALTER TEXT SEARCH CONFIGURATION own_configuration ADD MAPPING FOR word, asciiword WITH own_dictionary, english_stem;
COMMENT ON LANGUAGE languages_own IS 'own';
COMMENT ON CONVERSION other_way IS 'conversion';
CREATE TABLE indexed (t text);
INSERT INTO indexed VALUES ('some words');
CREATE INDEX ON indexed USING gin (to_tsvector('languages.own_configuration', t));
