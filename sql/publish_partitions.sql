-- Publishing partitioned tables and tables that inherit, and what becomes of tables.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
CREATE EXTENSION muster;
-- What is new in the outbox since the last look.
CREATE TEMP TABLE seen (seq bigint);
INSERT INTO seen VALUES (0);
CREATE FUNCTION pg_temp.news(OUT event_type text, OUT aggregate_id text, OUT tags text[], OUT payload json)
RETURNS SETOF record LANGUAGE sql AS $$
    WITH old AS (SELECT max(seq) AS seq FROM seen),
         remember AS (INSERT INTO seen SELECT coalesce(max(o.seq), 0) FROM muster.outbox o)
    SELECT o.event_type, o.aggregate_id, o.tags, o.payload
      FROM muster.outbox o, old WHERE o.seq > old.seq ORDER BY o.seq
$$;
CREATE SCHEMA shop;

-- Three levels, the columns in another order in each, some dropped; text before the key so that a wrong number shows.
CREATE TABLE shop.visits (day date, id int, page text, agent_id int, words int GENERATED ALWAYS AS (length(page)) STORED,
                          PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
SELECT muster.publish('shop.visits', 'visit', columns => '{page,words}');
CREATE TABLE shop.visits_1 (gone int, page text, id int NOT NULL, gone2 text, agent_id int,
                            words int GENERATED ALWAYS AS (length(page)) STORED, day date NOT NULL) PARTITION BY LIST (id);
ALTER TABLE shop.visits_1 DROP COLUMN gone, DROP COLUMN gone2;
CREATE TABLE shop.visits_1_odd (words int GENERATED ALWAYS AS (length(page)) STORED, agent_id int, gone int,
                                day date NOT NULL, id int NOT NULL, page text);
ALTER TABLE shop.visits_1_odd DROP COLUMN gone;
ALTER TABLE shop.visits_1 ATTACH PARTITION shop.visits_1_odd FOR VALUES IN (1, 3);
CREATE TABLE shop.visits_1_even PARTITION OF shop.visits_1 FOR VALUES IN (2, 4);
ALTER TABLE shop.visits ATTACH PARTITION shop.visits_1 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE shop.visits_2 PARTITION OF shop.visits FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
INSERT INTO shop.visits (day, id, page, agent_id) VALUES ('2024-01-05', 1, 'one', 11), ('2024-01-05', 2, 'two', 12),
                                                         ('2024-02-05', 3, 'three', 13);
INSERT INTO shop.visits_1 (day, id, page) VALUES ('2024-01-06', 4, 'four');
INSERT INTO shop.visits_1_odd (day, id, page) VALUES ('2024-01-06', 3, 'third');
UPDATE shop.visits SET page = page || '!' WHERE id <> 3;
UPDATE shop.visits SET page = page;
SELECT * FROM pg_temp.news();
-- A row that moves, within a level and across, is deleted and created; upserts and COPY are what they do.
UPDATE shop.visits SET id = 3 WHERE id = 2;
UPDATE shop.visits SET day = '2024-02-06' WHERE id = 4;
INSERT INTO shop.visits (day, id, page) VALUES ('2024-01-05', 1, 'upsert')
    ON CONFLICT (day, id) DO UPDATE SET page = excluded.page;
INSERT INTO shop.visits (day, id, page) VALUES ('2024-01-05', 1, 'nothing') ON CONFLICT DO NOTHING;
COPY shop.visits (page, id, day) FROM stdin;
copied	4	2024-01-09
copied too	5	2024-02-09
\.
SELECT * FROM pg_temp.news();

-- Detached, a partition is a table of its own, and silent; attached it speaks again.
ALTER TABLE shop.visits DETACH PARTITION shop.visits_1;
UPDATE shop.visits_1 SET page = 'silent';
DELETE FROM shop.visits_1 WHERE id = 4;
SELECT count(*) FROM pg_temp.news();
ALTER TABLE shop.visits ATTACH PARTITION shop.visits_1 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
UPDATE shop.visits_1_odd SET page = 'heard' WHERE id = 1;
SELECT * FROM pg_temp.news();
-- One that is published by itself cannot be attached, until it is not.
CREATE TABLE shop.visits_3 (LIKE shop.visits INCLUDING ALL);
SELECT muster.publish('shop.visits_3', 'alone');
ALTER TABLE shop.visits ATTACH PARTITION shop.visits_3 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
SELECT muster.unpublish('shop.visits_3');
ALTER TABLE shop.visits ATTACH PARTITION shop.visits_3 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
SELECT muster.publish('shop.visits_3', 'alone');
SELECT muster.unpublish('shop.visits_3');
-- Renamed and moved, the table speaks under its new name through all partitions.
ALTER TABLE shop.visits RENAME TO calls;
INSERT INTO shop.visits_3 (day, id, page) VALUES ('2024-03-05', 1, 'p');
ALTER TABLE shop.calls ADD COLUMN extra text DEFAULT 'e', DROP COLUMN agent_id;
UPDATE shop.calls SET page = 'q' WHERE day = '2024-03-05';
SELECT * FROM pg_temp.news();

-- TRUNCATE: of the table one message, however many partitions; of a partition alone none.
TRUNCATE shop.visits_3;
SELECT count(*) FROM pg_temp.news();
TRUNCATE shop.calls;
SELECT * FROM pg_temp.news();
DROP TABLE shop.visits_3;
SELECT muster.unpublish('shop.calls');
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'muster.publish_change'::regproc;

-- Publishing a table takes over partitions that were published by themselves.
SELECT muster.publish('shop.visits_2', 'alone');
SELECT muster.publish('shop.calls', 'call', 'key');
INSERT INTO shop.calls (day, id, page) VALUES ('2024-02-05', 1, 'x');
SELECT * FROM pg_temp.news();

-- A partition on another server: what is written here is announced.
CREATE EXTENSION postgres_fdw;
DO $$ BEGIN
    EXECUTE format('CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
                   split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'),
                   current_database());
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER here OPTIONS (user 'postgres');
CREATE TABLE shop.far_away (day date, id int, page text);
CREATE TABLE shop.places (day date, id int, page text) PARTITION BY RANGE (day);
CREATE FOREIGN TABLE shop.places_4 PARTITION OF shop.places FOR VALUES FROM ('2024-04-01') TO ('2024-05-01')
    SERVER here OPTIONS (schema_name 'shop', table_name 'far_away');
SELECT muster.publish('shop.places', 'place', key => '{day,id}');
INSERT INTO shop.places VALUES ('2024-04-01', 1, 'far');
UPDATE shop.places SET page = 'farther';
DELETE FROM shop.places;
SELECT * FROM pg_temp.news();
SELECT muster.publish('shop.places_4', 'place', key => '{id}');

-- Children of the old kind are tables of their own.
CREATE TABLE shop.parent (id int PRIMARY KEY, note text);
CREATE TABLE shop.child (more text, PRIMARY KEY (id)) INHERITS (shop.parent);
SELECT muster.publish('shop.parent', 'parent');
SELECT muster.publish('shop.child', 'child');
INSERT INTO shop.parent VALUES (1, 'p');
INSERT INTO shop.child VALUES (2, 'c', 'm');
UPDATE shop.parent SET note = 'both';
DELETE FROM shop.parent WHERE id = 2;
SELECT * FROM pg_temp.news();

-- Unlogged tables are published, temporary ones and what has no rows of its own are not.
CREATE UNLOGGED TABLE shop.fleeting (id int PRIMARY KEY);
SELECT muster.publish('shop.fleeting', 'fleeting');
INSERT INTO shop.fleeting VALUES (1);
SELECT * FROM pg_temp.news();
CREATE TEMP TABLE mine (id int PRIMARY KEY);
SELECT muster.publish('mine', 'mine');
CREATE TEMP TABLE my_parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
SELECT muster.publish('my_parts', 'mine');
CREATE MATERIALIZED VIEW shop.summary AS SELECT 1 AS id;
SELECT muster.publish('shop.summary', 'x');
CREATE SEQUENCE shop.numbers;
SELECT muster.publish('shop.numbers', 'x');
SELECT muster.publish(NULL, 'x');

DROP EXTENSION muster CASCADE;
DROP EXTENSION postgres_fdw CASCADE;
DROP SCHEMA shop CASCADE;
