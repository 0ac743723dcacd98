-- Text search: configurations, dictionaries with options, used in an index and a generated column.
CREATE TEXT SEARCH DICTIONARY stems (TEMPLATE = snowball, LANGUAGE = 'english', STOPWORDS = english);
CREATE TEXT SEARCH DICTIONARY "plain ""words" (TEMPLATE = simple, ACCEPT = false);
CREATE TEXT SEARCH CONFIGURATION mine (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION mine ALTER MAPPING FOR asciiword, word WITH stems, "plain ""words", simple;
ALTER TEXT SEARCH CONFIGURATION mine DROP MAPPING FOR email, url;
CREATE TABLE articles (body text, found tsvector GENERATED ALWAYS AS (to_tsvector('text_search.mine'::regconfig, body)) STORED);
INSERT INTO articles VALUES ('The quick brown foxes'), ('running me@example.org 🙂'), (NULL);
CREATE INDEX ON articles USING gin (found);
CREATE INDEX ON articles USING gist (to_tsvector('text_search.mine', body));
