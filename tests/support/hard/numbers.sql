-- Numbers: the least, the greatest, and what is none.
CREATE TABLE whole (a smallint, b int, c bigint);
INSERT INTO whole VALUES (-32768, -2147483648, -9223372036854775808), (32767, 2147483647, 9223372036854775807),
    (0, 0, 0), (NULL, NULL, NULL);
CREATE TABLE exact (a numeric, b numeric(10, 3), c numeric(3, -2), d numeric(2, 5));
INSERT INTO exact VALUES ('NaN', 'NaN', 'NaN', 'NaN'), ('Infinity', NULL, NULL, NULL), ('-Infinity', NULL, NULL, NULL),
    (0, 0, 0, 0), (0.0000, -0.0005, 12345, 0.00012), (10::numeric ^ 2000, 9999999.999, 99900, -0.00099),
    (-1 / (10::numeric ^ 1500), NULL, NULL, NULL), ('1e131071', NULL, NULL, NULL), ('1.50000000', 1.5, NULL, NULL);
CREATE TABLE floating (a real, b double precision);
INSERT INTO floating VALUES ('-0', '-0'), ('NaN', 'NaN'), ('Infinity', 'Infinity'), ('-Infinity', '-Infinity'),
    ('1e-45', '5e-324'), ('1.1754942e-38', '2.2250738585072011e-308'), ('3.4028235e38', '1.7976931348623157e308'),
    (0.1, 0.1), (1.0 / 3, 1.0::float8 / 3), (16777217, 9007199254740993);
CREATE TABLE money_values (a money);
INSERT INTO money_values VALUES ('-92233720368547758.08'), ('92233720368547758.07'), ('0.01'), (NULL);
CREATE TABLE truth (a boolean);
INSERT INTO truth VALUES (true), (false), (NULL);
