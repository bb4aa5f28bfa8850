import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import MatomoTracker from 'matomo-tracker'
import { startBrowser } from './support/browser.js'
import { BODY_BYTES_MAX, BOT, BULK_BYTES_MAX, PERSON, VISITOR, assertRow, startSotto, timeOf } from './support/sotto.js'

const HOUR_MS = 3_600_000
/** What a site was called in Matomo; no site is called so here. */
const ID = 7
let sotto, browser
before(async () => {
  ;[sotto, browser] = await Promise.all([startSotto(), startBrowser()])
})
after(() => Promise.all([sotto?.stop(), browser?.close()]))

/** The client of npm. It names no user agent of its own and never says that all went well, only what did not. */
function client(site, path = '/matomo.php') {
  const matomo = new MatomoTracker(site, sotto.url + path)
  matomo.errors = []
  matomo.on('error', (error) => matomo.errors.push(error))
  matomo.bulk = (events) => new Promise((resolve) => matomo.trackBulk(events, (text) => resolve(JSON.parse(text))))
  return matomo
}

test('npm_client_sends_pageviews_events_and_goals_for_its_visitors', async () => {
  const key = await sotto.site('shop.example')
  const token_auth = await sotto.token(key)
  const matomo = client(ID)
  const visitor = { token_auth, ua: VISITOR, cip: '198.51.100.7', lang: 'de', res: '1366x768' }
  matomo.track('https://shop.example/unvouched')
  matomo.track({ ...visitor, url: 'https://shop.example/pricing?utm_source=letter', urlref: 'https://news.example/story', action_name: 'Pricing' })
  await sotto.events(key, 1)
  matomo.track({ ...visitor, url: 'https://shop.example/pricing', e_c: 'Video', e_a: 'Play', e_n: 'Intro', e_v: 3 })
  await sotto.events(key, 2)
  client(ID, '/piwik.php').track({ ...visitor, url: 'https://shop.example/thanks', idgoal: 4, revenue: 19.5 })
  const [view, play, goal] = await sotto.events(key, 3)
  assertRow(view, { kind: 'pageview', hostname: 'shop.example', path: '/pricing', referrer_host: 'news.example', utm_source: 'letter', browser: 'Firefox', os: 'Linux' })
  assertRow(play, { kind: 'custom', name: 'Play', path: '/pricing', props: { category: 'Video', name: 'Intro', value: '3' } })
  assertRow(goal, { kind: 'custom', name: 'Goal 4', path: '/thanks', revenue: 19.5 })
  assert.equal(new Set([view, play, goal].map((row) => row.visitor)).size, 1, 'one visitor')
  assert.deepEqual(matomo.errors, [])
})

test('npm_client_sends_many_at_once_with_a_token_for_each', async () => {
  const key = await sotto.site('bulk.example')
  const token_auth = await sotto.token(key)
  const matomo = client(key)
  // As in the client's own manual: no page, and times as JavaScript writes them.
  const cdt = new Date(Date.now() - HOUR_MS).toISOString()
  const buy = (e_a, more) => ({ _id: 'AA814767-7B1F-5C81-8F1D-8E47AD7D2982', cdt, e_c: 'Buy', e_a, e_v: '2', ...more })
  const said = await matomo.bulk([
    buy('left', { token_auth, ua: VISITOR }),
    buy('unvouched', { ua: VISITOR }),
    { token_auth, ua: VISITOR, url: 'https://bulk.example/a' },
    { token_auth, ua: VISITOR },
  ])
  // What names no page is invalid; what nobody vouches for is the client's own, a program, and not tracked either.
  assert.deepEqual(said, { status: 'success', tracked: 2, invalid: 2, invalid_indices: [1, 3] })
  const [left, view] = await sotto.events(key, 2)
  assertRow(left, { kind: 'custom', name: 'left', props: { category: 'Buy', value: '2' } })
  assert.ok(Math.abs(timeOf(left) - Date.parse(cdt)) < 1000, left.time)
  assertRow(view, { kind: 'pageview', path: '/a' })
  assert.deepEqual(matomo.errors, [])
})

test('python_client_sends_pageviews_events_searches_and_goals', async () => {
  const key = await sotto.site('python.example')
  const token = await sotto.token(key)
  const python = async (token_auth, user_agent) => {
    const { stdout } = await promisify(execFile)(
      'python3',
      [join(import.meta.dirname, 'support/send_matomo.py'), sotto.url, ID, token_auth, 'https://python.example/pricing?utm_source=letter', user_agent],
      { env: { ...process.env, PYTHONPATH: join(import.meta.dirname, '.python'), PYTHONDONTWRITEBYTECODE: '1' } },
    )
    return stdout.trim().split('\n')
  }
  assert.deepEqual(await python('', PERSON), ['200', '200', '200', '200', '204'])
  const own = await sotto.events(key, 5)
  assertRow(own[0], { kind: 'pageview', hostname: 'python.example', path: '/pricing', referrer_host: 'news.example', utm_source: 'letter', browser: 'Chrome' })
  assertRow(own[1], { name: 'Play', props: { category: 'Video', name: 'Intro', value: '3' } })
  assertRow(own[2], { name: 'Site search', props: { keyword: 'lamp', category: 'light', results: '12' } })
  assertRow(own[3], { name: 'Goal 4', revenue: 19.5 })
  assertRow(own[4], { name: 'File download' })
  assert.deepEqual(await python(token, PERSON), ['200', '200', '200', '200', '204'])
  const both = await sotto.events(key, 10)
  assert.notEqual(both[5].visitor, both[0].visitor, 'the visitor behind the claimed address')
})

/** The requests of Matomo's script, which is not on npm: a beacon with a form, an image, and a bulk without token. */
const SCRIPT = (stats) => `
  const hit = (more) => new URLSearchParams({ idsite: ${ID}, rec: 1, r: 123456, h: 1, m: 2, s: 3, url: location.href,
    urlref: document.referrer, _id: '0123456789abcdef', _idn: 0, send_image: 0, _refts: 0, cookie: 1, res: '1920x1080',
    pv_id: 'aB3xYz', uadata: JSON.stringify({ fullVersionList: [], mobile: false, platform: 'Linux' }), ...more }).toString()
  const url = '${stats}/matomo.php'
  window.beacon = (more) => navigator.sendBeacon(url, new Blob([hit(more)], { type: 'application/x-www-form-urlencoded; charset=UTF-8' }))
  window.image = (more) => new Promise((resolve) => {
    const image = new Image(1, 1)
    image.onload = () => resolve(image.naturalWidth)
    image.onerror = () => resolve('no image')
    image.src = url + '?' + hit({ ...more, send_image: 1 })
  })
  window.bulk = (...hits) => fetch(url, { method: 'POST', headers: { 'content-type': 'text/plain' },
    body: JSON.stringify({ requests: hits.map((more) => '?' + hit(more)), send_image: 0 }) }).then((answer) => answer.json())`

test('browser_lets_the_requests_of_the_script_through', async () => {
  const key = await sotto.site('blog.example')
  const { page, close } = await browser.open(browser.origin('blog.example') + '/post?utm_campaign=spring', SCRIPT(browser.stats(sotto)), 'http://news.example/story')
  assert.ok(await page.evaluate(() => window.beacon({ action_name: 'A page' })))
  await sotto.events(key, 1)
  assert.equal(await page.evaluate(() => window.image({ link: 'https://partner.example/' })), 1)
  await sotto.events(key, 2)
  assert.deepEqual(await page.evaluate(() => window.bulk({ e_c: 'a', e_a: 'one' }, { ping: 1 })), { status: 'success', tracked: 2, invalid: 0, invalid_indices: [] })
  const [view, link, ...rest] = await sotto.events(key, 4)
  assertRow(view, { kind: 'pageview', hostname: 'blog.example', path: '/post', referrer_host: 'news.example', utm_campaign: 'spring', browser: 'Chrome' })
  assertRow(link, { kind: 'custom', name: 'Outbound link' })
  assert.deepEqual(rest.map((row) => row.kind).sort(), ['custom', 'engagement'])
  await close()
})

/**
 * What `import_logs.py` of matomo-log-analytics asks and sends, form and JSON as it makes them: imitated, as no package of
 * npm or PyPI has the script itself. Its own source was read for it (calls `SitesManager.*`, bulk requests, replay).
 */
test('log_importer_finds_its_site_and_learns_which_lines_were_not_kept', async () => {
  const key = await sotto.site('log.example')
  const token_auth = await sotto.token(key)
  const form = (fields) =>
    sotto.post('/', new URLSearchParams({ module: 'API', format: 'json2', filter_limit: '-1', ...fields }).toString(), {
      'user-agent': 'Piwik/LogImport',
      'content-type': 'application/x-www-form-urlencoded',
    }).then((answer) => answer.json())
  const site = await form({ method: 'SitesManager.getSiteFromId', token_auth, idSite: key })
  assert.deepEqual([site.idsite, site.main_url], [key, 'https://log.example'])
  assert.deepEqual(await form({ method: 'SitesManager.getSitesIdFromSiteUrl', token_auth, url: 'log.example' }), [{ idsite: key }])
  assert.deepEqual(await form({ method: 'SitesManager.getSitesIdFromSiteUrl', token_auth, url: 'other.example' }), [])
  const all = await form({ method: 'SitesManager.getAllSites', token_auth })
  assert.deepEqual([Object.keys(all), all[key].main_url], [[key], 'https://log.example'], 'the sites of the token, by their ids')
  assert.deepEqual(await form({ method: 'SitesManager.getAllSites' }), {})
  const added = await form({ method: 'SitesManager.addSite', token_auth, siteName: 'new.example', 'urls[0]': 'http://new.example' })
  assert.equal(added.result, 'error')
  assert.match(added.message, /sotto site add/)
  for (const wrong of [{ idSite: key }, { idSite: 'nobody', token_auth }, { idSite: key, token_auth: 'x' }])
    assert.equal((await form({ method: 'SitesManager.getSiteFromId', ...wrong })).result, 'error')
  const cdt = new Date(Date.now() - HOUR_MS).toISOString().slice(0, 19).replace('T', ' ')
  const line = (path, more) => ({ rec: '1', apiv: '1', url: 'https://log.example' + path, urlref: '', cip: '198.51.100.7', cdt, idsite: key, dp: '1', ua: VISITOR, ...more })
  const requests = [line('/a'), line('/b', { ua: '' }), null, line('/robot', { ua: BOT, bots: '1' }), line('/f.pdf', { download: 'https://log.example/f.pdf', bw_bytes: 5120 })]
  const answer = await sotto.post('/piwik.php', { token_auth, requests }, { 'user-agent': 'Piwik/LogImport', 'content-type': 'application/json' })
  assert.deepEqual(await answer.json(), { status: 'success', tracked: 3, invalid: 2, invalid_indices: [2, 3] })
  const rows = await sotto.events(key, 3)
  const row = (path) => rows.find((row) => row.path == path)
  assertRow(row('/a'), { kind: 'pageview', browser: 'Firefox', os: 'Linux' })
  assertRow(row('/b'), { kind: 'pageview', browser: '', os: '' })
  assertRow(row('/f.pdf'), { kind: 'custom', name: 'File download' })
  assert.ok(Math.abs(timeOf(row('/a')) - Date.parse(cdt.replace(' ', 'T') + 'Z')) < 1000, row('/a').time)
})

test('replayed_tracking_requests_are_recorded_as_they_were_meant', async () => {
  const key = await sotto.site('replay.example')
  const token_auth = await sotto.token(key)
  const cdt = new Date(Date.now() - 21 * 24 * HOUR_MS).toISOString().slice(0, 19).replace('T', ' ')
  // With --replay-log-tracking the importer sets rec=0 and lets the parameters of the line win.
  const line = (more) => ({ apiv: '1', urlref: '', cip: '198.51.100.7', cdt, idsite: key, dp: '1', ua: VISITOR, rec: '0', _id: '0123456789abcdef', h: '1', m: '2', s: '3', send_image: '0', pv_id: 'aB3xYz', ...more })
  const requests = [
    line({ rec: '1', url: 'https://replay.example/a', res: '1920x1080' }),
    line({ url: 'https://replay.example/not-recorded' }),
    line({ rec: '1', url: 'https://replay.example/a', e_c: 'Video', e_a: 'Play' }),
  ]
  const answer = await sotto.post('/piwik.php', { token_auth, requests }, { 'user-agent': 'Piwik/LogImport', 'content-type': 'application/json' })
  assert.deepEqual(await answer.json(), { status: 'success', tracked: 2, invalid: 0, invalid_indices: [] })
  const rows = await sotto.events(key, 2)
  assertRow(rows.find((row) => row.kind == 'pageview'), { path: '/a', browser: 'Firefox' })
  assertRow(rows.find((row) => row.kind == 'custom'), { path: '/a', name: 'Play' })
  assert.equal(new Set(rows.map((row) => row.session)).size, 1, 'one visit')
})

test('request_with_credentials_is_let_through_by_the_browser_once', async () => {
  const key = await sotto.site('credentials.example')
  const { page, close } = await browser.open(browser.origin('credentials.example') + '/post', SCRIPT(browser.stats(sotto)))
  const status = await page.evaluate((stats) => new Promise((resolve) => {
    const request = new XMLHttpRequest()
    request.open('POST', stats + '/matomo.php', true)
    request.withCredentials = true
    request.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded; charset=UTF-8')
    request.onload = () => resolve(request.status)
    request.onerror = () => resolve('refused by the browser')
    request.send(new URLSearchParams({ idsite: 7, rec: 1, url: location.href, send_image: 0 }).toString())
  }), browser.stats(sotto))
  assert.equal(status, 204)
  await sotto.events(key, 1)
  await close()
})

test('answers_are_those_of_matomo', async () => {
  const key = await sotto.site('api.example')
  const query = `/matomo.php?idsite=${key}&rec=1&url=https%3A%2F%2Fapi.example%2F`
  const gif = await sotto.get(query)
  assert.deepEqual([gif.status, gif.headers.get('content-type')], [200, 'image/gif'])
  assert.equal(Buffer.from(await gif.arrayBuffer()).subarray(0, 6).toString(), 'GIF89a')
  assert.equal((await sotto.get(query + '&send_image=0')).status, 204)
  assert.equal((await sotto.get(query + '&send_image=0', { 'user-agent': BOT })).status, 204, 'a robot learns nothing')
  assert.equal((await sotto.get('/matomo.php?idsite=nobody&rec=1&url=https%3A%2F%2Fnobody.example%2F')).status, 200, 'nor does a stranger')
  assert.equal((await sotto.get('/matomo.php?rec=1')).status, 400)
  assert.equal((await sotto.post('/matomo.php', '{"requests":[]}')).status, 400)
  await sotto.events(key, 2)
})

test('claims_are_ignored_without_a_token_of_the_site_and_used_with_one', async () => {
  const key = await sotto.site('claims.example')
  const other = await sotto.site('other.example')
  const [writer, stranger] = [await sotto.token(key), await sotto.token(other)]
  const cdt = Math.floor((Date.now() - HOUR_MS) / 1000)
  const started = Date.now()
  const claim = (path, token_auth) =>
    sotto.get('/matomo.php?' + new URLSearchParams({ idsite: ID, rec: 1, url: 'https://claims.example' + path, ua: VISITOR, cip: '198.51.100.7', cdt, send_image: 0, ...(token_auth && { token_auth }) }))
  for (const answer of [await claim('/none'), await claim('/stranger', stranger), await claim('/wrong', 'x'), await claim('/writer', writer)])
    assert.equal(answer.status, 204)
  const rows = Object.fromEntries((await sotto.events(key, 4)).map((row) => [row.path, row]))
  for (const path of ['/none', '/stranger', '/wrong']) {
    assertRow(rows[path], { browser: 'Chrome', os: 'Windows', visitor: rows['/none'].visitor })
    assert.ok(timeOf(rows[path]) >= started - 1000, path)
  }
  assertRow(rows['/writer'], { browser: 'Firefox', os: 'Linux' })
  assert.ok(Math.abs(timeOf(rows['/writer']) - cdt * 1000) < 1000, rows['/writer'].time)
})

test('body_at_the_limit_is_taken_and_a_longer_one_is_not', async () => {
  const key = await sotto.site('limit.example')
  const hit = `idsite=${key}&rec=1&url=https%3A%2F%2Flimit.example%2F&send_image=0&data=`
  const bulk = JSON.stringify({ requests: ['?' + hit] })
  assert.equal((await sotto.post('/matomo.php', hit.padEnd(BODY_BYTES_MAX, 'x'))).status, 204)
  assert.equal((await sotto.post('/matomo.php', hit.padEnd(BODY_BYTES_MAX + 1, 'x'))).status, 413)
  assert.equal((await sotto.post('/matomo.php', bulk.padEnd(BULK_BYTES_MAX))).status, 200)
  assert.equal((await sotto.post('/matomo.php', bulk.padEnd(BULK_BYTES_MAX + 1))).status, 413)
  await sotto.events(key, 2)
})
