-- The five tables that have documents, each with all those columns, and the rows to compare.

SELECT muster.create_tables();
-- Times without time zone are what adopted tables may have.
ALTER TABLE goals ALTER created_at TYPE timestamp, ALTER updated_at TYPE timestamp;
ALTER TABLE tool_executions ALTER created_at TYPE timestamp, ALTER started_at TYPE timestamp;
-- Each table is filled by itself.
DO $$ BEGIN
    EXECUTE (SELECT string_agg(format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname), '; ')
               FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace);
END $$;

CREATE TABLE columns AS
SELECT 'c' || n || '_' || CASE WHEN n % 10 = 0 THEN 'we "ird\ é' ELSE regexp_replace(type, '\W', '', 'g') END AS name, type, expression
  FROM types
UNION ALL
SELECT 'l' || n || '_' || regexp_replace(type, '\W', '', 'g'), type || '[]',
       format('CASE r(0, 4) WHEN 0 THEN ''{}'' WHEN 1 THEN ARRAY[%1$s, NULL] WHEN 2 THEN array_fill(%1$s, ARRAY[r(1, 3), 2], ARRAY[-1, r(0, 7)])
               WHEN 3 THEN ARRAY[[%1$s, %1$s], [NULL, %1$s]]::%2$s[] ELSE ARRAY[[[%1$s], [NULL]]]::%2$s[] END',
              format('(%s)::%s', expression, type), type)
  FROM types WHERE many = 2 AND type <> 'int2vector' AND type <> 'oidvector';

CREATE PROCEDURE add_columns(table_name regclass) LANGUAGE plpgsql AS $$
DECLARE
    storage text;
    c record;
BEGIN
    EXECUTE (SELECT format('ALTER TABLE %s %s', table_name, string_agg(format('ADD %I %s', name, type), ', ' ORDER BY n))
               FROM (SELECT row_number() OVER () AS n, * FROM columns) c);
    FOR c IN SELECT a.attname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
              WHERE a.attrelid = table_name AND a.attname ~ '^c' AND NOT a.attisdropped AND t.typlen = -1 AND t.typstorage = 'x' LOOP
        storage := (ARRAY['PLAIN', 'EXTERNAL', 'EXTENDED', 'MAIN', 'EXTENDED'])[1 + abs(hashtext(c.attname)) % 5];
        -- a whole row in one page is not what these values are
        CONTINUE WHEN storage = 'PLAIN';
        EXECUTE format('ALTER TABLE %s ALTER %I SET STORAGE %s', table_name, c.attname, storage);
    END LOOP;
    EXECUTE format('ALTER TABLE %s DROP COLUMN %I, ADD generated int GENERATED ALWAYS AS (1 + 1) STORED',
                   table_name, 'c1_bool');
END
$$;

CREATE FUNCTION api_expressions(table_name text) RETURNS TABLE (name text, expression text) LANGUAGE sql IMMUTABLE AS $$
    SELECT v.name, v.expression FROM (VALUES
        ('agents', 'id', 'r_uuid()'), ('agents', 'did', 'r_text() || '' '' || g.n'), ('agents', 'name', 'r_text()'),
        ('agents', 'agent_type', 'r_text()'), ('agents', 'status', '(ARRAY[''created'', ''active'', ''busy''])[r(1, 3)]'),
        ('agents', 'configuration', 'r_jsonb_object()'), ('agents', 'metadata', 'r_jsonb_object()'),
        ('agents', 'created_at', 'r_timestamp() AT TIME ZONE ''UTC'''),
        ('goals', 'id', 'r_uuid()'), ('goals', 'goal_id', 'r_text() || '' '' || g.n'), ('goals', 'agent_id', 'r_uuid()'),
        ('goals', 'goal_text', 'r_text()'), ('goals', 'constraints_deadline_unix_ms', 'r_int8()'),
        ('goals', 'constraints_allowed_agent_types', 'ARRAY[r_text(), NULL]'),
        ('goals', 'constraints_cost_limit_usd', 'r(-99999, 99999) / 100.0'), ('goals', 'metadata', 'r_jsonb_object()'),
        ('goals', 'created_at', 'r_timestamp()'), ('goals', 'completed_at', 'CASE WHEN random() < 0.5 THEN r_timestamp() AT TIME ZONE ''UTC'' END'),
        ('tools', 'id', 'r_uuid()'), ('tools', 'name', 'r_text() || '' '' || g.n'), ('tools', 'description', 'r_text()'),
        ('tools', 'schema_def', 'r_jsonb_object()'), ('tools', 'created_at', 'r_timestamp() AT TIME ZONE ''UTC'''),
        ('tool_executions', 'id', 'r_uuid()'), ('tool_executions', 'invocation_id', 'r_uuid()'), ('tool_executions', 'tool_name', 'r_text()'),
        ('tool_executions', 'input_params', 'r_jsonb_object()'), ('tool_executions', 'output_result', 'r_jsonb()'),
        ('tool_executions', 'created_at', 'r_timestamp()'), ('tool_executions', 'started_at', 'r_timestamp()'),
        ('events', 'id', 'r_uuid()'), ('events', 'event_type', 'r_text()'), ('events', 'aggregate_type', 'r_text()'),
        ('events', 'aggregate_id', 'r_uuid()'), ('events', 'payload', 'r_jsonb_object()'), ('events', 'metadata', 'r_jsonb_object()'),
        ('events', 'version', 'r_int4()'), ('events', 'created_at', 'r_timestamp() AT TIME ZONE ''UTC''')
    ) v (t, name, expression) WHERE v.t = table_name
$$;

-- Fills the table anew. Of users' columns a row has some, so that each occurs beside each.
CREATE PROCEDURE fill(table_name text, rows int) LANGUAGE plpgsql AS $$
DECLARE
    names text;
    expressions text;
BEGIN
    -- A value that a document of jsonb cannot have makes it fail, and muster.agents() has one of all users' columns.
    SELECT string_agg(format('%I', c.name), ', '), string_agg(c.expression, ', ') INTO names, expressions
      FROM (SELECT name, expression FROM api_expressions(table_name)
            UNION ALL
            SELECT name, format('CASE WHEN random() < 0.06 THEN (%s) END',
                          CASE WHEN table_name = 'agents' THEN replace(expression, 'r_json()', 'r_jsonb()::json') ELSE expression END)
              FROM columns WHERE name <> 'c1_bool') c;
    EXECUTE format('TRUNCATE %I', table_name);
    EXECUTE format('INSERT INTO %I (%s) SELECT %s FROM generate_series(1, %s) g (n)', table_name, names, expressions, rows);
END
$$;
