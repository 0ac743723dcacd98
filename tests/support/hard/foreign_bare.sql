-- A foreign data wrapper without any code, which every build can have.
-- by: superuser
CREATE FOREIGN DATA WRAPPER foreign_bare_wrapper OPTIONS (debug 'true');
CREATE SERVER foreign_bare_server FOREIGN DATA WRAPPER foreign_bare_wrapper;
CREATE USER MAPPING FOR CURRENT_USER SERVER foreign_bare_server OPTIONS (a 'b');
CREATE FOREIGN TABLE far_away (a int, b text) SERVER foreign_bare_server OPTIONS (x 'y');
