-- Columns of users' own, of every kind of type that a table may have, and what makes values for them.

CREATE TYPE mood AS ENUM ('happy', 'so "so"', E'back\\slash', E'tab\t', 'é', '');
CREATE TYPE pair AS (a int, "b ""c" text, gone int, at timestamptz, naive timestamp, d date, f float8, n numeric, list int[],
                     doc jsonb);
ALTER TYPE pair DROP ATTRIBUTE gone;
CREATE TYPE nested AS (first pair, others pair[], m mood, r tstzrange);
CREATE DOMAIN small AS int CHECK (VALUE < 1000);
CREATE DOMAIN smaller AS small;
CREATE DOMAIN a_text AS text;
CREATE DOMAIN a_number AS numeric;
CREATE DOMAIN a_time AS timestamptz;
CREATE DOMAIN a_naive_time AS timestamp;
CREATE DOMAIN ids AS uuid[];
CREATE DOMAIN a_pair AS pair;
CREATE DOMAIN a_mood AS mood;
CREATE DOMAIN a_range AS tstzrange;
CREATE DOMAIN a_document AS jsonb;
CREATE DOMAIN a_text_document AS json;
CREATE DOMAIN a_bit AS bit(5);
CREATE TYPE time_range AS RANGE (subtype = time);
CREATE TYPE text_range AS RANGE (subtype = text);
CREATE TYPE pair_range AS RANGE (subtype = int8);
-- to_json() takes the casts of users' own types.
CREATE TYPE level AS ENUM ('low', 'high');
CREATE FUNCTION level_json(level) RETURNS json LANGUAGE sql STABLE
    RETURN json_build_object('level', $1::text, 'at', timestamptz '2024-07-01 12:00+00', 'text', (date '2024-07-01')::text);
CREATE CAST (level AS json) WITH FUNCTION level_json(level);
CREATE FUNCTION pair_range_json(pair_range) RETURNS json LANGUAGE sql IMMUTABLE RETURN json_build_array(lower($1), upper($1));
CREATE CAST (pair_range AS json) WITH FUNCTION pair_range_json(pair_range);
CREATE TYPE centimetres AS (n int);
CREATE FUNCTION centimetres_json(centimetres) RETURNS json LANGUAGE sql IMMUTABLE RETURN json_build_object('cm', ($1).n);
CREATE CAST (centimetres AS json) WITH FUNCTION centimetres_json(centimetres);
CREATE TABLE plain (i int, gone text, t text, d date);
ALTER TABLE plain DROP COLUMN gone;

CREATE FUNCTION r_pair() RETURNS pair LANGUAGE sql VOLATILE
RETURN ROW(r_int4(), CASE WHEN random() < 0.8 THEN r_text() END, r_timestamp() AT TIME ZONE 'UTC', r_timestamp(), r_date(),
           r_float8(), r_numeric(), ARRAY[r_int4(), NULL], CASE WHEN random() < 0.3 THEN r_jsonb() END)::pair;

-- "many" is how many columns of the type there are: one of the type itself, and one of its arrays unless it is 1.
CREATE TABLE types (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, type text, expression text, many int DEFAULT 2);
INSERT INTO types (type, expression) VALUES
    ('bool', 'random() < 0.5'), ('int2', 'r(-32768, 32767)::int2'), ('int4', 'r_int4()'), ('int8', 'r_int8()'),
    ('float4', 'r_float4()'), ('float8', 'r_float8()'), ('numeric', 'r_numeric()'),
    ('numeric(12,3)', '(r_int4() / 1000.0)::numeric(12,3)'), ('text', 'r_text()'), ('varchar(90)', 'left(r_text(), 90)'),
    ('char(7)', 'left(r_text(), 7)'), ('"char"', 'chr(r(1, 127))::"char"'), ('name', 'left(r_text(), 15)::name'),
    ('uuid', 'r_uuid()'), ('date', 'r_date()'), ('time', 'r_time()'), ('time(2)', 'r_time()::time(2)'),
    ('timetz', '(r_time()::text || (ARRAY[''+05:30'', ''-08'', ''+00'', ''+15:59:59''])[r(1, 4)])::timetz'),
    ('timestamp', 'r_timestamp()'), ('timestamp(3)', 'least(r_timestamp(), ''9999-01-01'')::timestamp(3)'),
    ('timestamptz', 'r_timestamp() AT TIME ZONE ''UTC'''), ('interval', 'r_interval()'),
    ('json', 'CASE WHEN random() < 0.5 THEN r_json() END'), ('jsonb', 'r_jsonb()'), ('bytea', 'r_bytea()'),
    ('xml', 'xmlelement(name "é", xmlattributes(''a"<'' AS b), left(md5(random()::text), 8), '' " \ '')'),
    ('bit(13)', 'r(0, 8191)::bit(13)'), ('varbit', 'substring(r_int8()::bit(64)::varbit from 1 for r(0, 64))'),
    ('inet', '((ARRAY[''10.0.0.1/8'', ''0.0.0.0/0'', ''::1'', ''fe80::1/64'', ''::ffff:1.2.3.4''])[r(1, 5)]::inet + r(0, 255))'),
    ('cidr', '(ARRAY[''10.0.0.0/8'', ''2001:db8::/32'', ''1.2.3.4/32''])[r(1, 3)]::cidr'),
    ('macaddr', 'substr(md5(random()::text), 1, 12)::macaddr'), ('macaddr8', 'substr(md5(random()::text), 1, 16)::macaddr8'),
    ('point', 'point(r_float8(), r_float8())'), ('line', 'line(point(r(-9, 0), 1), point(r(1, 9), r(-3, 3)))'),
    ('lseg', 'lseg(point(r(0, 9), r_float8()), point(1, 2))'), ('box', 'box(point(r(0, 9), r(0, 9)), point(0.1, r_float4()))'),
    ('path', 'path(polygon(r(3, 6), circle(point(r(0, 9), 1), 2)))'), ('polygon', 'polygon(r(3, 6), circle(point(1, r(0, 9)), 2))'),
    ('circle', 'circle(point(r_float4(), 1), r(0, 9))'), ('tsvector', 'to_tsvector(''simple'', r_text() || '' a "b" c:'' || r_text())'),
    ('tsquery', 'to_tsquery(''simple'', (ARRAY[''a & b'', ''!a | b:*A'', ''a <2> "x"'', ''''])[r(1, 4)])'),
    ('oid', '(r_int4()::int8 + 2147483648)::oid'), ('regclass', '(ARRAY[''pg_class''::regclass, ''public.events'', ''pg_toast.pg_toast_1255'', ''123456'', ''-''])[r(1, 5)]'),
    ('regtype', '(ARRAY[''int[]'', ''public.mood'', ''timestamptz'', ''"char"'', ''0''])[r(1, 5)]::regtype'),
    ('regproc', '(ARRAY[''now'', ''level_json'', ''-''])[r(1, 3)]::regproc'), ('regprocedure', '''level_json(level)''::regprocedure'),
    ('regoperator', '''+(int,int)''::regoperator'), ('regrole', '(ARRAY[''postgres'', ''-'', ''pg_monitor''])[r(1, 3)]::regrole'),
    ('regnamespace', '''public''::regnamespace'), ('regconfig', '''simple''::regconfig'), ('regcollation', '''"C"''::regcollation'),
    ('xid', 'r(0, 2147483647)::text::xid'), ('xid8', 'abs(r_int8() / 2)::text::xid8'), ('cid', '''7''::cid'),
    ('tid', '''(1,2)''::tid'), ('pg_lsn', '''16/B374D848''::pg_lsn + r(0, 9)'), ('pg_snapshot', '''10:20:10,14''::pg_snapshot'),
    ('money', '(ARRAY[''-92233720368547758.08'', ''92233720368547758.07'', ''0'']::money[])[r(1, 3)] * (r(0, 99) / 100.0)::float8'),
    ('jsonpath', '(ARRAY[''$'', ''strict $.a[*] ? (@ > 1 && @.b like_regex "^\\d")'', ''$."é \" x"''])[r(1, 3)]::jsonpath'),
    ('refcursor', 'r_text()::refcursor'), ('aclitem', 'makeaclitem(10, 10, ''SELECT'', random() < 0.5)'),
    ('int2vector', '''1 2 3''::int2vector'), ('oidvector', '''1 4294967295''::oidvector'),
    ('mood', '(enum_range(NULL::mood))[r(1, 6)]'), ('level', '(enum_range(NULL::level))[r(1, 2)]'), ('pair', 'r_pair()'),
    ('nested', 'ROW(r_pair(), CASE WHEN random() < 0.5 THEN ARRAY[r_pair(), NULL] END, ''so "so"'', tstzrange(NULL, now()))::nested'),
    ('plain', 'ROW(r_int4(), r_text(), r_date())::plain'), ('centimetres', 'ROW(r_int4())::centimetres'), ('small', 'r(-999, 999)'),
    ('smaller', 'r(-999, 999)'), ('a_text', 'r_text()'), ('a_number', 'r_numeric()'), ('a_time', 'r_timestamp() AT TIME ZONE ''UTC'''),
    ('a_naive_time', 'r_timestamp()'), ('a_pair', 'r_pair()'),
    ('a_mood', '(enum_range(NULL::mood))[r(1, 6)]'), ('a_range', 'r_range(''tstzrange'', now() - r_interval() * 0, now())::tstzrange'),
    ('a_document', 'r_jsonb()'), ('a_text_document', 'CASE WHEN random() < 0.5 THEN r_json() END'), ('a_bit', 'r(0, 31)::bit(5)'),
    ('int4range', 'r_range(''int4range'', r(-99, 99), r(-99, 99))::int4range'), ('int8range', 'r_range(''int8range'', r(-99, 99)::int8, r(-99, 99)::int8)::int8range'),
    ('numrange', 'r_range(''numrange'', r_numeric(), r_finite())::numrange'),
    ('tsrange', 'r_range(''tsrange'', r_timestamp(), r_timestamp())::tsrange'),
    ('tstzrange', 'r_range(''tstzrange'', r_timestamp() AT TIME ZONE ''UTC'', r_timestamp() AT TIME ZONE ''UTC'')::tstzrange'),
    ('daterange', 'r_range(''daterange'', least(r_date(), ''5000000-01-01''), ''2024-02-29''::date)::daterange'),
    ('time_range', 'r_range(''time_range'', r_time(), r_time())::time_range'), ('text_range', 'r_range(''text_range'', r_text(), r_text())::text_range'),
    ('pair_range', 'pair_range(r(-99, 0), r(1, 9))'), ('int4multirange', 'int4multirange(int4range(r(0, 9), NULL), int4range(-9, -2))'),
    ('tstzmultirange', 'tstzmultirange(tstzrange(least(r_timestamp() AT TIME ZONE ''UTC'', now()), now()))'),
    ('tsmultirange', 'tsmultirange(tsrange(least(r_timestamp(), ''2020-01-01''), ''2020-01-01''))'),
    ('datemultirange', 'datemultirange(daterange(''2020-01-01'', ''2020-02-01''), daterange(''2021-01-01'', NULL))'),
    ('time_multirange', 'time_multirange(time_range(''10:00'', ''12:00''))'), ('text_multirange', 'text_multirange(text_range(r_text(), NULL))');
-- What is long is stored in all the ways there are.
INSERT INTO types (type, expression, many) VALUES ('ids', 'ARRAY[r_uuid(), NULL]', 1), ('ids[]', 'format(''{"{%s,NULL}",NULL}'', r_uuid())::ids[]', 1);
INSERT INTO types (type, expression, many)
SELECT type, format('CASE WHEN random() < 0.1 THEN %s ELSE %s END', long, short), 1
  FROM (VALUES ('text', 'r_long_text()', 'r_text()'), ('jsonb', 'jsonb_build_object(r_text(), r_long_text(), ''x'', r_finite())', 'r_jsonb()'),
               ('json', 'to_json(r_long_text())', 'r_json()'), ('text[]', 'ARRAY[r_long_text(), NULL, r_text()]', '''{}'''),
               ('bytea', 'convert_to(r_long_text(), ''UTF8'')', 'r_bytea()'), ('numeric', 'repeat(r(1, 99999)::text, 2000)::numeric', 'r_numeric()'),
               ('pair', 'ROW(1, r_long_text(), NULL, NULL, NULL, NULL, NULL, NULL, jsonb_build_object(''a'', r_long_text()))::pair', 'r_pair()')
       ) kinds (type, long, short), generate_series(1, 2);

-- Types of the extensions that come with the server, among them one with a cast to json; where they are installed.
CREATE FUNCTION add_type(extension text, type text, expression text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = extension) THEN
        EXECUTE format('CREATE EXTENSION %I', extension);
        INSERT INTO types (type, expression) VALUES (add_type.type, add_type.expression);
    END IF;
END
$$;
SELECT count(add_type(extension, type, expression)) FROM (VALUES
    ('hstore', 'hstore', 'hstore(ARRAY[r_text() || 1, r_text(), r_text() || 2, NULL])'), ('citext', 'citext', 'r_text()::citext'),
    ('ltree', 'ltree', '''Top.Science_1''::ltree'), ('cube', 'cube', 'cube(ARRAY[r_float8(), 1.5])'),
    ('seg', 'seg', '''1.5 .. 2''::seg')) v (extension, type, expression);
