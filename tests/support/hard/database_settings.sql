-- Settings of the database and of roles in it, which change how values are written and what names mean.
-- roles: somebody
-- by: superuser
ALTER DATABASE @database@ SET timezone = 'Europe/Moscow';
ALTER DATABASE @database@ SET datestyle = 'German';
ALTER DATABASE @database@ SET intervalstyle = 'sql_standard';
ALTER DATABASE @database@ SET bytea_output = 'escape';
ALTER DATABASE @database@ SET extra_float_digits = 0;
ALTER DATABASE @database@ SET search_path = 'nowhere', 'odd "path', public;
ALTER DATABASE @database@ SET statement_timeout = '20s';
ALTER DATABASE @database@ SET idle_in_transaction_session_timeout = '20s';
ALTER DATABASE @database@ SET client_encoding = 'LATIN1';
ALTER DATABASE @database@ SET synchronize_seqscans = on;
ALTER DATABASE @database@ SET standard_conforming_strings = off;
ALTER DATABASE @database@ SET default_transaction_read_only = on;
ALTER DATABASE @database@ SET quote_all_identifiers = on;
ALTER DATABASE @database@ SET lock_timeout = '10s';
ALTER DATABASE @database@ SET application.own = 'it''s, "x"';
ALTER DATABASE @database@ CONNECTION LIMIT 50;
ALTER ROLE @somebody@ IN DATABASE @database@ SET work_mem = '3MB';
ALTER ROLE @owner@ IN DATABASE @database@ SET lc_messages = 'C';
CREATE TABLE moments (a timestamptz, b date, c interval, d bytea, e float8, f text);
INSERT INTO moments VALUES ('2026-10-25 01:30+00', '2026-02-01', '1 year -2 days', '\x00ff5c', 0.1::float8 + 0.2, 'back\slash 🙂');
-- undo
ALTER DATABASE @database@ RESET ALL;
ALTER ROLE @owner@ IN DATABASE @database@ RESET ALL;
