-- Geometric types with infinite and tiny coordinates.
CREATE TABLE shapes (a point, b line, c lseg, d box, e path, f polygon, g circle);
INSERT INTO shapes VALUES ('(1,2)', '{1,-1,0}', '[(0,0),(1,1)]', '(2,2),(0,0)', '((0,0),(1,1),(2,0))', '((0,0),(1,1),(2,0))', '<(0,0),1>'),
    ('(Infinity,-Infinity)', '{0,1,-0.1}', '[(1e-300,0),(0,1e300)]', '(Infinity,1),(0,0)', '[(0,0),(1,1)]', '((0,0))', '<(1,1),0>'),
    ('(NaN,-0)', NULL, NULL, NULL, '((1,1))', NULL, '<(0.1,0.2),Infinity>');
