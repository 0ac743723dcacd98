-- Privileges: default ones, of columns, with grant option, by several grantors, taken from everybody, on the system's own.
-- by: superuser
-- roles: reader writer third
GRANT USAGE, CREATE ON SCHEMA privileges TO @reader@, @writer@;
CREATE TABLE base (id int, secret text, "odd ""column" int);
INSERT INTO base VALUES (1, 's', 2);
CREATE TABLE of_writer (a int);
ALTER TABLE of_writer OWNER TO @writer@;
INSERT INTO of_writer VALUES (1), (2);
CREATE SEQUENCE counter;
CREATE FUNCTION act() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE pair AS (x int);
CREATE DOMAIN limited AS int;
GRANT SELECT, UPDATE ON base TO @writer@ WITH GRANT OPTION;
GRANT SELECT (id), UPDATE ("odd ""column"), REFERENCES (id) ON base TO @reader@;
GRANT INSERT (secret) ON base TO @third@ WITH GRANT OPTION;
GRANT ALL ON of_writer TO PUBLIC;
REVOKE ALL ON of_writer FROM @writer@;
GRANT USAGE ON SEQUENCE counter TO @reader@;
REVOKE ALL ON FUNCTION act() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION act() TO @reader@ WITH GRANT OPTION;
REVOKE USAGE ON TYPE pair FROM PUBLIC;
GRANT USAGE ON DOMAIN limited TO @third@;
GRANT USAGE ON LANGUAGE plpgsql TO @reader@;
GRANT TEMPORARY, CONNECT ON DATABASE @database@ TO @reader@;
GRANT SELECT (rolname) ON pg_catalog.pg_authid TO @reader@;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_waldir() TO @reader@;
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_backend_pid() FROM PUBLIC;
GRANT SET ON PARAMETER work_mem TO @reader@;
SET SESSION AUTHORIZATION @writer@;
GRANT SELECT ON privileges.base TO @reader@ WITH GRANT OPTION;
SET SESSION AUTHORIZATION @reader@;
GRANT SELECT ON privileges.base TO @third@;
GRANT EXECUTE ON FUNCTION privileges.act() TO @third@;
RESET SESSION AUTHORIZATION;
ALTER DEFAULT PRIVILEGES IN SCHEMA privileges GRANT SELECT ON TABLES TO @reader@ WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE @writer@ REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE @writer@ IN SCHEMA privileges GRANT ALL ON SEQUENCES TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE @third@ GRANT USAGE ON SCHEMAS TO @reader@;
ALTER DEFAULT PRIVILEGES FOR ROLE @third@ REVOKE USAGE ON TYPES FROM PUBLIC;
CREATE TABLE made_after (a int);
REVOKE ALL ON made_after FROM CURRENT_USER;
-- undo
GRANT EXECUTE ON FUNCTION pg_catalog.pg_backend_pid() TO PUBLIC;
