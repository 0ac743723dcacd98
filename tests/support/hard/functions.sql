-- Functions and procedures: every attribute, bodies that look like anything, SQL bodies that depend on tables.
CREATE TABLE base (a int, b text);
INSERT INTO base VALUES (1, 'x');
CREATE FUNCTION with_all(a int, VARIADIC b text[] DEFAULT '{}') RETURNS TABLE (x int, "y ""y" text) LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER PARALLEL RESTRICTED COST 5 ROWS 7 SET search_path = functions, "$user", 'odd "path' SET work_mem = '1MB' SET timezone = 'Europe/Moscow' AS $body$ BEGIN RETURN QUERY SELECT 1, $x$ '
COPY public.not_there (a) FROM stdin;
1
\.
$x$::text; END $body$;
CREATE FUNCTION dollars() RETURNS text LANGUAGE sql AS 'SELECT ''$$ $_$ $body$ '' || E''\\'' ';
CREATE FUNCTION new_body(a int) RETURNS SETOF base LANGUAGE sql BEGIN ATOMIC SELECT * FROM functions.base WHERE base.a = new_body.a; SELECT 2, 'it''s'::text; END;
CREATE FUNCTION returned(a int) RETURNS int IMMUTABLE RETURN a + 1;
CREATE FUNCTION defaults(a int, b timestamptz DEFAULT now(), c text DEFAULT 'it''s, ' || CURRENT_USER, INOUT d int DEFAULT 3, OUT e text) LANGUAGE sql AS 'SELECT 1, ''x''';
CREATE FUNCTION poly(anyelement, anyarray, anycompatible DEFAULT NULL::int) RETURNS anyarray LANGUAGE sql CALLED ON NULL INPUT AS 'SELECT $2';
CREATE FUNCTION "odd ""name"(" (a" int, "b)" text) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION overloaded(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION overloaded(text) RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION a_calls_z() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT functions.returned(1); END;
CREATE FUNCTION windows_end() RETURNS text LANGUAGE sql AS E'SELECT 1;\r\nSELECT ''x''\r\n';
CREATE PROCEDURE act(a int, INOUT b int, OUT c text) LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
CREATE PROCEDURE act_new(a int) LANGUAGE sql BEGIN ATOMIC INSERT INTO functions.base VALUES (a, 'x'); DELETE FROM functions.base WHERE base.a < 0; END;
CREATE TABLE uses (a int DEFAULT returned(1), b text DEFAULT dollars());
INSERT INTO uses DEFAULT VALUES;
CREATE INDEX ON uses (returned(a));
