-- What psql says in one session; its output has to be the same through any chain.
\set VERBOSITY verbose
\set ON_ERROR_STOP off
SELECT 6 * 7 AS answer \gdesc
SELECT 6 * 7 AS answer, current_user;
SELECT 1/0;
\errverbose
SELECT * FROM nowhere;
BEGIN;
CREATE TEMP TABLE t (n int, s text);
\copy t from program 'seq 1 5000 | sed "s/$/\ttext/"'
SELECT count(*), sum(n) FROM t;
\copy (SELECT * FROM t WHERE n % 1000 = 0 ORDER BY n) to stdout
SAVEPOINT a;
INSERT INTO t VALUES ('x');
ROLLBACK TO a;
COMMIT;
\set FETCH_COUNT 100
SELECT n FROM generate_series(1, 250) n WHERE n % 50 = 0;
\unset FETCH_COUNT
DO $$ BEGIN RAISE NOTICE 'noticed'; RAISE WARNING 'warned' USING HINT = 'a hint'; END $$;
LISTEN news;
NOTIFY news, 'today';
UNLISTEN news;
SET client_encoding = 'LATIN1';
SHOW client_encoding;
RESET client_encoding;
\lo_import /etc/hostname
SELECT lo_unlink(:LASTOID);
SELECT md5(string_agg(x, '')) FROM (SELECT repeat(n::text, 1000) AS x FROM generate_series(1, 1000) n) y;
\d pgbench_accounts
