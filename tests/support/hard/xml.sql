-- XML documents and fragments.
-- needs: xml
CREATE TABLE documents (id int, value xml);
INSERT INTO documents VALUES (1, '<a b="c">d &amp; e</a>'), (2, XMLPARSE(CONTENT 'text <b/> &lt; more')), (3, NULL), (4, ''),
    (5, '<?xml version="1.0" encoding="UTF-8"?><ü>é 🙂</ü>'), (6, E'<a><![CDATA[ \\. \n ]]></a>'), (7, '<!-- c --><?pi x?>'),
    (8, XMLPARSE(DOCUMENT '<!DOCTYPE a><a/>'));
