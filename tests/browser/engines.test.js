// The same visits in Chromium and Firefox, against the real program: what counts is what is stored.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import puppeteer from 'puppeteer-core'
import { listen, readBody } from './support/http.js'
import { matrix } from './support/real.js'
import { startSite } from './support/site.js'
import { PERSON, startSotto, until } from './support/sotto.js'
import { back, executablePath, launchArguments, restored } from './support/world.js'

const ENGINES = {
  Chromium: {
    launch: () =>
      puppeteer.launch({
        executablePath,
        args: [...launchArguments, `--user-agent=${PERSON}`],
        ignoreDefaultArgs: ['--disable-back-forward-cache'],
      }),
    name: 'Chrome',
    gpc: false,
  },
  Firefox: {
    launch: (gpc) =>
      puppeteer.launch({
        browser: 'firefox',
        executablePath: process.env.FIREFOX || '/usr/bin/firefox-esr',
        extraPrefsFirefox: { 'privacy.globalprivacycontrol.enabled': !!gpc },
      }),
    name: 'Firefox',
    gpc: true,
  },
}

const found = matrix('scenario x engine (stored rows)')
let sotto, site
const browsers = {}

before(async () => {
  ;[sotto, site] = await Promise.all([startSotto(), startSite()])
  for (const [engine, { launch }] of Object.entries(ENGINES)) browsers[engine] = await launch()
})
after(async () => {
  for (const browser of Object.values(browsers)) await browser.close()
  await site?.close()
  await sotto?.stop()
})

/** A tab as a person has it: robots are not counted. */
async function newPage(browser) {
  const page = await browser.newPage()
  await page.evaluateOnNewDocument(() => Object.defineProperty(Navigator.prototype, 'webdriver', { get: () => false }))
  return page
}

/** Lets the page be looked at for a while: reading time below a second is not reported. */
const look = (page, ms = 1100) =>
  page.evaluate((ms) => new Promise((resolve) => {
    const end = performance.now() + ms
    const tick = () => (performance.now() > end ? resolve() : requestAnimationFrame(tick))
    tick()
  }), ms)

const tag = (key, attributes = '') => `<script defer src="${sotto.url}/s.js" data-site="${key}" data-local ${attributes}></script>`
const views = (rows) => rows.filter((row) => row.kind == 'pageview').map((row) => row.path)

/** Declares a scenario in every engine: a site of its own in Sotto and a fresh tab. */
function scenario(name, run) {
  for (const engine of Object.keys(ENGINES))
    test(`${name}_in_${engine.toLowerCase()}`, { timeout: 120_000 }, async () => {
      const key = await sotto.addSite('127.0.0.1', 'cookieless')
      site.tag(tag(key))
      const page = await newPage(browsers[engine])
      const go = (path) => page.goto(site.origin + path)
      const rows = (what, enough) => sotto.rows(key, what, enough)
      try {
        const remark = await run({ key, page, go, rows, engine, browser: browsers[engine] })
        found(name, engine, remark ?? 'ok')
      } finally {
        if (!page.isClosed()) await page.close()
      }
    })
}

scenario('page_view_is_stored_with_its_browser', async ({ go, rows, engine }) => {
  await go('/hello?utm_source=letter&secret=1')
  const [row] = await rows('the pageview', (rows) => rows.length > 0)
  assert.equal(row.path, '/hello')
  assert.equal(row.utm_source, 'letter')
  assert.equal(row.tier, 'full')
  assert.equal(row.browser, ENGINES[engine].name)
  assert.equal(row.device, 'desktop')
  assert.equal(row.gpc, false)
  return `ok ${row.browser} ${row.browser_version}`
})

scenario('router_navigation_is_stored_once', async ({ page, go, rows }) => {
  await go('/start')
  await rows('the first view', (rows) => views(rows).length == 1)
  await page.evaluate(() => {
    history.replaceState({ scroll: 1 }, '')
    history.pushState({}, '', '/next')
    history.replaceState({ scroll: 2 }, '', '/next')
  })
  const stored = await rows('the second view', (rows) => views(rows).includes('/next'))
  assert.deepEqual(views(stored), ['/start', '/next'])
  const [first, second] = stored.filter((row) => row.kind == 'pageview')
  assert.notEqual(first.view, second.view)
  assert.equal(first.session, second.session)
  return `ok ${await page.evaluate(() => (window.navigation ? 'events' : 'polling'))}`
})

scenario('restored_page_is_a_view_of_its_own', async ({ page, go, rows }) => {
  await go('/one')
  await rows('the first view', (rows) => views(rows).length == 1)
  await page.evaluate(() => addEventListener('pageshow', (event) => (window.restored = event.persisted)))
  await go('/two')
  await rows('the second view', (rows) => views(rows).length == 2)
  await back(page)
  const stored = await rows('the restored view', (rows) => views(rows).length == 3)
  assert.deepEqual(views(stored), ['/one', '/two', '/one'])
  assert.equal(await restored(page, '/one'), true, 'the page did not come from the cache')
})

scenario('left_page_delivers_its_reading_time', async ({ page, go, rows }) => {
  await go('/read')
  const [view] = await rows('the view', (rows) => rows.length > 0)
  await look(page)
  await go('/after')
  const stored = await rows('the reading time', (rows) => rows.some((row) => row.kind == 'engagement' && row.view == view.view))
  const reading = stored.find((row) => row.kind == 'engagement' && row.view == view.view)
  assert.ok(reading.engaged_ms >= 1000 && reading.engaged_ms < 30_000, `${reading.engaged_ms} ms`)
  assert.equal(reading.scroll, 100)
})

scenario('closed_tab_delivers_its_reading_time', async ({ page, go, rows }) => {
  await go('/read')
  const [view] = await rows('the view', (rows) => rows.length > 0)
  await look(page)
  await page.close()
  const stored = await rows('the reading time', (rows) => rows.some((row) => row.kind == 'engagement'))
  const reading = stored.find((row) => row.kind == 'engagement')
  assert.equal(reading.view, view.view)
  assert.ok(reading.engaged_ms >= 1000, `${reading.engaged_ms} ms`)
})

scenario('strict_policy_with_nonce_and_trusted_types_is_counted', async ({ key, page, go, rows }) => {
  const policy = `default-src 'none'; script-src 'nonce-abc' 'strict-dynamic'; connect-src ${sotto.url}; require-trusted-types-for 'script'; trusted-types 'none'`
  site.page('/strict', { tag: tag(key, 'nonce="abc"'), headers: { 'content-security-policy': policy } })
  const said = []
  page.on('console', (message) => said.push(message.text()))
  await go('/strict')
  await rows('the view', (rows) => rows.length == 1)
  assert.deepEqual(said.filter((text) => /policy/i.test(text)), [])
})

scenario('hit_over_the_keepalive_quota_is_stored_later_with_its_own_time', async ({ page, go, rows }) => {
  const held = []
  const slow = await listen((request, response) => (request.resume(), held.push(response)))
  try {
    await go('/full')
    await rows('the view', (rows) => rows.length == 1)
    await page.evaluate((url) => {
      for (let n = 0; n < 8; n++) fetch(url, { method: 'POST', mode: 'no-cors', keepalive: true, body: 'x'.repeat(8190) }).catch(() => {})
    }, slow.origin + '/hang')
    await until('requests in flight', () => held.length >= 5)
    // What is over the quota is refused at once and kept in memory.
    await page.evaluate(() => {
      const real = window.fetch
      window.refused = new Promise((resolve) => {
        window.fetch = (...given) => {
          const answer = real(...given)
          answer.then(() => resolve(false), () => resolve(true))
          return answer
        }
      })
      window.sotto('late', { text: 'x'.repeat(200) })
    })
    const refused = await page.evaluate(() => window.refused)
    for (const response of held.splice(0)) response.writeHead(204).end()
    await look(page, 300)
    await page.evaluate(() => window.sotto('next'))
    const stored = await rows('both events', (rows) => rows.filter((row) => row.kind == 'custom').length == 2)
    assert.deepEqual(stored.filter((row) => row.kind == 'custom').map((row) => row.name), ['late', 'next'], 'in the order in which they happened')
    assert.equal(refused, true, 'the quota was not reached')
    const [late, next] = stored.filter((row) => row.kind == 'custom').map((row) => Date.parse(row.time.replace(' ', 'T') + 'Z'))
    assert.ok(next - late >= 250, `stored ${next - late} ms apart`)
  } finally {
    for (const response of held) response.end()
    await slow.close()
  }
})

scenario('reading_time_that_arrives_after_the_next_page_belongs_to_its_own', async ({ key, go, page, rows }) => {
  // A proxy of the site that lets the next page overtake.
  const late = []
  const forward = async (request, body) => {
    const { 'user-agent': agent, 'accept-language': language } = request.headers
    await fetch(sotto.url + '/e', { method: 'POST', body, headers: { 'user-agent': agent, 'accept-language': language } })
  }
  const proxy = await listen(async (request, response) => {
    const body = await readBody(request)
    response.writeHead(204, { 'access-control-allow-origin': '*' }).end()
    const { k, u } = JSON.parse(body)
    if (k == 'e' && !late.sent) return late.push([request, body])
    await forward(request, body)
    if (u?.endsWith('/second')) {
      late.sent = true
      for (const one of late.splice(0)) await forward(...one)
    }
  })
  try {
    site.tag(tag(key, `data-api="${proxy.origin}/e"`))
    await go('/first')
    await rows('the first view', (rows) => views(rows).length == 1)
    await look(page)
    await go('/second')
    const stored = await rows('the late reading time', (rows) => rows.some((row) => row.kind == 'engagement'))
    const [first, second] = stored.filter((row) => row.kind == 'pageview')
    const reading = stored.find((row) => row.kind == 'engagement')
    assert.equal(reading.view, first.view)
    assert.equal(reading.session, first.session)
    assert.equal(second.session, first.session, 'one visit')
  } finally {
    await proxy.close()
  }
})

test('global_privacy_control_is_stored_and_refuses_marketing', { timeout: 120_000 }, async () => {
  for (const [engine, { launch, gpc }] of Object.entries(ENGINES)) {
    if (!gpc) {
      found('global_privacy_control', engine, 'has none')
      continue
    }
    const key = await sotto.addSite('127.0.0.1', 'cookieless')
    site.tag(tag(key))
    const browser = await launch(true)
    try {
      const page = await newPage(browser)
      await page.goto(site.origin + '/gpc?utm_source=letter')
      const [row] = await sotto.rows(key, 'the pageview', (rows) => rows.length > 0)
      assert.equal(row.gpc, true)
      assert.equal(row.refused & 8, 8)
      assert.equal(row.utm_source, '', 'a campaign is marketing')
      assert.equal(row.tier, 'full', 'measurement goes on')
      found('global_privacy_control', engine)
    } finally {
      await browser.close()
    }
  }
})
