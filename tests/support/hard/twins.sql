-- The same names in two schemas, with other contents; what must not be mistaken for one another.
CREATE SCHEMA twins_other;
CREATE TABLE twins.t (id int PRIMARY KEY, v text);
CREATE TABLE twins_other.t (id int PRIMARY KEY, v text);
INSERT INTO twins.t VALUES (1, 'one'), (2, 'two');
INSERT INTO twins_other.t VALUES (1, 'eins'), (2, 'zwei');
CREATE SEQUENCE twins.s;
CREATE SEQUENCE twins_other.s START 50;
SELECT nextval('twins.s'), nextval('twins_other.s');
CREATE VIEW twins.v AS SELECT * FROM twins_other.t;
CREATE VIEW twins_other.v AS SELECT * FROM twins.t;
CREATE TABLE "twins.t" (id int);
INSERT INTO "twins.t" VALUES (3);
