-- Numbers of events: counted by triggers, read as sums, equal to count(*).
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
DROP TABLE IF EXISTS agents, goals, tools, agent_tools, tool_executions, events CASCADE;
CREATE EXTENSION muster;
SELECT muster.create_tables();
CREATE FUNCTION uid(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(n::text, 32, '0')::uuid $$;
INSERT INTO agents (id, did, name) SELECT uid(n), 'did:' || n, n FROM generate_series(1, 3) n;

-- What the reading functions say, what the rows of counts say, and what is true, for each agent: equal.
CREATE VIEW numbers AS
SELECT right(a.id::text, 1) AS agent, (muster.agent_json(a.id, 'event_count')).body ->> 'event_count' AS told,
       (SELECT sum(c.n) FROM muster.event_counts c WHERE c.aggregate_id = a.id) AS summed,
       (SELECT count(*) FROM events e WHERE e.aggregate_id = a.id) AS counted
  FROM agents a ORDER BY a.id;
CREATE FUNCTION wrong() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (SELECT aggregate_id, count(*) AS n FROM events GROUP BY 1) e
      FULL JOIN (SELECT aggregate_id, sum(n) AS n FROM muster.event_counts GROUP BY 1) c USING (aggregate_id)
     WHERE coalesce(e.n, 0) <> coalesce(c.n, 0) $$;

-- One row per statement and aggregate, however many events.
INSERT INTO events (event_type, aggregate_type, aggregate_id)
SELECT 'x', CASE WHEN n % 2 = 0 THEN 'agent' ELSE 'other' END, uid(1 + n % 2) FROM generate_series(1, 1000) n;
SELECT * FROM numbers;
SELECT right(aggregate_id::text, 1) AS agent, n FROM muster.event_counts ORDER BY 1;
-- Muting what is published does not mute counting.
SET muster.publish = off;
INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('muted', 'agent', uid(3));
RESET muster.publish;
DELETE FROM events WHERE aggregate_id = uid(1) AND aggregate_type = 'other';
DELETE FROM events WHERE aggregate_id = uid(2) AND ctid IN (SELECT ctid FROM events WHERE aggregate_id = uid(2) LIMIT 100);
UPDATE events SET aggregate_id = uid(3) WHERE aggregate_id = uid(1);
UPDATE events SET version = 2;
SELECT * FROM numbers;
SELECT e ->> 'id' AS id, e ->> 'event_count' AS event_count FROM muster.agents_json(include => 'event_count') p, json_array_elements(p.body) e ORDER BY 1;
SELECT id, event_count FROM muster.agents() ORDER BY 1;
-- No right of any role's on the table itself.
SELECT has_table_privilege('muster_reader', 'muster.event_counts', 'SELECT') AS reader,
       has_table_privilege('muster_writer', 'muster.event_counts', 'INSERT') AS writer;

-- More aggregates in a statement than the first table holds, and more than the largest does.
BEGIN;
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT 'x', 'y', uid(1000 + n % 500) FROM generate_series(1, 5000) n;
SELECT wrong(), count(*) AS rows FROM muster.event_counts WHERE aggregate_id >= uid(1000);
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT 'x', 'y', uid(10000 + n) FROM generate_series(1, 110000) n;
SELECT wrong();
ROLLBACK;
SELECT wrong();

-- Savepoints, exceptions, and a failing statement leave nothing behind.
BEGIN;
INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('x', 'y', uid(1));
SAVEPOINT a;
INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('x', 'y', uid(1)), ('x', 'y', uid(2));
SELECT * FROM numbers;
ROLLBACK TO a;
SELECT * FROM numbers;
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT 'x', 'y', uid(1 / (3 - n)) FROM generate_series(1, 3) n;
ROLLBACK TO a;
INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('x', 'y', uid(3));
RELEASE a;
SELECT * FROM numbers;
COMMIT;
SELECT * FROM numbers;
SELECT wrong();

-- One statement that does everything, and an upsert, and a COPY, and a cross-check by a cursor opened before.
BEGIN;
DECLARE before_all CURSOR FOR SELECT * FROM numbers;
WITH gone AS (DELETE FROM events WHERE aggregate_id = uid(2) AND version = 2 RETURNING *),
     moved AS (UPDATE events SET aggregate_id = uid(2) WHERE aggregate_id = uid(3) RETURNING *),
     made AS (INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT 'x', 'y', uid(1) FROM gone
              RETURNING (SELECT (muster.agent_json(aggregate_id, 'event_count')).body ->> 'event_count') AS told)
SELECT (SELECT count(*) FROM gone) AS gone, (SELECT count(*) FROM moved) AS moved, (SELECT max(told) FROM made) AS told;
SELECT * FROM numbers;
FETCH ALL FROM before_all;
DECLARE before_upsert CURSOR FOR SELECT * FROM numbers;
INSERT INTO events (id, event_type, aggregate_type, aggregate_id) SELECT id, event_type, aggregate_type, uid(3) FROM events
    ON CONFLICT (id) DO UPDATE SET aggregate_id = excluded.aggregate_id;
COPY events (event_type, aggregate_type, aggregate_id) FROM stdin;
x	y	00000000-0000-0000-0000-000000000001
x	y	00000000-0000-0000-0000-000000000001
\.
SELECT * FROM numbers;
FETCH ALL FROM before_upsert;
COMMIT;
SELECT wrong();

-- In the middle of a statement, where its rows are there for who looks and its triggers have not all run.
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING '% % %: told %, counted %', TG_WHEN, TG_LEVEL, TG_OP, (SELECT told FROM numbers WHERE agent = '1'),
        (SELECT counted FROM numbers WHERE agent = '1');
    RETURN NEW;
END $$;
CREATE FUNCTION told() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN RETURN (SELECT told || ' of ' || counted FROM numbers WHERE agent = '1'); END $$;
CREATE TRIGGER a_look BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION look();
CREATE TRIGGER b_look AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION look();
CREATE TRIGGER z_look AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION look();
CREATE TRIGGER a_look_all AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION look();
INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('x', 'y', uid(1)), ('x', 'y', uid(1));
DROP TRIGGER a_look ON events;
DROP TRIGGER b_look ON events;
DROP TRIGGER z_look ON events;
DROP TRIGGER a_look_all ON events;
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT told(), 'y', uid(1) FROM generate_series(1, 3) RETURNING event_type, told();

-- A trigger of the user's that writes events itself, some of it undone.
CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN
        INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('echo', 'y', uid(2));
        BEGIN
            INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('echo', 'y', uid(3));
            PERFORM 1 / (SELECT count(*) FROM events WHERE false);
        EXCEPTION WHEN division_by_zero THEN
            INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('echo', 'y', uid(2));
        END;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER echo AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION echo();
INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('x', 'y', uid(1)), ('x', 'y', uid(1));
DROP TRIGGER echo ON events;
SELECT * FROM numbers;
SELECT wrong();

-- A statement that fails when some of its rows are counted, inside a subtransaction and outside.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.event_type = 'refused' THEN RAISE 'refused'; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER z_refuse AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse();
INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('x', 'y', uid(1)), ('refused', 'y', uid(1));
BEGIN;
SAVEPOINT a;
INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('x', 'y', uid(1)), ('refused', 'y', uid(1));
ROLLBACK TO a;
SELECT * FROM numbers;
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT 'x', 'y', uid(4) FROM generate_series(1, 20);
SELECT count(*) AS rows, sum(n) FROM muster.event_counts WHERE aggregate_id = uid(4);
COMMIT;
SELECT wrong();
DROP TRIGGER z_refuse ON events;

-- Who may read what. Under row security the caller's rows are counted.
CREATE ROLE regress_muster_counter;
GRANT USAGE ON SCHEMA muster TO regress_muster_counter;
GRANT EXECUTE ON FUNCTION muster.agent_json(uuid, text, text) TO regress_muster_counter;
GRANT SELECT ON agents TO regress_muster_counter;
SET ROLE regress_muster_counter;
SELECT body FROM muster.agent_json(uid(1), 'event_count', 'event_count');
SELECT count(*) FROM events;
RESET ROLE;
GRANT SELECT (aggregate_id) ON events TO regress_muster_counter;
SET ROLE regress_muster_counter;
SELECT body FROM muster.agent_json(uid(1), 'event_count', 'event_count');
SELECT * FROM muster.event_counts;
SELECT muster.recount();
RESET ROLE;
GRANT SELECT ON events TO regress_muster_counter;
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE POLICY echoes ON events FOR SELECT TO regress_muster_counter USING (event_type = 'echo');
SET ROLE regress_muster_counter;
SELECT body FROM muster.agent_json(uid(2), 'event_count', 'event_count');
SELECT count(*) FROM events WHERE aggregate_id = uid(2);
RESET ROLE;
ALTER TABLE events DISABLE ROW LEVEL SECURITY;
DROP OWNED BY regress_muster_counter;
DROP ROLE regress_muster_counter;

-- With the trigger off, count(*) is told; back on, recount() sets right what was missed, and folds.
ALTER TABLE events DISABLE TRIGGER muster_count_row;
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT 'x', 'y', uid(1) FROM generate_series(1, 10);
SELECT told::bigint = counted AS right, summed = counted AS in_step FROM numbers WHERE agent = '1';
ALTER TABLE events ENABLE ALWAYS TRIGGER muster_count_row;
SELECT muster.recount();
SELECT muster.recount();
SELECT wrong(), count(*) = count(DISTINCT aggregate_id) AS folded FROM muster.event_counts;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT muster.recount();
ROLLBACK;
-- A trigger that does not fire always would miss what replication brings.
ALTER TABLE events DISABLE TRIGGER ALL;
ALTER TABLE events ENABLE TRIGGER ALL;
SELECT statement FROM muster.create_tables(dry_run => true) statement;
SELECT muster.create_tables();
SET session_replication_role = replica;
INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('x', 'y', uid(1));
RESET session_replication_role;
SELECT wrong();

-- Folding one aggregate of many rows, more than once is taken.
INSERT INTO muster.event_counts SELECT uid(7), 1 FROM generate_series(1, 1000);
SELECT muster.fold_event_count(uid(7));
SELECT count(*), sum(n) FROM muster.event_counts WHERE aggregate_id = uid(7);
SELECT muster.fold_event_count(uid(7)), muster.fold_event_count(uid(8)), muster.fold_event_count(NULL);
SELECT muster.recount();

-- The rows of an aggregate stay few while events come one at a time, without anybody's calling anything.
DO $$ BEGIN FOR i IN 1 .. 3000 LOOP
    INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('x', 'y', uid(1 + i % 3));
END LOOP; END $$;
SELECT wrong(), count(*) < 600 AS few FROM muster.event_counts;

-- In a publication FOR ALL TABLES writers fold as ever; a subscriber lets the rows go by, counting its own.
SET client_min_messages = error;  -- a warning where wal_level is not logical
CREATE PUBLICATION regress_muster_everything FOR ALL TABLES;
SET client_min_messages = warning;
DO $$ BEGIN FOR i IN 1 .. 300 LOOP
    INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('x', 'y', uid(1));
END LOOP; END $$;
SELECT muster.recount();
SELECT wrong(), count(*) FROM muster.event_counts WHERE aggregate_id = uid(1);
DROP PUBLICATION regress_muster_everything;
SET session_replication_role = replica;
INSERT INTO muster.event_counts SELECT * FROM muster.event_counts;
RESET session_replication_role;
SELECT wrong();

-- Truncation, undone and done.
BEGIN;
TRUNCATE events;
SELECT * FROM numbers;
ROLLBACK;
SELECT wrong(), count(*) > 0 AS some FROM muster.event_counts;
TRUNCATE events;
SELECT * FROM numbers;

-- A table that goes leaves its counts to create_tables(); one that is adopted is counted.
INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('x', 'y', uid(1));
DROP TABLE events CASCADE;
SELECT muster.create_tables();
SELECT count(*) FROM muster.event_counts;
DROP TABLE events;
CREATE DOMAIN aggregate AS uuid;
CREATE TABLE events (id uuid DEFAULT gen_random_uuid(), event_type text DEFAULT 'x', aggregate_type varchar DEFAULT 'y',
                     aggregate_id aggregate, created_at timestamptz DEFAULT now(), PRIMARY KEY (id, created_at))
    PARTITION BY RANGE (created_at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE events_2 PARTITION OF events DEFAULT;
INSERT INTO events (aggregate_id, created_at) SELECT uid(1 + n % 2), timestamptz '2020-06-01' + n % 3 * interval '1 year' FROM generate_series(1, 30) n;
INSERT INTO events (aggregate_id, created_at) VALUES (NULL, '2020-02-02');
SELECT count(*) > 0 AS left_to_run FROM muster.create_tables();
CREATE VIEW numbers AS
SELECT right(a.id::text, 1) AS agent, (muster.agent_json(a.id, 'event_count')).body ->> 'event_count' AS told,
       (SELECT sum(c.n) FROM muster.event_counts c WHERE c.aggregate_id = a.id) AS summed,
       (SELECT count(*) FROM events e WHERE e.aggregate_id = a.id) AS counted
  FROM agents a ORDER BY a.id;
SELECT * FROM numbers;
-- Straight into a partition, across partitions, into one that is made later.
INSERT INTO events_1 (aggregate_id, created_at) SELECT uid(3), '2020-03-03' FROM generate_series(1, 5);
UPDATE events SET created_at = '2022-02-02', aggregate_id = uid(2) WHERE aggregate_id = uid(1) AND created_at < '2021-01-01';
UPDATE events SET aggregate_id = uid(1) WHERE aggregate_id IS NULL;
UPDATE events SET aggregate_id = NULL WHERE aggregate_id = uid(3) AND ctid = (SELECT min(ctid) FROM events_1 WHERE aggregate_id = uid(3));
DELETE FROM events_2 WHERE aggregate_id = uid(2) AND created_at < '2022-01-01';
CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
INSERT INTO events (aggregate_id, created_at) VALUES (uid(3), '2030-03-03');
INSERT INTO events_3 (aggregate_id, created_at) VALUES (uid(3), '2030-03-03');
SELECT * FROM numbers;
-- What no trigger sees.
DROP TABLE events_3;
TRUNCATE events_1;
SELECT muster.recount() > 0 AS corrected;
SELECT * FROM numbers;

DROP VIEW numbers;
DROP EXTENSION muster CASCADE;
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events;
DROP FUNCTION look(), told(), echo(), refuse(), wrong(), uid(int);
DROP DOMAIN aggregate;
