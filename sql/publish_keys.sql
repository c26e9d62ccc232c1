-- Publishing: what identifies a row, whatever its type, in every session by the same text.
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

-- One row of each kind of key. `look` shows what was published of it.
CREATE TYPE shop.mood AS ENUM ('good', 'very, bad');
CREATE DOMAIN shop.code AS text CHECK (VALUE <> '');
CREATE DOMAIN shop.sku AS shop.code;
CREATE TYPE shop.place AS (x int, at timestamptz);
CREATE FUNCTION pg_temp.try_key(type text, VARIADIC keys text[]) RETURNS TABLE (id text, tag text, payload json)
LANGUAGE plpgsql AS $$
DECLARE
    value text;
BEGIN
    PERFORM pg_temp.news();
    EXECUTE format('CREATE TABLE shop.keyed (id %s PRIMARY KEY)', type);
    PERFORM muster.publish('shop.keyed', 'keyed', 'key');
    FOREACH value IN ARRAY keys LOOP
        EXECUTE format('INSERT INTO shop.keyed VALUES (%L)', value);
    END LOOP;
    RETURN QUERY SELECT n.aggregate_id, n.tags[2], n.payload FROM pg_temp.news() n;
    DROP TABLE shop.keyed;
END $$;
CREATE FUNCTION pg_temp.try_all() RETURNS TABLE (type text, id text, tag text, payload json) LANGUAGE sql AS $$
    SELECT t.type, k.* FROM (VALUES
        ('uuid', '{00000000-0000-0000-0000-00000000000A}'::text[]), ('bigint', '{-9223372036854775808}'),
        ('int', '{7}'), ('smallint', '{-7}'), ('text', '{"","a b, \"c\" \\ d",Zürich}'), ('varchar(4)', '{a}'),
        ('char(4)', '{a}'), ('name', '{a}'), ('"char"', '{a}'), ('bool', '{t}'), ('numeric', '{1.50,NaN,1e20}'),
        ('float8', '{0.1,Infinity,1e300}'), ('float4', '{0.1}'), ('date', '{2024-07-01,infinity}'),
        ('timestamp', '{2024-07-01 12:00:00.5}'), ('timestamptz', '{2024-07-01 12:00+00}'), ('time', '{12:00}'),
        ('timetz', '{12:00+02}'), ('interval', '{1 mon 2 days 03:04:05}'), ('bytea', '{"\\\\xde00ad",""}'),
        ('inet', '{10.0.0.1/8}'), ('macaddr', '{08:00:2b:01:02:03}'), ('money', '{1234.50}'), ('bit(3)', '{101}'),
        ('oid', '{4294967295}'), ('jsonb', '{"{\"a\": [1, \"x\"]}"}'), ('int[]', '{"{1,2,NULL}"}'),
        ('tstzrange', '{"[2024-07-01 12:00+00,)"}'), ('shop.mood', '{"very, bad"}'), ('shop.code', '{a}'),
        ('shop.sku', '{b}'), ('shop.place', '{"(1,2024-07-01 12:00+00)"}'), ('xid8', '{7}'), ('pg_lsn', '{0/16}')
    ) t(type, keys) CROSS JOIN LATERAL pg_temp.try_key(t.type, VARIADIC t.keys) k
$$;
SELECT * FROM pg_temp.try_all();
-- The same under other settings.
CREATE TEMP TABLE told AS SELECT * FROM pg_temp.try_all();
SET TimeZone = 'America/New_York';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'iso_8601';
SET bytea_output = 'escape';
SET extra_float_digits = -10;
SELECT type, id FROM pg_temp.try_all() EXCEPT SELECT type, id FROM told;
SHOW DateStyle;
SHOW IntervalStyle;
RESET ALL;
SET client_min_messages = warning;

-- Several columns: no two keys read the same.
CREATE TABLE shop.pairs (a text, b text, n int, PRIMARY KEY (b, a));
SELECT muster.publish('shop.pairs', 'pair', 'key');
INSERT INTO shop.pairs (b, a) VALUES ('x', 'y'), ('x,y', ''), ('x', ',y'), ('x\', 'y'), ('x\,y', ''), ('', ''), (E'"\n', ' ''');
SELECT aggregate_id, tags[2], payload FROM pg_temp.news();
-- Columns that may be null, in an order of their own.
SELECT muster.publish('shop.pairs', 'pair', 'changes', key => '{n,a}', columns => '{n}');
INSERT INTO shop.pairs (b, a, n) VALUES ('1', '', NULL), ('2', '\N', 2), ('3', 'N', 3);
UPDATE shop.pairs SET n = 4 WHERE b = '1';
UPDATE shop.pairs SET a = 'a' WHERE b = '1';
UPDATE shop.pairs SET b = '0' WHERE b = '1';
SELECT * FROM pg_temp.news();
CREATE TABLE shop.loose (a text, b text);
SELECT muster.publish('shop.loose', 'loose', 'key', key => '{a}');
SELECT muster.publish('shop.loose', 'loose', 'key', key => '{a,b}');
INSERT INTO shop.loose VALUES (NULL, NULL), ('', ''), ('\N', NULL), ('N', 'N');
SELECT aggregate_id, tags, payload FROM pg_temp.news();

-- Long keys are cut; those that begin alike stay apart, and characters stay whole.
CREATE TABLE shop.long (id text PRIMARY KEY, at int);
SELECT muster.publish('shop.long', 'long', 'key');
INSERT INTO shop.long VALUES (repeat('x', 8192)), (repeat('x', 8193)), (repeat('x', 8194)), (repeat('ü', 5000)),
    (repeat('x', 100000));
SELECT octet_length(aggregate_id) AS bytes, regexp_replace(right(aggregate_id, 20), '#[0-9a-f]{16}$', '#hash') AS ending, octet_length(payload->>'id') AS told,
       count(*) OVER (PARTITION BY aggregate_id) AS alike, tags[2] = 'long:' || aggregate_id AS tagged
  FROM pg_temp.news();

-- A key's column is renamed, dropped, or gets another type; the key itself is given up.
CREATE TABLE shop.moving (region text, number int, note text, PRIMARY KEY (region, number));
SELECT muster.publish('shop.moving', 'moving', 'key');
INSERT INTO shop.moving VALUES ('eu', 1);
ALTER TABLE shop.moving RENAME region TO place;
UPDATE shop.moving SET note = 'renamed';
ALTER TABLE shop.moving ALTER number TYPE numeric USING number + 0.5;
UPDATE shop.moving SET note = 'numeric';
CREATE SCHEMA shop2;
ALTER TABLE shop.moving SET SCHEMA shop2;
ALTER TABLE shop2.moving RENAME TO moved;
UPDATE shop2.moved SET note = 'moved';
ALTER TABLE shop2.moved DROP CONSTRAINT moving_pkey;
UPDATE shop2.moved SET note = 'keyless';
SELECT * FROM pg_temp.news();
-- One that was named falls back to the primary key.
ALTER TABLE shop2.moved ADD PRIMARY KEY (number);
SELECT muster.publish('shop2.moved', 'moved', 'key', key => '{place,note}');
UPDATE shop2.moved SET note = 'named';
ALTER TABLE shop2.moved RENAME place TO region;
UPDATE shop2.moved SET note = 'primary';
ALTER TABLE shop2.moved DROP CONSTRAINT moved_pkey, DROP COLUMN region;
UPDATE shop2.moved SET note = 'what is left';
SELECT * FROM pg_temp.news();

-- The agent's tag, with any type; and a key that is the agent.
CREATE TABLE shop.notes (id int PRIMARY KEY, agent_id bigint, note text);
SELECT muster.publish('shop.notes', 'note', 'changes', columns => '{note}');
INSERT INTO shop.notes VALUES (1, 10, 'a'), (2, NULL, 'b');
UPDATE shop.notes SET agent_id = 20;
UPDATE shop.notes SET agent_id = NULL WHERE id = 1;
DELETE FROM shop.notes WHERE id = 2;
SELECT muster.publish('shop.notes', 'note', 'key', key => '{agent_id}');
UPDATE shop.notes SET agent_id = 30;
SELECT * FROM pg_temp.news();

DROP EXTENSION muster CASCADE;
DROP SCHEMA shop, shop2 CASCADE;
