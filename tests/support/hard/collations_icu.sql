-- ICU collations: nondeterministic ones, with rules and settings.
-- needs: icu
CREATE COLLATION no_case (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE COLLATION numeric_order (PROVIDER = icu, LOCALE = 'en-u-kn-true');
CREATE COLLATION german (PROVIDER = icu, LOCALE = 'de-u-co-phonebk');
CREATE COLLATION with_rules (PROVIDER = icu, LOCALE = 'und', RULES = '&a < g << ''''');
CREATE TABLE words (a text COLLATE no_case PRIMARY KEY, b text COLLATE numeric_order, c text COLLATE german, d text COLLATE "und-x-icu");
INSERT INTO words VALUES ('Abc', 'a10', 'Ärger', 'x'), ('def', 'a9', 'Arm', 'y');
CREATE INDEX ON words (b, c, d COLLATE with_rules);
CREATE TABLE parted (a text COLLATE german) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('a') TO ('n');
INSERT INTO parted VALUES ('Ärger');
