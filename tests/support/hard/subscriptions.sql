-- Subscriptions, which never connect; a database with one cannot be dropped.
-- by: superuser
CREATE SUBSCRIPTION subscriptions_one CONNECTION 'host=nowhere.invalid dbname=''a b'' password=none' PUBLICATION a, "b ""b" WITH (connect = false, slot_name = NONE, binary = true, streaming = on, origin = none, synchronous_commit = remote_apply);
COMMENT ON SUBSCRIPTION subscriptions_one IS 'never';
-- undo
DROP SUBSCRIPTION subscriptions_one;
