-- A table of 1,600 columns, all that there may be, and a long list of values in a default.
DO $$ BEGIN
    EXECUTE 'CREATE TABLE wide.columns (' || (SELECT string_agg(format('c%s %s', g, CASE g % 3 WHEN 0 THEN 'smallint' WHEN 1 THEN 'boolean' ELSE 'int' END), ', ') FROM generate_series(1, 1600) g) || ')';
    EXECUTE 'INSERT INTO wide.columns SELECT ' || (SELECT string_agg(CASE g % 3 WHEN 1 THEN 'n % 2 = 0' ELSE '(n * ' || g || ') % 30000' END, ', ') FROM generate_series(1, 1600) g) || ' FROM generate_series(1, 5) n';
    EXECUTE 'INSERT INTO wide.columns (c1600) VALUES (false)';
END $$;
CREATE TABLE long_default (a int);
DO $$ BEGIN EXECUTE format('ALTER TABLE wide.long_default ADD b text DEFAULT %L', repeat(E'it''s a long one\n', 20000)); END $$;
INSERT INTO long_default VALUES (1);
