-- One-pass aggregates against hand-written SQL, inside the server: nothing is sent, pg_column_size() stands
-- around both sides. Interleaved rounds, medians, equality of the documents checked before timing.
-- psql variable `rounds`: timed rounds of each contest.
\set ON_ERROR_STOP on
\pset footer off
SET search_path = public;
SET TimeZone = 'UTC';
SET jit = off;

CREATE TEMP TABLE contest (pos int PRIMARY KEY, name text, peer_name text, rounds int, muster text, peer text,
                            checked bool DEFAULT true, runs int DEFAULT 1);  -- of muster in a round

-- Each side has one column `body`; %s is where pg_column_size() goes around it.
-- The best SQL found: LATERAL subqueries with json_agg over indexed tables. (Set-based GROUP BY joins are
-- slower: they build and hash every child row before the page is known.)
INSERT INTO contest VALUES
(1, 'page of 100, everything', 'LATERAL + json_agg', :rounds,
 $$SELECT %s(body) FROM muster.agents_json(row_limit => 100)$$,
 $$SELECT %s(json_agg(row_to_json(p))) FROM (
     SELECT a.*, g.goals, t.tools, e.event_count
       FROM (SELECT * FROM agents ORDER BY created_at DESC NULLS LAST, id DESC LIMIT 100) a,
            LATERAL (SELECT coalesce(json_agg(g ORDER BY g.created_at DESC NULLS LAST, g.id DESC), '[]') AS goals
                       FROM goals g WHERE g.agent_id = a.id) g,
            LATERAL (SELECT coalesce(json_agg(t ORDER BY t.name, t.id), '[]') AS tools
                       FROM agent_tools l JOIN tools t ON t.id = l.tool_id WHERE l.agent_id = a.id) t,
            LATERAL (SELECT count(*) AS event_count FROM events e WHERE e.aggregate_id = a.id) e
      ORDER BY a.created_at DESC NULLS LAST, a.id DESC) p$$),
(2, 'page of 100, agents only', 'json_agg', :rounds,
 $$SELECT %s(body) FROM muster.agents_json(row_limit => 100, include => '')$$,
 $$SELECT %s(json_agg(row_to_json(a))) FROM (SELECT * FROM agents ORDER BY created_at DESC NULLS LAST, id DESC LIMIT 100) a$$),
(3, 'single agent, everything', 'LATERAL + json_agg', 10 * :rounds,
 $$SELECT %s(body) FROM muster.agent_json('00000000-0000-0000-0000-000000000001')$$,
 $$SELECT %s(row_to_json(p)) FROM (
     SELECT a.*, g.goals, t.tools, e.event_count
       FROM agents a,
            LATERAL (SELECT coalesce(json_agg(g ORDER BY g.created_at DESC NULLS LAST, g.id DESC), '[]') AS goals
                       FROM goals g WHERE g.agent_id = a.id) g,
            LATERAL (SELECT coalesce(json_agg(t ORDER BY t.name, t.id), '[]') AS tools
                       FROM agent_tools l JOIN tools t ON t.id = l.tool_id WHERE l.agent_id = a.id) t,
            LATERAL (SELECT count(*) AS event_count FROM events e WHERE e.aggregate_id = a.id) e
      WHERE a.id = '00000000-0000-0000-0000-000000000001') p$$);

-- The assessment's Option A, a JOIN of everything, kept to the same page: over all agents, as it stands
-- there, it makes 50 million rows. What it says of an agent is the same, but children come in no order. It runs
-- for seconds, so that there are few rounds: with one run each, Muster's would be a median of three.
INSERT INTO contest
SELECT 4, name, 'JOIN (Option A)', 3, muster,
       $$SELECT %s(json_agg(row_to_json(p))) FROM (
     SELECT a.id, a.created_at, json_agg(DISTINCT g.*) AS goals, json_agg(DISTINCT t.*) AS tools,
            count(DISTINCT e.id) AS event_count
       FROM (SELECT * FROM agents ORDER BY created_at DESC NULLS LAST, id DESC LIMIT 100) a
       LEFT JOIN goals g ON g.agent_id = a.id
       LEFT JOIN agent_tools l ON l.agent_id = a.id
       LEFT JOIN tools t ON t.id = l.tool_id
       LEFT JOIN events e ON e.aggregate_id = a.id
      GROUP BY a.id, a.created_at) p$$, false, 20
  FROM contest WHERE pos = 1;
-- A page costs the same wherever it is: the last of 1,000 pages by the cursor of the one before it, and the
-- first.
INSERT INTO contest
SELECT 5, 'page 1,000 of 10, by cursor', 'page 1', 4 * :rounds,
       format($$SELECT %%s(body) FROM muster.agents_json(row_limit => 10, after => %L)$$, next),
       $$SELECT %s(body) FROM muster.agents_json(row_limit => 10)$$, false
  FROM muster.agents_json(row_offset => 9980, row_limit => 10);
-- The single agent is an ordinary one of the middle.
UPDATE contest SET muster = replace(muster, '00000000-0000-0000-0000-000000000001', a.id::text),
                   peer = replace(peer, '00000000-0000-0000-0000-000000000001', a.id::text)
  FROM (SELECT id FROM agents ORDER BY created_at OFFSET 5000 LIMIT 1) a;

DO $$
DECLARE
    c contest;
    same bool;
BEGIN
    FOR c IN SELECT * FROM contest WHERE checked ORDER BY pos LOOP
        EXECUTE format('SELECT (%s)::jsonb = (%s)::jsonb', format(c.muster, ''), format(c.peer, '')) INTO same;
        IF same IS NOT TRUE THEN
            RAISE EXCEPTION 'the two sides of "%" give different documents', c.name;
        END IF;
    END LOOP;
END
$$;

-- The cost of event_count does not depend on the number of events.
INSERT INTO contest
SELECT 6, 'event_count of 1,000,000', 'of 10', 10 * :rounds,
       $$SELECT %s(body) FROM muster.agent_json('00000000-0000-0000-0000-00000000aaaa', 'event_count', 'event_count')$$,
       $$SELECT %s(body) FROM muster.agent_json('00000000-0000-0000-0000-00000000bbbb', 'event_count', 'event_count')$$, false;

CREATE TEMP TABLE sample (pos int, muster float8, peer float8);

-- time_of plans and runs the query once, as an unprepared statement would, and returns milliseconds.
CREATE FUNCTION pg_temp.time_of(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    begun timestamptz := clock_timestamp();
    size int;
BEGIN
    EXECUTE format(query, 'pg_column_size') INTO size;
    RETURN extract(epoch FROM clock_timestamp() - begun) * 1000;
END
$$;

DO $$
DECLARE
    c contest;
BEGIN
    FOR c IN SELECT * FROM contest ORDER BY pos LOOP
        FOR i IN 1 .. least(c.rounds, 5) LOOP  -- warm both sides up
            PERFORM pg_temp.time_of(c.muster), pg_temp.time_of(c.peer);
        END LOOP;
        FOR i IN 1 .. c.rounds LOOP
            INSERT INTO sample VALUES (c.pos, NULL, pg_temp.time_of(c.peer));
            FOR k IN 1 .. c.runs LOOP
                INSERT INTO sample VALUES (c.pos, pg_temp.time_of(c.muster), NULL);
            END LOOP;
        END LOOP;
    END LOOP;
END
$$;

SELECT c.name, round(m.muster::numeric, 3) AS "muster ms", c.peer_name AS peer, round(m.peer::numeric, 3) AS "peer ms",
       round((m.peer / m.muster)::numeric, 2) AS ratio
  FROM contest c,
       LATERAL (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY s.muster) AS muster,
                       percentile_cont(0.5) WITHIN GROUP (ORDER BY s.peer) AS peer FROM sample s WHERE s.pos = c.pos) m
 ORDER BY c.pos;

-- The floor of a page: what the server takes to run its row sets, without making anything of the rows.
CREATE FUNCTION pg_temp.execution_time(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT json) ' || query INTO plan;
    RETURN (plan -> 0 ->> 'Execution Time')::float8;
END
$$;
CREATE TEMP TABLE page AS SELECT id FROM agents ORDER BY created_at DESC NULLS LAST, id DESC LIMIT 100;
SELECT 'floor: its row sets, run and dropped' AS "page of 100",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY f.agents + f.goals + f.links + f.tools)::numeric, 3) AS ms
  FROM (SELECT format('= ANY (%L::uuid[])', array_agg(id)) AS agents,
               format('= ANY (%L::uuid[])', (SELECT array_agg(DISTINCT l.tool_id) FROM agent_tools l
                                              WHERE l.agent_id IN (SELECT id FROM page))) AS tools FROM page) k,
       generate_series(1, :rounds) round,
       LATERAL (SELECT pg_temp.execution_time('SELECT * FROM agents ORDER BY created_at DESC NULLS LAST, id DESC LIMIT 100') AS agents,
                       pg_temp.execution_time('SELECT * FROM goals WHERE agent_id ' || k.agents) AS goals,
                       pg_temp.execution_time('SELECT agent_id, tool_id FROM agent_tools WHERE agent_id ' || k.agents) AS links,
                       pg_temp.execution_time('SELECT * FROM tools WHERE id ' || k.tools) AS tools
                 WHERE round > 0) f;
