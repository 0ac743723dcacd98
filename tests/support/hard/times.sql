-- Dates and times: infinite ones, before Christ, the first and the last, every field of an interval.
CREATE TABLE days (a date);
INSERT INTO days VALUES ('-infinity'), ('infinity'), ('4713-01-01 BC'), ('5874897-12-31'), ('0001-01-01'), ('0001-12-31 BC'), ('2000-02-29'), (NULL);
CREATE TABLE clocks (a time, b time(0), c timetz, d timetz(3));
INSERT INTO clocks VALUES ('00:00', '24:00', '00:00+15:59', '24:00-15:59'), ('23:59:59.999999', '23:59:59', '12:00:00.000001-00:30:15', '12:00:00.123+05:45');
CREATE TABLE moments (a timestamp, b timestamptz, c timestamp(3), d timestamptz(0));
INSERT INTO moments VALUES ('-infinity', 'infinity', 'infinity', '-infinity'),
    ('4713-01-01 00:00 BC', '4713-01-02 00:00+00 BC', '0044-03-15 BC 12:00:00.001', '0044-03-15 12:00+00 BC'),
    ('294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '2026-03-29 02:30:00.999', '2026-10-25 02:30+02'),
    ('1883-11-18 12:03:58.000001', '1883-11-18 12:03:58-04:56:02', NULL, '1900-01-01 00:00 Europe/Amsterdam');
CREATE TABLE spans (a interval, b interval year to month, c interval day to second(2), d interval(6));
INSERT INTO spans VALUES ('178000000 years', '-1 year 3 months', '-1 day 04:05:06.78', '0'), ('-178000000 years', '11 months', '1 day -04:05', '-00:00:00.000001'),
    ('1 mon -1 day 00:00:00.000001', '0', '0', '2562047788:00:54.775807'), ('-1 mon 1 day -00:00:01', NULL, NULL, '-1 mons +1 day -2 hours');
