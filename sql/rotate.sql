-- Rotation of the outbox and the ticks, step by step, as the relay takes them.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
CREATE EXTENSION muster;
CREATE TABLE things (id int PRIMARY KEY);
SELECT muster.publish('things', 'thing', 'key');
CREATE FUNCTION make_tick() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
BEGIN
    EXECUTE format('INSERT INTO muster.tick_%s (snap) SELECT pg_current_snapshot() RETURNING tick_id',
                   (SELECT current FROM muster.rotation)) INTO made;
    RETURN made;
END $$;
CREATE VIEW tables AS SELECT (SELECT count(*) FROM muster.outbox_0) AS outbox_0, (SELECT count(*) FROM muster.outbox_1) AS outbox_1,
    (SELECT count(*) FROM muster.outbox_2) AS outbox_2, (SELECT count(*) FROM muster.tick_0) AS tick_0,
    (SELECT count(*) FROM muster.tick_1) AS tick_1, (SELECT count(*) FROM muster.tick_2) AS tick_2;

-- Nothing is due: few rows, or none, however old.
SELECT * FROM muster.rotate(1, 100, '1 hour');
SELECT * FROM muster.rotate(1, 100, '1 microsecond');
INSERT INTO things SELECT generate_series(1, 10);
SELECT * FROM muster.rotate(1, 100, '1 hour');

-- A quarter of the rows, or of the age, begins the next table, to which this very session turns at once.
INSERT INTO things SELECT generate_series(11, 30);
SELECT make_tick();
SELECT * FROM muster.rotate(2, 100, '1 hour');
INSERT INTO things SELECT generate_series(31, 35);
SELECT make_tick();
SELECT * FROM muster.rotate(3, 100, '1 hour');
SELECT * FROM muster.rotate(3, 100, '4 microseconds');
INSERT INTO things SELECT generate_series(36, 65);
SELECT make_tick();
SELECT * FROM tables;

-- What is published is taken away with its table; what a tick does not see stays.
SELECT * FROM muster.rotate(4, 100, '1 hour');
SELECT oldest_tick, published, current FROM muster.rotation;
SELECT tick_id FROM muster.tick ORDER BY 1;
SELECT * FROM tables;
SELECT * FROM muster.rotate(4, 100, '1 hour');
INSERT INTO things SELECT generate_series(66, 95);
SELECT * FROM tables;
SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM muster.outbox;
-- No dead row is left behind, whoever still looks at older ones.
SELECT pg_stat_force_next_flush();
SELECT relname, n_live_tup, n_dead_tup FROM pg_stat_user_tables WHERE relname ~ '^(outbox|tick)_' ORDER BY 1;

-- Changes that no tick has seen are never taken away, unpublished ones not before the bounds are reached.
CREATE FUNCTION rotate_until(wanted text, published bigint, most_rows bigint) RETURNS TABLE (step text, dropped bigint)
LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 10 LOOP
        SELECT r.step, r.dropped INTO step, dropped FROM muster.rotate(published, most_rows, '1 hour') r;
        RETURN NEXT;
        EXIT WHEN step IS NOT DISTINCT FROM wanted;
    END LOOP;
END $$;
SELECT * FROM rotate_until('begun', 4, 100);
INSERT INTO things SELECT generate_series(96, 125);
SELECT * FROM rotate_until('begun', 4, 100);
INSERT INTO things SELECT generate_series(126, 155);
SELECT * FROM muster.rotate(4, 100, '1 hour');
SELECT make_tick();
SELECT * FROM muster.rotate(4, 110, '1 hour');
SELECT * FROM muster.rotate(4, 80, '1 hour');
SELECT oldest_tick, published, dropped, dropped_tick, dropped_at IS NOT NULL AS dropped_once FROM muster.rotation;
SELECT tick_id FROM muster.tick ORDER BY 1;
SELECT * FROM tables;
-- The same by age. Publishing goes on behind the tick that saw what was dropped.
SELECT * FROM rotate_until('begun', 5, 100);
INSERT INTO things SELECT generate_series(156, 185);
SELECT * FROM rotate_until('begun', 5, 100);
INSERT INTO things SELECT generate_series(186, 215);
SELECT * FROM rotate_until('begun', 5, 100);
INSERT INTO things SELECT generate_series(216, 245);
SELECT make_tick() AS sixth \gset
SELECT * FROM muster.rotate(5, 1000, '1 hour');
SELECT * FROM muster.rotate(5, 1000, '4 microseconds');
SELECT dropped FROM muster.rotation;
SELECT * FROM rotate_until('begun', :sixth, 100);

-- Who is told what.
SELECT generation, last_tick = :sixth AS newest, oldest_tick, published_tick = :sixth AS all_published, backlog_rows, current_table,
       dropped, leader_pid, wakes, blocked_by FROM muster.relay_status();
INSERT INTO things SELECT generate_series(256, 258);
SELECT backlog_rows, backlog_age > '0' AS has_age FROM muster.relay_status();
SET application_name = 'muster relay: published to tick 5';
SELECT published_tick, backlog_rows FROM muster.relay_status();
SET application_name = 'muster relay: published to tick 99999999999999999999';
SELECT published_tick FROM muster.relay_status();
RESET application_name;
SELECT pg_try_advisory_lock(1836413812, 1);
SELECT leader_pid = pg_backend_pid() AS me, leader_since IS NOT NULL AS since FROM muster.relay_status();
SELECT pg_advisory_unlock(1836413812, 1);

-- An aborted transaction's rows are in nobody's way.
SELECT * FROM muster.rotate(:sixth, 10000, '4 microseconds');
BEGIN;
INSERT INTO things SELECT generate_series(1001, 1030);
ROLLBACK;
SELECT make_tick() AS seventh \gset
SELECT * FROM rotate_until('begun', :seventh, 100);
BEGIN;
INSERT INTO things SELECT generate_series(1001, 1030);
ROLLBACK;
SELECT * FROM rotate_until('begun', :seventh, 100);
BEGIN;
INSERT INTO things SELECT generate_series(1001, 1030);
ROLLBACK;
SELECT * FROM rotate_until('begun', :seventh, 100);
SELECT pg_relation_size('muster.outbox_0') = 0 AS "0", pg_relation_size('muster.outbox_1') > 0 AS "1" FROM muster.rotation;
BEGIN;
INSERT INTO things SELECT generate_series(1001, 1030);
ROLLBACK;
SELECT * FROM rotate_until('begun', :seventh, 100);
SELECT pg_relation_size('muster.outbox_1') = 0 AS "1", count(*) FROM muster.outbox;

-- One's own snapshot must not be older than the lock.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM muster.rotate(:seventh, 100, '1 hour');
ROLLBACK;

-- The fence finds its rows in all tables by their indexes, whatever the statistics say.
ANALYZE muster.outbox_0, muster.outbox_1, muster.outbox_2;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET plan_cache_mode = force_generic_plan;
SET enable_material = off;
PREPARE changes(pg_snapshot, pg_snapshot) AS SELECT count(*) FROM muster.fence($1, $2);
EXPLAIN (COSTS off) EXECUTE changes('3:3:', '9:9:');
-- The scans of a query's plan, which is told differently by each version.
CREATE FUNCTION scans_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        IF line ~ ' Scan ' THEN
            RETURN NEXT ltrim(line, ' ->');
        END IF;
    END LOOP;
END $$;
SELECT * FROM scans_of('SELECT max(tick_id) FROM muster.tick');

DROP VIEW tables;
DROP FUNCTION make_tick, rotate_until, scans_of;
DROP EXTENSION muster CASCADE;
DROP TABLE things;
