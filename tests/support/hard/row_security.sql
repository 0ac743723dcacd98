-- Row level security: permissive, restrictive, for commands and roles; the owner sees everything.
-- roles: reader writer
CREATE TABLE policed (id int, owner text, secret boolean);
INSERT INTO policed SELECT g, CASE g % 2 WHEN 0 THEN 'a' ELSE 'b' END, g % 5 = 0 FROM generate_series(1, 100) g;
ALTER TABLE policed ENABLE ROW LEVEL SECURITY;
CREATE POLICY readers ON policed FOR SELECT TO @reader@, @writer@ USING (NOT secret);
CREATE POLICY "write ""rs" ON policed AS PERMISSIVE FOR UPDATE TO @writer@ USING (owner = CURRENT_USER) WITH CHECK (owner IN ('a', 'b'));
CREATE POLICY strict ON policed AS RESTRICTIVE FOR ALL USING (id < 1000) WITH CHECK (EXISTS (SELECT FROM row_security.policed p WHERE p.id = id));
CREATE POLICY adding ON policed FOR INSERT WITH CHECK (true);
CREATE TABLE without_policy (a int);
INSERT INTO without_policy VALUES (1), (2);
ALTER TABLE without_policy ENABLE ROW LEVEL SECURITY;
CREATE TABLE policy_unused (a int);
CREATE POLICY waiting ON policy_unused USING (false);
GRANT SELECT ON policed TO @reader@, @writer@;
COMMENT ON POLICY strict ON policed IS 'strict';
