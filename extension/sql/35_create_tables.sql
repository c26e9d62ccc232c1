-- create_tables(): makes the users' tables, or adopts those that are there. Everything is looked at before
-- anything is changed, and the statements are collected as text, so that a dry run shows exactly what a
-- real run executes.

-- Whether a column of this type can stand where the lists ask for "wanted". Domains count as their base
-- type. Naive timestamps are taken as UTC.
CREATE FUNCTION muster.data_type_fits(actual oid, wanted text) RETURNS bool
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
WITH RECURSIVE base(id, parent) AS (
    SELECT t.oid, t.typbasetype FROM pg_type t WHERE t.oid = actual
    UNION ALL
    SELECT t.oid, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.parent
)
SELECT EXISTS (
    SELECT FROM base b WHERE b.parent = 0 AND format_type(b.id, NULL) = ANY (CASE
        WHEN wanted = 'text' THEN '{text,character varying,character}'
        WHEN wanted = 'jsonb' THEN '{jsonb,json}'
        WHEN wanted IN ('integer', 'bigint') THEN '{smallint,integer,bigint}'
        WHEN wanted LIKE 'numeric%' THEN '{numeric}'
        WHEN wanted = 'timestamptz' THEN '{timestamp with time zone,timestamp without time zone}'
        WHEN wanted = 'text[]' THEN '{text[],character varying[]}'
        ELSE ARRAY[wanted] END::text[]))
$$;

-- Whether a valid, complete btree index of the relation has these columns first, then the list's order (or
-- its opposite, which a backward scan reads), and is unique on just them if it must be.
CREATE FUNCTION muster.data_index_exists(rel oid, columns text[], newest_first bool, must_be_unique bool)
RETURNS bool
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT EXISTS (
    SELECT FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid
      JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
     CROSS JOIN LATERAL (
        SELECT array_agg(a.attname::text ORDER BY k.n) AS names,
               array_agg(k.option::int ORDER BY k.n) AS options
          FROM unnest(string_to_array(i.indkey::text, ' '), string_to_array(i.indoption::text, ' '))
               WITH ORDINALITY AS k(attnum, option, n)
          LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum::int
         WHERE k.n <= cardinality(wanted.names)
     ) has
     WHERE i.indrelid = rel AND i.indisvalid AND i.indpred IS NULL
       AND has.names = wanted.names
       -- indoption's bits: 1 is DESC, 2 is NULLS FIRST
       AND (NOT newest_first OR has.options[cardinality(columns) + 1:] IN ('{1,3}', '{2,0}'))
       AND (NOT must_be_unique
            OR i.indisunique AND i.indimmediate AND i.indnkeyatts = cardinality(wanted.names)))
  FROM (SELECT columns || CASE WHEN newest_first THEN '{created_at,id}' ELSE '{}' END::text[] AS names) wanted
$$;

-- Whether the table has a row: only then does adding to it take time or need a value.
CREATE FUNCTION muster.data_has_rows(rel regclass) RETURNS bool
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    answer bool;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', rel) INTO answer;
    RETURN answer;
END
$$;

-- Warns of naive timestamps where the session's zone, which is the server's unless it was changed, is not
-- UTC in winter or in summer.
CREATE FUNCTION muster.data_warn_of_naive_timestamps(schema_name name) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    zone text := current_setting('TimeZone');
    naive text;
BEGIN
    IF timestamptz '2024-01-15 00:00+00' AT TIME ZONE zone = '2024-01-15'
       AND timestamptz '2024-07-15 00:00+00' AT TIME ZONE zone = '2024-07-15' THEN
        RETURN;
    END IF;
    SELECT string_agg(format('%I.%I', d.table_name, d.column_name), ', ' ORDER BY d.pos) INTO naive
      FROM muster.data_columns() d
      JOIN pg_namespace n ON n.nspname = schema_name
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = d.table_name
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = d.column_name
                         AND a.atttypid = 'timestamp'::regtype;
    IF naive IS NOT NULL THEN
        RAISE WARNING 'timestamps without time zone are taken as UTC, but TimeZone is "%"', zone
            USING DETAIL = format('Columns: %s.', naive),
                  HINT = 'Set TimeZone to UTC unless the applications write UTC themselves.';
    END IF;
END
$$;

-- The reasons why the relations of that name in the schema cannot be adopted: no rows when all is well.
CREATE FUNCTION muster.data_obstacles(schema_name name) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
WITH found AS (
    SELECT t.table_name, c.oid, c.relkind, c.relowner, c.relpersistence,
           -- what no column can be added to
           CASE WHEN c.relispartition THEN 'a partition' WHEN c.reloftype <> 0 THEN 'a typed table' END AS fixed,
           (SELECT array_agg(a.attname::text ORDER BY a.attname)
              FROM pg_index i
              JOIN pg_attribute a ON a.attrelid = i.indrelid
                                 AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
             WHERE i.indrelid = c.oid AND i.indisprimary) AS key
      FROM (SELECT DISTINCT d.table_name FROM muster.data_columns() d) t
      JOIN pg_namespace n ON n.nspname = schema_name
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.table_name
)
SELECT o FROM (
SELECT format('%I is not a table', f.table_name) FROM found f WHERE f.relkind NOT IN ('r', 'p')
UNION ALL
SELECT format('%I is a type, whose name no table can have', t.typname)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE n.nspname = schema_name AND t.typrelid = 0 AND t.typcategory <> 'A'
   AND t.typname IN (SELECT d.table_name FROM muster.data_columns() d)
UNION ALL
SELECT format('table %I is unlogged: a crash would empty it', f.table_name)
  FROM found f WHERE f.relpersistence = 'u' AND f.relkind IN ('r', 'p')
UNION ALL
SELECT format('tables inherit from table %I: its triggers would not see their changes', f.table_name)
  FROM found f WHERE f.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = f.oid)
UNION ALL
SELECT format('table %I belongs to role %I, of which %I is no member',
              f.table_name, pg_get_userbyid(f.relowner), current_user)
  FROM found f WHERE f.relkind IN ('r', 'p') AND NOT pg_has_role(f.relowner, 'USAGE')
UNION ALL
SELECT CASE WHEN f.key IS NULL THEN format('table %I has no primary key', f.table_name)
            ELSE format('the primary key of table %I is (%s) and does not contain %s', f.table_name,
                        array_to_string(f.key, ', '), array_to_string(k.wanted, ', ')) END
  FROM found f
 CROSS JOIN LATERAL (
    SELECT CASE f.table_name WHEN 'agent_tools' THEN '{}' ELSE '{id}' END::text[] AS wanted) k
 WHERE f.relkind IN ('r', 'p') AND (f.key IS NULL OR NOT f.key @> k.wanted)
UNION ALL
-- agents and tools are what new tables would refer to
SELECT format('table %I has no unique index on (id), which table %I would refer to', f.table_name, d.table_name)
  FROM found f
  JOIN muster.data_columns() d ON d.refers_to = f.table_name
 WHERE f.relkind IN ('r', 'p') AND f.key @> '{id}'
   AND NOT EXISTS (SELECT FROM found g WHERE g.table_name = d.table_name)
   AND NOT muster.data_index_exists(f.oid, '{id}', false, true)
UNION ALL
SELECT CASE
        WHEN a.attname IS NULL AND f.fixed IS NOT NULL THEN
            format('table %I has no column %I, and is %s, which none can be added to',
                   f.table_name, d.column_name, f.fixed)
        WHEN a.attname IS NULL THEN
            format('table %I has rows but no column %I, which has no default', f.table_name, d.column_name)
        WHEN a.attgenerated <> '' THEN
            format('column %I.%I is generated', f.table_name, d.column_name)
        ELSE format('column %I.%I has type %s instead of %s', f.table_name, d.column_name,
                    format_type(a.atttypid, a.atttypmod), d.type) END
  FROM found f
  JOIN muster.data_columns() d ON d.table_name = f.table_name
  LEFT JOIN pg_attribute a ON a.attrelid = f.oid AND a.attname = d.column_name AND NOT a.attisdropped
 WHERE f.relkind IN ('r', 'p')
   AND CASE WHEN a.attname IS NOT NULL THEN a.attgenerated <> '' OR NOT muster.data_type_fits(a.atttypid, d.type)
            WHEN f.fixed IS NOT NULL THEN true
            WHEN NOT d.not_null OR d.default_value IS NOT NULL THEN false
            -- who is no owner may not look
            WHEN NOT pg_has_role(f.relowner, 'USAGE') THEN false
            ELSE muster.data_has_rows(f.oid) END
) obstacles(o) ORDER BY o COLLATE "C"
$$;

CREATE FUNCTION muster.data_index_statement(
    relation text, columns text[], newest_first bool, is_unique bool, is_concurrent bool)
RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT format('CREATE %sINDEX %sON %s (%s)',
    CASE WHEN is_unique THEN 'UNIQUE ' ELSE '' END,
    CASE WHEN is_concurrent THEN 'CONCURRENTLY ' ELSE '' END,
    relation,
    array_to_string(columns || CASE WHEN newest_first
                    THEN '{created_at DESC NULLS LAST,id DESC}' ELSE '{}' END::text[], ', '))
$$;

-- The statements that make one table and its indexes where there is none of that name.
CREATE FUNCTION muster.data_create_statements(schema_name name, wanted_table text) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
WITH k AS (
    SELECT CASE wanted_table WHEN 'agent_tools' THEN '{agent_id,tool_id}' ELSE '{id}' END::text[] AS columns
)
SELECT format(E'CREATE TABLE %I.%I (\n    %s,\n    PRIMARY KEY (%s)\n)', schema_name, wanted_table,
    string_agg(concat_ws(' ', quote_ident(d.column_name), d.type,
        CASE WHEN d.not_null THEN 'NOT NULL' END,
        'DEFAULT ' || d.default_value,
        'CHECK (' || d.rule || ')',
        'REFERENCES ' || quote_ident(schema_name) || '.' || quote_ident(d.refers_to) || ' ON DELETE CASCADE'),
        E',\n    ' ORDER BY d.pos),
    (SELECT array_to_string(k.columns, ', ') FROM k))
  FROM muster.data_columns() d WHERE d.table_name = wanted_table
UNION ALL
SELECT muster.data_index_statement(format('%I.%I', schema_name, wanted_table), i.columns, i.newest_first,
                                   i.is_unique, false)
  FROM muster.data_indexes() i, k WHERE i.table_name = wanted_table AND i.columns <> k.columns
$$;

-- The statements that add to an existing table what it lacks. Indexes of a table with rows come with
-- "later": building them here would stop its writers, so they are the caller's to run. Partitioned tables
-- know no CONCURRENTLY: their leaves' indexes are built first, and the parent's then only attaches them.
CREATE FUNCTION muster.data_adopt_statements(
    schema_name name, existing_table text, OUT statement text, OUT later bool)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
WITH rel AS (
    SELECT c.oid, c.relkind, format('%I.%I', schema_name, existing_table) AS name,
           muster.data_has_rows(c.oid) AS has_rows
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = schema_name AND c.relname = existing_table
), missing_index AS (
    SELECT i.* FROM rel, muster.data_indexes() i
     WHERE i.table_name = existing_table
       -- a unique index of a partitioned table must contain the partition key, which is the owner's choice
       AND NOT (i.is_unique AND rel.relkind = 'p')
       AND NOT muster.data_index_exists(rel.oid, i.columns, i.newest_first, i.is_unique)
)
SELECT q.statement, q.later FROM (
    SELECT 1 AS step, d.pos, '' AS leaf, false AS later,
           concat_ws(' ', 'ALTER TABLE', rel.name, 'ADD COLUMN', quote_ident(d.column_name), d.type,
                     CASE WHEN d.not_null THEN 'NOT NULL' END, 'DEFAULT ' || d.default_value) AS statement
      FROM rel, muster.data_columns() d
     WHERE d.table_name = existing_table
       AND NOT EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = rel.oid AND a.attname = d.column_name AND NOT a.attisdropped)
    UNION ALL
    SELECT 2, d.pos, '', false,
           format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', rel.name, d.column_name,
                  CASE WHEN a.atttypid = 'timestamp'::regtype AND d.default_value = 'now()'
                       THEN 'timezone(''UTC'', now())' ELSE d.default_value END)
      FROM rel, muster.data_columns() d, pg_attribute a
     WHERE d.table_name = existing_table AND d.default_value IS NOT NULL
       AND a.attrelid = rel.oid AND a.attname = d.column_name AND NOT a.attisdropped
       AND NOT a.atthasdef AND a.attidentity = ''
    UNION ALL
    SELECT 3, i.pos, l.relid::text, true,
           muster.data_index_statement(l.relid::regclass::text, i.columns, i.newest_first, false, true)
      FROM rel, missing_index i, pg_partition_tree(rel.oid) l
     WHERE rel.has_rows AND rel.relkind = 'p' AND l.isleaf
    UNION ALL
    SELECT 4, i.pos, '', rel.has_rows,
           muster.data_index_statement(rel.name, i.columns, i.newest_first, i.is_unique,
                                       rel.has_rows AND rel.relkind = 'r')
      FROM rel, missing_index i
) q ORDER BY q.step, q.pos, q.leaf
$$;

-- The rights on the tables that Muster's roles lack. A table that does not exist yet lacks all of them.
CREATE FUNCTION muster.data_grant_statements(schema_name name) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', schema_name, r.rolname)
  FROM pg_roles r
 WHERE r.rolname IN ('muster_reader', 'muster_writer')
   AND NOT has_schema_privilege(r.oid, schema_name, 'USAGE')
UNION ALL
SELECT format('GRANT %s ON %I.%I TO %I', string_agg(w.privilege, ', ' ORDER BY w.pos),
              schema_name, w.table_name, r.rolname)
  FROM (SELECT min(d.pos) AS pos, d.table_name, p.privilege, p.role
          FROM muster.data_columns() d
         CROSS JOIN (VALUES ('SELECT', 'muster_reader'), ('SELECT', 'muster_writer'), ('INSERT', 'muster_writer'),
                            ('UPDATE', 'muster_writer'), ('DELETE', 'muster_writer')) p(privilege, role)
         -- events is append-only
         WHERE NOT (d.table_name = 'events' AND p.privilege IN ('UPDATE', 'DELETE'))
         GROUP BY d.table_name, p.privilege, p.role) w
  JOIN pg_roles r ON r.rolname = w.role
  LEFT JOIN pg_namespace n ON n.nspname = schema_name
  LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.table_name
 WHERE c.oid IS NULL OR NOT has_table_privilege(r.oid, c.oid, w.privilege)
 GROUP BY w.table_name, r.rolname
$$;

-- The statements that make Muster's own tables discard what replication brings, after a restore of data alone
-- with --disable-triggers, which leaves their triggers firing otherwise. Only their owner can run them.
CREATE FUNCTION muster.data_state_statements() RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT format('ALTER TABLE muster.%I ENABLE REPLICA TRIGGER %I', c.relname, t.tgname)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'muster'::regnamespace AND t.tgfoid = 'muster.discard_replicated'::regproc
   AND t.tgenabled <> 'R' AND pg_has_role(c.relowner, 'USAGE')
 ORDER BY c.relname
$$;

-- create_tables makes the six tables in the schema, or adopts the ones it has, and records the schema. A dry
-- run returns every statement; a real run executes them and returns only those left for the caller to run.
-- It works with the caller's rights. A lock that is not free soon is given up rather than queued for, since
-- every writer would queue behind it.
CREATE FUNCTION muster.create_tables(schema name DEFAULT 'public', dry_run bool DEFAULT false)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
#variable_conflict use_variable
DECLARE
    recorded name;
    obstacles text[];
    now_statements text[] := '{}';
    later_statements text[] := '{}';
    wanted text;
    line text;
BEGIN
    schema := coalesce(schema, 'public');
    dry_run := coalesce(dry_run, false);

    -- One call at a time, so that what is looked at here is what is changed below. Readers do not wait.
    IF NOT dry_run THEN
        LOCK TABLE muster.data_schema IN SHARE ROW EXCLUSIVE MODE;
    END IF;
    SELECT s.schema_name INTO recorded FROM muster.data_schema s;
    IF recorded <> schema AND EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = recorded) THEN
        RAISE EXCEPTION 'the tables are in schema "%" already', recorded
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'A database has one data schema.',
                  HINT = 'If the tables are gone, empty muster.data_schema first.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = schema) THEN
        RAISE EXCEPTION 'schema "%" does not exist', schema USING ERRCODE = 'invalid_schema_name',
            HINT = format('Run CREATE SCHEMA %I first.', schema);
    END IF;
    IF schema IN ('muster', 'information_schema') OR schema LIKE 'pg\_%' THEN
        RAISE EXCEPTION 'schema "%" cannot hold the tables', schema USING ERRCODE = 'reserved_name',
            HINT = 'Name a schema for users'' data, such as "public".';
    END IF;
    IF NOT (SELECT pg_has_role(n.nspowner, 'USAGE') FROM pg_namespace n WHERE n.nspname = schema) THEN
        RAISE EXCEPTION 'must be owner of schema "%"', schema USING ERRCODE = 'insufficient_privilege';
    END IF;

    obstacles := ARRAY(SELECT muster.data_obstacles(schema));
    IF obstacles <> '{}' THEN
        RAISE EXCEPTION 'the tables in schema "%" cannot be adopted', schema
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = array_to_string(obstacles, E'\n'),
                  HINT = 'Nothing was changed.';
    END IF;

    FOREACH wanted IN ARRAY ARRAY(
        SELECT d.table_name FROM muster.data_columns() d GROUP BY d.table_name ORDER BY min(d.pos))
    LOOP
        IF EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = schema AND c.relname = wanted) THEN
            now_statements := now_statements || ARRAY(
                SELECT a.statement FROM muster.data_adopt_statements(schema, wanted) a WHERE NOT a.later);
            later_statements := later_statements || ARRAY(
                SELECT a.statement FROM muster.data_adopt_statements(schema, wanted) a WHERE a.later);
        ELSE
            now_statements := now_statements || ARRAY(SELECT muster.data_create_statements(schema, wanted));
        END IF;
    END LOOP;
    now_statements := now_statements || ARRAY(SELECT muster.data_publish_statements(schema))
                                     || ARRAY(SELECT muster.data_count_statements(schema))
                                     || ARRAY(SELECT muster.data_grant_statements(schema))
                                     || ARRAY(SELECT muster.data_state_statements());

    PERFORM muster.data_warn_of_naive_timestamps(schema);
    IF dry_run THEN
        RETURN QUERY SELECT unnest(now_statements || later_statements);
        RETURN;
    END IF;

    INSERT INTO muster.data_schema AS s (schema_name) VALUES (schema)
        ON CONFLICT (only_row) DO UPDATE SET schema_name = excluded.schema_name
        WHERE s.schema_name <> excluded.schema_name;
    FOREACH line IN ARRAY now_statements LOOP
        EXECUTE line;
    END LOOP;
    RETURN QUERY SELECT unnest(later_statements);
END
$$;
