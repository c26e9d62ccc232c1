-- Where an answer comes from, for those who keep answers (the proxy's cache; extension/src/origin).

-- The caller's snapshot, the transaction's id or 0, "primary" or "standby", what tells this run of the server from all
-- others, and the database, with "|" between them. The same from the server's own functions takes ten times as long.
CREATE FUNCTION muster.origin() RETURNS text
LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'muster_origin';
COMMENT ON FUNCTION muster.origin() IS
    'the snapshot, transaction and run of the server that an answer comes from, as caches have to know them';
