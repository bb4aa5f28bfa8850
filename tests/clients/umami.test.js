import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import umamiNode from '@umami/node'
import { startBrowser } from './support/browser.js'
import { BODY_BYTES_MAX, BOT, PERSON, VISITOR, assertRow, bearer, startSotto, timeOf } from './support/sotto.js'

const { Umami } = umamiNode
/** What a site was called in Umami; no site is called so here. */
const WEBSITE = '550e8400-e29b-41d4-a716-446655440000'
const HOUR_S = 3600
let sotto, browser
before(async () => {
  ;[sotto, browser] = await Promise.all([startSotto(), startBrowser()])
})
after(() => Promise.all([sotto?.stop(), browser?.close()]))

test('npm_server_client_sends_pageviews_events_and_vitals', async () => {
  const key = await sotto.site('shop.example')
  const umami = new Umami({ websiteId: WEBSITE, hostUrl: sotto.url, userAgent: PERSON })
  const page = { hostname: 'shop.example', language: 'de-DE', screen: '1920x1080', title: 'Pricing' }
  const view = await umami.track({ ...page, url: '/pricing?utm_source=letter', referrer: 'https://news.example/story' })
  assert.equal(view.status, 200)
  assert.deepEqual(Object.keys(await view.json()), ['cache', 'sessionId', 'visitId'])
  assert.equal((await umami.track({ ...page, url: '/pricing', name: 'Purchase', data: { plan: 'pro', seats: 3 } })).status, 200)
  assert.equal((await umami.send({ ...page, website: WEBSITE, url: '/pricing', lcp: 2500.4, cls: 0.1 }, 'performance')).status, 200)
  const [first, buy, vitals] = await sotto.events(key, 3)
  assertRow(first, { kind: 'pageview', hostname: 'shop.example', path: '/pricing', referrer_host: 'news.example', utm_source: 'letter', browser: 'Chrome' })
  assertRow(buy, { kind: 'custom', name: 'Purchase', path: '/pricing', props: { plan: 'pro', seats: '3' } })
  assertRow(vitals, { kind: 'vitals', path: '/pricing', lcp_ms: 2500, cls_milli: 100 })
})

test('npm_server_client_without_a_page_is_told_by_the_key_of_the_site', async () => {
  const key = await sotto.site('backend.example')
  const umami = new Umami()
  umami.init({ websiteId: key, hostUrl: sotto.url })
  assert.equal((await umami.track('renewal', { plan: 'pro' })).status, 200, 'with the user agent that the client has of itself')
  assert.equal((await umami.identify({ id: 'anna' })).status, 200, 'who somebody is, is not kept')
  assert.equal((await umami.track('last')).status, 200)
  const [renewal, last] = await sotto.events(key, 2)
  assertRow(renewal, { kind: 'custom', name: 'renewal', props: { plan: 'pro' }, hostname: '', path: '' })
  assertRow(last, { name: 'last', props: {} })
})

/** The requests of Umami's script, which is not on npm: same headers, body and use of the answer. */
const SCRIPT = (stats) => `
  let cache
  window.umamiSend = async (more = {}, type = 'event') => {
    const payload = { website: '${WEBSITE}', screen: screen.width + 'x' + screen.height, language: navigator.language,
      title: document.title, hostname: location.hostname, url: location.href, referrer: document.referrer, ...more }
    const answer = await fetch('${stats}/api/send', { keepalive: true, method: 'POST', credentials: 'omit',
      body: JSON.stringify({ type, payload }),
      headers: { 'Content-Type': 'application/json', 'x-umami-website-id': '${WEBSITE}', 'x-umami-hostname': location.hostname,
        ...(cache !== undefined && { 'x-umami-cache': cache }) } })
    const said = await answer.json()
    cache = said.cache
    return [answer.status, !!said.disabled, typeof cache]
  }`

test('browser_lets_the_requests_of_the_script_through', async () => {
  const key = await sotto.site('blog.example')
  const { page, answers, close } = await browser.open(browser.origin('blog.example') + '/post?utm_campaign=spring', SCRIPT(browser.stats(sotto)), 'http://news.example/story')
  assert.deepEqual(await page.evaluate(() => window.umamiSend()), [200, false, 'string'])
  assert.deepEqual(await page.evaluate(() => window.umamiSend({ name: 'Signup', data: { method: 'mail' } })), [200, false, 'string'])
  const [view, sign] = await sotto.events(key, 2)
  assertRow(view, { kind: 'pageview', hostname: 'blog.example', path: '/post', referrer_host: 'news.example', utm_campaign: 'spring' })
  assertRow(sign, { kind: 'custom', name: 'Signup', props: { method: 'mail' } })
  assert.deepEqual(answers.filter((a) => a.startsWith('POST')), Array(2).fill('POST /api/send 200'))
  await close()
})

const event = (payload) => ({ type: 'event', payload: { website: WEBSITE, url: '/', ...payload } })

test('robots_are_beeped_at_and_unknown_sites_refused', async () => {
  const key = await sotto.site('api.example')
  const known = event({ hostname: 'api.example' })
  const robot = await sotto.post('/api/send', known, { 'user-agent': BOT })
  assert.deepEqual([robot.status, await robot.json()], [200, { beep: 'boop' }])
  for (const body of [event({ hostname: 'nobody.example' }), event({}), { type: 'event' }, { type: 'record', payload: { website: key } }, '{'])
    assert.equal((await sotto.post('/api/send', body)).status, 400, JSON.stringify(body))
  assert.equal((await sotto.post('/api/send', known)).status, 200)
  await sotto.events(key, 1)
})

test('batch_is_counted', async () => {
  const key = await sotto.site('batch.example')
  const answer = await sotto.post('/api/batch', [event({ hostname: 'batch.example', url: '/a' }), event({ hostname: 'batch.example', url: '/b' })])
  assert.equal(answer.status, 200)
  const { size, processed, errors } = await answer.json()
  assert.deepEqual([size, processed, errors], [2, 2, 0])
  await sotto.events(key, 2)
})

test('claims_are_ignored_without_a_token_of_the_site_and_used_with_one', async () => {
  const key = await sotto.site('claims.example')
  const other = await sotto.site('other.example')
  const [writer, reader, stranger] = [await sotto.token(key), await sotto.token(key, 'read'), await sotto.token(other)]
  const timestamp = Math.floor(Date.now() / 1000) - HOUR_S
  const claim = (url) => event({ hostname: 'claims.example', url, ip: '198.51.100.7', userAgent: VISITOR, timestamp })
  const started = Date.now()
  const plain = event({ hostname: 'claims.example', url: '/plain' })
  for (const [body, headers] of [
    [plain, {}],
    [claim('/none'), {}],
    [claim('/wrong'), bearer('sotto_' + '0'.repeat(64))],
    [claim('/reader'), bearer(reader)],
    [claim('/stranger'), bearer(stranger)],
    [claim('/writer'), bearer(writer)],
  ])
    assert.equal((await sotto.post('/api/send', body, headers)).status, 200)
  const rows = Object.fromEntries((await sotto.events(key, 6)).map((row) => [row.path, row]))
  for (const path of ['/none', '/wrong', '/reader', '/stranger']) {
    assertRow(rows[path], { browser: 'Chrome', os: 'Windows', visitor: rows['/plain'].visitor })
    assert.ok(timeOf(rows[path]) >= started - 1000, path)
  }
  assertRow(rows['/writer'], { browser: 'Firefox', os: 'Linux' })
  assert.notEqual(rows['/writer'].visitor, rows['/plain'].visitor)
  assert.ok(Math.abs(timeOf(rows['/writer']) - timestamp * 1000) < 1000, rows['/writer'].time)
})

test('body_at_the_limit_is_taken_and_a_longer_one_is_not', async () => {
  const key = await sotto.site('limit.example')
  const body = JSON.stringify(event({ hostname: 'limit.example' }))
  assert.equal((await sotto.post('/api/send', body.padEnd(BODY_BYTES_MAX))).status, 200)
  assert.equal((await sotto.post('/api/send', body.padEnd(BODY_BYTES_MAX + 1))).status, 413)
  await sotto.events(key, 1)
})
