-- Domains with checks, defaults, collations; over domains, arrays and composites; checks that are not valid yet.
CREATE DOMAIN positive AS int CHECK (VALUE > 0) CONSTRAINT less CHECK (VALUE < 1000);
CREATE DOMAIN small_positive AS positive DEFAULT 5 NOT NULL CHECK (VALUE < 10);
CREATE DOMAIN label AS varchar(10) COLLATE "C" CHECK (VALUE IN ('a', 'b', 'c')) CHECK (VALUE ~ '^[a-z]$');
CREATE DOMAIN labels AS label[] CHECK (array_length(VALUE, 1) < 5);
CREATE TYPE couple AS (a positive, b label);
CREATE DOMAIN checked_couple AS couple CHECK ((VALUE).a > 1);
CREATE DOMAIN later AS int;
CREATE TABLE uses (a positive, b small_positive, c label, d labels, e checked_couple, f later);
INSERT INTO uses VALUES (1, 2, 'a', '{a,b}', '(2,c)', -1), (NULL, DEFAULT, NULL, NULL, NULL, NULL);
ALTER DOMAIN later ADD CONSTRAINT not_yet CHECK (VALUE > 0) NOT VALID;
COMMENT ON CONSTRAINT less ON DOMAIN positive IS 'less';
