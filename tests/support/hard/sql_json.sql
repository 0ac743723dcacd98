-- Views with the SQL/JSON functions.
-- since: 17
CREATE TABLE docs (d jsonb);
INSERT INTO docs VALUES ('{"a": [{"b": 1}, {"b": 2}]}');
CREATE VIEW tabled AS SELECT j.* FROM docs, JSON_TABLE(d, '$.a[*]' AS root COLUMNS (n FOR ORDINALITY, b int PATH '$.b' DEFAULT 0 ON EMPTY NULL ON ERROR, NESTED PATH '$.c' COLUMNS (x text))) j;
CREATE VIEW queried AS SELECT JSON_VALUE(d, '$.a[0].b' RETURNING int) AS v, JSON_QUERY(d, '$.a' WITH WRAPPER) AS q, JSON_EXISTS(d, '$.z') AS e, JSON_OBJECT('a': 1 ABSENT ON NULL) AS o, d IS JSON OBJECT AS i FROM docs;
