-- Bytes and bits: all 256 values, none, and strings of bits that are no whole bytes.
CREATE TABLE bytes (id int, value bytea);
INSERT INTO bytes SELECT g, decode(lpad(to_hex(g), 2, '0'), 'hex') FROM generate_series(0, 255) g;
INSERT INTO bytes VALUES (256, (SELECT string_agg(value, ''::bytea ORDER BY id) FROM bytes)), (257, ''), (258, NULL),
    (259, '\x5c2e0a'), (260, decode(repeat('5c', 5000), 'hex'));
CREATE TABLE bits (a bit, b bit(7), c bit varying, d bit varying(9));
INSERT INTO bits VALUES (B'1', B'1010101', B'', B''), (B'0', B'0000000', repeat('10', 500)::bit varying, B'111111111');
INSERT INTO bits DEFAULT VALUES;
