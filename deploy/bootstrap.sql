-- Roles, rights and the extension in the database "muster" of the private stack. Runs at every start
-- and changes nothing the second time. The variables hold passwords, so nothing here is echoed or logged.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET log_min_error_statement = panic;
BEGIN;

CREATE EXTENSION IF NOT EXISTS muster;
SELECT muster.create_tables() WHERE NOT EXISTS (SELECT FROM muster.data_schema) \g /dev/null

SELECT pg_catalog.format('CREATE ROLE %I LOGIN', r)
  FROM pg_catalog.unnest('{muster_app,muster_relay_login,pgbouncer_auth}'::text[]) r
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r)
\gexec
-- Only where none is set: a new secret for the same password would make pgbouncer's copy stale.
SELECT pg_catalog.format('ALTER ROLE %I PASSWORD %L', a.rolname, v.password)
  FROM (VALUES ('postgres', :'postgres_password'), ('muster_app', :'app_password'),
               ('muster_relay_login', :'relay_password'), ('pgbouncer_auth', :'pgbouncer_password')
       ) v(name, password)
  JOIN pg_catalog.pg_authid a ON a.rolname = v.name AND a.rolpassword IS NULL
\gexec

GRANT muster_writer TO muster_app;
GRANT muster_relay TO muster_relay_login;

-- An application's statement that runs for long holds one of few pooled connections.
ALTER ROLE muster_app SET statement_timeout = '5s';
ALTER ROLE muster_app SET idle_in_transaction_session_timeout = '30s';

-- What pgbouncer asks for the secret of a role that logs in. Superusers do not come in this way.
CREATE SCHEMA IF NOT EXISTS pgbouncer;
CREATE OR REPLACE FUNCTION pgbouncer.secret_of(wanted text, OUT rolname text, OUT rolpassword text)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
SELECT a.rolname::text, a.rolpassword FROM pg_catalog.pg_authid a
 WHERE a.rolname = wanted AND a.rolcanlogin AND NOT a.rolsuper AND NOT a.rolreplication
   AND (a.rolvaliduntil IS NULL OR a.rolvaliduntil > pg_catalog.now())
$$;
REVOKE ALL ON FUNCTION pgbouncer.secret_of(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA pgbouncer TO pgbouncer_auth;
GRANT EXECUTE ON FUNCTION pgbouncer.secret_of(text) TO pgbouncer_auth;

COMMIT;
