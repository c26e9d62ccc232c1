-- Where an answer comes from, against the server's own functions.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
CREATE EXTENSION muster;
CREATE FUNCTION pg_temp.part(n int) RETURNS text LANGUAGE sql AS $$ SELECT split_part(muster.origin(), '|', n) $$;
CREATE FUNCTION pg_temp.is_right() RETURNS bool LANGUAGE sql AS $$
    SELECT o.parts[1] = pg_current_snapshot()::text AND o.parts[2] = coalesce(pg_current_xact_id_if_assigned()::text, '0')
           AND o.parts[3] = CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END
           AND timestamptz '2000-01-01 00:00Z' + o.parts[4]::bigint * interval '1 us' = pg_postmaster_start_time()
           AND timestamptz '2000-01-01 00:00Z' + o.parts[5]::bigint * interval '1 us' = pg_stat_get_bgwriter_stat_reset_time()
           AND o.parts[6] = current_database() AND cardinality(o.parts) = 6
      FROM (SELECT string_to_array(muster.origin(), '|') AS parts) o
$$;
SELECT pg_temp.is_right();
-- Reading gives no transaction id, writing does: in a subtransaction that of the whole.
BEGIN;
SELECT pg_temp.part(2) AS none;
SAVEPOINT s;
CREATE TEMP TABLE written AS SELECT 1;
SELECT pg_temp.part(2)::xid8 = pg_current_xact_id_if_assigned() AS whole, pg_temp.is_right();
ROLLBACK TO s;
SELECT pg_temp.is_right();
COMMIT;
-- A snapshot that is kept is told as it was.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.part(1) AS before \gset
SELECT pg_temp.part(1) = :'before' AS kept, pg_temp.is_right();
COMMIT;
-- Readers may ask, others not.
CREATE ROLE regress_muster_origin;
SET ROLE regress_muster_origin;
SELECT muster.origin();
RESET ROLE;
GRANT muster_reader TO regress_muster_origin;
SET ROLE regress_muster_origin;
SELECT muster.origin() ~ '^\d+:\d+:[\d,]*\|0\|primary\|\d+\|\d+\|' AS told;
RESET ROLE;
DROP ROLE regress_muster_origin;
DROP EXTENSION muster;
