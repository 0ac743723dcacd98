-- Exclusion constraints: with a condition, deferrable, over expressions.
CREATE TABLE booked (room int4range, during tsrange, cancelled boolean DEFAULT false,
    CONSTRAINT no_overlap EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (NOT cancelled),
    EXCLUDE USING gist (tsrange(lower(during), lower(during), '[]') WITH &&) DEFERRABLE INITIALLY DEFERRED,
    EXCLUDE USING hash (room WITH =) WITH (fillfactor = 70) WHERE (upper(room) > 1000));
INSERT INTO booked SELECT int4range(g, g + 1), tsrange('2026-01-01'::timestamp + g * interval '1 day', '2026-01-03'::timestamp + g * interval '1 day') FROM generate_series(1, 20) g;
