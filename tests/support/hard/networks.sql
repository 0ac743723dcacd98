-- Addresses of networks and of devices.
CREATE TABLE addresses (a inet, b cidr, c macaddr, d macaddr8);
INSERT INTO addresses VALUES ('0.0.0.0', '0.0.0.0/0', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00'), ('192.168.1.5/24', '192.168.1.0/24', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff'),
    ('::1', '::/0', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05'), ('fe80::1/64', '2001:db8::/32', NULL, NULL), ('::ffff:1.2.3.4', '255.255.255.255', NULL, NULL);
