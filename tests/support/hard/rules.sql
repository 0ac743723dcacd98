-- Rules: instead, also, conditional, disabled, always, on views and tables.
CREATE TABLE base (a int, b text);
INSERT INTO base VALUES (1, 'x'), (2, 'y');
CREATE TABLE log (what text);
CREATE VIEW over_base AS SELECT * FROM base;
CREATE RULE put AS ON INSERT TO over_base DO INSTEAD INSERT INTO base VALUES (NEW.a, NEW.b) RETURNING *;
CREATE RULE change AS ON UPDATE TO over_base DO INSTEAD (UPDATE base SET b = NEW.b WHERE a = OLD.a; INSERT INTO log VALUES ('it''s ; $$ changed'));
CREATE RULE "no ""delete" AS ON DELETE TO base WHERE OLD.a < 0 DO INSTEAD NOTHING;
-- Were it in force during a restore, it would write there.
CREATE RULE logged AS ON INSERT TO base DO ALSO INSERT INTO log VALUES ('rule');
CREATE RULE off AS ON UPDATE TO base DO ALSO NOTIFY something;
ALTER TABLE base DISABLE RULE off;
CREATE RULE always AS ON DELETE TO base DO ALSO SELECT 1;
ALTER TABLE base ENABLE ALWAYS RULE always;
COMMENT ON RULE put ON over_base IS 'put';
