-- Random values, all from random(): setseed() repeats them. They are made to hit what a writer of JSON may
-- get wrong, so edges are as frequent as what lies between.

-- An integer from "low" to "high".
CREATE FUNCTION r(low int, high int) RETURNS int LANGUAGE sql VOLATILE
RETURN (low + floor(random() * (high::float8 - low + 1)))::int;

CREATE FUNCTION r_int8() RETURNS int8 LANGUAGE sql VOLATILE
RETURN CASE r(0, 7)
    WHEN 0 THEN '-9223372036854775808'::int8 + r(0, 2)
    WHEN 1 THEN 9223372036854775807 - r(0, 2)
    WHEN 2 THEN r(-2, 2)
    -- a power of ten and its neighbours
    WHEN 3 THEN (10::numeric ^ r(0, 18))::int8 * (1 - 2 * r(0, 1)) + r(-1, 1)
    WHEN 4 THEN 2147483648::int8 * (1 - 2 * r(0, 1)) + r(-1, 1)
    -- any number of bits
    ELSE ((random() * 4294967296)::int8 << 32 | (random() * 4294967295)::int8) >> r(0, 63) END;

CREATE FUNCTION r_int4() RETURNS int4 LANGUAGE sql VOLATILE
RETURN CASE r(0, 3) WHEN 0 THEN -2147483648 WHEN 1 THEN 2147483647 ELSE (r_int8() >> 32)::int4 END;

CREATE FUNCTION r_float8() RETURNS float8 LANGUAGE sql VOLATILE
RETURN CASE r(0, 9)
    WHEN 0 THEN (ARRAY['NaN', 'Infinity', '-Infinity', '0', '-0', '4.9406564584124654e-324',
                       '2.2250738585072009e-308', '2.2250738585072014e-308', '1.7976931348623157e308', '0.1',
                       '9007199254740993', '1e15', '1e16', '123456789012345680', '1e22', '1e23', '0.0001',
                       '0.00001']::float8[])[r(1, 18)]
    WHEN 1 THEN r(-1000, 1000)
    WHEN 2 THEN r(-100000, 100000) / 100.0
    WHEN 3 THEN r_int8()::float8
    -- denormals
    WHEN 4 THEN r(1, 1000000) * '4.9406564584124654e-324'::float8
    ELSE (random() - 0.5) * 10::float8 ^ r(-307, 307) END;

CREATE FUNCTION r_float4() RETURNS float4 LANGUAGE sql VOLATILE
RETURN CASE r(0, 5)
    WHEN 0 THEN (ARRAY['NaN', 'Infinity', '-Infinity', '0', '-0', '1.4e-45', '1.1754942e-38', '1.17549435e-38',
                       '3.4028235e38', '0.1', '16777217', '1e6', '1e7', '0.0001', '0.00001']::float4[])[r(1, 15)]
    WHEN 1 THEN r(-100000, 100000) / 100.0
    ELSE ((random() - 0.5) * 10::float8 ^ r(-37, 38))::float4 END;

-- Of every size and scale, and now and then thousands of digits long.
CREATE FUNCTION r_finite() RETURNS numeric LANGUAGE sql VOLATILE
RETURN CASE r(0, 9)
    WHEN 0 THEN (ARRAY['0', '0.0', '0.00000', '-0', '1', '-1', '9999', '10000', '0.0001', '0.00001', '-9999.9999',
                       '10000.00010000', '99999999', '100000000', '1e-30', '1e30']::numeric[])[r(1, 16)]
    WHEN 1 THEN r_int8()::numeric
    -- zeros around and within the groups of four digits
    WHEN 2 THEN (r(1, 99999)::text || repeat('0', r(0, 30)) || '.' || repeat('0', r(0, 30)) || r(0, 9999))::numeric
    WHEN 3 THEN -r(0, 99999)::numeric * 10::numeric ^ r(-40, 40)
    WHEN 4 THEN CASE WHEN random() < 0.05 THEN (r(1, 9) || 'e' || r(-16000, 130000))::numeric ELSE r(-9, 9) END
    ELSE round(random()::numeric * (10::numeric ^ r(-20, 40)), r(0, 40)) * (1 - 2 * r(0, 1)) END;

CREATE FUNCTION r_numeric() RETURNS numeric LANGUAGE sql VOLATILE
RETURN CASE WHEN random() < 0.1 THEN (ARRAY['NaN', 'Infinity', '-Infinity']::numeric[])[r(1, 3)] ELSE r_finite() END;

-- A character of any plane, those that are escaped and the edges of the encoding's lengths among them.
CREATE FUNCTION r_char() RETURNS text LANGUAGE sql VOLATILE
RETURN CASE r(0, 9)
    WHEN 0 THEN chr(r(1, 31))
    WHEN 1 THEN (ARRAY['"', '\', '/', E'\x7f', '''', '<', '&', '{', ',', ' '])[r(1, 10)]
    WHEN 2 THEN chr((ARRAY[1, 31, 32, 127, 128, 159, 2047, 2048, 8232, 8233, 55295, 57344, 65279, 65533, 65534, 65535,
                           65536, 1114111])[r(1, 18)])
    WHEN 3 THEN chr(r(128, 2047))
    WHEN 4 THEN chr(r(2048, 55295))
    WHEN 5 THEN chr(r(57344, 65535))
    WHEN 6 THEN chr(r(65536, 1114111))
    ELSE chr(r(32, 126)) END;

CREATE FUNCTION r_text() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    result text := '';
BEGIN
    CASE r(0, 9)
        WHEN 0 THEN RETURN (ARRAY['', ' ', 'null', 'true', '1', '{}', '[]', 'NaN', '\u0000', '"'])[r(1, 10)];
        -- one that is escaped, or many, at any place of what is looked at together
        WHEN 1 THEN RETURN overlay(repeat('x', r(1, 70)) PLACING r_char() FROM r(1, 70));
        WHEN 2 THEN RETURN repeat(r_char(), r(1, 70));
        WHEN 3, 4 THEN RETURN substr(md5(random()::text), 1, r(1, 32));
        ELSE
            FOR i IN 1 .. r(1, 12) LOOP
                result := result || r_char();
            END LOOP;
            RETURN result;
    END CASE;
END
$$;

-- Long enough to be stored outside of its row; most can be compressed.
CREATE FUNCTION r_long_text() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    piece text := r_text();
BEGIN
    IF random() < 0.5 THEN
        FOR i IN 1 .. r(1, 150) LOOP
            piece := piece || md5(random()::text);
        END LOOP;
        RETURN overlay(piece PLACING r_text() FROM r(1, 1000));
    END IF;
    RETURN repeat(piece, r(1, 1500));
END
$$;

CREATE FUNCTION r_bytea() RETURNS bytea LANGUAGE sql VOLATILE
RETURN CASE r(0, 3) WHEN 0 THEN ''::bytea WHEN 1 THEN convert_to(r_text(), 'UTF8')
    ELSE decode(substr(repeat(md5(random()::text), r(1, 4)), 1, 2 * r(0, 60)), 'hex') END;

CREATE FUNCTION r_uuid() RETURNS uuid LANGUAGE sql VOLATILE RETURN md5(random()::text)::uuid;

-- Microseconds around a day, so that fractions of every length occur.
CREATE FUNCTION r_time() RETURNS time LANGUAGE sql VOLATILE
RETURN CASE r(0, 4) WHEN 0 THEN '24:00'::time WHEN 1 THEN '00:00'::time WHEN 2 THEN make_time(r(0, 23), r(0, 59), r(0, 59))
    ELSE '00:00'::time + r(0, 86399) * interval '1 second' + r(0, 999999) / 10 ^ r(0, 6) * interval '1 microsecond' END;

-- The type's whole range: 4714 BC to 294276.
CREATE FUNCTION r_timestamp() RETURNS timestamp LANGUAGE sql VOLATILE
RETURN CASE r(0, 9)
    WHEN 0 THEN (ARRAY['infinity', '-infinity', '4714-11-24 00:00 BC', '294276-12-31 23:59:59.999999',
                       '0001-01-01 00:00', '0001-12-31 23:59:59.999999 BC', '9999-12-31 23:59:59.999999',
                       '10000-01-01 00:00', '2000-01-01 00:00', '1999-12-31 23:59:59.999999', '1970-01-01 00:00',
                       '2000-02-29 12:00', '1900-02-28 23:59:59', '2400-02-29 00:00:00.000001']::timestamp[])[r(1, 14)]
    WHEN 1 THEN timestamp '4714-11-24 00:00 BC' + random() * interval '298980 years'
    WHEN 2 THEN timestamp '0001-01-01 00:00' + r(-800000, 3700000) * interval '1 day'
    WHEN 3 THEN date_trunc((ARRAY['second', 'millisecond', 'minute', 'day'])[r(1, 4)],
                           timestamp '1990-01-01 00:00' + random() * interval '50 years')
    ELSE timestamp '0001-01-01 00:00' + random() * interval '9999 years' END;

CREATE FUNCTION r_date() RETURNS date LANGUAGE sql VOLATILE
RETURN CASE r(0, 4)
    WHEN 0 THEN (ARRAY['infinity', '-infinity', '4714-11-24 BC', '5874897-12-31', '0001-01-01', '0001-12-31 BC',
                       '9999-12-31', '10000-01-01', '2000-02-29', '1900-03-01']::date[])[r(1, 10)]
    WHEN 1 THEN date '4714-11-24 BC' + r(0, 2147483493)
    ELSE date '0001-01-01' + r(0, 3652058) END;

CREATE FUNCTION r_interval() RETURNS interval LANGUAGE sql VOLATILE
RETURN CASE r(0, 3)
    WHEN 0 THEN (ARRAY['0', '-178000000 years', '178000000 years', '1 year -1 day', '-0.000001 s', '1 mon -1 h',
                       '-2147483648 days']::interval[])[r(1, 7)]
    ELSE make_interval(r(-9, 9) * r(0, 1), r(-20, 20) * r(0, 1), 0, r(-40, 40) * r(0, 1), r(-99, 99) * r(0, 1), 0,
                       (r(-1000000, 1000000) * r(0, 1) / 10.0 ^ r(0, 6))) END;

-- JSON text. With "odd" set it has what the type json keeps and jsonb does not: blanks, repeated keys, any escape.
CREATE FUNCTION r_json_string(odd bool) RETURNS text LANGUAGE sql VOLATILE
RETURN CASE r(0, 4)
    WHEN 0 THEN (ARRAY['"\u0041"', '"\ud83d\ude00"', '"\ud800\udc00"', '"\udbff\udfff"', '"\ud7ff\ue000"', '"\uffff"',
                       '"\/"', '"\u001F"', '"\u007f"', '"\""', '"\\"'])[r(1, 11)]
    WHEN 1 THEN CASE WHEN odd THEN (ARRAY['"\u0000"', '"\ud800"', '"\udfff\ud800"'])[r(1, 3)] ELSE '""' END
    ELSE to_json(r_text())::text END;

CREATE FUNCTION r_json_text(depth int, odd bool) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    blank text := CASE WHEN odd THEN (ARRAY['', ' ', E'\n\t', E'\r\n  '])[r(1, 4)] ELSE '' END;
    kind int := CASE WHEN depth <= 0 THEN r(0, 5) ELSE r(0, 11) END;
    children int := r(0, 4);
    result text := '';
BEGIN
    CASE kind
        WHEN 0 THEN RETURN (ARRAY['null', 'true', 'false', '{}', '[]'])[r(1, 5)];
        WHEN 1 THEN RETURN (ARRAY['0', '-0', '1E+5', '1e-5', '0e10', '-0.0', '1.50', '12e3', '0.1E-20'])[r(1, 9)];
        WHEN 2 THEN RETURN r_finite()::text;
        WHEN 3 THEN RETURN r_int4()::text;
        WHEN 4, 5 THEN RETURN r_json_string(odd);
        WHEN 6, 7, 8 THEN
            FOR i IN 1 .. children LOOP
                result := result || CASE WHEN i > 1 THEN ',' ELSE '' END || blank || r_json_text(depth - 1, odd) || blank;
            END LOOP;
            RETURN '[' || blank || result || ']';
        ELSE
            FOR i IN 1 .. children LOOP
                result := result || CASE WHEN i > 1 THEN ',' ELSE '' END || blank || r_json_string(odd) || blank || ':'
                          || blank || r_json_text(depth - 1, odd);
            END LOOP;
            RETURN '{' || blank || result || blank || '}';
    END CASE;
END
$$;

CREATE FUNCTION r_json() RETURNS json LANGUAGE sql VOLATILE
RETURN ((ARRAY['', ' ', E'\n', E'\t '])[r(1, 4)] || r_json_text(2, true) || (ARRAY['', ' ', E'\r\n'])[r(1, 3)])::json;

CREATE FUNCTION r_jsonb() RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    CASE r(0, 19)
        -- more children than the stored form has lengths in a row
        WHEN 0 THEN
            RETURN (SELECT jsonb_object_agg(r_text() || i, CASE WHEN i % 3 = 0 THEN to_jsonb(r_finite()) ELSE to_jsonb(i) END)
                      FROM generate_series(1, r(20, 120)) i);
        WHEN 1 THEN
            RETURN (SELECT jsonb_agg(CASE WHEN i % 3 = 0 THEN to_jsonb(r_text()) ELSE to_jsonb(r_finite()) END)
                      FROM generate_series(1, r(20, 120)) i);
        WHEN 2 THEN RETURN (repeat('[', 150) || r_json_text(1, false) || repeat(']', 150))::jsonb;
        WHEN 3 THEN RETURN (repeat('{"a":', 80) || r_json_text(1, false) || repeat('}', 80))::jsonb;
        WHEN 4 THEN RETURN CASE WHEN random() < 0.1 THEN jsonb_build_object('long', r_long_text(), 'n', r_finite()) ELSE '{}' END;
        ELSE RETURN r_json_text(r(0, 3), false)::jsonb;
    END CASE;
END
$$;

CREATE FUNCTION r_jsonb_object() RETURNS jsonb LANGUAGE sql VOLATILE RETURN jsonb_build_object(r_text(), r_jsonb());

-- Two values in order, as ranges need them; either may be missing.
CREATE FUNCTION r_range(kind regtype, a anyelement, b anyelement) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT %s($1, $2, $3)::text', kind) INTO result
      USING CASE WHEN random() < 0.9 THEN least(a, b) END, CASE WHEN random() < 0.9 THEN greatest(a, b) END,
            (ARRAY['[)', '(]', '[]', '()'])[r(1, 4)];
    RETURN result;
END
$$;
