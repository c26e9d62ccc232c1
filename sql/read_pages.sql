-- Reading pages: filters, limits, offsets and cursors of every list, and their errors.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
DROP TABLE IF EXISTS agents, goals, tools, agent_tools, tool_executions, events CASCADE;
CREATE EXTENSION muster;

-- Before there are tables.
SELECT * FROM muster.agents_json();
SELECT * FROM muster.agents();
SELECT muster.create_tables();
SELECT * FROM muster.agents_json();
SELECT * FROM muster.agents();
SELECT * FROM muster.goals_json();
SELECT * FROM muster.tools_json(include => 'agent_count');
SELECT * FROM muster.tool_executions_json();
SELECT * FROM muster.events_json();

-- Times that tie, and some that are null, as in tables that were there before.
ALTER TABLE agents ALTER created_at DROP NOT NULL;
ALTER TABLE tool_executions ALTER created_at DROP NOT NULL;
ALTER TABLE tools ALTER name DROP NOT NULL;
CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5(n::text)::uuid $$;
INSERT INTO agents (id, did, name, status, created_at)
SELECT pg_temp.id(n), 'did:' || n, 'agent ' || n, (ARRAY['active', 'idle', 'busy'])[1 + n % 3],
       CASE n % 10 WHEN 9 THEN NULL WHEN 8 THEN 'infinity' WHEN 7 THEN '-infinity'
       ELSE timestamptz '2024-01-01 00:00+00' + n / 20 * interval '1 microsecond' END
  FROM generate_series(1, 257) n;
INSERT INTO goals (id, goal_id, agent_id, agent_did, goal_text, status, created_at)
SELECT pg_temp.id(n), 'goal-' || n, pg_temp.id(1 + n % 50), 'did:' || 1 + n % 50, 'do ' || n,
       CASE n % 4 WHEN 0 THEN 'done' ELSE 'pending' END, timestamptz '2024-01-01 00:00+00' + n / 7 * interval '1 hour'
  FROM generate_series(1, 300) n;
INSERT INTO tools (id, name, schema_def, enabled)
SELECT pg_temp.id(n), CASE WHEN n % 30 <> 0 THEN E'tööl "' || n END, '{}', n % 2 = 0 FROM generate_series(1, 120) n;
INSERT INTO agent_tools (agent_id, tool_id)
SELECT pg_temp.id(n), pg_temp.id(1 + (n * k) % 120) FROM generate_series(1, 50) n, generate_series(1, 5) k
    ON CONFLICT DO NOTHING;
INSERT INTO tool_executions (id, invocation_id, tool_name, agent_id, session_id, tenant_id, status, created_at)
SELECT pg_temp.id(n), pg_temp.id(-n), 'tool ' || n % 3, pg_temp.id(n % 5), 's' || n % 2, 't' || n % 7,
       (ARRAY['pending', 'success', 'permission_denied'])[1 + n % 3], CASE WHEN n % 5 > 0 THEN timestamptz '2024-01-01' + n / 9 * interval '1 s' END
  FROM generate_series(1, 200) n;
INSERT INTO events (id, event_type, aggregate_type, aggregate_id, created_at)
SELECT pg_temp.id(n), 'type ' || n % 3, 'agent', pg_temp.id(n % 10), timestamptz '2024-01-01' + n / 9 * interval '1 s'
  FROM generate_series(1, 200) n;
ANALYZE;

-- The ids on a page, in order.
CREATE FUNCTION pg_temp.ids(body json) RETURNS uuid[] LANGUAGE sql AS
    $$ SELECT coalesce(array_agg((item ->> 'id')::uuid ORDER BY n), '{}') FROM json_array_elements(body) WITH ORDINALITY e(item, n) $$;
-- Walks a list by its cursors. call is the list's arguments, with the limit as $1 and the cursor as $2.
CREATE FUNCTION pg_temp.walk(call text, row_limit int, OUT pages int, OUT ids uuid[]) LANGUAGE plpgsql AS $$
DECLARE
    body json;
    next text;
BEGIN
    ids := '{}';
    pages := 0;
    LOOP
        EXECUTE format('SELECT body, next FROM muster.%s', call) INTO body, next USING row_limit, next;
        ids := ids || pg_temp.ids(body);
        pages := pages + 1;
        EXIT WHEN next IS NULL;
    END LOOP;
END $$;

SELECT w.pages, cardinality(w.ids), w.ids = (SELECT array_agg(id ORDER BY created_at DESC NULLS LAST, id DESC) FROM agents) AS right
  FROM unnest(ARRAY[1, 2, 7, 100, 256, 257, 258, 1000]) l, pg_temp.walk('agents_json(row_limit => $1, after => $2, include => '''')', l) w;
SELECT w.pages, cardinality(w.ids), w.ids = (SELECT array_agg(id ORDER BY created_at DESC NULLS LAST, id DESC) FROM agents WHERE status = 'idle') AS right
  FROM unnest(ARRAY[1, 13, 100]) l, pg_temp.walk('agents_json(''idle'', $1, after => $2)', l) w;
SELECT w.pages, cardinality(w.ids), w.ids = (SELECT array_agg(id ORDER BY created_at DESC NULLS LAST, id DESC) FROM goals) AS right
  FROM unnest(ARRAY[1, 13, 100]) l, pg_temp.walk('goals_json(row_limit => $1, after => $2, include => ''agent'')', l) w;
SELECT w.pages, cardinality(w.ids), w.ids = (SELECT array_agg(id ORDER BY name, id) FROM tools) AS right
  FROM unnest(ARRAY[1, 13, 100, 116, 117, 120]) l, pg_temp.walk('tools_json(row_limit => $1, after => $2)', l) w;
SELECT w.pages, cardinality(w.ids), w.ids = (SELECT array_agg(id ORDER BY name, id) FROM tools WHERE enabled) AS right
  FROM unnest(ARRAY[7, 100]) l, pg_temp.walk('tools_json(true, row_limit => $1, after => $2)', l) w;
SELECT w.pages, cardinality(w.ids), w.ids = (SELECT array_agg(id ORDER BY created_at DESC NULLS LAST, id DESC) FROM tool_executions) AS right
  FROM unnest(ARRAY[9, 100]) l, pg_temp.walk('tool_executions_json(row_limit => $1, after => $2)', l) w;
SELECT w.pages, cardinality(w.ids), w.ids = (SELECT array_agg(id ORDER BY created_at DESC NULLS LAST, id DESC) FROM events) AS right
  FROM unnest(ARRAY[9, 100]) l, pg_temp.walk('events_json(row_limit => $1, after => $2)', l) w;
-- Rows walk with the cursor of the documents.
SELECT count(*), count(*) FILTER (WHERE p.ids = (SELECT array_agg(a.id) FROM muster.agents(row_limit => 50, after => p.after, include => '') a))
  FROM (SELECT f.next AS after, pg_temp.ids(s.body) AS ids FROM muster.agents_json(row_limit => 50) f,
               muster.agents_json(row_limit => 50, after => f.next) s) p;

-- The same pages by offset, within a cursor's page too.
SELECT count(*), count(*) FILTER (WHERE pg_temp.ids(j.body) IS DISTINCT FROM
        coalesce((SELECT array_agg(id ORDER BY n) FROM (SELECT id, row_number() OVER (ORDER BY created_at DESC NULLS LAST, id DESC) n
                    FROM agents) o WHERE n > f AND n <= f::bigint + l), '{}')) AS different,
       count(*) FILTER (WHERE (j.next IS NOT NULL) <> (l > 0 AND f::bigint + l < 257)) AS wrong_next
  FROM unnest(ARRAY[0, 1, 99, 256, 257, 300, 2147483647]) f, unnest(ARRAY[0, 1, 16, 17, 100, 300, 2147483647]) l,
       muster.agents_json(row_limit => l, row_offset => f, include => '') j;
SELECT pg_temp.ids(b.body) = pg_temp.ids(c.body) FROM muster.agents_json(row_limit => 200) f, muster.agents_json(row_limit => 20, row_offset => 30, after => f.next) b,
       muster.agents_json(row_limit => 20, row_offset => 230) c;
-- Null is the default.
SELECT n.body::text = d.body::text AND n.next = d.next AS same, json_array_length(n.body)
  FROM muster.agents_json(NULL, NULL, NULL, NULL, NULL, NULL) n, muster.agents_json() d;
SELECT n.body::text = d.body::text AND n.next = d.next AS same, json_array_length(n.body)
  FROM muster.goals_json(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) n, muster.goals_json() d;
SELECT n.body::text = d.body::text AND n.next = d.next AS same, json_array_length(n.body)
  FROM muster.tools_json(NULL, NULL, NULL, NULL, NULL, NULL) n, muster.tools_json() d;
SELECT count(*), count(event_count), count(goals::text) FROM muster.agents(NULL, NULL, NULL, NULL, NULL);

-- Filters, alone and together.
SELECT pg_temp.ids(j.body) = (SELECT array_agg(id ORDER BY created_at DESC NULLS LAST, id DESC) FROM goals g WHERE g.agent_id = pg_temp.id(7)) AS by_agent
  FROM muster.goals_json(pg_temp.id(7)) j;
SELECT pg_temp.ids(j.body) = (SELECT array_agg(id ORDER BY created_at DESC NULLS LAST, id DESC) FROM goals g WHERE g.agent_did = 'did:7' AND status = 'done') AS by_did_and_status
  FROM muster.goals_json(agent_did => 'did:7', status => 'done') j;
SELECT body FROM muster.goals_json(status => 'any text will do');
SELECT a, t, s, n, st, pg_temp.ids(j.body) = coalesce((SELECT array_agg(id ORDER BY created_at DESC NULLS LAST, id DESC) FROM tool_executions e
        WHERE coalesce(e.agent_id = pg_temp.id(a), true) AND coalesce(e.tool_name = t, true) AND coalesce(e.session_id = s, true)
          AND coalesce(e.tenant_id = n, true) AND coalesce(e.status = st, true)), '{}') AS right
  FROM (VALUES (1, NULL, NULL, NULL, NULL), (NULL, 'tool 1', NULL, NULL, NULL), (NULL, NULL, 's1', NULL, NULL), (NULL, NULL, NULL, 't6', NULL),
               (NULL, NULL, NULL, NULL, 'success'), (2, 'tool 2', 's0', NULL, NULL), (2, 'tool 2', 's0', 't2', 'permission_denied'), (9, 'x', 'y', 'z', NULL)) v(a, t, s, n, st),
       muster.tool_executions_json(pg_temp.id(a), t, s, n, st) j;
SELECT pg_temp.ids(j.body) = (SELECT array_agg(id ORDER BY created_at DESC NULLS LAST, id DESC) FROM events e WHERE aggregate_id = pg_temp.id(3) AND event_type = 'type 1') AS right
  FROM muster.events_json(pg_temp.id(3), 'agent', 'type 1') j;

-- Items.
SELECT (a.body ->> 'name'), a.next, (g.body ->> 'goal_id'), (u.body ->> 'goal_id'), (t.body ->> 'enabled'), (x.body ->> 'tool_name'), (i.body ->> 'tool_name'), (e.body ->> 'event_type')
  FROM muster.agent_json(pg_temp.id(1)) a, muster.goal_json('goal-3') g, muster.goal_json(upper(pg_temp.id(4)::text)) u, muster.tool_json(pg_temp.id(2)) t,
       muster.tool_execution_json(pg_temp.id(5)) x, muster.tool_execution_by_invocation_json(pg_temp.id(-6)) i, muster.event_json(pg_temp.id(7)) e;
SELECT a.body IS NULL, g.body IS NULL, u.body IS NULL, t.body IS NULL, x.body IS NULL, i.body IS NULL, e.body IS NULL
  FROM muster.agent_json(pg_temp.id(0)) a, muster.goal_json('goal-0') g, muster.goal_json(pg_temp.id(0)::text) u, muster.tool_json(pg_temp.id(0)) t,
       muster.tool_execution_json(pg_temp.id(0)) x, muster.tool_execution_by_invocation_json(pg_temp.id(1)) i, muster.event_json(pg_temp.id(0)) e;
SELECT a.body IS NULL, g.body IS NULL, t.body IS NULL FROM muster.agent_json(NULL) a, muster.goal_json(NULL) g, muster.tool_json(NULL) t;
SELECT count(*) FROM muster.agent(pg_temp.id(1));
SELECT count(*) FROM muster.agent(pg_temp.id(0));
SELECT count(*) FROM muster.agent(NULL);
-- A goal_id comes before the uuid of another goal.
INSERT INTO goals (goal_id, agent_id, goal_text) VALUES (pg_temp.id(4)::text, pg_temp.id(1), 'named like another');
SELECT body ->> 'goal_text' FROM muster.goal_json(pg_temp.id(4)::text);

-- What is wrong is named, with what is allowed.
CREATE FUNCTION pg_temp.fails(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE 'SELECT * FROM muster.' || call;
    RETURN 'no error';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', sqlstate, sqlerrm, hint);
END $$;
SELECT pg_temp.fails(call) FROM unnest(ARRAY[
    $$agents_json('sleeping')$$, $$agents('')$$, $$tool_executions_json(status => 'done')$$,
    $$agents_json(row_limit => -1)$$, $$goals_json(row_offset => -5)$$, $$agents(row_limit => -2147483648)$$,
    $$agents_json(include => 'goals,friends')$$, $$agents_json(include => ',')$$, $$agents_json(include => 'Goals')$$,
    $$goals_json(include => 'goals')$$, $$agent(gen_random_uuid(), 'x')$$, $$tool_json(gen_random_uuid(), 'x')$$,
    $$agents_json(after => '')$$, $$agents_json(after => 'x')$$, $$agents_json(after => 'AAAA')$$, $$agents_json(after => 'not base64!')$$,
    $$agents_json(after => repeat('A', 34))$$, $$agents_json(after => repeat('A', 35))$$, $$agents_json(after => repeat('_', 34))$$,
    $$goals_json(after => (SELECT next FROM muster.agents_json(row_limit => 1)))$$,
    $$agents_json(after => (SELECT left(next, -1) FROM muster.agents_json(row_limit => 1)))$$,
    $$agents_json(after => (SELECT next || 'A' FROM muster.agents_json(row_limit => 1)))$$,
    $$tools_json(after => 'Ag' || repeat('A', 21) || 'AC_')$$, $$tools_json(after => 'Ag' || repeat('A', 21) || 'P8')$$]) call;
-- A cursor's row need not exist any more.
SELECT next FROM muster.agents_json(row_limit => 100) \gset
SELECT pg_temp.ids(body) AS before FROM muster.agents_json(after => :'next', row_limit => 10) \gset
DELETE FROM agents a USING muster.agents_json(row_limit => 100) j WHERE a.id = ANY (pg_temp.ids(j.body));
SELECT pg_temp.ids(body) = :'before'::uuid[] AS same FROM muster.agents_json(after => :'next', row_limit => 10);
-- A page after a cursor is sought in the index, however far it is.
CREATE FUNCTION pg_temp.fetched(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before bigint := (SELECT sum(idx_tup_fetch) + sum(seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname = 'events');
BEGIN
    EXECUTE query;
    RETURN (SELECT sum(idx_tup_fetch) + sum(seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname = 'events') - before;
END $$;
INSERT INTO events (event_type, aggregate_type, aggregate_id, created_at)
SELECT 'many', 'agent', pg_temp.id(n % 10), timestamptz '2023-01-01' + n * interval '1 s' FROM generate_series(1, 20000) n;
VACUUM ANALYZE events;
SELECT next FROM muster.events_json(row_limit => 15000) \gset
SELECT pg_temp.fetched('SELECT * FROM muster.events_json(row_limit => 10)') < 50 AS first_is_cheap,
       pg_temp.fetched(format('SELECT * FROM muster.events_json(row_limit => 10, after => %L)', :'next')) < 50 AS far_is_cheap,
       pg_temp.fetched(format('SELECT * FROM muster.events_json(pg_temp.id(3), row_limit => 10, after => %L)', :'next')) < 500 AS filtered_is_cheap;
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events CASCADE;
