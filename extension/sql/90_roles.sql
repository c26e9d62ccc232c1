-- Who may do what. Functions are open to nobody but those named here.

-- Roles belong to the cluster, not to this database: another database's Muster may have made them.
DO $$
DECLARE
    wanted name;
BEGIN
    FOREACH wanted IN ARRAY '{muster_reader,muster_writer,muster_relay}'::name[] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = wanted) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
END
$$;
GRANT muster_reader TO muster_writer;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA muster FROM PUBLIC;
GRANT USAGE ON SCHEMA muster TO muster_reader, muster_writer, muster_relay;

-- Reading and writing: each function that is there by the kind of its volatility and name, so that a new
-- one is granted with the file that makes it.
DO $$
DECLARE
    target record;
BEGIN
    FOR target IN
        SELECT p.oid::pg_catalog.regprocedure AS signature,
               CASE WHEN p.proname ~ '^(create|update|delete)_(agent|goal|tool|tool_execution|event)$'
                      OR p.proname IN ('add_agent_tool', 'remove_agent_tool') THEN 'muster_writer'
                    ELSE 'muster_reader' END AS role
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace = 'muster'::pg_catalog.regnamespace
           AND (p.proname ~ '^(create|update|delete)_(agent|goal|tool|tool_execution|event)$'
                OR p.proname IN ('add_agent_tool', 'remove_agent_tool', 'agents', 'agent', 'project', 'origin', 'api_key')
                OR p.proname ~ '_json$')
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %I', target.signature, target.role);
    END LOOP;
END
$$;

GRANT SELECT ON muster.data_schema TO muster_reader;
GRANT SELECT ON muster.outbox, muster.tick, muster.rotation TO muster_relay;
GRANT SELECT, INSERT ON muster.tick_0, muster.tick_1, muster.tick_2, muster.generation TO muster_relay;
GRANT UPDATE (announced_at) ON muster.generation TO muster_relay;
GRANT USAGE ON SEQUENCE muster.tick_seq TO muster_relay;
GRANT EXECUTE ON FUNCTION muster.fence(pg_snapshot, pg_snapshot), muster.wake_arm(), muster.wake_wait(int), muster.wake_owner(), muster.relay_leader(),
    muster.relay_status(),
    muster.rotate(bigint, bigint, interval) TO muster_relay;
-- Who writes may have it remembered, and reads what was remembered with the key and the request alone.
GRANT EXECUTE ON FUNCTION muster.idempotency_claim, muster.idempotency_store TO muster_writer;
