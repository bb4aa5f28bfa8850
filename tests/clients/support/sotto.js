import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const binary = process.env.SOTTO_BIN || join(import.meta.dirname, '../../../target/debug/sotto')
const CONFIG = 'listen = "127.0.0.1:0"\nadmin_listen = "127.0.0.1:0"\n[ship]\ninterval = "50ms"\n'
const DEADLINE_MS = 30_000
const LOOK_EVERY_MS = 50

/** A person's browser: programs are dropped. */
export const PERSON = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/144.0.0.0 Safari/537.36'
/** Another person's. */
export const VISITOR = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
export const BOT = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'

/** The longest body of a single hit, and of many. */
export const BODY_BYTES_MAX = 64 * 1024
export const BULK_BYTES_MAX = 1024 * 1024

/**
 * A time zone in which it is between noon and one o'clock: the day of a site there does not end during a test, and an
 * hour ago it was the same day. The signs in these names are the other way round.
 */
export function noonZone() {
  const hours = new Date().getUTCHours() - 12
  return `Etc/GMT${hours < 0 ? '' : '+'}${hours}`
}

/** Looks until there is something; fails at the deadline. */
export async function until(what, look) {
  const deadline = Date.now() + DEADLINE_MS
  for (;;) {
    const found = await look()
    if (found) return found
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

/** Starts the real program on an empty directory and free ports. */
export async function startSotto() {
  const home = await mkdtemp(join(tmpdir(), 'sotto-clients-'))
  await writeFile(join(home, 'sotto.toml'), CONFIG)
  const common = ['--config', join(home, 'sotto.toml'), '--data', join(home, 'data')]
  const child = spawn(binary, [...common, 'serve'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const log = []
  child.stderr.on('data', (text) => log.push(text))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.once('error', (error) => log.push(`${binary}: ${error.message} (cargo build comes first)`))

  async function stop() {
    child.kill('SIGTERM')
    await ended
    await rm(home, { recursive: true, force: true })
  }

  let url
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, value] = line.trim().split(/\s+/)
    if (word == 'dashboard') url = value.replace(/\/$/, '')
    if (word == 'data') break
  }
  if (!url) throw new Error(`sotto did not start: ${log.join('')}`)
  child.stdout.resume()

  async function run(...command) {
    const asked = spawn(binary, [...common, ...command], { stdio: ['ignore', 'pipe', 'pipe'] })
    const [out, err] = [[], []]
    asked.stdout.on('data', (text) => out.push(text))
    asked.stderr.on('data', (text) => err.push(text))
    const code = await new Promise((resolve) => asked.once('close', resolve))
    assert.equal(code, 0, `sotto ${command.join(' ')}: ${Buffer.concat(err)}`)
    return Buffer.concat(out).toString()
  }

  const post = (path, body, headers = {}) =>
    fetch(url + path, {
      method: 'POST',
      headers: { 'user-agent': PERSON, ...headers },
      body: typeof body == 'string' ? body : JSON.stringify(body),
    })

  return {
    url,
    port: new URL(url).port,
    run,
    stop,
    post,
    get: (path, headers = {}) => fetch(url + path, { headers: { 'user-agent': PERSON, ...headers } }),
    /** Adds a site where it is noon; resolves with its key when the collector knows it. */
    async site(host) {
      const [{ key }] = JSON.parse(await run('site', 'add', host, '--policy', 'cookieless', '--time-zone', noonZone(), '--json'))
      const probe = { type: 'event', payload: { website: key, url: '/' } }
      // A robot's hit is dropped, but only when its site is known.
      await until(`site ${host}`, async () => (await post('/api/send', probe, { 'user-agent': BOT })).ok)
      return key
    },
    /** Makes a token; resolves with it when the collector knows it. */
    async token(site, scope = 'write') {
      const [{ token }] = JSON.parse(await run('token', 'add', `${scope} ${site}`, '--site', site, '--scope', scope, '--json'))
      const probe = JSON.stringify({ v: 1, s: site, k: 'p', i: 'probe', q: 0, u: 'https://probe.invalid/' })
      await until('token', async () => {
        // Refused here, an unknown token makes the collector look for new ones.
        await post('/api/v0/count', '{}', bearer(token))
        return (await post('/e', probe, bearer(token))).headers.has('x-sotto-outcome')
      })
      return token
    },
    /** The stored events of a site, when there are `count` of them; more is a failure, too. */
    async events(site, count) {
      let events = []
      const look = async () => {
        const lines = (await run('export', site)).split('\n').filter(Boolean)
        events = lines.map((line) => JSON.parse(line)).sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
        return events.length >= count
      }
      await until(`${count} events of ${site}`, look).catch((error) => {
        throw new Error(`${error.message}; there are:\n${events.map(brief).join('\n')}`)
      })
      assert.equal(events.length, count, events.map(brief).join('\n'))
      return events
    },
  }
}

export const bearer = (token) => ({ authorization: `Bearer ${token}` })

const brief = ({ time, kind, hostname, path, name }) => [time, kind, hostname, path, name].join(' ')

/** Asserts the columns that are named. */
export function assertRow(row, wanted) {
  assert.deepEqual(Object.fromEntries(Object.keys(wanted).map((key) => [key, row[key]])), wanted)
}

/** The time of a row in milliseconds. */
export const timeOf = (row) => Date.parse(row.time.replace(' ', 'T') + 'Z')
