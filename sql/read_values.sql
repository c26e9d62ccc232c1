-- Reading values: every type is written as to_json() writes it under TimeZone = UTC.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
DROP TABLE IF EXISTS agents, goals, tools, agent_tools, tool_executions, events CASCADE;
CREATE EXTENSION muster;
SELECT muster.create_tables();

-- jsonb is written as its output function writes it.
CREATE TEMP TABLE documents AS
SELECT n, ('{"k' || n || '": ' || n || ', "text": ' || to_json(repeat(chr(64 + n), n)) || '}')::jsonb AS doc
  FROM generate_series(1, 40) n
UNION ALL
SELECT 100, v::jsonb FROM unnest(ARRAY['{}', '[]', 'null', 'true', 'false', '""', '"a\"b\\c\u0001\n\t\b\f\r/"', '0', '-0',
       '-1', '1.50', '0.000', '-0.00001234', '12345678901234567890.0987654321', '9999', '10000', '100000000', '1e30',
       '1e-30', '1E400', '[[[]], {}, {"a": {"b": [1, [2, {"c": null}]]}}]', '{"": "", "a": [], "b": {}}',
       '"\u00e9\u20ac\ud83d\ude00"']) v
UNION ALL
SELECT 200, to_jsonb(array_agg(i)) FROM generate_series(1, 1000) i
UNION ALL
SELECT 201, jsonb_object_agg('key' || i, jsonb_build_array(i, i::text, i % 2 = 0, NULL, i / 7.0)) FROM generate_series(1, 1000) i
UNION ALL
SELECT 202, (repeat('[', 3000) || repeat(']', 3000))::jsonb
UNION ALL
SELECT 203, (repeat('{"a":', 1000) || '1' || repeat('}', 1000))::jsonb
UNION ALL
SELECT 204, to_jsonb(repeat('x"', 100000))
UNION ALL
SELECT 205, ('[{"a": ' || repeat('[', 3000) || repeat(']', 3000) || ', "b": 1.50}, "c"]')::jsonb;
SELECT count(*), count(*) FILTER (WHERE muster.project(doc, NULL)::text IS DISTINCT FROM doc::text) AS different
  FROM documents;
-- A document that nests deeper than the stack is read all the same, as jsonb_out() reads it.
SET max_stack_depth = '100kB';
SELECT count(*), count(*) FILTER (WHERE muster.project(doc, NULL)::text IS DISTINCT FROM doc::text) AS different
  FROM documents WHERE n > 201;
RESET max_stack_depth;
-- Numbers of every size and scale, and as a number's bytes fall in a document.
SELECT setseed(0.25);
SELECT count(*), count(*) FILTER (WHERE muster.project(to_jsonb(v), '')::text IS DISTINCT FROM v::text
                                     OR muster.project(jsonb_build_array(repeat('x', i % 9), v), '')::text
                                        IS DISTINCT FROM jsonb_build_array(repeat('x', i % 9), v)::text) AS different
  FROM (SELECT i, round((random() * 2 - 1)::numeric * (10::numeric ^ (i % 60 - 20)), i % 37) AS v
          FROM generate_series(1, 20000) i) numbers;
SELECT count(*), count(*) FILTER (WHERE muster.project(to_jsonb(v), NULL)::text IS DISTINCT FROM v::text) AS different
  FROM (SELECT (d || repeat('0', z))::numeric * s * 10::numeric ^ -e AS v
          FROM unnest(ARRAY['0', '1', '9', '10', '9999', '10000', '10001', '99999999', '123456789']) d,
               generate_series(0, 17) z, unnest(ARRAY[1, -1]) s, generate_series(0, 17) e) numbers;

-- Columns of users' own, of all kinds of types.
CREATE TYPE mood AS ENUM ('happy', 'so "so"', E'back\\slash');
CREATE TYPE pair AS (a int, "b c" text, at timestamptz, naive timestamp, inner_array int[]);
CREATE TYPE nested AS (first pair, others pair[]);
CREATE DOMAIN small AS int CHECK (VALUE < 1000);
CREATE DOMAIN smaller AS small;
CREATE DOMAIN ids AS uuid[];
CREATE DOMAIN a_pair AS pair;
CREATE TYPE centimetres AS (n int);
CREATE FUNCTION centimetres_json(centimetres) RETURNS json LANGUAGE sql IMMUTABLE
    RETURN json_build_object('cm', ($1).n);
CREATE CAST (centimetres AS json) WITH FUNCTION centimetres_json(centimetres);
-- A cast to json counts for types that are neither arrays nor composites.
CREATE TYPE level AS ENUM ('low', 'high');
CREATE FUNCTION level_json(level) RETURNS json LANGUAGE sql STABLE
    RETURN json_build_object('level', $1::text, 'at', timestamptz '2024-07-01 12:00+00');
CREATE CAST (level AS json) WITH FUNCTION level_json(level);
CREATE TYPE timerange2 AS RANGE (subtype = time);

ALTER TABLE events
    ADD b bool, ADD i2 int2, ADD i4 int4, ADD i8 int8, ADD f4 float4, ADD f8 float8, ADD num numeric,
    ADD num2 numeric(10,2), ADD t text, ADD vc varchar(20), ADD c char(5), ADD qc "char", ADD n name, ADD u uuid,
    ADD d date, ADD tz timestamptz, ADD ti time, ADD ttz timetz, ADD iv interval, ADD js json, ADD jb jsonb,
    ADD ia int[], ADD ta text[], ADD tza timestamptz[], ADD ja jsonb[], ADD da date[], ADD ba bytea[], ADD dd ids,
    ADD m mood, ADD ma mood[], ADD p pair, ADD pa pair[], ADD ne nested, ADD sm smaller, ADD ap a_pair,
    ADD cm centimetres, ADD lv level, ADD lva level[], ADD by bytea, ADD ir int4range, ADD tr tstzrange,
    ADD tsr tsrange, ADD dr daterange, ADD mr tstzmultirange, ADD tt timerange2, ADD x xml, ADD inet inet,
    ADD mac macaddr, ADD bits varbit, ADD pt point, ADD bx box, ADD ts tsvector, ADD tq tsquery, ADD o oid,
    ADD rc regclass, ADD iv2 int2vector, ADD jp jsonpath, ADD mon money, ADD cid cidr, ADD lsn pg_lsn,
    ADD "we ""ird\ name" text, ADD gen int GENERATED ALWAYS AS (1 + 1) STORED;
ALTER TABLE events DROP COLUMN i4;
ALTER TABLE events ADD i4 int4;

INSERT INTO events (event_type, aggregate_type, aggregate_id) VALUES ('nulls', 'x', gen_random_uuid());
INSERT INTO events (event_type, aggregate_type, aggregate_id, payload, metadata, b, i2, i4, i8, f4, f8, num, num2, t, vc,
    c, qc, n, u, d, tz, ti, ttz, iv, js, jb, ia, ta, tza, ja, da, ba, dd, m, ma, p, pa, ne, sm, ap, cm, lv, lva, by, ir,
    tr, tsr, dr, mr, tt, x, inet, mac, bits, pt, bx, ts, tq, o, rc, iv2, jp, mon, cid, lsn, "we ""ird\ name")
SELECT 'e' || k, E'tab\there', gen_random_uuid(), '{"a": 1}', '{}', k = 1, (ARRAY[-32768, 32767])[k],
    (ARRAY[-2147483648, 2147483647])[k], (ARRAY[-9223372036854775808, 9223372036854775807])[k],
    (ARRAY['NaN', '1.17549435e-38']::float4[])[k], (ARRAY['-Infinity', '0.1']::float8[])[k],
    (ARRAY['NaN', '-0.000012345678901234567890']::numeric[])[k], 12.5,
    (ARRAY['', E'q"uo\\te / \x01 \x1f \x7f é € 😀'])[k], 'var', 'ab', (ARRAY['x', '"'])[k]::"char", 'na"me',
    gen_random_uuid(), (ARRAY['infinity', '0044-03-15 BC'])[k]::date,
    (ARRAY['-infinity', '2024-02-29 23:59:59.999999+05:30'])[k]::timestamptz, '12:34:56.789', '12:34:56.5-08',
    '1 year 2 days 03:04:05.6', '{"a" :  [1,  2]}', '{"z": 1, "aa": {"b": [true, null]}}',
    (ARRAY['{}', '[2:3][0:1]={{1,NULL},{3,4}}'])[k]::int[], ARRAY['a"b', NULL, '\'],
    ARRAY['2024-01-01 00:00+00', 'infinity']::timestamptz[], ARRAY['{"a": 1}', 'null']::jsonb[],
    ARRAY['2024-01-01', NULL]::date[], ARRAY['\x00ff', '\x']::bytea[], ARRAY[gen_random_uuid()]::ids, 'so "so"',
    ARRAY['happy', E'back\\slash']::mood[], (1, 'x"', '2024-06-01 12:00+00', '2024-06-01 12:00', ARRAY[1, 2])::pair,
    ARRAY[(1, NULL, NULL, NULL, NULL)::pair, NULL],
    ((1, 'y', '2024-06-01 12:00+00', NULL, '{}')::pair, ARRAY[(2, 'z', NULL, 'infinity', NULL)::pair])::nested, 7,
    (3, 'd', NULL, NULL, NULL)::a_pair, ROW(5)::centimetres, 'high', ARRAY['low', 'high']::level[], '\xdeadbeef00',
    '[1,5)', '[2024-01-01 00:00+00,2024-07-01 00:00+00)', '[2024-01-01 00:00,)', '[2024-01-01,2024-02-01)',
    '{[2024-01-01 00:00+00,2024-07-01 00:00+00)}', '[10:00,12:00)', '<a b="c">d</a>', '10.0.0.1/8', '08:00:2b:01:02:03',
    B'10110', '(1.5,-2)', '(1,2),(3,4)', 'a fat cat', 'fat & cat', 4294967295, 'pg_class', '1 2 3', '$.a[*]', 12.34,
    '192.168.0.0/16', '16/B374D848', 'weird'
  FROM generate_series(1, 2) k;
-- Times at the edges of what is written quickly.
INSERT INTO events (event_type, aggregate_type, aggregate_id, tz, d)
SELECT 'time', 'x', gen_random_uuid(), v::timestamptz, v::timestamptz AT TIME ZONE 'UTC'
  FROM unnest(ARRAY['0001-01-01 00:00+00', '0001-12-31 23:59:59.999999+00 BC', '9999-12-31 23:59:59.999999+00',
       '10000-01-01 00:00+00', '1999-12-31 23:59:59.9+00', '2000-01-01 00:00+00', '1970-01-01 00:00:00.000001+00',
       '2024-02-29 00:00:00.1+00', '1900-02-28 12:00:00.12+00', '2100-03-01 00:00:00.123456+00', '4714-11-24 00:00+00 BC',
       '294276-12-31 23:59:59.999999+00']) v;
INSERT INTO events (event_type, aggregate_type, aggregate_id, tz, d, f4, f8)
SELECT 'time', 'x', gen_random_uuid(), timestamptz '0001-01-01 00:00+00' + random() * interval '9999 years',
       date '0001-01-01' + (random() * 3652058)::int, (random() - 0.5) * 10::float8 ^ (i % 70 - 35),
       (random() - 0.5) * 10::float8 ^ (i % 600 - 300)
  FROM generate_series(1, 3000) i;
INSERT INTO events (event_type, aggregate_type, aggregate_id, num)
SELECT 'number', 'x', gen_random_uuid(), v::numeric FROM unnest(ARRAY['Infinity', '-Infinity', '1e131000', '-1e-16000', '0.0', '00']) v;
-- Every character there is, and ones to escape at each place of texts around the sizes that are looked at together.
INSERT INTO events (event_type, aggregate_type, aggregate_id, t)
SELECT 'text', 'x', gen_random_uuid(), string_agg(chr(i), '')
  FROM generate_series(1, 1114111) i WHERE i NOT BETWEEN 55296 AND 57343 GROUP BY i / 1000;
INSERT INTO events (event_type, aggregate_type, aggregate_id, t)
SELECT 'text', 'x', gen_random_uuid(), overlay(repeat('é', length / 2) || repeat('a', length - length / 2) placing special from place)
  FROM generate_series(1, 40) length, generate_series(1, length) place, unnest(ARRAY['"', '\', E'\n', E'\x1f', E'\x7f']) special;
INSERT INTO events (event_type, aggregate_type, aggregate_id, t)
SELECT 'text', 'x', gen_random_uuid(), string_agg(CASE WHEN random() < 0.02 THEN E'\x02' ELSE 'y' END, '')
  FROM generate_series(1, 5000) i, generate_series(1, 5) row GROUP BY row;
-- Bytes and bits of each length around what is written together.
INSERT INTO events (event_type, aggregate_type, aggregate_id, by, bits)
SELECT 'bytes', 'x', gen_random_uuid(), substring(sha512(length::text::bytea) FROM 1 FOR length), substring(B'1011001110001111' FROM 1 FOR length)
  FROM generate_series(0, 64) length;
-- Stored outside the row, compressed and not.
INSERT INTO events (event_type, aggregate_type, aggregate_id, t, jb)
SELECT 'long', 'x', gen_random_uuid(), repeat('long "text" ', 20000), jsonb_build_object('long', repeat('0123456789', 20000));
ALTER TABLE events ALTER t SET STORAGE EXTERNAL, ALTER jb SET STORAGE EXTERNAL;
INSERT INTO events (event_type, aggregate_type, aggregate_id, t, jb)
SELECT 'long', 'x', gen_random_uuid(), repeat('long "text" ', 20000), jsonb_build_object('long', repeat('0123456789', 20000));

-- What is written does not depend on the session; to_json() does.
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'German, DMY';
CREATE TEMP TABLE written AS
SELECT (body ->> 'id')::uuid AS id, body::text AS body FROM (SELECT json_array_elements(body) AS body
  FROM muster.events_json(row_limit => 100000)) items;
SHOW TimeZone;
SHOW DateStyle;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT event_type, count(*), count(w.id) AS written, count(*) FILTER (WHERE w.body <> row_to_json(e)::text) AS different
  FROM events e LEFT JOIN written w USING (id) GROUP BY event_type ORDER BY event_type;
-- A single item is written the same.
SELECT count(*) FILTER (WHERE i.body::text IS DISTINCT FROM row_to_json(e)::text) AS different
  FROM events e, muster.event_json(e.id) i WHERE event_type <> 'text' AND event_type <> 'time';
-- A parallel worker writes the same.
SELECT md5(body::text) AS alone FROM muster.events_json(row_limit => 100000) \gset
SELECT count(set_config(name, 'on', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
EXPLAIN (COSTS OFF) SELECT md5(body::text) = :'alone' AS same FROM muster.events_json(row_limit => 100000);
SELECT md5(body::text) = :'alone' AS same FROM muster.events_json(row_limit => 100000);
SELECT count(set_config(name, 'off', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SET extra_float_digits = 0;
SELECT count(*) FILTER (WHERE i.body::text IS DISTINCT FROM row_to_json(e)::text) AS different
  FROM events e, muster.event_json(e.id) i WHERE event_type = 'time';
RESET extra_float_digits;
SET bytea_output = 'escape';
SELECT count(*) FILTER (WHERE i.body::text IS DISTINCT FROM row_to_json(e)::text) AS different
  FROM events e, muster.event_json(e.id) i WHERE event_type = 'bytes';
RESET bytea_output;

-- Naive timestamps are in UTC and say so, but for the infinities; in arrays and composites they stay as to_json() has them.
DROP TABLE events;
CREATE TABLE events (id uuid PRIMARY KEY, event_type text, aggregate_type text, aggregate_id uuid, payload json, metadata jsonb,
                     created_at timestamp, version int, own timestamp, listed timestamp[]);
SELECT muster.create_tables();
INSERT INTO events (id, created_at, own, listed, payload) VALUES
    ('00000000-0000-0000-0000-000000000001', '2024-07-01 12:00:00.5', 'infinity', '{2024-07-01 12:00}', '{"b":1,  "a":{"c": 2}}'),
    ('00000000-0000-0000-0000-000000000002', '2024-07-01 13:00', '2024-07-01 13:00', NULL, NULL),
    ('00000000-0000-0000-0000-000000000003', NULL, '0044-03-15 00:00 BC', NULL, '[]');
SET TimeZone = 'America/New_York';
SELECT json_array_elements(body) FROM muster.events_json();
SELECT json_array_elements(body) FROM muster.events_json(fields => 'created_at,payload.a.c,listed.0');
SELECT json_array_elements(body) ->> 'id' AS id FROM muster.events_json(row_limit => 1), LATERAL (SELECT next) n
UNION ALL
SELECT json_array_elements(p.body) ->> 'id' FROM muster.events_json(row_limit => 1) f, muster.events_json(after => f.next) p;

DROP TABLE agents, goals, tools, agent_tools, tool_executions, events CASCADE;
DROP TYPE mood, pair, nested, centimetres, level, timerange2 CASCADE;
DROP DOMAIN small CASCADE;
DROP DOMAIN ids;
