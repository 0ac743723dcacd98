-- JSON of both kinds, JSON paths and UUIDs.
CREATE TABLE documents (id int PRIMARY KEY, a json, b jsonb, c jsonpath, d uuid);
INSERT INTO documents VALUES
    (1, '{"a":1, "a":2,   "b" : [ ]}', '{"a":1, "a":2,   "b" : [ ]}', '$', '00000000-0000-0000-0000-000000000000'),
    (2, E'"\\u0000 \\ud83d\\ude00 \\n \\\\ \\""', E'"\\ud83d\\ude00 \\n \\\\ \\""', 'strict $."a b"[*] ? (@ > 1 && @.type() == "number")', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
    (3, 'null', 'null', 'lax $.** ? (@ like_regex "^a\\.b" flag "i")', NULL),
    (4, '1e400', '1e400', '$.a.datetime("HH24:MI")', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
    (5, '1.10000', '1.10000', '-($[0 to last] + 1)', NULL),
    (6, '{"": {"": []}, "ü": "\/"}'::text::json, '{"": {"": []}, "ü": "\/"}', NULL, NULL),
    (7, NULL, (SELECT jsonb_object_agg('key ' || g, repeat(md5(g::text), 10)) FROM generate_series(1, 500) g), NULL, NULL),
    (8, NULL, (repeat('[', 500) || repeat(']', 500))::jsonb, NULL, NULL);
