-- Publications of all tables and of schemas.
-- by: superuser
CREATE TABLE base (id int PRIMARY KEY);
INSERT INTO base VALUES (1);
CREATE PUBLICATION publications_all_tables FOR ALL TABLES WITH (publish = 'insert');
CREATE PUBLICATION publications_all_schema FOR TABLES IN SCHEMA publications_all, TABLE base;
