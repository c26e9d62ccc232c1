// What postgres.js, which pipelines by itself, says to the server of PGHOST, PGPORT and PGDATABASE. Prints what comes
// back: the same whatever is in between.
const postgres = require('postgres');
const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');

const say = (name, value) => console.log(`${name}: ${JSON.stringify(value)}`);
const failure = (promise) => promise.then(() => 'no error', (e) => [e.code, e.message, e.severity]);

async function main() {
  const sql = postgres({ max: 4, onnotice: () => {} });
  say('pipelined', (await Promise.all(Array.from({ length: 300 }, (_, n) => sql`SELECT ${n}::int AS n`))).map((r) => r[0].n));
  say('errors among them', await Promise.all([sql`SELECT 1 AS a`, failure(sql`SELECT 1/${0}::int`), sql`SELECT 2 AS b`,
    failure(sql`SELEKT`), sql`SELECT 3 AS c`]));
  say('simple', await sql.unsafe('SELECT 1 AS a; SELECT 2 AS b'));
  await sql`CREATE TABLE postgres_js (n int PRIMARY KEY, j jsonb)`;
  say('transaction', await sql.begin(async (tx) => {
    await tx`INSERT INTO postgres_js ${tx([{ n: 1, j: { a: 1 } }, { n: 2, j: null }])}`;
    say('savepoint', await failure(tx.savepoint((sp) => sp`INSERT INTO postgres_js VALUES (1)`)));
    return tx`SELECT * FROM postgres_js ORDER BY n`;
  }));
  say('undone', await failure(sql.begin(async (tx) => { await tx`DELETE FROM postgres_js`; throw new Error('undo'); })));
  say('count', (await sql`SELECT count(*)::int AS n FROM postgres_js`)[0].n);
  await pipeline(Readable.from(['3\t{}\n', '4\t{}\n']), await sql`COPY postgres_js FROM STDIN`.writable());
  let text = '';
  for await (const chunk of await sql`COPY (SELECT n FROM postgres_js ORDER BY n) TO STDOUT`.readable()) text += chunk;
  say('copied', text);
  const pages = [];
  await sql`SELECT n FROM generate_series(1, 25) n`.cursor(10, (rows) => pages.push(rows.length));
  say('cursor', pages);
  const slow = sql`SELECT pg_sleep(60)`.execute();
  const cancelled = failure(slow);
  // The query has to have begun, or there is nothing that could be cancelled.
  while (!(await sql`SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'`).length);
  slow.cancel();
  say('cancelled', await cancelled);
  const told = new Promise((resolve) => sql.listen('news', resolve).then(() => sql.notify('news', 'today')));
  say('notified', await told);
  await sql`DROP TABLE postgres_js`;
  await sql.end();
}
main().catch((e) => { console.log(e); process.exitCode = 1; });
