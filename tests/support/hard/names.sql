-- Names: quotes, dots, line ends, key words, 63 bytes, unicode, and what looks like the script or its comments.
CREATE SCHEMA "Odd ""schema"".with 'all'; --";
DO $do$
DECLARE
    names text[] := ARRAY['weird "name', '"', '""', 'dot.ted', 'a b', ' ', E'new\nline', E'tab\t', E'\r', 'back\slash', '\.', 'it''s', 'UPPER', 'MiXed', 'ünïcødé ✓ 名前 🙂',
        repeat('n', 63), repeat('é', 31) || 'x', 'select', 'table', 'from', 'user', 'null', 'only', 'stdin', 'copy', 'x; Type: TABLE; Schema: y', '; Type:', '-- Name: x; Type: TABLE',
        E'x\n-- Name: y; Type: TABLE; Schema: public; Owner: z\n--\n', E'x\n\\.\n', E'\nCOPY public.nothing (a) FROM stdin;\n1\n\\.\n', '/* open', '$$', '$1', '%s {0} {{ x }}', 'semi;colon', '(a)', '-', '--', 'a,b', '1', 'TABLE DATA', 'x'')', E'x''\n', '*', '?', '[a]', '_', '~', '..'];
    item text;
    place text;
BEGIN
    FOREACH item IN ARRAY names LOOP
        FOREACH place IN ARRAY ARRAY['names', 'Odd "schema".with ''all''; --'] LOOP
            EXECUTE format('CREATE TABLE %I.%I (%I int, "second one" text DEFAULT %L, CONSTRAINT %I CHECK (%I <> 0))', place, item, item, item, item, item);
            EXECUTE format('INSERT INTO %I.%I SELECT g, %L FROM generate_series(1, %s) g', place, item, item, length(item));
            EXECUTE format('COMMENT ON TABLE %I.%I IS %L', place, item, item);
        END LOOP;
        EXECUTE format('CREATE TYPE names.%I AS ENUM (%L)', left(item, 20) || ' e', item);
        EXECUTE format('CREATE FUNCTION names.%I(%I int) RETURNS text LANGUAGE sql AS %L', item, item, format('SELECT %L::text', item));
        EXECUTE format('CREATE SEQUENCE names.%I START %s', left(item, 20) || ' s', length(item));
        EXECUTE format('CREATE VIEW names.%I AS SELECT %I AS %I FROM names.%I', left(item, 20) || ' v', item, item, item);
        EXECUTE format('CREATE INDEX %I ON names.%I (%I)', left(item, 20) || ' i', item, item);
    END LOOP;
END $do$;
