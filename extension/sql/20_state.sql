-- Muster's own state. Only what a dump must carry is registered for pg_dump: the outbox and the ticks
-- hold transaction ids, which mean nothing in another cluster.

-- Where create_tables() put the users' tables: one row at most.
CREATE TABLE muster.data_schema (
    only_row    bool PRIMARY KEY DEFAULT true CHECK (only_row),
    schema_name name NOT NULL
);
SELECT pg_catalog.pg_extension_config_dump('muster.data_schema', '');

-- One row per published change, written by the triggers in the writer's own transaction. Of the three tables
-- one is written to at a time, so that what was published leaves as a whole table and not row by row:
-- muster.rotate().
CREATE SEQUENCE muster.outbox_seq;
CREATE TABLE muster.outbox_0 (
    seq            bigint NOT NULL DEFAULT pg_catalog.nextval('muster.outbox_seq'),
    xid            xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    event_type     text NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_id   text NOT NULL,
    tags           text[] NOT NULL,
    payload        json NOT NULL,
    metadata       json NOT NULL,
    ts             timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX ON muster.outbox_0 USING btree (xid);
CREATE TABLE muster.outbox_1 (LIKE muster.outbox_0 INCLUDING ALL);
CREATE TABLE muster.outbox_2 (LIKE muster.outbox_0 INCLUDING ALL);
CREATE VIEW muster.outbox AS
SELECT * FROM muster.outbox_0 UNION ALL SELECT * FROM muster.outbox_1 UNION ALL SELECT * FROM muster.outbox_2;

-- Snapshots the relay has published up to: what became visible between two ticks is one batch. They rotate
-- with the outbox.
CREATE SEQUENCE muster.tick_seq;
CREATE TABLE muster.tick_0 (
    tick_id bigint PRIMARY KEY DEFAULT pg_catalog.nextval('muster.tick_seq'),
    snap    pg_snapshot NOT NULL,
    ts      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE TABLE muster.tick_1 (LIKE muster.tick_0 INCLUDING ALL);
CREATE TABLE muster.tick_2 (LIKE muster.tick_0 INCLUDING ALL);
-- The first tick lies before every outbox row, so that nothing published before a relay ever ran is lost.
-- Not the current snapshot: in that, changes made later in this very transaction may count as visible.
INSERT INTO muster.tick_0 (snap) VALUES ('3:3:');

-- How the tables rotate: one row, changed by muster.rotate() only.
CREATE TABLE muster.rotation (
    only_row     bool PRIMARY KEY DEFAULT true CHECK (only_row),
    current      int NOT NULL CHECK (current BETWEEN 0 AND 2),  -- outbox_<current> and tick_<current> are written to
    begun_at     timestamptz[] NOT NULL,  -- of each table: when it was last begun to be written to,
    first_seq    bigint[] NOT NULL,       -- and the first seq that it may hold since
    oldest_tick  bigint NOT NULL,         -- the first tick that saw all that has been taken away; those before are void
    published    bigint NOT NULL,         -- all up to this tick was published when this row was written
    dropped      bigint NOT NULL DEFAULT 0,  -- changes taken away unpublished, ever,
    dropped_tick bigint NOT NULL DEFAULT 0,  -- the first tick that saw all of those,
    dropped_at   timestamptz                 -- and when the last of them were
);
INSERT INTO muster.rotation (current, begun_at, first_seq, oldest_tick, published)
SELECT 0, pg_catalog.array_fill(pg_catalog.now(), '{3}'), '{1,1,1}', t.tick_id, 0 FROM muster.tick_0 t;

CREATE VIEW muster.tick AS
SELECT t.tick_id, t.snap, t.ts
  FROM (SELECT * FROM muster.tick_0 UNION ALL SELECT * FROM muster.tick_1 UNION ALL SELECT * FROM muster.tick_2) t
 WHERE t.tick_id >= (SELECT r.oldest_tick FROM muster.rotation r);

-- A generation is one history of ticks: another cluster, timeline or database starts a new one. Its
-- first entry says `reset` and stands at first_tick; the ticks after that one belong to it.
CREATE TABLE muster.generation (
    number            bigint PRIMARY KEY CHECK (number > 0),
    system_identifier bigint NOT NULL,
    timeline          text NOT NULL,
    database          oid NOT NULL,
    first_tick        bigint NOT NULL,
    reason            text NOT NULL,
    started_at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    announced_at      timestamptz  -- its first entry has been in Redis since
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

-- The triggers fire for rows that replication brings, and for no others.
DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY '{data_schema,outbox_0,outbox_1,outbox_2,tick_0,tick_1,tick_2,rotation,generation}'::text[] LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER muster_discard_replicated BEFORE INSERT OR UPDATE OR DELETE ON muster.%I'
                                  ' FOR EACH ROW EXECUTE FUNCTION muster.discard_replicated()', target);
        EXECUTE pg_catalog.format('ALTER TABLE muster.%I ENABLE REPLICA TRIGGER muster_discard_replicated', target);
    END LOOP;
END
$$;
