// The data layer's reads as a Fastify service gives them: one process per core, keys looked up in the
// database and kept for a second, limits shared through Redis, a pool of connections to pgbouncer, and
// documents that PostgreSQL makes, sent on as text without being parsed.
//
// Environment: PORT, WORKERS, DATABASE_URL, REDIS_URL (none: each worker counts limits by itself), RATE.
'use strict'

const cluster = require('node:cluster')
const { createHash } = require('node:crypto')

async function serve () {
  const { Pool } = require('pg')
  const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 10 })
  pool.on('error', () => {}) // an idle connection that ended; the next request opens another
  const fastify = require('fastify')({ logger: false })

  const known = new Map()
  async function identify (text) {
    const now = Date.now()
    const kept = known.get(text)
    if (kept !== undefined && kept.until > now) return kept.found
    const digest = createHash('sha256').update(text).digest()
    const { rows } = await pool.query('select id is not null as found from muster.api_key($1)', [digest])
    known.set(text, { found: rows[0].found, until: now + 1000 })
    return rows[0].found
  }
  fastify.addHook('onRequest', async (request, reply) => {
    const key = request.headers['x-api-key']
    if (key === undefined || !(await identify(key))) {
      return reply.code(401).send({ detail: 'the API key is not known' })
    }
  })

  const limits = {
    max: Number(process.env.RATE),
    timeWindow: 1000,
    keyGenerator: (request) => request.headers['x-api-key']
  }
  if (process.env.REDIS_URL) {
    const Redis = require('ioredis')
    limits.redis = new Redis(process.env.REDIS_URL, { enableAutoPipelining: true })
    limits.nameSpace = 'muster:bench-peer:'
  }
  await fastify.register(require('@fastify/rate-limit'), limits)

  // Functions keep their statements' plans, which pgbouncer's transaction pooling keeps from clients.
  const json = (reply, text) => reply.type('application/json; charset=utf-8').send(text)
  fastify.get('/agents/:id', {
    schema: { params: { type: 'object', properties: { id: { type: 'string', format: 'uuid' } } } }
  }, async (request, reply) => {
    const { rows } = await pool.query('select bench_peer.agent($1) as body', [request.params.id])
    if (rows[0].body === null) return reply.code(404).send({ detail: 'there is no such agent' })
    return json(reply, rows[0].body)
  })
  fastify.get('/agents/', {
    schema: { querystring: { type: 'object', properties: { limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 } } } }
  }, async (request, reply) => {
    const { rows } = await pool.query('select bench_peer.page($1) as body', [request.query.limit])
    return json(reply, rows[0].body)
  })
  await fastify.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
}

if (cluster.isPrimary) {
  for (let i = 0; i < Number(process.env.WORKERS); i++) cluster.fork()
  cluster.on('exit', (worker, code) => process.exit(code || 1))
} else {
  serve().catch((error) => {
    console.error(error)
    process.exit(1)
  })
}
