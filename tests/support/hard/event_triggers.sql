-- Event triggers in every state; harmless ones, for they see all that comes after them.
-- by: superuser
CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END $$;
CREATE EVENT TRIGGER event_triggers_start ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION seen();
CREATE EVENT TRIGGER event_triggers_end ON ddl_command_end EXECUTE FUNCTION seen();
CREATE EVENT TRIGGER event_triggers_drop ON sql_drop EXECUTE FUNCTION seen();
CREATE EVENT TRIGGER event_triggers_rewrite ON table_rewrite EXECUTE FUNCTION seen();
ALTER EVENT TRIGGER event_triggers_drop DISABLE;
ALTER EVENT TRIGGER event_triggers_rewrite ENABLE ALWAYS;
ALTER EVENT TRIGGER event_triggers_start ENABLE REPLICA;
COMMENT ON EVENT TRIGGER event_triggers_end IS 'the end';
CREATE TABLE made_under_it (a int);
INSERT INTO made_under_it VALUES (1);
