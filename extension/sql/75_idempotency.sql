-- Idempotency keys: a write that is sent again, because its answer was lost, is not done again. The answer is stored
-- in the transaction of the write, so that there are both or neither, whoever dies in between.
--
-- Three steps of one statement: idempotency_claim() says whether to run; the write runs if it said so; and
-- idempotency_store() keeps what it answered. What failed leaves nothing behind, and is run again.

-- The scope is a digest of what makes two requests the same: paths are longer than an index takes.
CREATE TABLE muster.idempotency_records (
    scope       bytea PRIMARY KEY CHECK (pg_catalog.octet_length(scope) = 32),
    api_key     uuid NOT NULL,   -- whose request it was: another's never sees the answer
    key         text NOT NULL,
    method      text NOT NULL,
    path        text NOT NULL,
    fingerprint bytea NOT NULL,  -- of what else was sent
    status      int NOT NULL,
    body        text NOT NULL,
    next        text,
    location    text,
    xid         xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    expires_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp() + '24 hours'::interval
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
CREATE INDEX ON muster.idempotency_records USING btree (expires_at);
-- A retry may come after a restore, too. On a subscriber records are what they are here, like API keys.
SELECT pg_catalog.pg_extension_config_dump('muster.idempotency_records', '');

-- An array of JSON is the same text for the same four values only.
CREATE FUNCTION muster.idempotency_scope(api_key uuid, key text, method text, path text) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT sha256(convert_to(json_build_array(api_key, key, method, path)::text, 'UTF8')) $$;

-- idempotency_claim says what is to be done about a request:
--   run       nothing is known of it: run it. Until this transaction ends, it is the only one that is told so
--   busy      another transaction is at it
--   mismatch  the key was used for another request, with another fingerprint
--   replay    it was done; this was the answer, and the transaction that did it
-- The lock is tried and never waited for. Each statement in here has a snapshot of its own, in READ COMMITTED, and
-- a transaction's changes are visible before its locks are free: so who gets the lock sees what its last holder
-- stored. Under a snapshot that is older than the lock, storing fails with 23505 and takes the write with it.
CREATE FUNCTION muster.idempotency_claim(
    api_key uuid, key text, method text, path text, fingerprint bytea,
    OUT outcome text, OUT status int, OUT body text, OUT next text, OUT location text, OUT xid xid8)
RETURNS record
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    scope bytea := muster.idempotency_scope(api_key, key, method, path);
    record muster.idempotency_records;
BEGIN
    IF api_key IS NULL OR method IS NULL OR path IS NULL OR fingerprint IS NULL THEN
        RAISE EXCEPTION 'an idempotent request must have an API key, a method, a path and a fingerprint'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF coalesce(length(key), 0) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'an idempotency key must have from 1 to 255 characters, not %', coalesce(length(key), 0)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT pg_try_advisory_xact_lock(('x' || encode(substr(scope, 1, 8), 'hex'))::bit(64)::bigint) THEN
        outcome := 'busy';
        RETURN;
    END IF;
    SELECT r.* INTO record FROM muster.idempotency_records r WHERE r.scope = scope;
    IF NOT FOUND THEN
        outcome := 'run';
    ELSIF record.expires_at <= clock_timestamp() THEN
        DELETE FROM muster.idempotency_records r WHERE r.scope = scope;
        outcome := 'run';
    ELSIF record.fingerprint <> fingerprint THEN
        outcome := 'mismatch';
    ELSE
        outcome := 'replay';
        status := record.status;
        body := record.body;
        next := record.next;
        location := record.location;
        -- Restored into another cluster it may be an id that is still to come.
        xid := CASE WHEN record.xid < pg_snapshot_xmax(pg_current_snapshot()) THEN record.xid END;
    END IF;
END
$$;

-- expire_idempotency_records deletes records past their 24 hours, at most row_limit of them and none that another
-- transaction is at; returns how many. idempotency_store() calls it now and then.
CREATE FUNCTION muster.expire_idempotency_records(row_limit int DEFAULT 1000) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    expired bigint;
BEGIN
    DELETE FROM muster.idempotency_records r
     WHERE r.scope = ANY (ARRAY(
        SELECT e.scope FROM muster.idempotency_records e WHERE e.expires_at <= clock_timestamp()
         ORDER BY e.expires_at LIMIT coalesce(row_limit, 1000) FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS expired = ROW_COUNT;
    RETURN expired;
END
$$;

-- idempotency_store keeps the answer of a request that was told to run. One call in 32 takes up to 128 expired
-- records away, four for each that is added: rarely, since as long as some old snapshot keeps vacuum from cleaning,
-- those that are gone are still in the index and are passed over by each look for more.
CREATE FUNCTION muster.idempotency_store(
    api_key uuid, key text, method text, path text, fingerprint bytea,
    status int, body text, next text DEFAULT NULL, location text DEFAULT NULL)
RETURNS bool
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO muster.idempotency_records (scope, api_key, key, method, path, fingerprint, status, body, next, location)
    VALUES (muster.idempotency_scope(api_key, key, method, path), api_key, key, method, path, fingerprint,
            status, body, next, location);
    IF random() < 1.0 / 32 THEN
        PERFORM muster.expire_idempotency_records(128);
    END IF;
    RETURN true;
END
$$;
