-- Muster's own state. Only what a dump must carry is registered for pg_dump: the outbox and the ticks
-- hold transaction ids, which mean nothing in another cluster.

-- Where create_tables() put the users' tables: one row at most.
CREATE TABLE muster.data_schema (
    only_row    bool PRIMARY KEY DEFAULT true CHECK (only_row),
    schema_name name NOT NULL
);
SELECT pg_catalog.pg_extension_config_dump('muster.data_schema', '');

-- One row per published change, written by the triggers in the writer's own transaction.
CREATE TABLE muster.outbox (
    seq            bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
    xid            xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    event_type     text NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_id   text NOT NULL,
    tags           text[] NOT NULL,
    payload        json NOT NULL,
    metadata       json NOT NULL,
    ts             timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX outbox_xid ON muster.outbox USING btree (xid);

-- Snapshots the relay has published up to: what became visible between two ticks is one batch.
CREATE TABLE muster.tick (
    tick_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    snap    pg_snapshot NOT NULL,
    ts      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
-- The first tick lies before every outbox row, so that nothing published before a relay ever ran is lost.
-- Not the current snapshot: in that, changes made later in this very transaction may count as visible.
INSERT INTO muster.tick (snap) VALUES ('3:3:');

-- A generation is one history of ticks: another cluster, timeline or database starts a new one. Its
-- first entry says `reset` and stands at first_tick; the ticks after that one belong to it.
CREATE TABLE muster.generation (
    number            bigint PRIMARY KEY CHECK (number > 0),
    system_identifier bigint NOT NULL,
    timeline          text NOT NULL,
    database          oid NOT NULL,
    first_tick        bigint NOT NULL,
    reason            text NOT NULL,
    started_at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

-- API keys of the HTTP door. The key itself is shown once, by create_api_key(), and stored nowhere.
CREATE TABLE muster.api_keys (
    id         uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    name       text NOT NULL CHECK (name <> ''),
    sha256     bytea NOT NULL UNIQUE CHECK (pg_catalog.octet_length(sha256) = 32),
    tier       text NOT NULL DEFAULT 'standard' CHECK (tier IN ('standard', 'premium')),
    scopes     text[] NOT NULL DEFAULT '{read,write}' CHECK (scopes <@ '{read,write}'::text[]),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    revoked_at timestamptz
);
SELECT pg_catalog.pg_extension_config_dump('muster.api_keys', '');

-- A publication FOR ALL TABLES takes Muster's tables along, and what they say is true of one database only:
-- foreign ticks would stop a subscriber's fence, and the one row of data_schema would be there twice, which
-- ends its initial copy with an error, over and over. So a subscriber lets such rows go by. API keys do
-- replicate, like users' tables.
CREATE FUNCTION muster.discard_replicated() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Asked although the triggers below do not fire otherwise: a restore with --disable-triggers ends with
    -- ENABLE TRIGGER ALL, which makes them fire for every row.
    IF current_setting('session_replication_role') = 'replica' THEN
        RETURN NULL;
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;

CREATE TRIGGER muster_discard_replicated BEFORE INSERT OR UPDATE OR DELETE ON muster.data_schema
    FOR EACH ROW EXECUTE FUNCTION muster.discard_replicated();
CREATE TRIGGER muster_discard_replicated BEFORE INSERT OR UPDATE OR DELETE ON muster.outbox
    FOR EACH ROW EXECUTE FUNCTION muster.discard_replicated();
CREATE TRIGGER muster_discard_replicated BEFORE INSERT OR UPDATE OR DELETE ON muster.tick
    FOR EACH ROW EXECUTE FUNCTION muster.discard_replicated();
CREATE TRIGGER muster_discard_replicated BEFORE INSERT OR UPDATE OR DELETE ON muster.generation
    FOR EACH ROW EXECUTE FUNCTION muster.discard_replicated();
-- They fire for rows that replication brings, and for no others.
ALTER TABLE muster.data_schema ENABLE REPLICA TRIGGER muster_discard_replicated;
ALTER TABLE muster.outbox ENABLE REPLICA TRIGGER muster_discard_replicated;
ALTER TABLE muster.tick ENABLE REPLICA TRIGGER muster_discard_replicated;
ALTER TABLE muster.generation ENABLE REPLICA TRIGGER muster_discard_replicated;
