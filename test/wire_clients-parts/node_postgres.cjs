// What node-postgres, its cursors and its COPY streams say to the server of PGHOST, PGPORT and PGDATABASE. Prints
// what comes back: the same whatever is in between.
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');
const copy = require('pg-copy-streams');
const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');

const say = (name, value) => console.log(`${name}: ${JSON.stringify(value)}`);
const failure = (promise) => promise.then(() => 'no error', (e) => [e.code, e.message, e.severity]);

async function main() {
  const client = new Client();
  await client.connect();
  client.on('notice', (n) => say('notice', n.message));
  say('simple', (await client.query('SELECT 1 AS one; SELECT 2 AS two')).map((r) => r.rows));
  say('parameters', (await client.query('SELECT $1::int + 1 AS n, $2::jsonb AS j, $3::text IS NULL AS nothing',
    [41, { a: [1, 2] }, null])).rows);
  const named = { name: 'twice', text: 'SELECT $1::int * 2 AS n' };
  for (const n of [1, 2, 3]) say('named', (await client.query({ ...named, values: [n] })).rows);
  say('error', await failure(client.query('SELECT 1/$1::int', [0])));
  say('syntax', await failure(client.query('SELEKT')));
  await client.query("DO $$ BEGIN RAISE NOTICE 'hello'; END $$");

  await client.query('BEGIN');
  await client.query('CREATE TEMP TABLE t (n int PRIMARY KEY, s text) ON COMMIT DROP');
  const into = client.query(copy.from('COPY t FROM STDIN'));
  await pipeline(Readable.from(Array.from({ length: 20000 }, (_, n) => `${n}\ttext ${n}\n`)), into);
  say('copied in', into.rowCount);
  let bytes = 0;
  for await (const chunk of client.query(copy.to('COPY t TO STDOUT'))) bytes += chunk.length;
  say('copied out', bytes);
  const cursor = client.query(new Cursor('SELECT n FROM t ORDER BY n DESC'));
  say('cursor', [await cursor.read(3), (await cursor.read(1000)).length]);
  await cursor.close();
  await client.query('SAVEPOINT a');
  say('unique', await failure(client.query('INSERT INTO t VALUES (1)')));
  await client.query('ROLLBACK TO a');
  say('count', (await client.query('SELECT count(*)::int AS n FROM t')).rows);
  await client.query('COMMIT');

  const told = new Promise((resolve) => client.on('notification', (m) => resolve([m.channel, m.payload])));
  await client.query('LISTEN news');
  await client.query("NOTIFY news, 'today'");
  say('notified', await told);
  say('large', (await client.query("SELECT repeat('x', 5000000) AS x")).rows[0].x.length);
  await client.end();

  const pool = new Pool({ max: 8 });
  const many = await Promise.all(Array.from({ length: 200 }, (_, n) => pool.query('SELECT $1::int AS n', [n])));
  say('pool', many.map((r) => r.rows[0].n).reduce((a, b) => a + b));
  await pool.end();
}
main().catch((e) => { console.log(e); process.exitCode = 1; });
