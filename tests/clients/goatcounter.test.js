import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { bundle, startBrowser } from './support/browser.js'
import { BOT, BULK_BYTES_MAX, PERSON, VISITOR, assertRow, bearer, startSotto, timeOf } from './support/sotto.js'

const HOUR_MS = 3_600_000
const STORY = 'http://news.example/story'
const countJs = process.env.SOTTO_COUNT_JS || join(import.meta.dirname, 'support/count.js')
let sotto, browser
before(async () => {
  ;[sotto, browser] = await Promise.all([startSotto(), startBrowser()])
  browser.serve('/count.js', await readFile(countJs, 'utf8'))
})
after(() => Promise.all([sotto?.stop(), browser?.close()]))

test('npm_client_and_script_send_pageviews_and_events', async () => {
  const key = await sotto.site('blog.example')
  const code = await bundle(`
    import { initialize, count } from 'goatcounter-js'
    initialize({ scriptSrc: '/count.js', endpointUrl: '${browser.stats(sotto)}/count', settings: { no_onload: true } })
    window.count = count`)
  const { page, answers, close } = await browser.open(browser.origin('blog.example') + '/post?utm_source=letter&utm_campaign=spring', code, STORY)
  await page.evaluate(() => window.count())
  await sotto.events(key, 1)
  await page.evaluate(() => window.count({ path: 'signup', title: 'Signed up', event: true }))
  const [view, sign] = await sotto.events(key, 2)
  assertRow(view, { kind: 'pageview', hostname: 'blog.example', path: '/post', referrer_host: 'news.example', utm_source: 'letter', utm_campaign: 'spring', browser: 'Chrome' })
  assertRow(sign, { kind: 'custom', name: 'signup', hostname: 'blog.example' })
  assert.equal(view.session, sign.session, 'one visit')
  // Up to version 3 the script sends images, since then beacons.
  assert.equal(answers.length, 2)
  for (const answer of answers) assert.match(answer, /^(GET|POST) \/count 200$/)
  await close()
})

test('script_tag_counts_by_itself_when_the_page_is_loaded', async () => {
  const key = await sotto.site('tag.example')
  const tag = `
    const tag = document.createElement('script')
    tag.dataset.goatcounter = '${browser.stats(sotto)}/count'
    tag.src = '/count.js'
    document.head.append(tag)`
  const { close } = await browser.open(browser.origin('tag.example') + '/tagged', tag, STORY)
  const [view] = await sotto.events(key, 1)
  assertRow(view, { kind: 'pageview', hostname: 'tag.example', path: '/tagged', referrer_host: 'news.example' })
  await close()
})

test('image_counts_and_says_what_is_wrong', async () => {
  const key = await sotto.site('api.example')
  const count = (query) => sotto.get('/count?' + query, { referer: 'https://api.example/' })
  assert.equal((await count('p=%2Frobot&b=153')).status, 200)
  const gif = await count('p=%2Fa%3Fx%3D1&t=Title&r=https%3A%2F%2Fnews.example%2F&e=false&s=1920%2C1080%2C1&q=%3Futm_source%3Dletter&rnd=1')
  assert.deepEqual([gif.status, gif.headers.get('content-type')], [200, 'image/gif'])
  for (const query of ['p=', 'p=%2F&b=1', 'p=%2F&b=x']) {
    const answer = await count(query)
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [400, 'image/gif'], query)
    assert.ok(answer.headers.get('x-goatcounter'), query)
  }
  const [view] = await sotto.events(key, 1)
  assertRow(view, { path: '/a', referrer_host: 'news.example', utm_source: 'letter' })
})

test('api_counts_for_a_token_of_one_site_and_refuses_others', async () => {
  const key = await sotto.site('server.example')
  const [writer, reader] = [await sotto.token(key), await sotto.token(key, 'read')]
  // Of the same day, because it is noon at the site: a hit of the day before gets no visitor, as its salt does not exist.
  const created_at = new Date(Date.now() - HOUR_MS).toISOString()
  const hits = [
    { path: '/a', title: 'A', ref: 'https://news.example/', query: 'utm_source=letter', user_agent: VISITOR, ip: '198.51.100.7', created_at },
    { path: '/b', size: [1920, 1080, 1], user_agent: PERSON, ip: '198.51.100.8' },
    { path: 'signup', event: true, user_agent: VISITOR, ip: '198.51.100.7' },
  ]
  const send = async (headers, body = { no_sessions: false, hits }) => (await sotto.post('/api/v0/count', body, { 'content-type': 'application/json', 'user-agent': 'a program', ...headers })).status
  assert.equal(await send({}), 401)
  assert.equal(await send(bearer('wrong')), 401)
  assert.equal(await send(bearer(reader)), 401, 'a token that may only read')
  assert.equal(await send(bearer(writer), { hits: [] }), 400)
  const errors = await sotto.post('/api/v0/count', { hits: [hits[0], { title: 'no path' }] }, bearer(writer))
  assert.deepEqual([errors.status, await errors.json()], [400, { errors: { 1: 'field p is missing' } }])
  assert.equal((await sotto.get('/api/v0/me', bearer(reader))).status, 401)
  assert.equal((await (await sotto.get('/api/v0/me', bearer(writer))).json()).token.permissions & 2, 2, 'it may count')
  const filtered = await sotto.post('/api/v0/count', { hits: [{ path: '/r', user_agent: BOT }, { path: '/s', bot: 7, user_agent: VISITOR }] }, bearer(writer))
  assert.deepEqual([filtered.status, filtered.headers.get('x-goatcounter-filter')], [202, '0, 1'])
  assert.deepEqual(await filtered.json(), { dropped: { 0: 'bot_user_agent', 1: 'bot_automated' } })
  assert.equal(await send(bearer(writer)), 202)
  const rows = await sotto.events(key, 3)
  const [a] = rows
  assertRow(a, { kind: 'pageview', hostname: 'server.example', path: '/a', referrer_host: 'news.example', utm_source: 'letter', browser: 'Firefox', os: 'Linux' })
  assert.ok(Math.abs(timeOf(a) - Date.parse(created_at)) < 1000, a.time)
  const [b, sign] = [rows.find((row) => row.path == '/b'), rows.find((row) => row.name == 'signup')]
  assertRow(b, { kind: 'pageview', browser: 'Chrome' })
  assertRow(sign, { kind: 'custom', browser: 'Firefox', visitor: a.visitor })
  assert.notEqual(a.visitor, b.visitor)
})

test('body_of_the_api_at_the_limit_is_taken_and_a_longer_one_is_not', async () => {
  const key = await sotto.site('limit.example')
  const headers = bearer(await sotto.token(key))
  const body = JSON.stringify({ hits: [{ path: '/', user_agent: PERSON }] })
  assert.equal((await sotto.post('/api/v0/count', body.padEnd(BULK_BYTES_MAX), headers)).status, 202)
  assert.equal((await sotto.post('/api/v0/count', body.padEnd(BULK_BYTES_MAX + 1), headers)).status, 413)
  await sotto.events(key, 1)
})
