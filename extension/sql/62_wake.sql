-- Waking the relay (extension/src/wake): it arms, looks once more for changes, and only then waits. The wait ends
-- armed, so that from then on it looks and waits in turn.

-- Marks this session as the one that commits of this database's published changes wake. False where there is no
-- waking: the library is not preloaded, muster.wake is off, or too many databases have relays that sleep.
CREATE FUNCTION muster.wake_arm() RETURNS bool
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'muster_wake_arm';

-- Waits until a commit has taken the mark off, at most so long (500 ms at most), and arms again; false if no commit
-- did, null if there is no waking any more.
CREATE FUNCTION muster.wake_wait(timeout_ms int) RETURNS bool
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'muster_wake_wait';

-- The process that commits of this database wake when it sleeps; null if there is none.
CREATE FUNCTION muster.wake_owner() RETURNS int
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'muster_wake_owner';
