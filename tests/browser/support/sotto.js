// The real program with its embedded ClickHouse, on free ports and an empty directory.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

const program = process.env.SOTTO_BIN || join(import.meta.dirname, '../../../target/debug/sotto')
const run = promisify(execFile)
/** A person's: hits of robots are dropped. */
export const PERSON = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36'
const DEADLINE_MS = 60_000
const PAUSE_MS = 50
/** Ships at once, so that tests do not wait. */
const CONFIG = 'listen = "127.0.0.1:0"\nadmin_listen = "127.0.0.1:0"\n[ship]\ninterval = "50ms"\n'

/**
 * A time zone in which it is between noon and one o'clock: the day of a site there does not end during a test, and an
 * hour ago it was the same day. The signs in these names are the other way round.
 */
export function noonZone() {
  const hours = new Date().getUTCHours() - 12
  return `Etc/GMT${hours < 0 ? '' : '+'}${hours}`
}

/** Asks until there is an answer; fails at the deadline with what `describe` says. */
export async function until(what, look, describe = () => '') {
  const deadline = Date.now() + DEADLINE_MS
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what} ${await describe()}`)
    await pause(PAUSE_MS)
  }
}

export async function startSotto(config = '') {
  const dir = await mkdtemp(join(tmpdir(), 'sotto-browser-'))
  const file = join(dir, 'sotto.toml')
  await writeFile(file, CONFIG + config)
  const options = ['--config', file, '--data', join(dir, 'data')]
  const child = spawn(program, [...options, 'serve'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const log = []
  // A file that takes too long is ended from outside: what it started must end with it.
  const end = () => child.kill('SIGTERM')
  process.once('exit', end).once('SIGTERM', () => process.exit(1))
  const sotto = { url: '', admin: '', setUp: '' }
  createInterface({ input: child.stderr }).on('line', (line) => log.push(line))
  for await (const line of createInterface({ input: child.stdout })) {
    const [word] = line.trim().split(/\s+/)
    const address = /http\S+/.exec(line)?.[0]
    if (word == 'dashboard') sotto.url = address.replace(/\/$/, '')
    if (word == 'set') sotto.setUp = address
    if (word == 'health') sotto.admin = address.replace(/\/readyz$/, '')
    if (word == 'data') break
  }
  if (!sotto.admin) throw new Error(`sotto did not start (is ${program} built?)\n${log.join('\n')}`)
  child.stdout.resume()
  const cli = async (...words) => (await run(program, [...options, ...words], { maxBuffer: 64 << 20 })).stdout

  /** How many hits ended in an outcome since the start. */
  async function outcomes(outcome, reason = '') {
    const text = await (await fetch(sotto.admin + '/metrics')).text()
    return +new RegExp(`^sotto_hits_total\\{outcome="${outcome}",reason="${reason}"\\} (\\d+)$`, 'm').exec(text)[1]
  }

  return Object.assign(sotto, {
    outcomes,
    cli,
    /** Adds a site where it is noon, and waits until the collector knows it; its key. */
    async addSite(host, policy = 'cnil') {
      const [{ key }] = JSON.parse(await cli('site', 'add', host, '--policy', policy, '--time-zone', noonZone(), '--json'))
      // A hit of a site that is not known makes the collector look; one of a known site is dropped as a robot's.
      const probe = JSON.stringify({ v: 1, s: key, k: 'p', i: 'probe', q: 0, b: 1, u: `https://${host}/` })
      await until('the collector to know the site', async () => {
        const before = await outcomes('dropped', 'bot_automated')
        await fetch(sotto.url + '/e', { method: 'POST', headers: { 'user-agent': PERSON }, body: probe })
        return (await outcomes('dropped', 'bot_automated')) > before
      })
      return key
    },
    /** All stored rows of a site, once `enough` likes them. */
    async rows(key, what, enough) {
      let rows = []
      return until(
        what,
        async () => {
          rows = (await cli('export', key)).split('\n').filter(Boolean).map(parse)
          return enough(rows) ? rows : undefined
        },
        () => `; stored:\n${rows.map((row) => JSON.stringify(present(row))).join('\n')}\n${log.slice(-5).join('\n')}`,
      )
    },
    async stop() {
      if (child.exitCode == null) {
        child.kill('SIGTERM')
        await once(child, 'exit')
      }
      process.off('exit', end)
      await rm(dir, { recursive: true, force: true })
    },
  })
}

/** A stored row. Numbers of 64 bits stay text: JavaScript's have 53. */
function parse(line) {
  return JSON.parse(line.replace(/(":)(\d{16,})(?=[,}])/g, '$1"$2"'))
}

/** The fields of a row that have a value: a default stands for an absent one. */
export function present(row) {
  const absent = (value) =>
    value === '' || value === 0 || value === '0' || value === false || value === 'unknown' || (typeof value == 'object' && !Object.keys(value).length)
  return Object.fromEntries(Object.entries(row).filter(([, value]) => !absent(value)))
}
