-- Enumerations: values put in between and renamed, awkward ones, used in keys, arrays, defaults and checks.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "odd"', '', 'ünïcødé 🙂');
CREATE TYPE nothing AS ENUM ();
-- then
ALTER TYPE mood ADD VALUE 'before all' BEFORE 'sad';
ALTER TYPE mood ADD VALUE 'between' AFTER 'sad';
ALTER TYPE mood ADD VALUE 'and between that' BEFORE 'between';
ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';
-- then
CREATE TABLE moods (a mood PRIMARY KEY, b mood[] DEFAULT '{sad,between}', c mood DEFAULT 'fine' CHECK (c > 'before all'), d nothing);
INSERT INTO moods (a) SELECT unnest(enum_range(NULL::mood));
CREATE INDEX ON moods (b) WHERE c >= 'fine';
