import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { listen, readBody } from './http.js'

const dist = join(import.meta.dirname, '../../../collector/tracker/dist')
const manifest = JSON.parse(readFileSync(join(dist, 'manifest.json'), 'utf8'))
const DEADLINE_MS = 15_000

/** Joins parts as the server does: the core, then what is asked for and what that requires, by name. */
export function script(modules = []) {
  const names = new Set(modules)
  for (const name of modules) manifest.parts[name].requires.forEach((needed) => names.add(needed))
  names.delete('core')
  return ['core', ...[...names].sort()].map((name) => readFileSync(join(dist, manifest.parts[name].file), 'utf8')).join('')
}

export function integrity(text) {
  return 'sha384-' + createHash('sha384').update(text).digest('base64')
}

/** Serves the built script under /s[.module…].js, takes hits at /e and remembers them. */
export async function startCollector() {
  const received = []
  const waiting = new Set()
  const hanging = []
  let status = 204

  const server = await listen(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://x')
    const named = /^\/s((?:\.[a-z0-9-]+)*)\.js$/.exec(pathname)
    response.setHeader('access-control-allow-origin', '*')
    response.setHeader('cross-origin-resource-policy', 'cross-origin')
    if (named) {
      response.setHeader('content-type', 'text/javascript; charset=utf-8')
      return response.end(script(named[1].split('.').filter(Boolean)))
    }
    if (pathname == '/hang') return hanging.push(response)
    if (pathname != '/e') return response.writeHead(404).end()
    const body = await readBody(request)
    received.push({ method: request.method, headers: request.headers, status, body, hit: parse(body) })
    response.writeHead(status).end()
    for (const check of waiting) check()
  })

  const collector = {
    ...server,
    received,
    /** Answers the requests to /hang, which are left waiting until then. */
    release() {
      for (const response of hanging.splice(0)) response.writeHead(204).end()
    },
    hanging,
    /** Every answer from now on. */
    answer(code) {
      status = code
    },
    /** Hits that were accepted, in the order of arrival. */
    hits: (kind) => received.filter((r) => r.status == 204).map((r) => r.hit).filter((hit) => !kind || hit.k == kind),
    /** Resolves with the first accepted hit that `wanted` likes; fails at the deadline with all that came. */
    async hit(what, wanted) {
      return until(what, () => collector.hits().find(wanted))
    },
    pageviews: (count) => until(`${count} pageviews`, () => (collector.hits('p').length >= count ? collector.hits('p') : undefined)),
    until,
  }

  function until(what, look) {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = look()
        if (found === undefined || found === false) return
        clearTimeout(timer)
        waiting.delete(check)
        resolve(found)
      }
      const timer = setTimeout(() => {
        waiting.delete(check)
        reject(new Error(`no ${what} within ${DEADLINE_MS} ms; received:\n${received.map((r) => `${r.method} ${r.status} ${r.body.slice(0, 200)}`).join('\n')}`))
      }, DEADLINE_MS)
      waiting.add(check)
      check()
    })
  }
  return collector
}

function parse(body) {
  try {
    return JSON.parse(body)
  } catch {
    return {}
  }
}
