-- Infinite intervals.
-- since: 17
CREATE TABLE spans (a interval);
INSERT INTO spans VALUES ('infinity'), ('-infinity'), ('1 day');
