// What node-postgres and postgres.js make of a query that the rate limits refuse: an error of that query, after which
// they go on with the same connection. For a proxy that refuses what is above 20 queries a second.
const { Client } = require('pg');
const postgres = require('postgres');

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const told = (e) => {
  const found = /retry in (\d+) ms$/.exec(e.message);
  if (e.code !== '53400' || e.severity !== 'ERROR' || !found || !e.hint.includes(`${found[1]} ms`)) throw e;
  return Number(found[1]);
};

// Runs `query` until it is not refused.
async function insist(query) {
  for (let wait = 0; ;) {
    await pause(wait);
    const value = await query().catch((e) => { wait = told(e); });
    if (value !== undefined) return value;
  }
}

// Runs `query`, which yields the server's process, until it has been refused, and then until it is not.
async function goes_on(name, query) {
  const before = await insist(query);
  let wait;
  for (let n = 0; wait === undefined; n++) {
    if (n === 10000) throw new Error(`${name}: never refused`);
    await query().catch((e) => { wait = told(e); });
  }
  await pause(wait);
  if (await insist(query) !== before) throw new Error(`${name}: another connection`);
  console.log(`${name} goes on`);
}

async function main() {
  const client = new Client({ user: 'node_postgres' });
  await client.connect();
  const pid = (r) => r.rows[0].pid;
  await goes_on('node-postgres, simple', () => client.query('SELECT pg_backend_pid() AS pid').then(pid));
  await goes_on('node-postgres, extended', () => client.query('SELECT pg_backend_pid() AS pid, $1::int', [1]).then(pid));
  await goes_on('node-postgres, prepared', () =>
    client.query({ name: 'pid', text: 'SELECT pg_backend_pid() AS pid, $1::int', values: [1] }).then(pid));
  await client.end();

  // Behind pgbouncer both are one user, and this one asks for types when it connects.
  await pause(2000);
  const sql = postgres({ max: 1, user: 'postgres_js' });
  await goes_on('postgres.js', () => sql`SELECT pg_backend_pid() AS pid, ${1}::int AS n`.then((r) => r[0].pid));
  await goes_on('postgres.js, simple', () => sql.unsafe('SELECT pg_backend_pid() AS pid').then((r) => r[0].pid));
  // A pipeline of more than may pass at once: each has its own answer, or its own refusal.
  const all = await Promise.allSettled(Array.from({ length: 200 }, (_, n) => sql`SELECT ${n}::int AS n`));
  all.forEach((one, n) => {
    if (one.status === 'rejected') told(one.reason);
    else if (one.value[0].n !== n) throw new Error(`answer ${one.value[0].n} for ${n}`);
  });
  if (all.every((one) => one.status !== 'rejected')) throw new Error('a pipeline was not refused');
  await goes_on('postgres.js, behind a pipeline', () => sql`SELECT pg_backend_pid() AS pid`.then((r) => r[0].pid));
  await sql.end();
}
main().catch((e) => { console.log(e); process.exit(1); });
