-- Publishing: what the triggers write into the outbox, and when they do not.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
DROP TABLE IF EXISTS agents, goals, tools, agent_tools, tool_executions, events CASCADE;
CREATE EXTENSION muster;
SET TimeZone = 'America/New_York';
SET DateStyle = 'SQL, DMY';
SELECT muster.create_tables();

-- What is new in the outbox since the last look.
CREATE TEMP TABLE seen (seq bigint);
INSERT INTO seen VALUES (0);
CREATE FUNCTION pg_temp.news(OUT event_type text, OUT aggregate_type text, OUT aggregate_id text, OUT tags text[],
                             OUT payload json, OUT metadata json)
RETURNS SETOF record LANGUAGE sql AS $$
    WITH old AS (SELECT max(seq) AS seq FROM seen),
         remember AS (INSERT INTO seen SELECT coalesce(max(o.seq), 0) FROM muster.outbox o)
    SELECT o.event_type, o.aggregate_type, o.aggregate_id, o.tags, o.payload, o.metadata
      FROM muster.outbox o, old WHERE o.seq > old.seq ORDER BY o.seq
$$;

-- The six tables: each event as the API's clients know it.
INSERT INTO agents (id, did, name) VALUES ('00000000-0000-0000-0000-00000000000a', 'did:a', E'a "quoted" \\ name');
UPDATE agents SET status = 'active', configuration = '{"model": "x", "n": [1, 2.50]}', updated_at = now() + '1 s';
UPDATE agents SET updated_at = now() + '2 s';
UPDATE agents SET name = name;
INSERT INTO goals (id, goal_id, agent_id, goal_text)
VALUES ('00000000-0000-0000-0000-00000000000b', 'goal-1', '00000000-0000-0000-0000-00000000000a', 'do');
UPDATE goals SET status = 'done', constraints_cost_limit_usd = 1.5, completed_at = '2024-01-01 00:00+00',
                 constraints_forbidden_tools = '{a,"b c"}';
INSERT INTO tools (id, name, schema_def) VALUES ('00000000-0000-0000-0000-00000000000c', 't', '{}');
UPDATE tools SET enabled = false, description = 'd';
INSERT INTO agent_tools (agent_id, tool_id)
VALUES ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000c');
INSERT INTO tool_executions (invocation_id, tool_name, agent_id)
VALUES ('00000000-0000-0000-0000-00000000000d', 't', '00000000-0000-0000-0000-00000000000a');
UPDATE tool_executions SET status = 'success', duration_ms = 12;
UPDATE tool_executions SET output_result = '{"a": 1}';
INSERT INTO events (id, event_type, aggregate_type, aggregate_id, payload, metadata)
VALUES ('00000000-0000-0000-0000-00000000000e', 'agent.noted', 'agent', '00000000-0000-0000-0000-00000000000a',
        '{"z": null}', '{"m": true}');
SELECT * FROM pg_temp.news();
DELETE FROM tool_executions;
DELETE FROM agents;
DELETE FROM tools;
DELETE FROM events;
SELECT * FROM pg_temp.news();

-- A change concerns the agent that had the row as well as the one that has it.
INSERT INTO agents (id, did, name) VALUES ('00000000-0000-0000-0000-0000000000a1', 'did:1', '1'),
                                          ('00000000-0000-0000-0000-0000000000a2', 'did:2', '2');
INSERT INTO goals (id, goal_id, agent_id, goal_text)
VALUES ('00000000-0000-0000-0000-00000000000b', 'goal-1', '00000000-0000-0000-0000-0000000000a1', 'do');
SELECT count(*) FROM pg_temp.news();
UPDATE goals SET agent_id = '00000000-0000-0000-0000-0000000000a2';
UPDATE goals SET id = '00000000-0000-0000-0000-0000000000bb';
SELECT event_type, aggregate_id, tags, payload FROM pg_temp.news();

-- What is rolled back was never published; the rest keeps its order.
BEGIN;
UPDATE agents SET name = 'one' WHERE did = 'did:1';
SAVEPOINT s;
UPDATE agents SET name = 'two' WHERE did = 'did:2';
ROLLBACK TO s;
UPDATE agents SET name = 'three' WHERE did = 'did:2';
COMMIT;
BEGIN;
DELETE FROM agents;
ROLLBACK;
SELECT event_type, payload FROM pg_temp.news();
SELECT count(DISTINCT xid) AS transactions, bool_and(xid = x.newest) AS in_order
  FROM muster.outbox, (SELECT max(xid) AS newest FROM muster.outbox) x WHERE payload::text LIKE '%three%';

-- A muted session says nothing; only a superuser may be muted.
SET muster.publish = off;
UPDATE agents SET name = 'muted';
RESET muster.publish;
SELECT count(*) FROM pg_temp.news();
CREATE ROLE regress_muster_app IN ROLE muster_writer;
SET ROLE regress_muster_app;
SET muster.publish = off;
-- Who may write the table publishes, without a right on the outbox, and by no other way.
UPDATE agents SET name = 'app' WHERE did = 'did:1';
SELECT count(*) FROM muster.outbox;
INSERT INTO muster.outbox_0 (event_type, aggregate_type, aggregate_id, tags, payload, metadata)
VALUES ('forged', '', '', '{}', '{}', '{}');
SELECT muster.publish_change();
CREATE TEMP TABLE mine (id int PRIMARY KEY);
CREATE TRIGGER forge AFTER INSERT ON mine FOR EACH ROW
    EXECUTE FUNCTION muster.publish_change('forged', 'agent', 'key', '', '', '', '');
SELECT muster.publish('mine', 'agent');
RESET ROLE;
SELECT muster.publish_change();
SELECT event_type, payload FROM pg_temp.news();

-- Tables of users: keys of any type, columns, names, payloads.
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('good', 'bad');
CREATE TYPE shop.point3 AS (x int, y int, at timestamptz);
CREATE DOMAIN shop.percent AS numeric(5, 2);
CREATE TABLE shop.orders (
    region text, number bigint, total numeric, mood shop.mood, at timestamptz, naive timestamp, day date, raw bytea,
    flags bool[], place shop.point3, rate shop.percent, span int4range, ratio float8, doc json, extra jsonb,
    agent_id text, updated_at timestamptz, PRIMARY KEY (region, number));
SELECT muster.publish('shop.orders', 'order');
INSERT INTO shop.orders VALUES ('eu, "x"', 7, 1.50, 'good', '2024-07-01 12:00+00', '2024-07-01 12:00', '2024-07-01',
    '\xdead', '{t,NULL}', (1, 2, '2024-07-01 12:00+00'), 3.14159, '[1,5)', 'NaN', '{ "a":  1 }', '{"b":2}', 'ag-1', NULL);
UPDATE shop.orders SET total = 1.500, mood = 'bad';
UPDATE shop.orders SET total = total;
UPDATE shop.orders SET updated_at = '2024-07-02 12:00+00';
UPDATE shop.orders SET number = 8;
DELETE FROM shop.orders;
SELECT * FROM pg_temp.news();
SELECT muster.publish('shop.orders', 'order', 'row', columns => '{number,total}',
                      names => '{"insert": "order.placed", "update": null}');
INSERT INTO shop.orders (region, number, total) VALUES ('us', 1, 2);
UPDATE shop.orders SET total = 3;
DELETE FROM shop.orders;
SELECT event_type, aggregate_type, aggregate_id, tags, payload FROM pg_temp.news();
SELECT muster.publish('shop.orders', 'order', 'key', key => '{number}');
INSERT INTO shop.orders (region, number, total) VALUES ('us', 1, 2);
UPDATE shop.orders SET total = 3;
SELECT event_type, aggregate_type, aggregate_id, tags, payload FROM pg_temp.news();
SELECT muster.publish('shop.orders', columns => '{region,mood}');
UPDATE shop.orders SET total = 4;
DELETE FROM shop.orders;
SELECT event_type, aggregate_type, aggregate_id, tags, payload FROM pg_temp.news();

-- Columns come, go and change their names; writers are never stopped by it.
INSERT INTO shop.orders (region, number) VALUES ('us', 2);
ALTER TABLE shop.orders RENAME mood TO temper;
ALTER TABLE shop.orders DROP COLUMN total;
ALTER TABLE shop.orders ADD COLUMN note text DEFAULT 'n';
ALTER TABLE shop.orders RENAME region TO place_of_sale;
ALTER TABLE shop.orders RENAME TO sales;
UPDATE shop.sales SET note = 'm', temper = 'good';
SELECT event_type, aggregate_type, aggregate_id, tags, payload FROM pg_temp.news();
SELECT muster.unpublish('shop.sales');
SELECT muster.unpublish('shop.sales');
UPDATE shop.sales SET note = 'silence';
SELECT count(*) FROM pg_temp.news();

-- Partitions speak for their table, whichever way the row comes; a row that moves is deleted and made.
CREATE TABLE shop.visits (day date, id int, page text, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
CREATE TABLE shop.visits_1 PARTITION OF shop.visits FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE shop.visits_2 (page text, gone int, id int NOT NULL, day date NOT NULL);
ALTER TABLE shop.visits_2 DROP COLUMN gone;
ALTER TABLE shop.visits ATTACH PARTITION shop.visits_2 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
SELECT muster.publish('shop.visits', 'visit');
CREATE TABLE shop.visits_3 PARTITION OF shop.visits FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')
    PARTITION BY LIST (id);
CREATE TABLE shop.visits_3_1 PARTITION OF shop.visits_3 DEFAULT;
INSERT INTO shop.visits VALUES ('2024-01-05', 1, 'a'), ('2024-02-05', 2, 'b'), ('2024-03-05', 3, 'c');
INSERT INTO shop.visits_2 (day, id, page) VALUES ('2024-02-06', 4, 'd');
UPDATE shop.visits SET page = 'bb' WHERE id = 2;
UPDATE shop.visits SET day = '2024-02-05' WHERE id = 1;
DELETE FROM shop.visits_3_1;
COPY shop.visits FROM stdin;
2024-01-09	9	copied
\.
SELECT event_type, aggregate_id, tags, payload FROM pg_temp.news();
SELECT muster.publish('shop.visits_1', 'visit');
SELECT muster.unpublish('shop.visits');
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'muster.publish_change'::regproc AND tgname = '_muster_publish_insert'
   AND tgrelid::regclass::text LIKE 'shop%';

-- Rows too big for a message go out by their key. Large values that did not change are not looked at.
CREATE TABLE shop.docs (id int PRIMARY KEY, doc text, n int);
ALTER TABLE shop.docs ALTER doc SET STORAGE EXTERNAL;
SELECT muster.publish('shop.docs', 'doc');
INSERT INTO shop.docs VALUES (1, repeat('x', 1100000), 1);
UPDATE shop.docs SET n = 2;
UPDATE shop.docs SET doc = repeat('y', 1100000);
UPDATE shop.docs SET doc = repeat(E'\n', 600000);
UPDATE shop.docs SET doc = repeat('z', 600000);
DELETE FROM shop.docs;
SELECT event_type, aggregate_id, left(payload::text, 60) AS payload, length(payload::text) FROM pg_temp.news();
INSERT INTO events (event_type, aggregate_type, aggregate_id, payload)
VALUES ('big', 'agent', '00000000-0000-0000-0000-00000000000a', json_build_object('x', repeat('x', 1100000))::jsonb);
SELECT event_type, payload->'truncated' AS truncated FROM pg_temp.news();
-- A value of a hundred megabytes is no reason to fail either.
SELECT muster.publish('shop.docs', 'doc', 'row', key => '{doc}');
INSERT INTO shop.docs VALUES (1, repeat('x', 100000000), 1);
SELECT event_type, length(aggregate_id), payload FROM pg_temp.news();

-- Without a row there is no change; without columns there still is a row.
CREATE TABLE shop.bare (id int);
SELECT muster.publish('shop.bare', 'bare');
SELECT muster.publish('shop.bare', 'bare', key => '{}');
SELECT muster.publish('shop.bare', 'bare', key => '{id}');
INSERT INTO shop.bare VALUES (NULL), (1);
ALTER TABLE shop.bare DROP COLUMN id;
DELETE FROM shop.bare;
SELECT event_type, aggregate_id, tags, payload FROM pg_temp.news();

-- Refused.
SELECT muster.publish('shop.docs', 'doc', 'all');
SELECT muster.publish('shop.docs', 'doc', columns => '{id,nothing}');
SELECT muster.publish('shop.docs', 'doc', names => '["x"]');
SELECT muster.publish('shop.docs', 'doc', names => '{"merge": "x"}');
SELECT muster.publish('shop.docs', 'doc', names => '{"insert": 1}');
SELECT muster.publish('pg_class', 'x');
SELECT muster.publish('muster.api_keys', 'x');
CREATE VIEW shop.v AS SELECT 1 AS id;
SELECT muster.publish('shop.v', 'x');
CREATE TRIGGER wrong AFTER INSERT ON shop.bare FOR EACH ROW EXECUTE FUNCTION muster.publish_change('a');
INSERT INTO shop.bare DEFAULT VALUES;
DROP TRIGGER wrong ON shop.bare;
CREATE TRIGGER wrong BEFORE INSERT ON shop.bare FOR EACH ROW
    EXECUTE FUNCTION muster.publish_change('a', 'b', 'key', '', '', '', '');
INSERT INTO shop.bare DEFAULT VALUES;

-- A trigger that a publishing trigger's conversion brings about may publish in turn, even the same table.
CREATE FUNCTION shop.noisy(shop.mood) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM shop.moods) < 3 THEN
        INSERT INTO shop.moods (m) VALUES ('bad');
        ALTER TABLE shop.bare ADD COLUMN IF NOT EXISTS c int;
    END IF;
    RETURN '"noisy"';
END $$;
CREATE CAST (shop.mood AS json) WITH FUNCTION shop.noisy(shop.mood);
CREATE TABLE shop.moods (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m shop.mood);
SELECT muster.publish('shop.moods', 'mood');
INSERT INTO shop.moods (m) VALUES ('good');
SELECT event_type, aggregate_id, payload FROM pg_temp.news() ORDER BY aggregate_id;

-- Dropping the extension takes the triggers and leaves the tables. It says so first.
SET client_min_messages = notice;
\set VERBOSITY terse
DROP EXTENSION muster;
SET client_min_messages = warning;
DROP EXTENSION muster CASCADE;
SELECT count(*) FROM shop.docs;
INSERT INTO agents (did, name) VALUES ('did:after', 'after');
SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'muster%';
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events;
DROP SCHEMA shop CASCADE;
DROP OWNED BY regress_muster_app;
DROP ROLE regress_muster_app;
