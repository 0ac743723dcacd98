-- Texts prepared for searching, and queries.
CREATE TABLE searched (a tsvector, b tsquery);
INSERT INTO searched VALUES ('a:1A fat:2B,4C cat:5D', 'fat & (rat | !cat)'), ('', ''), ($$'it''s' ' ' '\\' 'back\\slash':16383$$, $$'it''s':*AB <-> 'x' <7> !!'y'$$),
    (to_tsvector('english', 'The quick brown foxes jumped'), phraseto_tsquery('english', 'quick brown foxes')), (array_to_tsvector(ARRAY['ü', E'\t', '🙂']), plainto_tsquery('simple', 'ü 🙂'));
