-- Demo data: an agent platform's last six weeks. 1,000 agents of 16 kinds, their goals, 60 tools, links,
-- tool executions and events.
--
-- The same rows every time: every choice is a hash of what it is for and of the row's number, so that it
-- depends neither on a plan nor on a random generator's version. Only the calendar moves: times count back
-- from this day's midnight.
\set ON_ERROR_STOP on
BEGIN;
SET LOCAL TimeZone = 'UTC';
SET LOCAL client_min_messages = warning;
-- The rows were there before anyone listened: nobody waits for 90,000 announcements of them.
SET LOCAL muster.publish = off;

-- dice picks a number from 0 to sides - 1.
CREATE FUNCTION pg_temp.dice(what text, n bigint, sides int) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ((hashtextextended(what, n) & 9223372036854775807) % sides)::int;

-- demo_id makes a version 4 uuid.
CREATE FUNCTION pg_temp.demo_id(what text, n bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN overlay(overlay(md5(what || n) placing '4' from 13) placing '8' from 17)::uuid;

-- moment picks a time between `from_days` and `to_days` days before this midnight.
CREATE FUNCTION pg_temp.moment(what text, n bigint, from_days int, to_days int) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN date_trunc('day', now()) - make_interval(days => to_days)
    - make_interval(secs => pg_temp.dice(what, n, (from_days - to_days) * 86400))
    - make_interval(secs => pg_temp.dice(what || ' fraction', n, 1000) / 1000.0);

CREATE TEMP TABLE kind ON COMMIT DROP AS
SELECT row_number() OVER ()::int - 1 AS number, v.* FROM (VALUES
    ('planner', 'planner', 'Break each request into steps that one agent can finish, and say who takes which.',
        '{plan the migration of %s to the new cluster,split the quarterly review of %s into tasks,order the open work on %s by risk}'::text[]),
    ('retriever', 'retriever', 'Find the passages that answer the question and quote them with their source.',
        '{index the runbooks of %s,find every decision about %s of the last year,refresh the embeddings of %s}'),
    ('code-reviewer', 'reviewer', 'Review the change for mistakes that a test would not find. Be brief and name the line.',
        '{review the open pull requests of %s,check the error handling in %s,look for unbounded queries in %s}'),
    ('test-writer', 'coder', 'Write the smallest test that fails without the change and passes with it.',
        '{cover the retry path of %s,turn the bug reports of %s into tests,remove flaky tests from %s}'),
    ('bug-fixer', 'coder', 'Reproduce first, then change as little as possible, then prove it.',
        '{fix the memory growth in %s,find out why %s times out at midnight,repair the pagination of %s}'),
    ('summariser', 'writer', 'Summarise for a reader who has one minute. Figures stay exact.',
        '{summarise this week''s incidents of %s,write the release notes of %s,condense the meeting notes of %s}'),
    ('data-analyst', 'analyst', 'Answer with a query, its result and one sentence. Say what the data cannot tell.',
        '{explain the drop in orders seen by %s,compare the costs of %s by region,find outliers in the latencies of %s}'),
    ('sql-assistant', 'analyst', 'Write one statement that the planner can run by index. Never change data.',
        '{find the slow statements of %s,propose indexes for %s,check the row estimates of %s}'),
    ('incident-responder', 'operator', 'Restore service first, explain later. Keep a timeline.',
        '{follow the alerts of %s tonight,draft the post-mortem of %s,verify the failover of %s}'),
    ('support-triage', 'support', 'Sort by urgency, answer what is known, pass on the rest with all facts.',
        '{answer the open tickets about %s,find duplicates among reports on %s,write a reply about billing in %s}'),
    ('contract-reader', 'legal', 'List obligations, dates and amounts. Quote the clause.',
        '{list the renewal dates of %s,compare the liability clauses of %s,check the data processing terms of %s}'),
    ('translator', 'writer', 'Translate meaning, keep names, units and code as they are.',
        '{translate the onboarding guide of %s,check the terminology of %s,translate the status page of %s}'),
    ('release-manager', 'operator', 'No release without green tests, a changelog and a way back.',
        '{prepare the next release of %s,collect approvals for %s,roll %s out to one region}'),
    ('security-auditor', 'reviewer', 'Assume input is hostile. Report what can be exploited and how to close it.',
        '{scan the dependencies of %s,review the access rights of %s,test the token handling of %s}'),
    ('web-crawler', 'retriever', 'Fetch politely, keep what changed, drop the rest.',
        '{watch the vendor changelogs for %s,collect public prices for %s,archive the documentation of %s}'),
    ('evaluator', 'analyst', 'Grade answers against the rubric. Disagree in writing.',
        '{grade last night''s answers of %s,compare two prompts for %s,measure the refusal rate of %s}')
) v(role, agent_type, prompt, goals);

CREATE TEMP TABLE word ON COMMIT DROP AS
SELECT '{checkout,payments,search,catalogue,identity,billing,logistics,support,analytics,mobile,platform,ledger,
         pricing,notifications,onboarding,compliance}'::text[] AS teams,
       '{llama-3.1-70b,llama-3.1-8b,mistral-large-2,mixtral-8x22b,qwen2.5-coder-32b,gemma-2-27b}'::text[] AS models,
       '{active,active,active,idle,idle,busy,created,suspended,error,terminated}'::text[] AS agent_statuses,
       '{completed,completed,completed,completed,in_progress,in_progress,pending,pending,failed,cancelled}'::text[]
           AS goal_statuses;

INSERT INTO public.agents (id, did, name, agent_type, status, configuration, metadata, resource_limits,
                           created_at, updated_at)
SELECT pg_temp.demo_id('agent', n),
       format('did:agent:%s:%s', a.name, left(md5('did' || n), 8)),
       a.name, k.agent_type, w.agent_statuses[1 + pg_temp.dice('status', n, 10)],
       jsonb_build_object(
           'model', w.models[1 + pg_temp.dice('model', n, 6)],
           'temperature', (pg_temp.dice('temperature', n, 11) / 10.0)::numeric(2, 1),
           'max_tokens', 1024 << pg_temp.dice('max tokens', n, 4),
           'system_prompt', format('You are the %s of team %s. %s', replace(k.role, '-', ' '), a.team, k.prompt),
           'memory', jsonb_build_object('kind', (ARRAY['none', 'buffer', 'vector'])[1 + pg_temp.dice('memory', n, 3)],
                                        'top_k', 4 + pg_temp.dice('top k', n, 12)),
           'retry', jsonb_build_object('max_attempts', 1 + pg_temp.dice('attempts', n, 4), 'backoff_ms', 250)),
       jsonb_build_object(
           'team', a.team, 'owner', format('%s-oncall@example.com', a.team),
           'environment', (ARRAY['production', 'production', 'staging'])[1 + pg_temp.dice('environment', n, 3)],
           'version', format('%s.%s.%s', 1 + pg_temp.dice('major', n, 3), pg_temp.dice('minor', n, 12),
                             pg_temp.dice('patch', n, 20)),
           'labels', jsonb_build_array(k.agent_type, 'tier-' || 1 + pg_temp.dice('tier', n, 3))),
       jsonb_build_object(
           'max_tokens_per_day', 100000 * (1 + pg_temp.dice('daily', n, 20)),
           'max_parallel_tools', 1 + pg_temp.dice('parallel', n, 8),
           'cpu_millicores', 250 * (1 + pg_temp.dice('cpu', n, 8)),
           'memory_mb', 256 << pg_temp.dice('memory mb', n, 4)),
       a.created_at, a.created_at + (date_trunc('day', now()) - a.created_at) * (pg_temp.dice('updated', n, 1000) / 1000.0)
  FROM generate_series(1, 1000) n
  CROSS JOIN word w
  JOIN kind k ON k.number = n % 16
  CROSS JOIN LATERAL (SELECT w.teams[1 + n / 16 % 16] AS team) t
  CROSS JOIN LATERAL (SELECT t.team, format('%s-%s-%s', k.role, t.team, 1 + n / 256) AS name,
                             pg_temp.moment('agent created', n, 42, 1) AS created_at) a;

INSERT INTO public.tools (id, name, description, tool_type, schema_def, permissions, enabled, created_at, updated_at)
SELECT pg_temp.demo_id('tool', n), t.name, t.description, t.tool_type,
       jsonb_build_object('type', 'object', 'properties', p.properties, 'required', jsonb_build_array(p.first)),
       jsonb_build_object('network', t.tool_type <> 'function', 'write', t.writes,
                          'approval', CASE WHEN t.writes THEN 'required' ELSE 'none' END),
       n % 20 <> 0, c.created_at, c.created_at + interval '3 hours'
  FROM (SELECT row_number() OVER ()::int AS n, v.* FROM (VALUES
    ('web_search', 'Searches the public web and returns ranked results.', 'api', false, '{query,limit:integer}'::text[]),
    ('web_fetch', 'Fetches one page as text.', 'api', false, '{url,max_bytes:integer}'),
    ('sitemap_read', 'Lists the pages that a site announces.', 'api', false, '{url}'),
    ('news_search', 'Searches news of a period.', 'api', false, '{query,since,until}'),
    ('docs_search', 'Searches the company''s documentation.', 'function', false, '{query,space,limit:integer}'),
    ('vector_search', 'Finds the passages nearest in meaning.', 'function', false, '{query,collection,top_k:integer}'),
    ('vector_upsert', 'Stores passages with their embeddings.', 'function', true, '{collection,documents:array}'),
    ('embed_text', 'Turns text into a vector.', 'function', false, '{text,model}'),
    ('rerank', 'Orders passages by how well they answer.', 'function', false, '{query,passages:array}'),
    ('summarise_text', 'Shortens a text to a number of sentences.', 'function', false, '{text,sentences:integer}'),
    ('translate_text', 'Translates text between languages.', 'api', false, '{text,source,target}'),
    ('detect_language', 'Names the language of a text.', 'function', false, '{text}'),
    ('extract_entities', 'Finds people, places, amounts and dates.', 'function', false, '{text,kinds:array}'),
    ('classify_text', 'Chooses one of the given labels.', 'function', false, '{text,labels:array}'),
    ('sentiment', 'Rates how content the writer is.', 'function', false, '{text}'),
    ('ocr_image', 'Reads the text of an image.', 'api', false, '{image_url,language}'),
    ('transcribe_audio', 'Writes down what is said.', 'api', false, '{audio_url,language}'),
    ('parse_pdf', 'Reads the text and tables of a PDF.', 'function', false, '{url,pages:array}'),
    ('parse_csv', 'Reads rows of a CSV file.', 'function', false, '{url,delimiter,limit:integer}'),
    ('render_chart', 'Draws a chart of a table.', 'function', false, '{rows:array,kind}'),
    ('sql_query', 'Runs one reading statement.', 'function', false, '{statement,limit:integer}'),
    ('sql_explain', 'Shows the plan of a statement.', 'function', false, '{statement,analyze:boolean}'),
    ('schema_describe', 'Lists tables, columns and indexes.', 'function', false, '{schema}'),
    ('metrics_query', 'Reads a metric over a period.', 'api', false, '{expression,since,step}'),
    ('logs_search', 'Searches logs of a service.', 'api', false, '{service,query,since}'),
    ('traces_search', 'Finds slow or failed traces.', 'api', false, '{service,min_duration_ms:integer}'),
    ('alerts_list', 'Lists firing alerts.', 'api', false, '{team}'),
    ('alert_silence', 'Silences an alert for a while.', 'api', true, '{alert_id,minutes:integer}'),
    ('page_oncall', 'Wakes the person on call.', 'external', true, '{team,message}'),
    ('status_page_update', 'Writes to the public status page.', 'external', true, '{component,state,message}'),
    ('git_diff', 'Shows the change between two revisions.', 'function', false, '{repository,from,to}'),
    ('git_blame', 'Says who wrote a line and when.', 'function', false, '{repository,path,line:integer}'),
    ('code_search', 'Searches source code.', 'function', false, '{query,repository,limit:integer}'),
    ('read_file', 'Reads a file of a repository.', 'function', false, '{repository,path}'),
    ('write_file', 'Writes a file on a branch.', 'function', true, '{repository,branch,path,content}'),
    ('apply_patch', 'Applies a patch to a branch.', 'function', true, '{repository,branch,patch}'),
    ('run_tests', 'Runs a repository''s tests in a sandbox.', 'function', false, '{repository,revision,filter}'),
    ('run_linter', 'Runs the linters on a change.', 'function', false, '{repository,revision}'),
    ('build_image', 'Builds a container image.', 'function', true, '{repository,revision,tag}'),
    ('dependency_scan', 'Lists dependencies with known weaknesses.', 'api', false, '{repository,revision}'),
    ('secret_scan', 'Looks for secrets in a change.', 'function', false, '{repository,revision}'),
    ('pull_request_list', 'Lists open pull requests.', 'api', false, '{repository,state}'),
    ('pull_request_comment', 'Comments on a line of a pull request.', 'api', true, '{repository,number:integer,body}'),
    ('pull_request_merge', 'Merges an approved pull request.', 'api', true, '{repository,number:integer}'),
    ('issue_create', 'Opens an issue.', 'api', true, '{repository,title,body}'),
    ('issue_search', 'Searches issues.', 'api', false, '{query,state}'),
    ('deploy_service', 'Rolls a version out.', 'external', true, '{service,version,region}'),
    ('rollback_service', 'Returns to the version before.', 'external', true, '{service,region}'),
    ('feature_flag_set', 'Turns a flag on or off.', 'external', true, '{flag,enabled:boolean}'),
    ('shell_sandbox', 'Runs a command in an isolated machine.', 'function', true, '{command,timeout_seconds:integer}'),
    ('python_sandbox', 'Runs a program in an isolated interpreter.', 'function', true, '{program,timeout_seconds:integer}'),
    ('ticket_search', 'Searches support tickets.', 'api', false, '{query,state,limit:integer}'),
    ('ticket_reply', 'Answers a support ticket.', 'api', true, '{ticket_id,body}'),
    ('crm_lookup', 'Reads a customer''s record.', 'api', false, '{customer_id}'),
    ('invoice_lookup', 'Reads an invoice.', 'api', false, '{invoice_id}'),
    ('calendar_find_slot', 'Finds a time when all are free.', 'api', false, '{people:array,minutes:integer}'),
    ('calendar_book', 'Books a meeting.', 'api', true, '{people:array,start,minutes:integer}'),
    ('email_send', 'Sends an e-mail.', 'external', true, '{to,subject,body}'),
    ('chat_post', 'Posts into a channel.', 'external', true, '{channel,body}'),
    ('calculator', 'Evaluates an arithmetic expression.', 'function', false, '{expression}')
  ) v(name, description, tool_type, writes, parameters)) t
  CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(split_part(p, ':', 1),
               jsonb_build_object('type', coalesce(nullif(split_part(p, ':', 2), ''), 'string'))) AS properties,
           split_part(t.parameters[1], ':', 1) AS first
      FROM unnest(t.parameters) p) p
  CROSS JOIN LATERAL (SELECT pg_temp.moment('tool created', n, 60, 43) AS created_at) c;

-- Which agent may use which tool: six of sixty on average, and at least one.
INSERT INTO public.agent_tools (agent_id, tool_id, created_at)
SELECT pg_temp.demo_id('agent', a), pg_temp.demo_id('tool', t), ag.created_at + interval '1 minute'
  FROM generate_series(1, 1000) a
  JOIN public.agents ag ON ag.id = pg_temp.demo_id('agent', a)
  CROSS JOIN generate_series(1, 60) t
 WHERE pg_temp.dice('link', a * 60 + t, 60) < 5 OR t = 1 + a % 60;

-- Four to twelve goals an agent.
INSERT INTO public.goals (id, goal_id, agent_id, agent_did, goal_text, goal_type, status,
    constraints_max_token_budget, constraints_max_execution_time_sec, constraints_deadline_unix_ms,
    constraints_priority, constraints_require_approval, constraints_forbidden_tools, constraints_cost_limit_usd,
    success_criteria, metadata, parent_goal_id, decomposition_strategy, created_at, updated_at, completed_at)
SELECT pg_temp.demo_id('goal', g), format('goal-%s-%s', a, i), ag.id, ag.did,
       format(k.goals[1 + (i + a / 16) % 3], ag.metadata ->> 'team'),
       CASE WHEN i = 1 THEN 'compound' ELSE 'atomic' END, s.status,
       CASE WHEN i % 2 = 0 THEN 2000 * (1 + pg_temp.dice('budget', g, 50)) END,
       CASE WHEN i % 3 = 0 THEN 60 * (1 + pg_temp.dice('time', g, 30)) END,
       CASE WHEN i % 4 = 0 THEN extract(epoch FROM c.created_at + interval '7 days')::bigint * 1000 END,
       1 + pg_temp.dice('priority', g, 10), pg_temp.dice('approval', g, 5) = 0,
       CASE WHEN i % 5 = 0 THEN '{deploy_service,email_send}'::text[] END,
       CASE WHEN i % 2 = 1 THEN (1 + pg_temp.dice('cost', g, 5000) / 100.0)::numeric(10, 2) END,
       jsonb_build_array(jsonb_build_object('metric', (ARRAY['accuracy', 'coverage', 'latency_p95_ms'])[1 + i % 3],
                                            'target', (ARRAY[0.95, 0.8, 250])[1 + i % 3])),
       jsonb_build_object('requested_by', ag.metadata ->> 'owner', 'attempt', 1 + pg_temp.dice('attempt', g, 3)),
       CASE WHEN i > 1 AND i % 2 = 0 THEN format('goal-%s-1', a) END,
       CASE WHEN i = 1 THEN (ARRAY['sequential', 'parallel', 'map-reduce'])[1 + a % 3] END,
       c.created_at, c.ended_at, CASE WHEN s.status = 'completed' THEN c.ended_at END
  FROM generate_series(1, 1000) a
  CROSS JOIN word w
  JOIN kind k ON k.number = a % 16
  JOIN public.agents ag ON ag.id = pg_temp.demo_id('agent', a)
  CROSS JOIN LATERAL generate_series(1, 4 + pg_temp.dice('goals', a, 9)) i
  CROSS JOIN LATERAL (SELECT a * 100 + i AS g) g
  CROSS JOIN LATERAL (SELECT w.goal_statuses[1 + pg_temp.dice('goal status', g, 10)] AS status) s
  CROSS JOIN LATERAL (
    SELECT b.created_at,
           b.created_at + (date_trunc('day', now()) - b.created_at) * (pg_temp.dice('goal end', g, 1000) / 1000.0)
               AS ended_at
      FROM (SELECT ag.created_at + (date_trunc('day', now()) - ag.created_at)
                   * (pg_temp.dice('goal created', g, 1000) / 1000.0) AS created_at) b) c;

-- 20,000 calls, each by an agent that may use the tool.
CREATE TEMP TABLE link ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY l.agent_id, l.tool_id)::int - 1 AS n, l.agent_id, l.tool_id, a.did, a.created_at,
       a.metadata ->> 'team' AS team, t.name AS tool_name, t.schema_def -> 'required' ->> 0 AS parameter
  FROM public.agent_tools l JOIN public.agents a ON a.id = l.agent_id JOIN public.tools t ON t.id = l.tool_id;
ANALYZE link;

INSERT INTO public.tool_executions (id, invocation_id, tool_id, tool_name, tool_version, agent_id, agent_did,
    tenant_id, session_id, input_params, output_result, status, error_code, error_message, retryable, duration_ms,
    cpu_used_millicore_seconds, memory_peak_mb, network_bytes_sent, network_bytes_received, documents_accessed,
    async_mode, priority, timeout_seconds, created_at, started_at, completed_at)
SELECT pg_temp.demo_id('execution', e), pg_temp.demo_id('invocation', e), l.tool_id, l.tool_name, '1.' || e % 4,
       l.agent_id, l.did, 'tenant-' || l.team, format('session-%s-%s', l.n, e % 3),
       jsonb_build_object(l.parameter, format('%s of %s, run %s', l.parameter, l.team, e)),
       CASE WHEN s.status = 'success'
            THEN jsonb_build_object('items', pg_temp.dice('items', e, 40), 'truncated', e % 9 = 0) END,
       s.status,
       CASE s.status WHEN 'error' THEN 'E_UPSTREAM' WHEN 'failed' THEN 'E_ARGUMENT' WHEN 'timeout' THEN 'E_TIMEOUT'
                     WHEN 'permission_denied' THEN 'E_PERMISSION' END,
       CASE s.status WHEN 'error' THEN 'the service answered 503' WHEN 'failed' THEN 'the argument was not accepted'
                     WHEN 'timeout' THEN 'no answer within 30 s' WHEN 'permission_denied' THEN 'approval is required' END,
       s.status IN ('error', 'timeout'), d.ms, d.ms / 8, 32 + pg_temp.dice('peak', e, 400),
       200 + pg_temp.dice('sent', e, 4000), 500 + pg_temp.dice('received', e, 200000),
       CASE WHEN l.tool_name IN ('docs_search', 'vector_search', 'read_file')
            THEN jsonb_build_array(format('doc-%s', pg_temp.dice('document', e, 900))) ELSE '[]' END,
       e % 17 = 0, 1 + pg_temp.dice('call priority', e, 10), 30, c.created_at, c.started_at,
       c.started_at + make_interval(secs => d.ms / 1000.0)
  FROM generate_series(1, 20000) e
  JOIN link l ON l.n = pg_temp.dice('caller', e, (SELECT count(*)::int FROM link))
  CROSS JOIN LATERAL (
    SELECT CASE WHEN r < 880 THEN 'success' WHEN r < 920 THEN 'error' WHEN r < 950 THEN 'timeout'
                WHEN r < 970 THEN 'failed' WHEN r < 980 THEN 'permission_denied' WHEN r < 985 THEN 'cancelled'
                WHEN r < 992 THEN 'running' WHEN r < 997 THEN 'pending' ELSE 'pending_approval' END AS status
      FROM (SELECT pg_temp.dice('call status', e, 1000) AS r) r) s
  CROSS JOIN LATERAL (
    -- Most calls are short, some are long.
    SELECT CASE WHEN s.status = 'timeout' THEN 30000
                WHEN s.status NOT IN ('running', 'pending', 'pending_approval')
                THEN 5 + (pg_temp.dice('duration', e, 1000)::bigint ^ 3 / 50000)::int END AS ms) d
  CROSS JOIN LATERAL (
    SELECT b.created_at, CASE WHEN s.status NOT LIKE 'pending%' THEN b.created_at + interval '12 ms' END AS started_at
      FROM (SELECT l.created_at + (date_trunc('day', now()) - l.created_at)
                   * (pg_temp.dice('called', e, 100000) / 100000.0) AS created_at) b) c;

-- 60,000 events; a few agents are much busier than most.
INSERT INTO public.events (id, event_type, aggregate_type, aggregate_id, payload, metadata, created_at, version)
SELECT pg_temp.demo_id('event', e), k.event_type, 'agent', ag.id,
       CASE k.event_type
           WHEN 'agent.status_changed' THEN jsonb_build_object('from', 'idle', 'to', 'busy')
           WHEN 'llm.call_completed' THEN jsonb_build_object('model', ag.configuration -> 'model',
               'prompt_tokens', 200 + pg_temp.dice('prompt', e, 6000),
               'completion_tokens', 20 + pg_temp.dice('completion', e, 1500),
               'latency_ms', 150 + pg_temp.dice('latency', e, 4000))
           WHEN 'goal.progressed' THEN jsonb_build_object('goal_id', format('goal-%s-%s', a.n, 1 + e % 4),
               'percent', 5 * (1 + pg_temp.dice('percent', e, 19)))
           WHEN 'memory.stored' THEN jsonb_build_object('items', 1 + pg_temp.dice('memories', e, 20))
           WHEN 'tool.invoked' THEN jsonb_build_object('duration_ms', 5 + pg_temp.dice('invoked', e, 900))
           WHEN 'guardrail.triggered' THEN jsonb_build_object('rule', (ARRAY['pii', 'cost', 'loop'])[1 + e % 3])
           ELSE jsonb_build_object('uptime_sec', pg_temp.dice('uptime', e, 900000)) END,
       jsonb_build_object('source', 'agent-runtime', 'trace_id', md5('trace' || e / 5)),
       ag.created_at + (date_trunc('day', now()) - ag.created_at) * (pg_temp.dice('happened', e, 1000000) / 1000000.0),
       1
  FROM generate_series(1, 60000) e
  CROSS JOIN LATERAL (SELECT 1 + (1000 * (pg_temp.dice('actor', e, 10000) / 10000.0) ^ 2)::int % 1000 AS n) a
  JOIN public.agents ag ON ag.id = pg_temp.demo_id('agent', a.n)
  CROSS JOIN LATERAL (
    SELECT (ARRAY['llm.call_completed', 'llm.call_completed', 'tool.invoked', 'tool.invoked', 'goal.progressed',
                  'agent.heartbeat', 'agent.status_changed', 'memory.stored', 'guardrail.triggered'])
           [1 + pg_temp.dice('event kind', e, 9)] AS event_type) k;

COMMIT;
ANALYZE public.agents, public.goals, public.tools, public.agent_tools, public.tool_executions, public.events;
