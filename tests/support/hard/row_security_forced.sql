-- Row level security that the owner is under as well.
-- by: superuser
CREATE TABLE forced (id int, v text);
INSERT INTO forced SELECT g, 'v' || g FROM generate_series(1, 50) g;
ALTER TABLE forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, OWNER TO @owner@;
CREATE POLICY few ON forced USING (id < 5);
ALTER SCHEMA row_security_forced OWNER TO @owner@;
