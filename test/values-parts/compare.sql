-- The comparison: what Muster's functions write, byte for byte, with what row_to_json() gives for the same
-- rows under the same settings, except that then TimeZone is UTC and DateStyle is ISO.

CREATE TABLE differences (n int GENERATED ALWAYS AS IDENTITY, what text, settings text, got text, wanted text);
CREATE TABLE compared (what text, rows bigint);

-- The rows of a table as they are to be written, those columns of them whose names match: a page's body.
CREATE FUNCTION wanted_page(table_name text, columns text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('SELECT ''['' || string_agg(row_to_json(q)::text, '','' ORDER BY %s) || '']'' FROM public.%I t, LATERAL (SELECT %s) q',
                  CASE table_name WHEN 'tools' THEN 't.name, t.id' ELSE 't.created_at DESC NULLS LAST, t.id DESC' END, table_name,
                  string_agg(format(CASE WHEN 'timestamp'::regtype IN (t.oid, t.typbasetype) THEN 't.%1$I AT TIME ZONE ''UTC'' AS %1$I'
                                         ELSE 't.%1$I' END, a.attname), ', ' ORDER BY attnum))
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = format('public.%I', table_name)::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname ~ columns
$$;

-- Sets at random what the text of values depends on, until the transaction's end.
CREATE FUNCTION set_at_random() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    parallel text := (ARRAY['off', 'on'])[r(1, 2)];
    result text;
BEGIN
    SELECT string_agg(name || ' = ' || set_config(name, choices[r(1, cardinality(choices))], true), '; ') INTO result FROM (VALUES
        ('TimeZone', ARRAY['UTC', 'Asia/Kolkata', 'America/New_York', 'Pacific/Apia', 'Africa/Monrovia', '<+03>-3']),
        ('DateStyle', ARRAY['ISO, YMD', 'German, DMY', 'SQL, MDY', 'SQL, DMY', 'Postgres, YMD']),
        ('IntervalStyle', ARRAY['postgres', 'postgres_verbose', 'sql_standard', 'iso_8601']),
        ('bytea_output', ARRAY['hex', 'escape']),
        ('extra_float_digits', ARRAY['1', '3', '0', '-5', '-15']),
        ('quote_all_identifiers', ARRAY['off', 'on']),
        ('max_stack_depth', ARRAY['2MB', '400kB']),
        ('search_path', ARRAY['public', 'pg_catalog, public', 'information_schema, public'])) v (name, choices);
    -- A parallel worker writes the same.
    SELECT result || '; ' || name || ' = ' || set_config(name, parallel, true) INTO result
      FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
    RETURN result;
END
$$;

-- to_json() itself follows the first two.
CREATE PROCEDURE set_for_to_json() LANGUAGE sql AS $$
    SELECT set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO', true), set_config('max_stack_depth', '2MB', true)
$$;

CREATE FUNCTION note(what text, settings text, got text, wanted text) RETURNS bool LANGUAGE sql AS $$
    INSERT INTO public.differences (what, settings, got, wanted) VALUES (what, settings, left(got, 1000), left(wanted, 1000)) RETURNING true
$$;

-- Writes the table's rows under random settings and compares. Of a difference it tells the columns.
CREATE PROCEDURE compare_pages(table_name text) LANGUAGE plpgsql AS $$
DECLARE
    page text := format('SELECT body::text FROM muster.%I(row_limit => 1000000, fields => $1%s)', table_name || '_json',
                        CASE table_name WHEN 'agents' THEN ', include => ''''' END);
    settings text;
    got text;
    wanted text;
    c text;
    before bigint := (SELECT count(*) FROM differences);
BEGIN
    settings := set_at_random();
    EXECUTE page INTO got USING NULL::text;
    CALL set_for_to_json();
    EXECUTE wanted_page(table_name, '') INTO wanted;
    IF got IS NOT DISTINCT FROM wanted THEN
        RETURN;
    END IF;
    FOR c IN SELECT attname FROM pg_attribute
              WHERE attrelid = table_name::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum LOOP
        EXECUTE page INTO got USING format('"%s"', replace(c, '"', '""'));
        EXECUTE wanted_page(table_name, format('^%s$', regexp_replace(c, '(\W)', '\\\1', 'g'))) INTO wanted;
        IF got IS DISTINCT FROM wanted THEN
            -- from a little before the first place where they differ
            FOR i IN 0 .. greatest(length(got), length(wanted)) / 100 LOOP
                IF substr(got, 1 + i * 100, 100) IS DISTINCT FROM substr(wanted, 1 + i * 100, 100) THEN
                    PERFORM note(table_name || '.' || c, settings, substr(got, greatest(1, i * 100 - 50), 300),
                                 substr(wanted, greatest(1, i * 100 - 50), 300));
                    EXIT;
                END IF;
            END LOOP;
        END IF;
    END LOOP;
    IF before = (SELECT count(*) FROM differences) THEN
        PERFORM note(table_name || ', whole rows', settings, got, wanted);
    END IF;
END
$$;

-- muster.agents(): all of users' columns in one jsonb.
CREATE PROCEDURE compare_agents() LANGUAGE plpgsql AS $$
DECLARE
    settings text := set_at_random();
    got jsonb;
    wanted text;
BEGIN
    SELECT jsonb_agg(extra) INTO got FROM muster.agents(row_limit => 1000000, include => '');
    CALL set_for_to_json();
    EXECUTE wanted_page('agents', '^([cl]\d|generated|missing)') INTO wanted;
    PERFORM note('agents.extra', settings, got::text, wanted) WHERE got IS DISTINCT FROM wanted::jsonb;
END
$$;

-- Fills a table again and again, and compares. Every chunk is a transaction.
CREATE PROCEDURE compare_table(table_name text, rows int, seed float8) LANGUAGE plpgsql AS $$
DECLARE
    chunk int;
    left_over int := rows;
BEGIN
    PERFORM setseed(seed);
    WHILE left_over > 0 LOOP
        chunk := least(left_over, 1000);
        PERFORM set_config('default_toast_compression', (SELECT enumvals[r(1, cardinality(enumvals))] FROM pg_settings
                                                          WHERE name = 'default_toast_compression'), true);
        CALL fill(table_name, chunk);
        IF left_over = rows THEN
            -- of rows that are there already a new column has no values stored
            EXECUTE format('ALTER TABLE %I ADD missing text DEFAULT ''was not "there"'', ADD missing_time timestamp DEFAULT ''2024-07-01''', table_name);
        END IF;
        COMMIT;
        CALL compare_pages(table_name);
        COMMIT;
        IF table_name = 'agents' THEN
            CALL compare_agents();
            COMMIT;
            CALL compare_fields();
        END IF;
        INSERT INTO compared VALUES (table_name, chunk);
        COMMIT;
        left_over := left_over - chunk;
    END LOOP;
END
$$;
